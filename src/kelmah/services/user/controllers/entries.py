"""The operations on the lists of one's own profile: experience, portfolio, certificates and bookmarks."""

from typing import Annotated

from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from kelmah.contracts.common import Page
from kelmah.contracts.user import (
    AddBookmark,
    Bookmark,
    Certificate,
    CertificateInput,
    Experience,
    ExperienceInput,
    PortfolioInput,
    PortfolioItem,
)
from kelmah.kit.context import Principal
from kelmah.kit.pagination import DEFAULT_LIMIT, MAX_LIMIT
from kelmah.services.user.service import Context, bookmarks, entries

_TAGS = ["My profile"]


@get("/api/v1/users/me/experience", operation_id="ListMyExperience", summary="What I did before", tags=_TAGS)
async def list_my_experience(
    context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Page[Experience]:
    return await entries.list_experience(context, by=principal)


@post("/api/v1/users/me/experience", operation_id="AddMyExperience", summary="Add an experience", tags=_TAGS)
async def add_my_experience(
    data: JSONBody[ExperienceInput], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Experience:
    return await entries.put_experience(context, data, by=principal)


@put(
    "/api/v1/users/me/experience/{entry_id:str}",
    operation_id="ReplaceMyExperience",
    summary="Replace an experience",
    tags=_TAGS,
)
async def replace_my_experience(
    entry_id: FromPath[str],
    data: JSONBody[ExperienceInput],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> Experience:
    return await entries.put_experience(context, data, by=principal, entry_id=entry_id)


@delete(
    "/api/v1/users/me/experience/{entry_id:str}",
    operation_id="RemoveMyExperience",
    summary="Remove an experience",
    tags=_TAGS,
)
async def remove_my_experience(
    entry_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> None:
    await entries.remove(context, "experience", entry_id, by=principal)


@get("/api/v1/users/me/portfolio", operation_id="ListMyPortfolio", summary="My finished works", tags=_TAGS)
async def list_my_portfolio(
    context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Page[PortfolioItem]:
    return await entries.list_portfolio(context, by=principal)


@post("/api/v1/users/me/portfolio", operation_id="AddMyPortfolioItem", summary="Add a finished work", tags=_TAGS)
async def add_my_portfolio_item(
    data: JSONBody[PortfolioInput], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> PortfolioItem:
    return await entries.put_portfolio_item(context, data, by=principal)


@put(
    "/api/v1/users/me/portfolio/{entry_id:str}",
    operation_id="ReplaceMyPortfolioItem",
    summary="Replace a finished work",
    tags=_TAGS,
)
async def replace_my_portfolio_item(
    entry_id: FromPath[str],
    data: JSONBody[PortfolioInput],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> PortfolioItem:
    return await entries.put_portfolio_item(context, data, by=principal, entry_id=entry_id)


@delete(
    "/api/v1/users/me/portfolio/{entry_id:str}",
    operation_id="RemoveMyPortfolioItem",
    summary="Remove a finished work",
    tags=_TAGS,
)
async def remove_my_portfolio_item(
    entry_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> None:
    await entries.remove(context, "portfolio", entry_id, by=principal)


@get(
    "/api/v1/users/me/certificates",
    operation_id="ListMyCertificates",
    summary="My certificates, with their numbers",
    tags=_TAGS,
)
async def list_my_certificates(
    context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Page[Certificate]:
    return await entries.list_certificates(context, by=principal)


@post("/api/v1/users/me/certificates", operation_id="AddMyCertificate", summary="Add a certificate", tags=_TAGS)
async def add_my_certificate(
    data: JSONBody[CertificateInput], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Certificate:
    return await entries.put_certificate(context, data, by=principal)


@put(
    "/api/v1/users/me/certificates/{entry_id:str}",
    operation_id="ReplaceMyCertificate",
    summary="Replace a certificate",
    tags=_TAGS,
)
async def replace_my_certificate(
    entry_id: FromPath[str],
    data: JSONBody[CertificateInput],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> Certificate:
    return await entries.put_certificate(context, data, by=principal, entry_id=entry_id)


@delete(
    "/api/v1/users/me/certificates/{entry_id:str}",
    operation_id="RemoveMyCertificate",
    summary="Remove a certificate",
    tags=_TAGS,
)
async def remove_my_certificate(
    entry_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> None:
    await entries.remove(context, "certificates", entry_id, by=principal)


@get("/api/v1/users/me/bookmarks", operation_id="ListMyBookmarks", summary="People I bookmarked", tags=_TAGS)
async def list_my_bookmarks(
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> Page[Bookmark]:
    return await bookmarks.list_bookmarks(context, by=principal, limit=limit, cursor=cursor)


@post("/api/v1/users/me/bookmarks", operation_id="AddMyBookmark", summary="Bookmark a person", tags=_TAGS)
async def add_my_bookmark(
    data: JSONBody[AddBookmark], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Bookmark:
    return await bookmarks.add_bookmark(context, data, by=principal)


@delete(
    "/api/v1/users/me/bookmarks/{user_id:str}",
    operation_id="RemoveMyBookmark",
    summary="Forget a bookmarked person",
    tags=_TAGS,
)
async def remove_my_bookmark(
    user_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> None:
    await bookmarks.remove_bookmark(context, user_id, by=principal)


HANDLERS = [
    list_my_experience, add_my_experience, replace_my_experience, remove_my_experience,
    list_my_portfolio, add_my_portfolio_item, replace_my_portfolio_item, remove_my_portfolio_item,
    list_my_certificates, add_my_certificate, replace_my_certificate, remove_my_certificate,
    list_my_bookmarks, add_my_bookmark, remove_my_bookmark,
]  # fmt: skip
