"""The event store: written with the change, in order, once consumed."""

import asyncio
from datetime import timedelta

import pytest

from kelmah.contracts.events import decode
from kelmah.contracts.job import JobCreated, JobPublished
from kelmah.kit import clock, events
from kelmah.kit.events import EventStore, from_document
from kelmah.kit.ids import new_id
from kelmah.kit.mongo import session
from tests.fixtures.service import Service


async def test_an_event_needs_the_transaction_of_its_change(things: Service) -> None:
    with pytest.raises(RuntimeError, match="in the transaction"):
        await things.context.events.append(JobCreated(job_id="j", hirer_id="h"), subject="job:j")


async def test_an_event_that_is_rolled_back_was_never_there(things: Service) -> None:
    subject = f"job:{new_id()}"

    async def fails() -> None:
        await things.context.events.append(JobCreated(job_id="j", hirer_id="h"), subject=subject)
        raise ValueError("the effect failed")

    with pytest.raises(ValueError, match="the effect failed"):
        await things.context.mongo.transact(fails)
    assert await things.context.mongo.collection(events.EVENTS).count_documents({"subject": subject}) == 0


async def test_concurrent_appends_leave_neither_gaps_nor_twins(things: Service) -> None:
    store: EventStore = things.context.events
    subject = f"job:{new_id()}"

    async def append(number: int) -> None:
        async def change() -> None:
            await store.append(JobPublished(job_id=str(number), hirer_id="h"), subject=subject)

        await things.context.mongo.transact(change)

    await asyncio.gather(*(append(number) for number in range(25)))
    stored = things.context.mongo.collection(events.EVENTS).find({"subject": subject}).sort("sequence", 1)
    rows = await stored.to_list()
    assert [row["sequence"] for row in rows] == list(range(1, 26))
    assert all(row["pending"] for row in rows)
    told = {decode(from_document(row)).job_id for row in rows}  # type: ignore[attr-defined]  # a JobPublished
    assert told == {str(number) for number in range(25)}


async def test_an_event_is_consumed_once_however_often_it_arrives(things: Service) -> None:
    store: EventStore = things.context.events
    event_id, effects = new_id(), things.context.mongo.collection("effects")

    async def effect() -> None:
        await effects.insert_one({"event": event_id}, session=session())

    ran = await asyncio.gather(*(store.consume("test.consumer", event_id, effect) for _ in range(10)))
    assert sorted(ran) == [False] * 9 + [True]
    assert await effects.count_documents({"event": event_id}) == 1
    assert await store.consume("test.other", event_id, effect) is True
    clock.shift(timedelta(days=8))
    try:
        assert await store.consume("test.consumer", event_id, effect) is False
    finally:
        clock.reset()


async def test_a_failed_effect_can_be_tried_again(things: Service) -> None:
    store: EventStore = things.context.events
    event_id = new_id()

    async def fails() -> None:
        raise ValueError("the effect failed")

    async def works() -> None:
        pass

    with pytest.raises(ValueError, match="the effect failed"):
        await store.consume("test.consumer", event_id, fails)
    assert await store.consume("test.consumer", event_id, works) is True
