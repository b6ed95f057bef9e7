"""Keeps messages that failed for good in their service's database, and sends them again when somebody says so."""

import asyncio
import hashlib
import traceback
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dramatiq
import msgspec
import structlog
from aio_pika.abc import AbstractIncomingMessage
from dramatiq.asyncio import get_event_loop_thread
from dramatiq.broker import MessageProxy
from dramatiq.common import q_name
from dramatiq.errors import ActorNotFound, DecodeError

from kelmah.contracts.events import Envelope
from kelmah.kit import clock
from kelmah.kit.deadletters import DeadLetter, DeadLetters, LetterState
from kelmah.kit.logging import scrub
from kelmah.workers import metrics
from kelmah.workers.execution import FinalError
from kelmah.workers.publisher import Publisher
from kelmah.workers.registry import service_of

log = structlog.get_logger(__name__)

#: Seconds to store a letter; when it cannot be stored the broker keeps the message.
STORE_TIMEOUT_S = 10.0
#: A stack longer than this is cut at its beginning, which says least.
MAX_STACK_CHARS = 4_000
#: What cannot be decoded is not ours to keep in full.
MAX_UNREADABLE_BYTES = 65_536


class Parking:
    """Keeps messages that failed for good. Called from worker threads, while the event loop runs in its own."""

    def __init__(self, contexts: Mapping[str, Any]) -> None:
        self._contexts = contexts

    def __call__(self, message: MessageProxy) -> bool:
        """Store a message with the reason; returns whether it is stored."""
        return self._store(letter_of(message, message._exception, message.queue_name))

    def unreadable(self, body: bytes, queue: str) -> bool:
        """Store what cannot be decoded; returns whether it is stored."""
        return self._store(letter_of_body(body, q_name(queue)))

    def _store(self, letter: DeadLetter) -> bool:
        loop = get_event_loop_thread()
        if loop is None:
            return False
        try:
            loop.run_coroutine(self._put_in_time(letter))
        except Exception as error:
            log.error("deadletters.not_stored", actor=letter.actor, error=type(error).__name__)
            return False
        return True

    async def _put_in_time(self, letter: DeadLetter) -> None:
        async with asyncio.timeout(STORE_TIMEOUT_S):
            await self.put(letter)

    async def put(self, letter: DeadLetter) -> None:
        """Store a letter with the service whose queue it was on."""
        service = service_of(letter.queue)
        await DeadLetters(self._contexts[service].mongo).put(letter)
        metrics.dead_letters.labels(service, letter.reason).inc()
        log.error("deadletters.parked", letter_id=letter.id, actor=letter.actor, reason=letter.reason)

    async def sweep(self, messages: AsyncIterator[AbstractIncomingMessage], queue: str) -> None:
        """Store what RabbitMQ keeps in a dead-letter queue, without end: unreadable messages, mostly."""
        async for message in messages:
            await self.put(letter_of_body(message.body, queue))
            await message.ack()


def letter_of(message: Any, error: BaseException | None, queue: str) -> DeadLetter:
    """The letter for a message that was given up on `queue`, whatever queue it names."""
    fields = {**message.asdict(), "queue_name": q_name(queue), "options": {}}
    bare: dramatiq.Message[None] = dramatiq.Message(**fields)
    envelope = _envelope(bare.args)
    return DeadLetter(
        id=bare.message_id,
        queue=bare.queue_name,
        actor=bare.actor_name,
        reason=_reason(error),
        error=_sentence(error),
        stack=scrub("".join(traceback.format_exception(error))[-MAX_STACK_CHARS:]) if error else "",
        attempts=_attempts(message, error),
        first_at=datetime.fromtimestamp(bare.message_timestamp / 1000, UTC),
        last_at=clock.now(),
        body=bare.encode(),
        event_id=envelope.id if envelope else None,
        event_type=envelope.type if envelope else None,
    )


def letter_of_body(body: bytes, queue: str) -> DeadLetter:
    """The letter for a message that RabbitMQ dead-lettered by itself, or that could not be decoded."""
    try:
        return letter_of(dramatiq.Message.decode(body), None, queue)
    except DecodeError:
        now = clock.now()
        return DeadLetter(
            id=f"unreadable:{hashlib.sha256(body).hexdigest()[:32]}",
            queue=queue,
            actor="",
            reason="unreadable",
            error="not a message of ours",
            stack="",
            attempts=1,
            first_at=now,
            last_at=now,
            body=body[:MAX_UNREADABLE_BYTES],
        )


def _envelope(args: Sequence[Any]) -> Envelope | None:
    try:
        return msgspec.json.decode(args[0], type=Envelope)
    except (IndexError, msgspec.DecodeError):
        return None


def _attempts(message: Any, error: BaseException | None) -> int:
    """Dramatiq counts a failure as a retry, unless trying again is of no use."""
    retries = int(message.options.get("retries", 0))
    return retries + 1 if isinstance(error, FinalError) else max(retries, 1)


def _reason(error: BaseException | None) -> str:
    if error is None:
        return "rejected"
    if isinstance(error, FinalError):
        return error.reason
    return "unknown_actor" if isinstance(error, ActorNotFound) else "exhausted"


def _sentence(error: BaseException | None) -> str:
    if error is None:
        return "the broker gave the message up"
    text: str = scrub(str(error))
    return text if isinstance(error, FinalError) else f"{type(error).__name__}: {text}"


async def replay(letters: DeadLetters, letter: DeadLetter, publisher: Publisher) -> bool:
    """Send a letter's message again, as if for the first time. Returns False when it is not open any more.

    It is sent before it is closed, so that a crash in between costs a duplicate and no message; and it is closed only
    if it did not die again meanwhile.

    Raises:
        DecodeError: the message cannot be read, so it cannot be sent; discard it.
    """
    current = await letters.get(letter.id)
    if current is None or current.state is not LetterState.OPEN:
        return False
    await publisher.send(dramatiq.Message.decode(letter.body))
    await letters.settle(letter.id, LetterState.REPLAYED, attempts=letter.attempts)
    return True


async def discard(letters: DeadLetters, letter: DeadLetter) -> bool:
    """Close a letter without sending it. Returns False when it is not open any more, or died again meanwhile."""
    return await letters.settle(letter.id, LetterState.DISCARDED, attempts=letter.attempts)
