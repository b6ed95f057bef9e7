"""Conversations: who takes part, how far each has read, and the counter that orders their messages.

A conversation of two holds everything a list shows in one document; shard key `_id`.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pydantic import BaseModel
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from kelmah.contracts.messaging import ConversationKind
from kelmah.kit.ids import new_id
from kelmah.kit.mongo import Change, change, change_all, session
from kelmah.kit.projections import Difference, Row

_EPOCH = "epoch"


class Participant(BaseModel):
    """`own_unread` counts one's own messages after `read_up_to`, which are not unread to oneself.

    `notified_up_to` is the latest message that a notification told of. A message takes an archived conversation back.
    `has_written` tells nothing while it is false: it is younger than some messages.
    """

    user_id: str
    read_up_to: int = 0
    own_unread: int = 0
    notified_up_to: int = 0
    muted: bool = False
    archived: bool = False
    private_receipts: bool = False
    has_written: bool = False


class ConversationDocument(Document):
    """`key` is unique: two people, or one contract, have one conversation. In one with support the person is first."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    kind: ConversationKind
    key: str
    contract_id: str | None = None
    job_id: str | None = None
    participants: list[Participant]
    last_sequence: int = 0
    last_change: int = 0
    created_at: datetime
    active_at: datetime
    #: Set while what a person asked support is settled; a message unsets it.
    closed_at: datetime | None = None

    class Settings:
        name = "conversations"
        indexes: ClassVar = [
            IndexModel([("key", ASCENDING)], unique=True, name="key"),
            IndexModel(
                [("participants.user_id", ASCENDING), ("active_at", DESCENDING), ("_id", DESCENDING)], name="person"
            ),
            IndexModel(
                [("active_at", ASCENDING), ("_id", ASCENDING)],
                name="support",
                partialFilterExpression={"kind": ConversationKind.SUPPORT.value},
            ),
        ]

    def participant(self, user_id: str) -> Participant:
        """The participant, who must be one."""
        return next(one for one in self.participants if one.user_id == user_id)

    def unread(self, user_id: str) -> int:
        """Messages of others after the read mark."""
        person = self.participant(user_id)
        return self.last_sequence - person.read_up_to - person.own_unread

    @property
    def user_ids(self) -> list[str]:
        return [one.user_id for one in self.participants]


class EpochDocument(Document):
    """One row: names the life of this database. Restoring a backup over newer data needs a new epoch."""

    id: str  # type: ignore[assignment]  # ours
    value: str

    class Settings:
        name = "epoch"


async def epoch() -> str:
    """The epoch, made when it is first asked for."""
    rows = EpochDocument.get_pymongo_collection()
    row = await rows.find_one({"_id": _EPOCH})
    if row is None:
        row = await rows.find_one_and_update(
            {"_id": _EPOCH}, {"$setOnInsert": {"value": new_id()}}, upsert=True, return_document=ReturnDocument.AFTER
        )
    assert row is not None  # noqa: S101  # an upsert always returns the document
    return str(row["value"])


async def find_by_key(key: str) -> ConversationDocument | None:
    """The one conversation of two people or of a contract."""
    return await ConversationDocument.find_one({"key": key})


async def add(conversation: ConversationDocument) -> tuple[ConversationDocument, bool]:
    """Store it, or give the one that took its key meanwhile; the second value tells whether it is new."""
    try:
        await conversation.insert()
    except DuplicateKeyError:
        found = await find_by_key(conversation.key)
        assert found is not None  # noqa: S101  # conversations are never deleted
        return found, False
    return conversation, True


async def find(conversation_id: str, *, user_id: str) -> ConversationDocument | None:
    """The conversation, if the person takes part in it."""
    return await ConversationDocument.find_one(
        {"_id": conversation_id, "participants.user_id": user_id}, session=session()
    )


async def find_many(conversation_ids: Collection[str], *, user_id: str) -> list[ConversationDocument]:
    """Those among them that the person takes part in, in no order."""
    return await ConversationDocument.find(
        {"_id": {"$in": list(conversation_ids)}, "participants.user_id": user_id}
    ).to_list()


async def list_by_id(user_id: str, *, after: str, limit: int) -> list[ConversationDocument]:
    """The person's conversations in an order that no message changes, from beyond the id `after`."""
    query = {"participants.user_id": user_id, "_id": {"$gt": after}}
    return await ConversationDocument.find(query).sort("+_id").limit(limit).to_list()


