"""What the sending of messages depends on, read in one question: a round trip costs more than what it brings."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from kelmah.services.messaging.documents.conversations import ConversationDocument
from kelmah.services.messaging.documents.messages import MessageDocument
from kelmah.services.messaging.documents.safety import BlockDocument, RestrictionDocument

_PEOPLE = "$participants.user_id"


class Key(NamedTuple):
    """What a message is stored once by."""

    conversation_id: str
    sender_id: str
    client_id: str


class Wanted(NamedTuple):
    """A message that somebody wants to send."""

    key: Key
    reply_to: str | None


class Grounds(NamedTuple):
    """What there is."""

    conversations: dict[str, ConversationDocument]
    #: Conversations the first two of which are kept apart by a block.
    blocked: set[str]
    #: What was stored before.
    sent: dict[Key, MessageDocument]
    #: Messages that are replied to, as (conversation, id).
    replied: set[tuple[str, str]]
    #: People who may not write.
    restricted: set[str]


async def grounds_of(wanted: Sequence[Wanted], *, at: datetime) -> Grounds:
    """What it depends on whether these may be sent, and have been."""
    known: list[dict[str, Any]] = [one.key._asdict() for one in wanted]
    known += [{"_id": one.reply_to, "conversation_id": one.key.conversation_id} for one in wanted if one.reply_to]
    first, second = ({"$arrayElemAt": [_PEOPLE, number]} for number in (0, 1))
    pipeline: list[dict[str, Any]] = [
        {"$match": {"_id": {"$in": list({one.key.conversation_id for one in wanted})}}},
        {"$set": {"between": [{"$concat": [one, ":", other]} for one, other in ((first, second), (second, first))]}},
        {"$lookup": {"from": _name(BlockDocument), "localField": "between", "foreignField": "_id", "as": "blocks"}},
        {"$replaceWith": {"conversation": "$$ROOT"}},
        _and(MessageDocument, {"$or": known}, {"message": "$$ROOT"}),
        _and(
            RestrictionDocument,
            {"_id": {"$in": list({one.key.sender_id for one in wanted})}, "until": {"$gt": at}},
            {"restricted": "$_id"},
        ),
    ]
    found = Grounds({}, set(), {}, set(), set())
    async for row in await ConversationDocument.get_pymongo_collection().aggregate(pipeline):
        if (conversation := row.get("conversation")) is not None:
            found.conversations[conversation["_id"]] = ConversationDocument.model_validate(conversation)
            if conversation["blocks"]:
                found.blocked.add(conversation["_id"])
        elif (message := row.get("message")) is not None:
            key = Key(message["conversation_id"], message["sender_id"], message["client_id"])
            found.sent[key] = MessageDocument.model_validate(message)
            found.replied.add((message["conversation_id"], message["_id"]))
        else:
            found.restricted.add(row["restricted"])
    return found


def _and(document: Any, query: dict[str, Any], shape: dict[str, Any]) -> dict[str, Any]:
    """Rows of another collection beside those that there are."""
    return {"$unionWith": {"coll": _name(document), "pipeline": [{"$match": query}, {"$replaceWith": shape}]}}


def _name(document: Any) -> str:
    return str(document.get_settings().name)
