"""Devices on which a person has logged in, known by an opaque id that the client keeps."""

from datetime import datetime, timedelta
from typing import ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel, ReturnDocument

from kelmah.kit.mongo import session

#: A device that was not seen for so long is a new one again.
FORGOTTEN_AFTER = timedelta(days=180)


class DeviceDocument(Document):
    """One device of one person: `_id` is the person and the hash of the client's id. Shard key: `_id`, hashed."""

    id: str  # type: ignore[assignment]  # made of the person and the device
    account_id: str
    first_seen_at: datetime
    last_seen_at: datetime

    class Settings:
        name = "devices"
        indexes: ClassVar = [
            IndexModel([("account_id", ASCENDING)], name="account"),
            IndexModel(
                [("last_seen_at", ASCENDING)],
                name="expiry",
                expireAfterSeconds=int(FORGOTTEN_AFTER.total_seconds()),
            ),
        ]


def _device_id(account_id: str, device_hash: str) -> str:
    return f"{account_id}:{device_hash}"


async def is_known(account_id: str, device_hash: str) -> bool:
    found = await DeviceDocument.get_pymongo_collection().find_one(
        {"_id": _device_id(account_id, device_hash)}, {"_id": 1}, session=session()
    )
    return found is not None


async def forget(account_id: str, device_hash: str | None = None) -> None:
    """Take one device, or every one, for a stranger's from now on."""
    collection = DeviceDocument.get_pymongo_collection()
    if device_hash is None:
        await collection.delete_many({"account_id": account_id}, session=session())
    else:
        await collection.delete_one({"_id": _device_id(account_id, device_hash)}, session=session())


async def of_account(account_id: str) -> list["DeviceDocument"]:
    found = DeviceDocument.find({"account_id": account_id}, session=session())
    return await found.sort("-last_seen_at").to_list(1_000)


async def remember(account_id: str, device_hash: str, *, at: datetime) -> bool:
    """Note that the person logged in on this device; whether it is the first time."""
    before = await DeviceDocument.get_pymongo_collection().find_one_and_update(
        {"_id": _device_id(account_id, device_hash)},
        {"$set": {"last_seen_at": at}, "$setOnInsert": {"account_id": account_id, "first_seen_at": at}},
        upsert=True,
        return_document=ReturnDocument.BEFORE,
        session=session(),
    )
    return before is None