async def list_for(
    user_id: str, *, archived: bool | None, after: tuple[datetime, str] | None, limit: int
) -> list[ConversationDocument]:
    """The person's conversations, archived or not or (None) both, most recently active first."""
    own: dict[str, Any] = {"user_id": user_id}
    if archived is not None:
        own["archived"] = True if archived else {"$ne": True}
    query: dict[str, Any] = {"participants": {"$elemMatch": own}}
    if after is not None:
        at, conversation_id = after
        query["$or"] = [{"active_at": {"$lt": at}}, {"active_at": at, "_id": {"$lt": conversation_id}}]
    return await ConversationDocument.find(query).sort("-active_at", "-_id").limit(limit).to_list()


async def list_support(*, after: tuple[datetime, str] | None, limit: int) -> list[ConversationDocument]:
    """Open conversations with support that are not empty, the least recently active first."""
    query: dict[str, Any] = {"kind": ConversationKind.SUPPORT.value, "last_sequence": {"$gt": 0}, "closed_at": None}
    if after is not None:
        at, conversation_id = after
        query["$or"] = [{"active_at": {"$gt": at}}, {"active_at": at, "_id": {"$gt": conversation_id}}]
    return await ConversationDocument.find(query).sort("+active_at", "+_id").limit(limit).to_list()


async def join(conversation_id: str, *, user_id: str, most: int) -> ConversationDocument | None:
    """Add one of the staff to a conversation with support; None where there is none, or no place, or no need."""
    return await change(
        ConversationDocument,
        {
            "_id": conversation_id,
            "kind": ConversationKind.SUPPORT.value,
            "participants.user_id": {"$ne": user_id},
            f"participants.{most - 1}": {"$exists": False},
        },
        {"$push": {"participants": Participant(user_id=user_id).model_dump()}},
    )


def _joined(conversation_id: str, user_id: str) -> dict[str, Any]:
    """A conversation with support that this person of the staff joined; whose it is, stands first."""
    return {
        "_id": conversation_id,
        "kind": ConversationKind.SUPPORT.value,
        "participants.user_id": user_id,
        "participants.0.user_id": {"$ne": user_id},
    }


async def is_with_support(conversation_id: str) -> bool:
    """Whether there is such a conversation with support."""
    query = {"_id": conversation_id, "kind": ConversationKind.SUPPORT.value}
    return await ConversationDocument.find_one(query, session=session()) is not None


async def leave(conversation_id: str, *, user_id: str) -> ConversationDocument | None:
    """Take one of the staff out of a conversation with support; None where the person did not join it."""
    return await change(
        ConversationDocument, _joined(conversation_id, user_id), {"$pull": {"participants": {"user_id": user_id}}}
    )


async def close(conversation_id: str, *, user_id: str, at: datetime) -> ConversationDocument | None:
    """Settle a conversation with support that this person of the staff joined; None where it is settled, or not."""
    query = _joined(conversation_id, user_id) | {"closed_at": None}
    return await change(ConversationDocument, query, {"$set": {"closed_at": at}})


async def take_sequences(counts: Mapping[str, Mapping[str, int]], *, at: datetime) -> dict[str, ConversationDocument]:
    """Count messages more, by conversation and participant, in the open transaction.

    The last of a conversation's own is its `last_sequence`, afterwards. Empty where somebody takes no part.
    """
    changes = {}
    for conversation_id, by_sender in counts.items():
        senders = {f"s{number}": sender_id for number, sender_id in enumerate(by_sender)}
        changes[conversation_id] = Change(
            {
                "$inc": {"last_sequence": sum(by_sender.values())}
                | {f"participants.$[{name}].own_unread": by_sender[one] for name, one in senders.items()},
                "$set": {"participants.$[].archived": False, "closed_at": None}
                | {f"participants.$[{name}].has_written": True for name in senders},
                "$max": {"active_at": at},
            },
            where={"participants.user_id": {"$all": list(by_sender)}},
            array_filters=[{f"{name}.user_id": sender_id} for name, sender_id in senders.items()],
        )
    rows = await change_all(ConversationDocument.get_pymongo_collection(), changes)
    return {conversation_id: ConversationDocument.model_validate(row) for conversation_id, row in rows.items()}


async def take_change(conversation_id: str, *, user_id: str) -> ConversationDocument | None:
    """Count one change of a message more, by this participant. Joins the open transaction."""
    return await change(
        ConversationDocument,
        {"_id": conversation_id, "participants.user_id": user_id},
        {"$inc": {"last_change": 1}},
    )


