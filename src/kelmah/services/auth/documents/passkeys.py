"""Passkeys: public keys of people's devices."""

import hashlib
from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from kelmah.kit.mongo import change, session
from kelmah.services.auth.errors import PasskeyTaken


class PasskeyDocument(Document):
    """One passkey of one person. Shard key: `_id`, hashed."""

    id: str  # type: ignore[assignment]  # the hash of the credential's id
    account_id: str
    name: str
    credential_id: str
    public_key: bytes
    #: How often the device says that it was used; 0 for ever where copies are kept in step.
    sign_count: int
    synced: bool
    created_at: datetime
    last_used_at: datetime | None = None

    class Settings:
        name = "passkeys"
        indexes: ClassVar = [IndexModel([("account_id", ASCENDING), ("created_at", ASCENDING)], name="account")]


def passkey_id(credential_id: str) -> str:
    return hashlib.sha256(credential_id.encode()).hexdigest()


async def insert(passkey: PasskeyDocument) -> None:
    """Add a passkey.

    Raises:
        PasskeyTaken: an account has it already.
    """
    try:
        await passkey.insert(session=session())
    except DuplicateKeyError as error:
        raise PasskeyTaken from error


async def by_id(one: str) -> PasskeyDocument | None:
    return await PasskeyDocument.find_one({"_id": one}, session=session())


async def of_account(account_id: str) -> list[PasskeyDocument]:
    """The oldest first."""
    return await PasskeyDocument.find({"account_id": account_id}, session=session()).sort("created_at").to_list(100)


async def note_use(one: str, *, old_count: int, new_count: int, at: datetime) -> bool:
    """Whether the count was still the old one."""
    result = await PasskeyDocument.get_pymongo_collection().update_one(
        {"_id": one, "sign_count": old_count},
        {"$set": {"sign_count": new_count, "last_used_at": at}},
        session=session(),
    )
    return result.matched_count == 1


async def rename(one: str, *, account_id: str, name: str) -> PasskeyDocument | None:
    return await change(PasskeyDocument, {"_id": one, "account_id": account_id}, {"$set": {"name": name}})


async def remove(one: str, *, account_id: str) -> bool:
    result = await PasskeyDocument.get_pymongo_collection().delete_one(
        {"_id": one, "account_id": account_id}, session=session()
    )
    return result.deleted_count == 1


async def remove_all(account_id: str, *, since: datetime | None = None) -> None:
    """Remove every passkey of the person, or those that were added since."""
    query: dict[str, Any] = {"account_id": account_id} | ({} if since is None else {"created_at": {"$gte": since}})
    await PasskeyDocument.get_pymongo_collection().delete_many(query, session=session())
