"""Queries of the move out of the old database."""

from collections.abc import Sequence

from kelmah.kit.mongo import change, session
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


async def note_moved(conversation: ConversationDocument, *, before: int) -> bool:
    """Write how far messages have come, if nobody wrote in between."""
    people = [one.model_dump() for one in conversation.participants]
    update = {
        "$set": {"last_sequence": conversation.last_sequence, "participants": people},
        "$max": {"active_at": conversation.active_at},
    }
    query = {"_id": conversation.id, "last_sequence": before}
    return await change(ConversationDocument, query, update) is not None
