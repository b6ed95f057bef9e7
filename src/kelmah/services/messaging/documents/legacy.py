"""Queries of the move out of the old database."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

from pymongo import UpdateOne

from kelmah.kit.mongo import session
from kelmah.services.messaging.documents.conversations import ConversationDocument
from kelmah.services.messaging.documents.messages import MessageDocument
from kelmah.services.messaging.documents.notifications import NotificationDocument


async def conversations_by_id(ids: Sequence[str]) -> list[ConversationDocument]:
    return await ConversationDocument.find({"_id": {"$in": list(ids)}}, session=session()).to_list()


async def messages_by_id(ids: Sequence[str]) -> list[MessageDocument]:
    return await MessageDocument.find({"_id": {"$in": list(ids)}}, session=session()).to_list()


async def notifications_by_id(ids: Sequence[str]) -> list[NotificationDocument]:
    return await NotificationDocument.find({"_id": {"$in": list(ids)}}, session=session()).to_list()


async def taken_keys(keys: Sequence[str]) -> set[str]:
    """Those of these keys that a conversation has."""
    rows = ConversationDocument.get_pymongo_collection().find(
        {"key": {"$in": list(keys)}}, {"key": 1}, session=session()
    )
    return {row["key"] async for row in rows}


async def note_moved(conversations: Sequence[ConversationDocument], *, before: Mapping[str, int]) -> bool:
    """Write how far messages have come in each, unless somebody wrote in between: false, and nothing may be kept."""
    changes = [
        UpdateOne(
            {"_id": one.id, "last_sequence": before[one.id]},
            {
                "$set": {
                    "last_sequence": one.last_sequence,
                    "participants": [person.model_dump() for person in one.participants],
                },
                "$max": {"active_at": one.active_at},
            },
        )
        for one in conversations
    ]
    if not changes:
        return True
    collection = ConversationDocument.get_pymongo_collection()
    done = await collection.bulk_write(changes, ordered=False, session=session())
    return done.matched_count == len(changes)


async def conversations_since(since: datetime) -> AsyncIterator[str]:
    """Ids of conversations in which something was written since."""
    wanted = {"active_at": {"$gte": since}}
    async for row in ConversationDocument.get_pymongo_collection().find(wanted, {"_id": 1}).sort("active_at"):
        yield row["_id"]


async def messages_since(since: datetime) -> AsyncIterator[str]:
    """Ids of messages that were sent, edited or deleted here since, the earliest of a conversation first."""
    collection = MessageDocument.get_pymongo_collection()
    async for conversation_id in conversations_since(since):
        wanted = {"conversation_id": conversation_id, "sent_at": {"$gte": since}}
        async for row in collection.find(wanted, {"client_id": 1}).sort("sequence"):
            if row["client_id"] != row["_id"]:  # else it was moved
                yield row["_id"]
    changed = {"change": {"$gt": 0}, "$or": [{"edits.at": {"$gte": since}}, {"deleted_at": {"$gte": since}}]}
    # Reads all: nothing else asks for these by time, and nobody waits.
    async for row in collection.find(changed, {"_id": 1}):
        yield row["_id"]


async def notifications_since(since: datetime) -> AsyncIterator[str]:
    """Ids of notifications that came or were read since. Reads all: nothing else asks for them by time."""
    wanted = {"in_app": True, "$or": [{"at": {"$gte": since}}, {"read_at": {"$gte": since}}]}
    async for row in NotificationDocument.get_pymongo_collection().find(wanted, {"_id": 1}):
        yield row["_id"]
