"""Messages, ordered by their sequence within a conversation; shard key `conversation_id`."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from kelmah.contracts.messaging import Flag
from kelmah.kit.mongo import session


class AlreadyStoredError(Exception):
    """This sender stored a message of this client id in the conversation before."""


class MessageDocument(Document):
    """`text` is sealed in the context that `mapping.text_context` makes."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    conversation_id: str
    sequence: int
    sender_id: str
    client_id: str
    text: str
    flags: list[Flag] = Field(default_factory=list)
    attachment_ids: list[str]
    sent_at: datetime

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
        ]


async def add(message: MessageDocument) -> None:
    """Store a message in the open transaction.

    Raises:
        AlreadyStoredError: its client id is taken.
    """
    try:
        await message.insert(session=session())
    except DuplicateKeyError as error:
        if "client_id" in (error.details or {}).get("keyPattern", {}):
            raise AlreadyStoredError from error
        raise


async def find_sent(conversation_id: str, *, sender_id: str, client_id: str) -> MessageDocument | None:
    """What the sender stored under this client id."""
    return await MessageDocument.find_one(
        {"conversation_id": conversation_id, "sender_id": sender_id, "client_id": client_id}
    )


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
