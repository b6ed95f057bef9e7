"""Archives of what is kept of a person: one an account, the bytes sealed in the blob store under `export_id`."""

from datetime import datetime
from typing import ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel

from kelmah.kit.mongo import session


class ExportDocument(Document):
    """`id` is the account's, so that asking twice makes one. Ready from `ready_at` to `expires_at`. Shard key: `_id`,
    hashed."""

    id: str  # type: ignore[assignment]  # the account's id
    export_id: str
    asked_at: datetime
    ready_at: datetime | None = None
    expires_at: datetime | None = None

    class Settings:
        name = "exports"
        indexes: ClassVar = [IndexModel([("expires_at", ASCENDING)], name="expiry", expireAfterSeconds=0)]


async def put(new: ExportDocument) -> None:
    """Put this archive in place of whatever the account had before."""
    row = new.model_dump(exclude={"id", "revision_id"})
    await ExportDocument.get_pymongo_collection().replace_one({"_id": new.id}, row, upsert=True, session=session())


async def of_account(account_id: str, export_id: str | None = None) -> ExportDocument | None:
    """The account's archive, if it is this one; any when no id is given."""
    query = {"_id": account_id} | ({} if export_id is None else {"export_id": export_id})
    return await ExportDocument.find_one(query, session=session())


async def finish(account_id: str, export_id: str, *, at: datetime, expires_at: datetime) -> bool:
    """Say that it is gathered. False when it was said before, or nobody wants it any more."""
    result = await ExportDocument.get_pymongo_collection().update_one(
        {"_id": account_id, "export_id": export_id, "ready_at": None},
        {"$set": {"ready_at": at, "expires_at": expires_at}},
        session=session(),
    )
    return result.modified_count == 1


async def remove(account_id: str, export_id: str | None = None) -> str | None:
    """Forget the account's archive, or this one of it; its id if there was one."""
    query = {"_id": account_id} | ({} if export_id is None else {"export_id": export_id})
    row = await ExportDocument.get_pymongo_collection().find_one_and_delete(
        query, projection={"export_id": 1}, session=session()
    )
    return None if row is None else str(row["export_id"])
