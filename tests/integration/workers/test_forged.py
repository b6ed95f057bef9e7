"""What does not belong on a queue is parked with the reason, and stops nobody."""

import json
from typing import Any

import aio_pika
import pytest
import redis.asyncio

from kelmah.contracts.events import Envelope
from kelmah.contracts.job import JobCreated
from kelmah.kit.deadletters import DeadLetters
from kelmah.workers.broker import queue_arguments
from tests.fixtures.workers import Stage, until

pytestmark = pytest.mark.rabbitmq


def message(**changes: Any) -> bytes:
    """A message as Dramatiq encodes it, with something wrong in it."""
    fields = {
        "queue_name": "kelmah.job",
        "actor_name": "job.note",
        "args": ["{}"],
        "kwargs": {},
        "options": {},
        "message_id": "1",
        "message_timestamp": 1,
    }
    return json.dumps(fields | changes).encode()


ENVELOPE = {
    "id": "e1",
    "source": "/kelmah/job",
    "type": "job.job_created.v1",
    "time": "2026-01-01T00:00:00Z",
    "subject": "job:1",
    "sequence": 1,
    "data": {"jobId": "1", "hirerId": "2"},
    "correlationid": "c",
}
#: Not in the shape of a message at all.
UNDECODABLE = {
    "garbage": b"\xff\x00garbage",
    "empty": b"",
    "json_but_no_message": b"[1, 2, 3]",
    "options_of_another_type": message(options=None),
    "options_that_name_exceptions": message(options={"throws": "x"}),
    "too_large": message(args=["x" * 1_100_000]),
    "huge_timestamp": message(message_timestamp=10**30),
}
#: Messages with something wrong in them, and the reason that is noted.
WRONG = {
    "another_queue": (message(queue_name="kelmah.nowhere"), "unreadable"),
    "unknown_actor": (message(actor_name="job.nobody"), "unknown_actor"),
    "no_event": (message(), "unreadable"),
    "no_arguments": (message(args=[]), "unreadable"),
    "data_that_does_not_fit": (message(args=[json.dumps(ENVELOPE | {"data": {"jobId": 1}})]), "unreadable"),
    "version_of_the_future": (message(args=[json.dumps(ENVELOPE | {"type": "job.job_created.v9"})]), "unknown_event"),
    "event_of_another_actor": (message(args=[json.dumps(ENVELOPE | {"type": "job.job_closed.v1"})]), "unknown_event"),
    "timer_arguments": (message(actor_name="job.expire", args=["1", "2", "3"]), "unreadable"),
}
FORGED = {name: (body, "unreadable") for name, body in UNDECODABLE.items()} | WRONG


def register(stage: Stage) -> None:
    async def note(context: Any, envelope: Envelope, event: JobCreated) -> None:
        stage.heard.put(envelope.id)

    async def expire(context: Any, job_id: str) -> None:
        stage.heard.put(job_id)

    stage.registry.on_event("job.note", JobCreated, note)
    stage.registry.on_timer("job.expire", expire)


@pytest.mark.parametrize("name", FORGED)
async def test_on_rabbitmq(rabbit: Stage, amqp_url: str, name: str) -> None:
    register(rabbit)
    body, reason = FORGED[name]
    connection = await aio_pika.connect(amqp_url)
    async with connection, rabbit.working():
        channel = await connection.channel()
        await channel.declare_queue("kelmah.job", durable=True, arguments=queue_arguments("kelmah.job", quorum=False))
        # As many as there are worker threads, and more, so that one lost thread each would be noticed.
        for _ in range(6):
            await channel.default_exchange.publish(aio_pika.Message(body), "kelmah.job")
        letters = DeadLetters(rabbit.context.mongo)

        async def parked() -> Any:
            found = await letters.find()
            return found if sum(letter.attempts for letter in found) == 6 else None

        [letter] = await until(parked)
        assert letter.reason == reason
        assert letter.queue == "kelmah.job"
        [sent] = await rabbit.append("job:1")
        assert await rabbit.next_heard() == sent.id


async def offer_on_redis(stage: Stage, client: "redis.asyncio.Redis", body: bytes) -> None:
    namespace = f"{stage.workers_settings.redis_prefix}:queues:kelmah.job"
    await client.hset(f"{namespace}.msgs", "r1", body)
    await client.rpush(namespace, "r1")


@pytest.mark.parametrize("name", WRONG)
async def test_on_redis(redis_stage: Stage, redis_url: str, name: str) -> None:
    register(redis_stage)
    body, reason = WRONG[name]
    fields = json.loads(body)
    body = json.dumps(fields | {"options": {"redis_message_id": "r1"}}).encode()
    async with redis.asyncio.Redis.from_url(redis_url) as client, redis_stage.working():
        await offer_on_redis(redis_stage, client, body)
        [letter] = await until(DeadLetters(redis_stage.context.mongo).find)
        assert letter.reason == reason
        [sent] = await redis_stage.append("job:1")
        assert await redis_stage.next_heard() == sent.id


@pytest.mark.parametrize("name", UNDECODABLE)
async def test_undecodable_on_redis(redis_stage: Stage, redis_url: str, name: str) -> None:
    register(redis_stage)
    queue = f"{redis_stage.workers_settings.redis_prefix}:queues:kelmah.job"
    async with redis.asyncio.Redis.from_url(redis_url) as client, redis_stage.working():
        await offer_on_redis(redis_stage, client, UNDECODABLE[name])
        [letter] = await until(DeadLetters(redis_stage.context.mongo).find)
        assert (letter.reason, letter.queue) == ("unreadable", "kelmah.job")
        assert letter.body == UNDECODABLE[name][:65_536]

        async def is_gone() -> bool:
            return not await client.exists(f"{queue}.msgs", f"{queue}.XQ.msgs")

        await until(is_gone)
        [sent] = await redis_stage.append("job:1")
        assert await redis_stage.next_heard() == sent.id
