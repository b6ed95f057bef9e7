"""Events that arrive in any order, and more than once, end in the same state: each real consumer of each service."""

import os
import random
import re
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from enum import Enum
from typing import Any, Literal, NamedTuple, get_args, get_origin

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kelmah.contracts.common import Event, Money
from kelmah.contracts.events import EVENT_TYPES, Envelope
from kelmah.contracts.job import ContractCancelled, MilestoneApproved
from kelmah.contracts.review import ReputationChanged
from kelmah.kit import clock
from kelmah.kit.ids import new_id
from kelmah.workers.registry import Actor, load_actors
from tests.integration.events.conftest import Town

EXAMPLES = int(os.environ.get("KELMAH_TEST_EXAMPLES", "3"))
#: Collections that say how one came to a state, and not what it is.
NOT_STATE = {"inbox", "streams", "chain", "leases", "person_keys", "idempotency_keys"}
#: Fields that tell of the order, or are new each time, by collection.
_DROPPED = {
    "events": {"_id", "time", "sequence", "position", "digest", "correlationid", "traceparent", "requestid"},
    "timers": {"correlation_id", "causation_id", "traceparent"},
    # Each step of a milestone counts, and what was overtaken made none.
    "contracts": {"version"},
    "ledger_entries": {"_id", "hash"},
    "ledger_accounts": {"head"},
}

Rows = dict[str, list[dict[str, Any]]]


class Telling(NamedTuple):
    """One event on its way to one consumer."""

    actor: Actor
    envelope: Envelope


class Stage(NamedTuple):
    """A service before any event came to it, and what comes."""

    town: Town
    service: str
    before: Rows
    tellings: list[Telling]
    #: What the order in which things happened leads to.
    wanted: dict[str, list[str]]

    def __repr__(self) -> str:  # hypothesis prints it, and the town is large
        return f"Stage of {self.service}"

    async def after(self, order: list[Telling]) -> dict[str, list[str]]:
        """What the service holds once these came, on a clock that stands."""
        await put_back(self.town, self.service, self.before)
        clock.stop(self.town.events[-1].time + timedelta(days=1))
        try:
            for telling in order:
                await self.town.tell(*telling)
        finally:
            clock.reset()
        return state(await kept(self.town, self.service))


async def kept(town: Town, service: str) -> Rows:
    database = town.mongo(service).database
    return {name: await database[name].find().sort("_id").to_list() for name in await database.list_collection_names()}


async def put_back(town: Town, service: str, rows: Rows) -> None:
    database = town.mongo(service).database
    for name in await database.list_collection_names():
        await database[name].delete_many({})
        if rows.get(name):
            await database[name].insert_many(rows[name])


def state(rows: Rows) -> dict[str, list[str]]:
    """The rows without what depends on when a consumer ran: ids that it made, and the order of what it told."""
    made = {
        row["_id"]: f"notification of {row['event_id']} for {row['user_id']}" for row in rows.get("notifications", ())
    }
    made |= {row["_id"]: f"conversation {row['key']}" for row in rows.get("conversations", ()) if row.get("key")}
    text = {name: sorted(_plain(name, row) for row in found) for name, found in rows.items() if name not in NOT_STATE}
    return {
        name: sorted(re.sub(r"[0-9a-f]{32}", lambda found: made.get(found[0], found[0]), one) for one in found)
        for name, found in text.items()
    }


def _plain(name: str, row: dict[str, Any]) -> str:
    dropped = _DROPPED.get(name, set())
    row = {field: value for field, value in row.items() if field not in dropped}
    if name == "ledger_entries":
        row["postings"] = sorted((one["account"], one["amount"]) for one in row["postings"])
    text = msgspec.json.encode(row, enc_hook=repr, order="sorted").decode()
    return re.sub(r"\bk1\.[\w-]+", "sealed", text)


