"""Messages that could not be processed, kept in the database of the service they were meant for until somebody decides.

A letter is open until it is replayed or discarded; settled letters are kept for a while as a record, open ones forever.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from pymongo import ASCENDING, DESCENDING, IndexModel

from kelmah.contracts.common import Contract
from kelmah.kit import clock
from kelmah.kit.mongo import Mongo, RawDocument, session

DEAD_LETTERS = "dead_letters"
#: How long a replayed or discarded letter is kept.
KEPT_AFTER_SETTLING = timedelta(days=90)
INDEXES = {
    DEAD_LETTERS: [
        IndexModel([("state", ASCENDING), ("last_at", DESCENDING)], name="state_last_at"),
        IndexModel(
            [("settled_at", ASCENDING)], name="settled", expireAfterSeconds=int(KEPT_AFTER_SETTLING.total_seconds())
        ),
    ]
}


class LetterState(StrEnum):
    """What became of a letter."""

    OPEN = "open"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


class DeadLetter(Contract, frozen=True, kw_only=True):
    """A message that was given up, with the reason. `attempts` counts over replays; `body` is the exact message."""

    id: str
    queue: str
    actor: str
    reason: str
    error: str
    stack: str
    attempts: int
    first_at: datetime
    last_at: datetime
    body: bytes
    event_id: str | None = None
    event_type: str | None = None
    state: LetterState = LetterState.OPEN
    settled_at: datetime | None = None


class DeadLetters:
    """The dead letters of one service."""

    def __init__(self, mongo: Mongo) -> None:
        self._letters = mongo.collection(DEAD_LETTERS)

    async def put(self, letter: DeadLetter) -> None:
        """Keep a letter. One that was replayed and died again is opened again, its attempts added up."""
        fields = {name: getattr(letter, name) for name in letter.__struct_fields__}
        del fields["id"], fields["settled_at"]
        attempts, first_at = fields.pop("attempts"), fields.pop("first_at")
        await self._letters.update_one(
            {"_id": letter.id},
            {
                "$set": fields | {"state": LetterState.OPEN.value},
                "$inc": {"attempts": attempts},
                "$min": {"first_at": first_at},
                "$unset": {"settled_at": ""},
            },
            upsert=True,
        )

    async def find(
        self,
        *,
        state: LetterState | None = LetterState.OPEN,
        actor: str | None = None,
        reason: str | None = None,
        event_type: str | None = None,
        oldest_first: bool = False,
        limit: int = 100,
    ) -> list[DeadLetter]:
        """Letters that match, the last to die first."""
        wanted = {"state": state and state.value, "actor": actor, "reason": reason, "event_type": event_type}
        query = {name: value for name, value in wanted.items() if value is not None}
        order = ASCENDING if oldest_first else DESCENDING
        rows = self._letters.find(query).sort("last_at", order).limit(limit)
        return [_letter(row) async for row in rows]

    async def get(self, letter_id: str) -> DeadLetter | None:
        row = await self._letters.find_one({"_id": letter_id})
        return _letter(row) if row else None

    async def count(self) -> int:
        """How many are open."""
        return await self._letters.count_documents({"state": LetterState.OPEN.value})

    async def settle(self, letter_id: str, state: LetterState, *, attempts: int) -> bool:
        """Close an open letter, unless it died again since its `attempts` were read. Returns whether it is closed.

        Joins the open transaction.
        """
        result = await self._letters.update_one(
            {"_id": letter_id, "state": LetterState.OPEN.value, "attempts": attempts},
            {"$set": {"state": state.value, "settled_at": clock.now()}},
            session=session(),
        )
        return result.modified_count == 1


def _letter(row: RawDocument) -> DeadLetter:
    fields = {name: row[name] for name in DeadLetter.__struct_fields__ if name in row}
    return DeadLetter(id=row["_id"], **fields | {"state": LetterState(row["state"])})
