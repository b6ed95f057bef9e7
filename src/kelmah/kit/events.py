"""The events of a service: at once its event store (append-only) and its outbox; and the inbox of its consumers.

An event is written in the transaction of the state change that it tells of. The relay (`kelmah.workers.relay`)
seals what is `pending` (`kelmah.kit.chain`) and publishes it. A consumer writes its inbox row in the transaction of
its effect, so that an event that arrives twice has one effect.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from kelmah.contracts.common import Event
from kelmah.contracts.events import Envelope
from kelmah.kit import clock
from kelmah.kit.context import Trace, current_origin, current_principal, current_system, trace
from kelmah.kit.ids import new_id
from kelmah.kit.mongo import Change, Mongo, RawDocument, change_all, in_transaction, session
from kelmah.kit.people import PersonKeys

EVENTS = "events"
STREAMS = "streams"
INBOX = "inbox"
#: Whose key seals where somebody called from of whom we know nothing else.
NOBODY = "nobody"
#: A longer User-Agent is cut.
MAX_ORIGIN_CHARS = 200
#: Seconds that a sealed origin serves for further events, and how many are kept.
ORIGIN_KEPT_S, MAX_ORIGINS = 60, 10_000

#: Collection → indexes that `kelmah indexes build` makes in each service's database.
INDEXES: dict[str, list[IndexModel]] = {
    EVENTS: [
        IndexModel([("subject", ASCENDING), ("sequence", ASCENDING)], unique=True, name="subject_sequence"),
        IndexModel(
            [("pending", ASCENDING), ("position", ASCENDING), ("_id", ASCENDING)],
            name="pending_position",
            partialFilterExpression={"pending": True},
        ),
        # Unique, so that no fault of ours can ever give one place to two events. `kelmah.kit.chain` fills it.
        IndexModel(
            [("position", ASCENDING)],
            name="position",
            unique=True,
            partialFilterExpression={"position": {"$exists": True}},
        ),
        IndexModel([("type", ASCENDING), ("_id", ASCENDING)], name="type"),
        IndexModel([("correlationid", ASCENDING)], name="correlation"),
        IndexModel([("actor", ASCENDING), ("_id", ASCENDING)], name="actor"),
    ],
    INBOX: [IndexModel([("at", ASCENDING)], name="at")],
}


class Stored(NamedTuple):
    """An event as it is kept: its place in the chain once it is sealed, and whether the broker has it."""

    envelope: Envelope
    position: int | None
    digest: str | None
    is_published: bool


class Author(NamedTuple):
    """Who did something, from where, and in the course of what; what is said of where is sealed."""

    trace: Trace
    actor: str | None
    person: str | None = None
    address: str | None = None
    device: str | None = None


#: Person, address, device.
_Origin = tuple[str | None, str | None, str | None]


class EventStore:
    """Appends events of one service, and remembers which events of others it has consumed."""

    def __init__(self, mongo: Mongo, service: str, people: PersonKeys) -> None:
        self._mongo = mongo
        self.people = people
        self._source = f"/kelmah/{service}"
        self._origins: dict[tuple[str, str | None, str | None], tuple[float, _Origin]] = {}

    async def append(
        self, event: Event, *, subject: str, actor: str | None = None, person: str | None = None
    ) -> Envelope:
        """Write `event` as the next of its subject (for instance `contract:<id>`), in the open transaction.

        Who did it, and from where, is noted beside it; `actor` names a person who was not signed in before. From where
        is sealed under the key of the actor, else of whom the event is about, unless `person` names another.

        Two transactions that append to one subject conflict, and one of them runs again: the sequence has neither
        gaps nor twins.
        """
        actor = actor or _actor()
        origin = await self._sealed(person or actor or getattr(event, "user_id", None) or NOBODY, *_origin())
        (envelope,) = await self.append_all([(event, subject, Author(trace(), actor, *origin))])
        return envelope

    async def author(self, *, actor: str | None = None, about: str | None = None) -> Author:
        """Who does what is done now, as `append` notes it, for those who do much in a row.

        What is sealed of a person serves for `ORIGIN_KEPT_S`; where the key is erased meanwhile, nobody reads it in any
        event. Not for who is not known yet: it shows in the time of an answer whether that person came before.
        """
        actor = actor or _actor()
        asked = (actor or about or NOBODY, *_origin())
        kept, now = self._origins.get(asked), clock.monotonic()
        if kept is not None and now < kept[0]:
            return Author(trace(), actor, *kept[1])
        found = await self._sealed(*asked)
        if len(self._origins) >= MAX_ORIGINS:
            self._origins.clear()
        self._origins[asked] = now + ORIGIN_KEPT_S, found
        return Author(trace(), actor, *found)

    async def append_all(self, events: Sequence[tuple[Event, str, Author]]) -> list[Envelope]:
        """Write events, each with its subject and author, in their order; otherwise as `append`."""
        if not in_transaction():
            raise RuntimeError("an event is appended in the transaction of the change it tells of")
        counts = Counter(subject for _, subject, _ in events)
        streams = await change_all(
            self._mongo.collection(STREAMS),
            {subject: Change({"$inc": {"sequence": count}}, upsert=True) for subject, count in counts.items()},
        )
        sequences = {subject: int(streams[subject]["sequence"]) - count for subject, count in counts.items()}
        envelopes = []
        for event, subject, author in events:
            sequences[subject] += 1
            envelopes.append(
                Envelope(
                    id=new_id(),
                    source=self._source,
                    type=event.TYPE,
                    time=clock.now(),
                    subject=subject,
                    sequence=sequences[subject],
                    data=msgspec.Raw(msgspec.json.encode(event)),
                    correlationid=author.trace.correlation_id,
                    causationid=author.trace.causation_id,
                    traceparent=author.trace.traceparent,
                    actor=author.actor,
                    requestid=author.trace.request_id,
                    person=author.person,
                    address=author.address,
                    device=author.device,
                )
            )
        rows = [to_document(one) for one in envelopes]
        await self._mongo.collection(EVENTS).insert_many(rows, session=session())
        return envelopes

    async def find(
        self,
        *,
        event_id: str | None = None,
        types: Sequence[str] | None = None,
        subject: str | None = None,
        actor: str | None = None,
        correlation_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        newest_first: bool = False,
        limit: int = 0,
    ) -> AsyncIterator[Stored]:
        """Events that fit all that is given, in the order in which they happened; `limit` 0 is all of them."""
        wanted = {"_id": event_id, "subject": subject, "actor": actor, "correlationid": correlation_id}
        query: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
        if types is not None:
            query["type"] = {"$in": list(types)}
        bounds = {"$gte": since, "$lte": until}
        if times := {name: value for name, value in bounds.items() if value is not None}:
            query["time"] = times
        by = "sequence" if subject is not None else "_id"
        rows = self._mongo.collection(EVENTS).find(query, session=session())
        async for row in rows.sort(by, DESCENDING if newest_first else ASCENDING).limit(limit):
            yield Stored(from_document(row), row.get("position"), row.get("digest"), "pending" not in row)

    async def count(self, types: Sequence[str]) -> int:
        """How many events of these types there are."""
        return await self._mongo.collection(EVENTS).count_documents({"type": {"$in": list(types)}})

    async def consumed_by(self, consumers: Iterable[str], event_id: str) -> dict[str, datetime]:
        """Which of these consumers took the event, and when."""
        ids = [f"{consumer}:{event_id}" for consumer in consumers]
        rows = self._mongo.collection(INBOX).find({"_id": {"$in": ids}})
        return {row["_id"].removesuffix(f":{event_id}"): row["at"] async for row in rows}

    async def _sealed(self, person: str, address: str | None, device: str | None) -> _Origin:
        """The person, address and device, sealed under the person's key; nothing where neither is known."""
        if not address and not device:
            return None, None, None
        sealed = [value and await self.people.seal(person, value[:MAX_ORIGIN_CHARS]) for value in (address, device)]
        return person, sealed[0] or None, sealed[1] or None

    async def consume(self, consumer: str, event_id: str, effect: Callable[[], Awaitable[None]]) -> bool:
        """Run `effect` once for this event, however often it arrives. Returns whether it ran now."""
        row = {"_id": f"{consumer}:{event_id}", "at": clock.now()}

        async def once() -> bool:
            inbox = self._mongo.collection(INBOX)
            if await inbox.find_one({"_id": row["_id"]}, session=session()):
                return False
            await inbox.insert_one(row, session=session())
            await effect()
            return True

        try:
            return await self._mongo.transact(once)
        except DuplicateKeyError as error:
            if (error.details or {}).get("keyValue") == {"_id": row["_id"]}:
                return False  # a twin of this message committed first
            raise


def _actor() -> str | None:
    principal = current_principal.get()
    return principal.user_id if principal else current_system.get()


def _origin() -> tuple[str | None, str | None]:
    """The caller's address and device, where they are known."""
    principal, origin = current_principal.get(), current_origin.get()
    address = (principal and principal.address) or (origin and origin.address)
    device = (principal and principal.device) or (origin and origin.device)
    return address or None, device or None


def to_document(envelope: Envelope) -> RawDocument:
    """How an envelope is stored: `data` stays the exact JSON text, which later digests are made of."""
    document: dict[str, Any] = {
        name: getattr(envelope, name) for name in envelope.__struct_fields__ if name not in ("id", "data")
    }
    return {"_id": envelope.id, **document, "data": bytes(envelope.data).decode(), "pending": True}


def from_document(document: RawDocument) -> Envelope:
    """The envelope that `to_document` stored."""
    names = (name for name in Envelope.__struct_fields__ if name not in ("id", "data"))
    fields = {name: document[name] for name in names if name in document}  # older ones lack newer fields
    return Envelope(id=document["_id"], data=msgspec.Raw(document["data"].encode()), **fields)
