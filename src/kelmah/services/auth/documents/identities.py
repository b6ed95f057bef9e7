"""Identities that OpenID providers vouch for. One is known by its issuer and subject, never by its e-mail."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from kelmah.kit.mongo import session
from kelmah.services.auth.errors import IdentityTaken


class IdentityDocument(Document):
    """Lets whoever the provider calls by this subject in to one account. Shard key: `_id`, hashed."""

    id: str  # type: ignore[assignment]  # the hash of issuer and subject
    account_id: str
    provider: str
    linked_at: datetime

    class Settings:
        name = "identities"
        indexes: ClassVar = [
            IndexModel([("account_id", ASCENDING), ("provider", ASCENDING)], unique=True, name="account_provider")
        ]


def identity_id(issuer: str, subject: str) -> str:
    return hashlib.sha256(json.dumps([issuer, subject]).encode()).hexdigest()


async def by_id(identity: str) -> IdentityDocument | None:
    return await IdentityDocument.find_one({"_id": identity}, session=session())


async def taken(wanted: Sequence[str]) -> set[str]:
    """Those of these identities that are linked."""
    found = IdentityDocument.get_pymongo_collection().find(
        {"_id": {"$in": list(wanted)}}, {"_id": 1}, session=session()
    )
    return {row["_id"] async for row in found}


async def insert(identity: IdentityDocument) -> None:
    """Link.

    Raises:
        IdentityTaken: the identity is linked, or the account has one of this provider.
    """
    try:
        await identity.insert(session=session())
    except DuplicateKeyError as error:
        raise IdentityTaken from error


async def of_account(account_id: str) -> list[IdentityDocument]:
    found = IdentityDocument.find({"account_id": account_id}, session=session())
    return await found.sort("provider").to_list(10)


async def remove_all(account_id: str, *, since: datetime | None = None) -> None:
    """Remove every identity of the person, or those that were linked since."""
    query: dict[str, Any] = {"account_id": account_id} | ({} if since is None else {"linked_at": {"$gte": since}})
    await IdentityDocument.get_pymongo_collection().delete_many(query, session=session())


async def remove(account_id: str, *, provider: str) -> bool:
    result = await IdentityDocument.get_pymongo_collection().delete_one(
        {"account_id": account_id, "provider": provider}, session=session()
    )
    return result.deleted_count == 1