def example(event_type: type[Event], ids: dict[str, Any]) -> Event:
    """An event of a type that the town has none of, about its people."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(event_type):
        if field.required:
            values[field.name] = ids.get(field.name, _value(field.type))
    return event_type(**values)


def _value(kind: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    simple = {int: 1, bool: True, Money: Money(amount=100)}
    return simple.get(kind) if kind in simple else [] if get_origin(kind) is list else "something"


def envelope_of(event: Event, *, number: int, town: Town) -> Envelope:
    return Envelope(
        id=new_id(),
        source=f"/kelmah/{event.TYPE.partition('.')[0]}",
        type=event.TYPE,
        time=town.events[-1].time + timedelta(seconds=number),
        subject=f"example:{event.TYPE.partition('.')[0]}",
        sequence=number,
        data=msgspec.Raw(msgspec.json.encode(event)),
        correlationid=new_id(),
    )


async def journey(town: Town) -> list[Envelope]:
    """The town's events, one of each type that it lacks, and news that payment would hear as the first."""
    escrows = town.mongo("payment").collection("escrows")
    contracts = town.mongo("job").collection("contracts")
    funded = {one["contract_id"]: one async for one in escrows.find({"status": "funded"})}
    submitted = await contracts.find_one({"_id": {"$in": [*funded]}, "milestones.status": "submitted"})
    assert submitted is not None
    escrow = funded.pop(submitted["_id"])
    other = next(iter(funded.values()))
    side = {name: escrow[name] for name in ("contract_id", "milestone_id", "hirer_id", "worker_id")}
    more: list[Event] = [
        MilestoneApproved(**side, amount=Money(amount=escrow["amount"])),
        ContractCancelled(
            contract_id=other["contract_id"],
            job_id=new_id(),
            hirer_id=other["hirer_id"],
            worker_id=other["worker_id"],
            cancelled_by=other["hirer_id"],
        ),
    ]
    ids = {"user_id": escrow["hirer_id"], "recipient_ids": [escrow["worker_id"]], "hirer_id": escrow["hirer_id"]}
    ids |= {"worker_id": escrow["worker_id"], "sender_id": escrow["hirer_id"]}
    there = {one.type for one in town.events} | {one.TYPE for one in more}
    first = next(one for one in town.events if one.type == ReputationChanged.TYPE)
    standing = msgspec.json.decode(first.data, type=ReputationChanged)
    changes = [
        msgspec.structs.replace(
            envelope_of(
                ReputationChanged(user_id=standing.user_id, review_count=count, rating_milli=4000 + count),
                number=count,
                town=town,
            ),
            subject=first.subject,
            sequence=first.sequence + count,
        )
        for count in (1, 2)
    ]
    missing = [name for name in load_actors().subscriptions if name not in there]
    # What becomes of an account is somebody else's: what comes late for a person who is gone is another question.
    gone = ids | {"user_id": new_id()}
    more += [example(EVENT_TYPES[name], gone if name.startswith("auth.account_") else ids) for name in missing]
    return [
        *town.events,
        *changes,
        *(envelope_of(one, number=number, town=town) for number, one in enumerate(more, start=1)),
    ]


@pytest.fixture(params=sorted({actor.service for actor in load_actors().actors.values() if actor.events}))
async def stage(town: Town, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    service: str = request.param
    subscriptions = load_actors().subscriptions
    tellings = [
        Telling(actor, envelope)
        for envelope in await journey(town)
        for actor in subscriptions.get(envelope.type, ())
        if actor.service == service
    ]
    original = await kept(town, service)
    try:
        if service == "job":
            await forget_money(town)
        made = Stage(town, service, await kept(town, service), tellings, {})
        made.wanted.update(await made.after(tellings))
        yield made
    finally:
        await put_back(town, service, original)


async def forget_money(town: Town) -> None:
    """As if payment had not told job of anything but by events: what it knows of money is undone."""
    job = town.mongo("job")
    async for contract in job.collection("contracts").find({"status": {"$in": ["active", "completed"]}}):
        for milestone in contract["milestones"]:
            milestone["status"] = "agreed"
            milestone.pop("escrow_id", None)
        contract["status"] = "active"
        contract.pop("completed_at", None)
        await job.collection("contracts").replace_one({"_id": contract["_id"]}, contract)
        await job.collection("jobs").update_one({"_id": contract["job_id"]}, {"$set": {"status": "in_progress"}})


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(seed=st.integers(0, 2**32))
async def test_any_order_with_duplicates_ends_in_the_same_state(stage: Stage, seed: int) -> None:
    assert stage.tellings
    chance = random.Random(seed)
    order = [*stage.tellings, *chance.choices(stage.tellings, k=len(stage.tellings) // 2)]
    chance.shuffle(order)
    found = await stage.after(order)
    for name in stage.wanted.keys() | found.keys():
        one, other = Counter(stage.wanted.get(name)), Counter(found.get(name))
        assert (name, one - other, other - one) == (name, Counter(), Counter())
