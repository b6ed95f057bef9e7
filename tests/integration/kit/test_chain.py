"""The chain of a service's events: one order, whoever seals, and no change that is not found and named."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kelmah.contracts.events import EVENT_TYPES
from kelmah.kit.chain import Chain, Fault, Head, Tally
from kelmah.kit.ids import new_id
from tests.fixtures.service import settings_for
from tests.fixtures.workers import ShopSettings, Stage, on_stage


@pytest.fixture
async def stage(mongo_url: str, mongo_prefix: str, redis_url: str, redis_prefix: str) -> AsyncIterator[Stage]:
    settings = settings_for(
        ShopSettings,
        mongo_url=mongo_url,
        mongo_prefix=f"{mongo_prefix}{new_id()[-6:]}_",
        redis_url=redis_url,
        redis_prefix=redis_prefix,
    )
    async with on_stage(settings, amqp_url=None, redis_url=redis_url) as stage:
        yield stage


async def faults(chain: Chain) -> list[Fault]:
    return [found async for found in chain.verify() if isinstance(found, Fault)]


async def sealed(stage: Stage) -> tuple[Chain, list[dict[str, Any]]]:
    await stage.append(*(f"job:{number % 3}" for number in range(9)))
    chain = Chain(stage.context.mongo)
    assert await chain.seal(EVENT_TYPES, limit=100) == 9
    return chain, await stage.context.mongo.collection("events").find().sort("position").to_list()


async def test_events_are_sealed_in_one_order_and_verify(stage: Stage) -> None:
    chain, rows = await sealed(stage)
    assert [row["position"] for row in rows] == list(range(1, 10))
    assert [row["_id"] for row in rows] == sorted(row["_id"] for row in rows)
    assert await chain.head() == Head(9, rows[-1]["digest"])
    assert [found async for found in chain.verify()] == [Tally(9, 9)]
    assert await chain.seal(EVENT_TYPES, limit=100) == 0


async def test_many_seal_at_once_and_each_event_has_one_place(stage: Stage) -> None:
    await stage.append(*(f"job:{number % 5}" for number in range(40)))
    chain = Chain(stage.context.mongo)
    counts = await asyncio.gather(*(chain.seal(EVENT_TYPES, limit=7) for _ in range(10)))
    assert sum(counts) == 40
    assert (await chain.head()).position == 40
    assert await faults(chain) == []


@pytest.mark.parametrize("field", ["_id", "data", "type", "subject", "time", "correlationid", "source", "digest"])
async def test_one_flipped_byte_is_found_and_its_event_named(stage: Stage, field: str) -> None:
    chain, rows = await sealed(stage)
    events = stage.context.mongo.collection("events")
    row = rows[4]
    value = row[field]
    changed = value.replace(year=2001) if field == "time" else chr(ord(value[0]) ^ 1) + value[1:]
    await events.delete_one({"_id": row["_id"]})
    await events.insert_one(row | {field: changed})
    found = await faults(chain)
    assert (found[0].position, found[0].event_id) == (5, changed if field == "_id" else row["_id"])
    assert [fault for fault in found if fault.event_id not in ("", found[0].event_id)] == []


async def test_what_is_added_removed_or_cut_off_is_found(stage: Stage) -> None:
    chain, rows = await sealed(stage)
    events = stage.context.mongo.collection("events")
    await events.update_one({"_id": rows[2]["_id"]}, {"$set": {"more": 1}})
    assert await faults(chain) == [Fault(3, rows[2]["_id"], "was changed after it was sealed")]
    await events.update_one({"_id": rows[2]["_id"]}, {"$unset": {"more": 1}})
    assert await faults(chain) == []
    await events.delete_one({"_id": rows[8]["_id"]})
    assert (await faults(chain))[0] == Fault(9, "", "missing up to position 9")
    await events.insert_one(rows[8])
    await events.delete_one({"_id": rows[3]["_id"]})
    assert await faults(chain) == [
        Fault(4, "", "missing up to position 4"),
        Fault(0, "", "job:0 has 2 events and ends at sequence 3"),
    ]


async def test_the_digest_at_a_position_can_be_compared_with_a_noted_one(stage: Stage) -> None:
    chain, rows = await sealed(stage)
    assert await chain.at(4) == Head(4, rows[3]["digest"])
    assert await chain.at(10) is None
