"""From an appended event to its effect, on real brokers."""

from typing import Any

import aio_pika
import msgspec
import pytest

from kelmah.contracts.events import Envelope
from kelmah.contracts.job import JobClosed, JobCreated
from kelmah.kit.context import trace
from kelmah.kit.deadletters import DeadLetters
from kelmah.kit.errors import Conflict, TooManyRequests, Unavailable
from kelmah.kit.mongo import session
from kelmah.workers.deadletters import discard, replay
from kelmah.workers.publisher import EXCHANGE, RabbitPublisher, message_for
from kelmah.workers.runtime import make_publisher
from tests.fixtures.workers import ShopSettings, Stage, on_stage, until, wire_to

pytestmark = pytest.mark.rabbitmq


def note_effects(stage: Stage, *, failures: list[Exception] | None = None) -> None:
    """Register an actor that writes one row for each event, after raising the given failures."""
    to_raise = failures if failures is not None else []

    async def note(context: Any, envelope: Envelope, event: JobCreated) -> None:
        if to_raise:
            raise to_raise.pop(0)

        async def effect() -> None:
            row = {"_id": envelope.id, "subject": envelope.subject, "sequence": envelope.sequence}
            await context.mongo.collection("effects").insert_one(row, session=session())

        await context.events.consume("job.note", envelope.id, effect)
        stage.heard.put((envelope, event, trace()))

    stage.registry.on_event("job.note", JobCreated, note, min_backoff_ms=1, max_backoff_ms=10, max_retries=3)


async def effects(stage: Stage) -> list[str]:
    return [row["_id"] async for row in stage.context.mongo.collection("effects").find().sort("_id")]


async def test_an_event_reaches_its_actor_once_with_its_trace(stage: Stage) -> None:
    note_effects(stage)
    async with stage.working():
        [sent] = await stage.append("job:1")
        envelope, event, seen = await stage.next_heard()
        await until(lambda: _is_zero(stage))
    assert envelope == sent
    assert event == msgspec.json.decode(sent.data, type=JobCreated)
    assert seen.correlation_id == sent.correlationid
    assert seen.causation_id == sent.id
    assert sent.traceparent is not None
    assert seen.traceparent.split("-")[1] == sent.traceparent.split("-")[1]
    assert await effects(stage) == [sent.id]
    assert stage.heard.empty()


async def test_an_event_without_subscribers_is_published(stage: Stage) -> None:
    async def unused(context: Any, envelope: Envelope, event: JobClosed) -> None: ...

    stage.registry.on_event("job.unused", JobClosed, unused)
    async with stage.working():
        await stage.append("job:1")
        await until(lambda: _is_zero(stage))


async def test_one_event_reaches_each_of_its_actors(stage: Stage) -> None:
    note_effects(stage)

    async def also(context: Any, envelope: Envelope, event: JobCreated) -> None:
        stage.heard.put(envelope.id)

    stage.registry.on_event("job.also_note", JobCreated, also)
    async with stage.working():
        [sent] = await stage.append("job:1")
        heard = [await stage.next_heard(), await stage.next_heard()]
    assert sent.id in heard
    assert await effects(stage) == [sent.id]


async def test_events_of_a_stopped_worker_wait_for_the_next(stage: Stage) -> None:
    note_effects(stage)
    async with stage.working():
        first = await stage.append("job:1")
        await stage.next_heard()
    second = await stage.append("job:1", "job:2")
    assert await stage.pending() == 2
    async with stage.working():
        await stage.next_heard()
        await stage.next_heard()
    assert await effects(stage) == sorted(one.id for one in first + second)


async def test_a_broker_that_goes_and_comes_loses_and_doubles_nothing(
    shop_settings: ShopSettings, amqp_url: str, redis_url: str
) -> None:
    wire, through = await wire_to(amqp_url)
    async with on_stage(shop_settings, amqp_url=through, redis_url=redis_url) as stage:
        note_effects(stage)
        async with stage.working():
            sent = await stage.append("job:1", "job:2")
            await stage.next_heard()
            await stage.next_heard()
            await wire.cut()
            sent += await stage.append("job:1", "job:2", "job:1")
            assert await stage.pending() == 3
            await wire.mend()

            async def all_there() -> bool:
                return len(await effects(stage)) == 5

            await until(all_there)
            await until(lambda: _is_zero(stage))
        await wire.cut()
    assert [one.id for one in sorted(sent, key=lambda one: one.id)] == sorted(one.id for one in sent)


