"""People with whom no new business is begun, because their account is at rest or gone."""

from collections.abc import Sequence
from datetime import datetime

from beanie import Document
from pymongo.errors import DuplicateKeyError

from kelmah.kit.mongo import session


class PartyDocument(Document):
    """`id` is the person's. `sequence` is the place in the account's own story. Shard key: `_id`, hashed."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    is_open: bool
    sequence: int
    at: datetime

    class Settings:
        name = "parties"


async def note(user_id: str, *, is_open: bool, sequence: int, at: datetime) -> None:
    """Take over what became of an account, unless something later is known."""
    try:
        await PartyDocument.get_pymongo_collection().update_one(
            {"_id": user_id, "sequence": {"$lt": sequence}},
            {"$set": {"is_open": is_open, "sequence": sequence, "at": at}},
            upsert=True,
            session=session(),
        )
    except DuplicateKeyError:
        return  # something later is known


async def are_open(user_ids: Sequence[str]) -> bool:
    """Whether business can be begun with all of these."""
    query = {"_id": {"$in": list(user_ids)}, "is_open": False}
    return await PartyDocument.find_one(query, session=session()) is None
