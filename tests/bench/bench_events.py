"""Events a second and the time from commit to effect, beside the same work sent straight to Dramatiq.

nox -s bench -- events

Both write one document in a transaction and have an actor write one row for it, once; on one RabbitMQ and one MongoDB,
in one process. The straight way publishes after the commit with Dramatiq's own `enqueue` (and its confirm), and loses
the message if the process dies in between. Ours writes the event in the transaction, seals it and relays it.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import dramatiq
import pytest

from kelmah.contracts.events import Envelope
from kelmah.contracts.job import JobCreated
from kelmah.kit.ids import new_id
from kelmah.kit.mongo import session
from kelmah.workers.publisher import message_for
from tests.fixtures.service import settings_for
from tests.fixtures.workers import ShopSettings, Stage, on_stage

EVENTS = 600
AT_ONCE = 16


class Watch:
    """When each piece of work was committed, and when it took effect."""

    def __init__(self) -> None:
        self.committed: dict[str, float] = {}
        self.done: dict[str, float] = {}

    async def effect(self, context: Any, key: str, event_id: str) -> None:
        async def write() -> None:
            await context.mongo.collection("effects").insert_one({"_id": key}, session=session())

        await context.events.consume("job.note", event_id, write)
        self.done[key] = time.perf_counter()

    async def all_done(self) -> None:
        async with asyncio.timeout(300):
            while len(self.done) < EVENTS:  # noqa: ASYNC110  # the actors run in threads
                await asyncio.sleep(0.01)

    def report(self, name: str, began: float) -> float:
        waits = sorted(self.done[key] - at for key, at in self.committed.items())
        rate = EVENTS / (max(self.done.values()) - began)
        p50, p99 = statistics.median(waits), statistics.quantiles(waits, n=100)[98]
        print(f"{name}: {rate:.0f}/s, commit to effect p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms")
        return rate


@pytest.fixture
async def stage(
    mongo_url: str, mongo_prefix: str, redis_url: str, redis_prefix: str, amqp_url: str
) -> AsyncIterator[Stage]:
    settings = settings_for(
        ShopSettings,
        mongo_url=mongo_url,
        mongo_prefix=f"{mongo_prefix}{new_id()[-6:]}_",
        redis_url=redis_url,
        redis_prefix=redis_prefix,
    )
    async with on_stage(settings, amqp_url=amqp_url, redis_url=redis_url) as made:
        yield made


async def drive(stage: Stage, watch: Watch, work: Callable[[str], Awaitable[None]], *, every_s: float) -> float:
    """Do the work for each key: as fast as it goes, or one every so often. When it began."""
    keys = iter([new_id() for _ in range(EVENTS)])

    async def some() -> None:
        for key in keys:
            await work(key)
            await asyncio.sleep(every_s)

    began = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    await watch.all_done()
    return began


@pytest.mark.parametrize("every_s", [0.0, 0.25], ids=["flat out", "64 a second"])
async def test_events_beside_bare_dramatiq(stage: Stage, every_s: float) -> None:
    ours, straight = Watch(), Watch()

    async def on_event(context: Any, envelope: Envelope, event: JobCreated) -> None:
        await ours.effect(context, event.job_id, envelope.id)

    async def on_message(context: Any, key: str) -> None:
        await straight.effect(context, key, f"straight:{key}")

    stage.registry.on_event("job.note", JobCreated, on_event)
    stage.registry.on_timer("job.note_straight", on_message)
    mongo = stage.context.mongo

    async def write(key: str) -> None:
        await mongo.collection("jobs").insert_one({"_id": key}, session=session())

    async with stage.working() as broker:

        async def with_event(key: str) -> None:
            async def change() -> None:
                await write(key)
                await stage.context.events.append(JobCreated(job_id=key, hirer_id="h"), subject=f"job:{key}")

            await mongo.transact(change)
            ours.committed[key] = time.perf_counter()

        async def with_message(key: str) -> None:
            await mongo.transact(lambda: write(key))
            straight.committed[key] = time.perf_counter()
            await asyncio.to_thread(enqueue, broker, key)

        def enqueue(broker: dramatiq.Broker, key: str) -> None:
            broker.enqueue(message_for(stage.registry.actors["job.note_straight"], [key], message_id=key))

        print()
        beside = straight.report("straight to Dramatiq", await drive(stage, straight, with_message, every_s=every_s))
        rate = ours.report("through the outbox", await drive(stage, ours, with_event, every_s=every_s))
        print(f"the outbox does {rate / beside:.2f} of it")
    assert await mongo.collection("effects").count_documents({}) == 2 * EVENTS