async def test_a_transient_failure_is_tried_again(stage: Stage) -> None:
    failures = [Unavailable(), TooManyRequests(), RuntimeError("not yet")]
    note_effects(stage, failures=failures)
    async with stage.working():
        [sent] = await stage.append("job:1")
        await stage.next_heard()
    assert failures == []
    assert await effects(stage) == [sent.id]
    assert await DeadLetters(stage.context.mongo).count() == 0


async def test_a_refusal_is_parked_at_once_and_can_be_replayed(stage: Stage) -> None:
    failures: list[Exception] = [Conflict("The job is closed."), Conflict("The job is closed.")]
    note_effects(stage, failures=failures)
    letters = DeadLetters(stage.context.mongo)
    async with stage.working() as broker:
        publisher = make_publisher(stage.workers_settings, stage.registry, broker)
        [sent] = await stage.append("job:1")
        [letter] = await until(letters.find)
        assert (letter.id, letter.actor, letter.queue) == (f"{sent.id}:job.note", "job.note", "kelmah.job")
        assert (letter.reason, letter.attempts) == ("refused", 1)
        assert letter.error == "conflict: The job is closed."
        assert "kelmah.kit.errors.Conflict" in letter.stack
        assert (letter.event_id, letter.event_type) == (sent.id, "job.job_created.v1")
        assert letter.first_at <= letter.last_at
        assert await effects(stage) == []

        assert await replay(letters, letter, publisher)

        async def died_again() -> Any:
            found = await letters.get(letter.id)
            return found if found and found.attempts == 2 else None

        again = await until(died_again)
        assert again.state == "open"
        assert again.first_at == letter.first_at

        assert await replay(letters, again, publisher)
        await stage.next_heard()
        assert await effects(stage) == [sent.id]
        assert await letters.count() == 0
        assert not await replay(letters, again, publisher)
        assert not await discard(letters, again)
        await publisher.close()


async def test_retries_end_in_a_dead_letter(stage: Stage) -> None:
    note_effects(stage, failures=[RuntimeError(f"failure {number}") for number in range(4)])
    letters = DeadLetters(stage.context.mongo)
    async with stage.working():
        await stage.append("job:1")
        [letter] = await until(letters.find)
        assert (letter.reason, letter.attempts, letter.error) == ("exhausted", 4, "RuntimeError: failure 3")
        assert await discard(letters, letter)
    assert await letters.find() == []
    settled = await letters.get(letter.id)
    assert settled is not None
    assert settled.state == "discarded"


async def test_a_retry_that_cannot_be_enqueued_is_not_lost(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    note_effects(stage, failures=[RuntimeError("first")])
    async with stage.working() as broker:
        real = broker.enqueue
        refused: list[str] = []

        def enqueue(message: Any, *, delay: int | None = None) -> Any:
            if delay is not None and not refused:
                refused.append(message.message_id)
                raise OSError("the broker is full")
            return real(message, delay=delay)

        monkeypatch.setattr(broker, "enqueue", enqueue)
        [sent] = await stage.append("job:1")
        await stage.next_heard()
    assert refused == [f"{sent.id}:job.note"]
    assert await effects(stage) == [sent.id]


async def test_outside_consumers_hear_cloudevents(rabbit: Stage, amqp_url: str) -> None:
    note_effects(rabbit)
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
        outside = await channel.declare_queue(exclusive=True)
        await outside.bind(exchange, "job.#")
        async with rabbit.working():
            [sent] = await rabbit.append("job:1")
            async with outside.iterator(timeout=30) as messages:
                message = await anext(messages)
                await message.ack()
        assert message.routing_key == "job.job_created.v1"
        assert message.content_type == "application/cloudevents+json"
        assert message.message_id == sent.id
        assert msgspec.json.decode(message.body, type=Envelope) == sent


async def test_a_queue_that_vanishes_is_declared_anew(rabbit: Stage, amqp_url: str) -> None:
    note_effects(rabbit)
    publisher = make_publisher(rabbit.workers_settings, rabbit.registry, None)  # type: ignore[arg-type]  # Redis only
    assert isinstance(publisher, RabbitPublisher)
    message = message_for(rabbit.registry.actors["job.note"], ["x"], message_id="1")
    await publisher.send(message)
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        channel = await connection.channel()
        await channel.queue_delete("kelmah.job")
        with pytest.raises(aio_pika.exceptions.PublishError):
            await publisher.send(message)
        await publisher.send(message)
        queue = await channel.get_queue("kelmah.job")
        found = await queue.get(timeout=5)
        assert found is not None
        assert found.message_id == "1"
        await found.ack()
    await publisher.close()


async def _is_zero(stage: Stage) -> bool:
    return await stage.pending() == 0