async def set_read(conversation_id: str, *, user_id: str, up_to: int, own_unread: int) -> ConversationDocument | None:
    """Move a read mark forward; None when it stands there or further already."""
    return await change(
        ConversationDocument,
        {
            "_id": conversation_id,
            "last_sequence": {"$gte": up_to},
            "participants": {"$elemMatch": {"user_id": user_id, "read_up_to": {"$lt": up_to}}},
        },
        {"$set": {"participants.$.read_up_to": up_to, "participants.$.own_unread": own_unread}},
    )


async def edit_own(conversation_id: str, *, user_id: str, values: dict[str, bool]) -> ConversationDocument | None:
    """Change how one participant has it; None when there is no such conversation of the person's."""
    return await change(
        ConversationDocument,
        {"_id": conversation_id, "participants.user_id": user_id},
        {"$set": {f"participants.$.{name}": value for name, value in values.items()}},
    )


async def set_notified(conversation_id: str, *, user_id: str, sequence: int) -> ConversationDocument | None:
    """Note that the person is told of this message; None when it was read or a later one was told of."""
    is_news = {"user_id": user_id, "read_up_to": {"$lt": sequence}, "notified_up_to": {"$lt": sequence}}
    return await change(
        ConversationDocument,
        {"_id": conversation_id, "participants": {"$elemMatch": is_news}},
        {"$set": {"participants.$.notified_up_to": sequence}},
    )


async def contacts_of(user_ids: Collection[str], *, conversations: int) -> dict[str, set[str]]:
    """For each person the people of the most recent conversations: of so many a person, taken together."""
    found: dict[str, set[str]] = {one: set() for one in user_ids}
    rows = ConversationDocument.get_pymongo_collection().find(
        {"participants.user_id": {"$in": list(found)}}, {"participants.user_id": 1}
    )
    async for row in rows.sort([("active_at", DESCENDING)]).limit(conversations * len(found)):
        people = {one["user_id"] for one in row["participants"]}
        for one in people & found.keys():
            found[one] |= people - {one}
    return found


async def known_among(user_ids: Collection[str], *, user_id: str) -> set[str]:
    """Those among these whom the person shares a conversation with, and the person."""
    wanted = set(user_ids)
    pipeline: list[dict[str, Any]] = [
        {"$match": {"$and": [{"participants.user_id": user_id}, {"participants.user_id": {"$in": sorted(wanted)}}]}},
        {"$unwind": "$participants"},
        {"$match": {"participants.user_id": {"$in": sorted(wanted)}}},
        {"$group": {"_id": "$participants.user_id"}},
    ]
    cursor = await ConversationDocument.get_pymongo_collection().aggregate(pipeline)
    return {row["_id"] for row in await cursor.to_list()} | (wanted & {user_id})


async def counts() -> AsyncIterator[tuple[str, Row]]:
    """What unread counts are made of, by conversation: its last message, and own messages after the mark."""
    rows = ConversationDocument.get_pymongo_collection().find({}, {"last_sequence": 1, "participants": 1})
    async for row in rows.sort("_id", ASCENDING):
        own = {one["user_id"]: one["own_unread"] for one in row["participants"] if one.get("own_unread")}
        yield row["_id"], {"last_sequence": row["last_sequence"], "own_unread": own}


async def read_mark(conversation_id: str, *, user_id: str) -> int:
    """How far a participant has read."""
    row = await ConversationDocument.get_pymongo_collection().find_one(
        {"_id": conversation_id}, {"participants": {"$elemMatch": {"user_id": user_id}}}
    )
    return int(row["participants"][0].get("read_up_to", 0)) if row and row.get("participants") else 0


async def set_counts(difference: Difference) -> bool:
    """Mend what `counts` gives. False when somebody wrote or read meanwhile, or the conversation is not there."""
    due = difference.due or {"last_sequence": 0}
    conversation = await ConversationDocument.find_one({"_id": difference.key})
    if conversation is None or difference.found is None:
        return False
    before = conversation.model_dump()["participants"]
    own = due.get("own_unread") or {}
    after = [one | {"own_unread": own.get(one["user_id"], 0)} for one in before]
    written = await ConversationDocument.get_pymongo_collection().update_one(
        {"_id": difference.key, "last_sequence": difference.found["last_sequence"], "participants": before},
        {"$set": {"last_sequence": due["last_sequence"], "participants": after}},
    )
    return written.modified_count == 1
