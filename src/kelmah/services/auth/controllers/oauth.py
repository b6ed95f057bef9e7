"""Operations of signing in with a provider, and of the identities that are linked."""

from typing import Annotated, Any

from litestar import Request, Response, delete, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from kelmah.contracts.auth import (
    AuthorizationUrl,
    IdentityView,
    LinkRequest,
    MfaChallenge,
    OAuthExchangeRequest,
    SignedIn,
)
from kelmah.contracts.common import Page
from kelmah.kit.context import Principal
from kelmah.kit.crypto import random_token
from kelmah.services.auth import service
from kelmah.services.auth.controllers.client import CLIENT, SECRET
from kelmah.services.auth.service import Client, Context

OAUTH = ["Sign-in with a provider"]
#: Ties an answer to the browser that asked. Nothing else that we do rests on a cookie.
COOKIE = "kelmah_oauth"

Answered = Annotated[str | None, QueryParameter(max_length=2048)]


@get(
    "/api/v1/auth/oauth/{provider:str}",
    operation_id="StartOAuth",
    summary="Go to a provider to sign in",
    description="For a browser: answers with a redirect to the provider.",
    tags=OAUTH,
    status_code=302,
)
async def start_oauth(provider: FromPath[str], context: NamedDependency[Context]) -> Response[None]:
    browser = random_token()
    url = await service.start_oauth(context, provider, browser=browser)
    return Response(None, status_code=302, headers={"location": url}, cookies=[_cookie(context, browser)])


@get(
    "/api/v1/auth/oauth/{provider:str}/callback",
    operation_id="FinishOAuth",
    summary="Come back from a provider",
    description="Answers with a redirect to `/oauth/login#code=…` or `/oauth/link#code=…` of the public address; the "
    "page there sends the code to `POST /api/v1/auth/oauth/exchange` or `POST /api/v1/auth/identities`.",
    tags=OAUTH,
    status_code=303,
)
async def finish_oauth(
    request: Request[Any, Any, Any],
    provider: FromPath[str],
    context: NamedDependency[Context],
    oauth_state: Annotated[str | None, QueryParameter(name="state", max_length=512)] = None,
    code: Answered = None,
    iss: Answered = None,
    error: Answered = None,
) -> Response[None]:
    url = await service.finish_oauth(
        context,
        provider,
        state=oauth_state,
        code=code,
        issuer=iss,
        error=error,
        browser=request.cookies.get(_cookie_name(context)),
    )
    gone = _cookie(context, "")
    gone.max_age = 0
    return Response(None, status_code=303, headers={"location": url}, cookies=[gone])


def _cookie(context: Context, value: str) -> Cookie:
    return Cookie(
        key=_cookie_name(context),
        value=value,
        path="/",
        max_age=service.AWAY_S,
        httponly=True,
        secure=_has_tls(context),
        samesite="lax",
    )


def _cookie_name(context: Context) -> str:
    """With `__Host-` no other host of the domain and no page without TLS can set it; browsers ask for TLS then."""
    return f"__Host-{COOKIE}" if _has_tls(context) else COOKIE


def _has_tls(context: Context) -> bool:
    return context.settings.public_url.startswith("https://")


@post(
    "/api/v1/auth/oauth/exchange",
    operation_id="ExchangeOAuth",
    summary="Begin a session with what a provider vouched for",
    tags=OAUTH,
    status_code=200,
    opt=SECRET,
    dependencies=CLIENT,
)
async def exchange_oauth(
    data: JSONBody[OAuthExchangeRequest], context: NamedDependency[Context], client: NamedDependency[Client]
) -> SignedIn | MfaChallenge:
    return await service.exchange_oauth(context, data, client=client)


@post(
    "/api/v1/auth/oauth/{provider:str}/link",
    operation_id="StartLink",
    summary="Get the address at which to prove an identity that is to be linked",
    description="Needs a fresh authentication (`step_up_required`).",
    tags=OAUTH,
    status_code=200,
    opt=SECRET,
)
async def start_link(
    provider: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> AuthorizationUrl:
    return await service.start_link(context, provider, by=principal)


@post("/api/v1/auth/identities", operation_id="LinkIdentity", summary="Link a proven identity", tags=OAUTH, opt=SECRET)
async def link_identity(
    data: JSONBody[LinkRequest], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> IdentityView:
    return await service.link_identity(context, data, by=principal)


@get("/api/v1/auth/identities", operation_id="ListIdentities", summary="See what one can sign in with", tags=OAUTH)
async def list_identities(principal: NamedDependency[Principal]) -> Page[IdentityView]:
    return await service.list_identities(principal)


@delete(
    "/api/v1/auth/identities/{provider:str}",
    operation_id="UnlinkIdentity",
    summary="Take an identity from one's account",
    description="Needs a fresh authentication (`step_up_required`).",
    tags=OAUTH,
)
async def unlink_identity(
    provider: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> None:
    await service.unlink_identity(context, provider, by=principal)


OAUTH_CONTROLLERS = (
    start_oauth,
    finish_oauth,
    exchange_oauth,
    start_link,
    link_identity,
    list_identities,
    unlink_identity,
)
