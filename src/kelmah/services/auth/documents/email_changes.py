"""Changes of an e-mail address that wait for the proof of both addresses: one an account, the newest."""

from datetime import datetime
from typing import ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel, ReturnDocument

from kelmah.kit.mongo import session


class EmailChangeDocument(Document):
    """`id` is the account's. Tokens are kept as hashes, addresses sealed. Shard key: `_id`, hashed."""

    id: str  # type: ignore[assignment]  # the account's id
    change_id: str
    #: Whose request it was: this session stays when the address changes.
    session_id: str
    old_email_sealed: str
    old_index: str
    new_email_sealed: str
    new_index: str
    old_token_hash: str | None = None
    new_token_hash: str | None = None
    old_proven_at: datetime | None = None
    new_proven_at: datetime | None = None
    done_at: datetime | None = None
    expires_at: datetime

    class Settings:
        name = "email_changes"
        indexes: ClassVar = [
            IndexModel([("old_token_hash", ASCENDING)], name="old_token"),
            IndexModel([("new_token_hash", ASCENDING)], name="new_token"),
            IndexModel([("expires_at", ASCENDING)], name="expiry", expireAfterSeconds=0),
        ]


async def put(change: EmailChangeDocument) -> None:
    """Put this change in place of whatever waited before."""
    row = change.model_dump(exclude={"id", "revision_id"})
    await EmailChangeDocument.get_pymongo_collection().replace_one(
        {"_id": change.id}, row, upsert=True, session=session()
    )


async def get(account_id: str, change_id: str) -> EmailChangeDocument | None:
    return await EmailChangeDocument.find_one({"_id": account_id, "change_id": change_id}, session=session())


async def set_tokens(account_id: str, change_id: str, *, old_hash: str, new_hash: str) -> None:
    await EmailChangeDocument.get_pymongo_collection().update_one(
        {"_id": account_id, "change_id": change_id},
        {"$set": {"old_token_hash": old_hash, "new_token_hash": new_hash}},
        session=session(),
    )


async def prove(token_hash: str, *, now: datetime) -> EmailChangeDocument | None:
    """Note that the reader of one of the two mailboxes agrees; the change as it stands then."""
    for side in ("old", "new"):
        row = await EmailChangeDocument.get_pymongo_collection().find_one_and_update(
            {f"{side}_token_hash": token_hash, "done_at": None, "expires_at": {"$gt": now}},
            {"$set": {f"{side}_proven_at": now, f"{side}_token_hash": None}},
            return_document=ReturnDocument.AFTER,
            session=session(),
        )
        if row is not None:
            found: EmailChangeDocument = EmailChangeDocument.model_validate(row)
            return found
    return None


async def finish(account_id: str, *, at: datetime) -> None:
    await EmailChangeDocument.get_pymongo_collection().update_one(
        {"_id": account_id}, {"$set": {"done_at": at}}, session=session()
    )


async def drop(account_id: str) -> None:
    await EmailChangeDocument.get_pymongo_collection().delete_one({"_id": account_id}, session=session())
