"""What happened to a person's profile: the service's own events, which are never changed."""

from datetime import datetime
from typing import Any, TypedDict, cast

from pymongo import DESCENDING

from kelmah.kit.events import EVENTS
from kelmah.kit.mongo import Mongo


class Change(TypedDict):
    """What is read of an event."""

    sequence: int
    time: datetime
    type: str
    data: str


async def changes(mongo: Mongo, user_id: str, *, before: int | None, limit: int) -> list[Change]:
    """The last first; those before a sequence if one is given."""
    query: dict[str, Any] = {"subject": f"user:{user_id}"}
    if before is not None:
        query["sequence"] = {"$lt": before}
    rows = mongo.collection(EVENTS).find(query, {"sequence": 1, "time": 1, "type": 1, "data": 1})
    return cast("list[Change]", await rows.sort("sequence", DESCENDING).limit(limit).to_list())
