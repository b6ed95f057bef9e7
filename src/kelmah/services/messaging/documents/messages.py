"""Messages, ordered by their sequence within a conversation; shard key `conversation_id`."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pydantic import BaseModel, Field
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from kelmah.contracts.messaging import Flag
from kelmah.kit import mongo
from kelmah.kit.mongo import change, session


class AlreadyStoredError(Exception):
    """This sender stored a message of this client id in the conversation before."""


class Edit(BaseModel):
    """A text that was replaced, sealed as it was."""

    text: str
    at: datetime


class Reaction(BaseModel):
    """An emoji of one person."""

    emoji: str
    user_id: str


class MessageDocument(Document):
    """`text` is sealed in the context that `mapping.text_context` makes; `words` are blind (see `service.words`).

    A deleted message keeps its text for staff until it is purged. `change` is its place among the conversation's
    changes.
    """

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    conversation_id: str
    sequence: int
    sender_id: str
    client_id: str
    text: str
    flags: list[Flag] = Field(default_factory=list)
    attachment_ids: list[str]
    sent_at: datetime
    reply_to: str | None = None
    words: list[str] = Field(default_factory=list)
    edits: list[Edit] = Field(default_factory=list)
    deleted_at: datetime | None = None
    reactions: list[Reaction] = Field(default_factory=list)
    change: int = 0

    class Settings:
        name = "messages"
        indexes: ClassVar = [
            IndexModel([("conversation_id", ASCENDING), ("sequence", ASCENDING)], unique=True, name="order"),
            IndexModel(
                [("conversation_id", ASCENDING), ("sender_id", ASCENDING), ("client_id", ASCENDING)],
                unique=True,
                name="client_id",
            ),
            IndexModel(
                [("conversation_id", ASCENDING), ("sender_id", ASCENDING), ("sequence", ASCENDING)], name="sender"
            ),
            IndexModel(
                [("conversation_id", ASCENDING), ("change", ASCENDING)],
                name="change",
                partialFilterExpression={"change": {"$gt": 0}},
            ),
            IndexModel([("words", ASCENDING), ("_id", DESCENDING)], name="words"),
        ]


async def add_all(made: Sequence[MessageDocument]) -> None:
    """Store messages in the open transaction.

    Raises:
        AlreadyStoredError: a client id is taken.
    """
    try:
        await mongo.add_all(made)
    except DuplicateKeyError as error:
        if "client_id" in (error.details or {}).get("keyPattern", {}):
            raise AlreadyStoredError from error
        raise


async def find_at(conversation_id: str, sequence: int) -> MessageDocument | None:
    """The message at one place."""
    return await MessageDocument.find_one({"conversation_id": conversation_id, "sequence": sequence})


async def get(conversation_id: str, message_id: str) -> MessageDocument | None:
    """A message of the conversation."""
    return await MessageDocument.find_one({"_id": message_id, "conversation_id": conversation_id}, session=session())


async def has_sent(conversation_id: str, *, sender_id: str) -> bool:
    """Whether the sender has written anything here."""
    return await MessageDocument.find_one({"conversation_id": conversation_id, "sender_id": sender_id}) is not None


async def before(conversation_id: str, *, sequence: int | None, limit: int) -> list[MessageDocument]:
    """Messages before a sequence, or the last ones, newest first."""
    query: dict[str, Any] = {"conversation_id": conversation_id}
    if sequence is not None:
        query["sequence"] = {"$lt": sequence}
    return await MessageDocument.find(query).sort("-sequence").limit(limit).to_list()


async def after(conversation_id: str, *, sequence: int, limit: int) -> list[MessageDocument]:
    """Messages after a sequence, oldest first."""
    query = {"conversation_id": conversation_id, "sequence": {"$gt": sequence}}
    return await MessageDocument.find(query).sort("sequence").limit(limit).to_list()


async def at_places(places: Collection[tuple[str, int]]) -> list[MessageDocument]:
    """The messages at these (conversation, sequence), in no order."""
    if not places:
        return []
    query = {"$or": [{"conversation_id": conversation, "sequence": sequence} for conversation, sequence in places]}
    return await MessageDocument.find(query).to_list()


async def count_by(conversation_id: str, *, sender_id: str, after_sequence: int) -> int:
    """How many messages the sender has after a sequence."""
    return await MessageDocument.get_pymongo_collection().count_documents(
        {"conversation_id": conversation_id, "sender_id": sender_id, "sequence": {"$gt": after_sequence}},
        session=session(),
    )


async def changed_after(conversation_id: str, *, change: int, limit: int) -> list[MessageDocument]:
    """Messages that were changed after a change, in the order of their last one."""
    query = {"conversation_id": conversation_id, "change": {"$gt": change}}
    return await MessageDocument.find(query).sort("change").limit(limit).to_list()


async def edit(
    message: MessageDocument, *, text: str, words: list[str], flags: list[Flag], at: datetime, number: int
) -> MessageDocument | None:
    """Replace the text of a message that is as it was read. Joins the open transaction."""
    return await change(
        MessageDocument,
        {"_id": message.id, "change": message.change, "deleted_at": None},
        {
            "$set": {"text": text, "words": words, "flags": [flag.value for flag in flags], "change": number},
            "$push": {"edits": {"text": message.text, "at": at}},
        },
    )


async def delete(message_id: str, *, at: datetime, number: int) -> MessageDocument | None:
    """Take a message back; None when it was. Joins the open transaction."""
    return await change(
        MessageDocument,
        {"_id": message_id, "deleted_at": None},
        {"$set": {"deleted_at": at, "words": [], "reactions": [], "change": number}},
    )


async def purge(message_id: str) -> None:
    """Forget the texts of a deleted message."""
    await change(MessageDocument, {"_id": message_id, "deleted_at": {"$ne": None}}, {"$set": {"text": "", "edits": []}})


async def react(message_id: str, reaction: Reaction, *, most: int, number: int) -> MessageDocument | None:
    """Add a reaction; None when it is there, there are too many, or the message is deleted."""
    entry = reaction.model_dump()
    return await change(
        MessageDocument,
        {
            "_id": message_id,
            "deleted_at": None,
            "reactions": {"$not": {"$elemMatch": entry}},
            f"reactions.{most - 1}": {"$exists": False},
        },
        {"$push": {"reactions": entry}, "$set": {"change": number}},
    )


async def unreact(message_id: str, reaction: Reaction, *, number: int) -> MessageDocument | None:
    """Take a reaction away; None when it is not there."""
    entry = reaction.model_dump()
    return await change(
        MessageDocument,
        {"_id": message_id, "reactions": {"$elemMatch": entry}},
        {"$pull": {"reactions": entry}, "$set": {"change": number}},
    )


async def with_words(choices: Collection[Collection[str]], *, before: str | None, limit: int) -> list[MessageDocument]:
    """Messages that hold all words of one of the choices, newest first."""
    query: dict[str, Any] = {"$or": [{"words": {"$all": list(words)}} for words in choices]}
    if before is not None:
        query["_id"] = {"$lt": before}
    return await MessageDocument.find(query).sort("-_id").limit(limit).to_list()


async def touch(message_id: str, *, number: int) -> MessageDocument | None:
    """Number a change of a message's files. Joins the open transaction."""
    return await change(MessageDocument, {"_id": message_id}, {"$set": {"change": number}})
