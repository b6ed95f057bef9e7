"""How people want to be seen; shard key `_id`."""

from collections.abc import Collection

from beanie import Document
from pymongo import ReturnDocument


class PresenceChoiceDocument(Document):
    """A person's choice; whoever has no row is seen as is."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    away: bool = False
    hidden: bool = False

    class Settings:
        name = "presence_choices"


async def choose(user_id: str, *, away: bool, hidden: bool) -> PresenceChoiceDocument:
    """Replace a choice; the one before."""
    row = await PresenceChoiceDocument.get_pymongo_collection().find_one_and_update(
        {"_id": user_id},
        {"$set": {"away": away, "hidden": hidden}},
        upsert=True,
        return_document=ReturnDocument.BEFORE,
    )
    return PresenceChoiceDocument(**(row or {"_id": user_id}))


async def choice_of(user_id: str) -> PresenceChoiceDocument:
    """A person's choice."""
    return (await choices_of([user_id]))[user_id]


async def choices_of(user_ids: Collection[str]) -> dict[str, PresenceChoiceDocument]:
    """Each person's choice."""
    rows = await PresenceChoiceDocument.find({"_id": {"$in": list(user_ids)}}).to_list()
    return {one: PresenceChoiceDocument(id=one) for one in user_ids} | {row.id: row for row in rows}


async def forget_person(user_id: str) -> None:
    """Erase a person's choice."""
    await PresenceChoiceDocument.get_pymongo_collection().delete_one({"_id": user_id})
