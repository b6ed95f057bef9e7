"""Second factors: one secret for one-time codes a person, and the recovery codes beside it."""

from datetime import datetime

from beanie import Document
from pymongo.errors import DuplicateKeyError

from kelmah.kit.mongo import session


class FactorDocument(Document):
    """A person's authenticator app. Shard key: `_id`, hashed."""

    id: str  # type: ignore[assignment]  # the account's id
    secret_sealed: str
    #: None: set up and not proven yet, so that a half-finished set-up locks nobody out.
    confirmed_at: datetime | None = None
    #: The time step of the last code that was taken; it and all before it are not taken again.
    last_step: int = 0
    recovery_hashes: list[str] = []  # noqa: RUF012  # pydantic copies defaults

    class Settings:
        name = "factors"


async def confirmed(account_id: str) -> FactorDocument | None:
    return await FactorDocument.find_one({"_id": account_id, "confirmed_at": {"$ne": None}}, session=session())


async def pending(account_id: str) -> FactorDocument | None:
    return await FactorDocument.find_one({"_id": account_id, "confirmed_at": None}, session=session())


async def set_up(account_id: str, *, secret_sealed: str) -> bool:
    """Put a secret that waits for its first code; false when a proven one is there."""
    try:
        await FactorDocument.get_pymongo_collection().update_one(
            {"_id": account_id, "confirmed_at": None},
            {"$set": {"secret_sealed": secret_sealed, "last_step": 0, "recovery_hashes": []}},
            upsert=True,
            session=session(),
        )
    except DuplicateKeyError:
        return False
    return True


async def confirm(account_id: str, *, secret_sealed: str, step: int, recovery_hashes: list[str], at: datetime) -> bool:
    """Whether this secret was waiting and is the person's factor now."""
    result = await FactorDocument.get_pymongo_collection().update_one(
        {"_id": account_id, "confirmed_at": None, "secret_sealed": secret_sealed},
        {"$set": {"confirmed_at": at, "last_step": step, "recovery_hashes": recovery_hashes}},
        session=session(),
    )
    return result.modified_count == 1


async def use_step(account_id: str, *, secret_sealed: str, step: int) -> bool:
    """Whether no code of this step or a later one was taken before."""
    result = await FactorDocument.get_pymongo_collection().update_one(
        {"_id": account_id, "secret_sealed": secret_sealed, "last_step": {"$lt": step}},
        {"$set": {"last_step": step}},
        session=session(),
    )
    return result.modified_count == 1


async def use_recovery(account_id: str, code_hash: str) -> bool:
    """Whether this code was there, and is not any more."""
    result = await FactorDocument.get_pymongo_collection().update_one(
        {"_id": account_id, "confirmed_at": {"$ne": None}, "recovery_hashes": code_hash},
        {"$pull": {"recovery_hashes": code_hash}},
        session=session(),
    )
    return result.modified_count == 1


async def erase(account_id: str) -> None:
    await FactorDocument.get_pymongo_collection().delete_one({"_id": account_id}, session=session())


async def remove(account_id: str, *, since: datetime | None = None) -> bool:
    """Take the proven factor away, or only one that was proven at `since` or later. Whether there was one."""
    proven = {"$ne": None} if since is None else {"$gte": since}
    result = await FactorDocument.get_pymongo_collection().delete_one(
        {"_id": account_id, "confirmed_at": proven}, session=session()
    )
    return result.deleted_count == 1
