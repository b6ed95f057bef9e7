"""The Dramatiq broker, hardened: RabbitMQ where there is one, else Redis; nothing is lost, dropped or silently expired.

Dramatiq as it comes loses a message whose retry cannot be enqueued, drops dead letters after a week, and lets a forged
message kill a worker thread or stop a queue. Each is mended here, at the seam that Dramatiq offers for it.
"""

import dataclasses
import time
from functools import partial
from typing import Annotated, Any, Protocol

import dramatiq
import msgspec
import pika
import redis
import structlog
from dramatiq.broker import MessageProxy
from dramatiq.brokers.rabbitmq import RabbitmqBroker, _RabbitmqConsumer
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.common import dq_name, xq_name
from dramatiq.errors import ConnectionClosed, DecodeError
from dramatiq.middleware import AsyncIO, Middleware, Retries, TimeLimit
from msgspec import UNSET, Meta, UnsetType

from kelmah.workers.settings import WorkersSettings

log = structlog.get_logger(__name__)


class Park(Protocol):
    """Keeps failed messages; each method returns whether one is safe, so that the broker may forget it."""

    def __call__(self, message: MessageProxy) -> bool: ...

    def unreadable(self, body: bytes, queue: str) -> bool: ...


#: Seconds before a message whose retry could not be enqueued is offered again.
REQUEUE_PAUSE_S = 1.0
#: Milliseconds that Redis keeps dead messages of its own; only those that could not be stored get there. Ten years.
REDIS_DEAD_TTL_MS = 10 * 365 * 86_400_000
REDIS_TIMEOUT_S = 5.0
#: Milliseconds after which RabbitMQ takes an unfinished message back, unless it is configured otherwise.
RABBIT_PATIENCE_MS = 1_800_000
#: Messages of one queue that wait in a process for another try.
MAX_WAITING = 1_000
#: Ours are a few kilobytes; a larger one would not fit beside its reason in a document.
MAX_MESSAGE_BYTES = 1_048_576


class _Options(msgspec.Struct, forbid_unknown_fields=True):
    """What Dramatiq and its Redis broker put beside a message's arguments; anything else is forged."""

    retries: Annotated[int, Meta(ge=0, le=1_000_000)] | UnsetType = UNSET
    eta: int | float | UnsetType | None = UNSET
    traceback: str | UnsetType = UNSET
    requeue_timestamp: int | UnsetType = UNSET
    redis_message_id: str | UnsetType = UNSET


class Cause(msgspec.Struct, forbid_unknown_fields=True):
    """What ties the message of a timer to whatever set it; an event carries its own."""

    correlation_id: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET
    causation_id: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET
    traceparent: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET


class _Wire(msgspec.Struct, forbid_unknown_fields=True):
    """The shape of every message of ours."""

    queue_name: str
    actor_name: str
    args: list[str]
    kwargs: Cause
    options: _Options
    message_id: Annotated[str, Meta(min_length=1, max_length=512)]
    message_timestamp: Annotated[int, Meta(ge=0, le=253_402_300_799_000)]


class StrictEncoder(dramatiq.Encoder):
    """JSON in exactly our shape: whatever else is on a queue cannot be decoded, and is parked."""

    def encode(self, data: dict[str, Any]) -> bytes:
        return msgspec.json.encode(data)

    def decode(self, data: bytes) -> dict[str, Any]:
        if len(data) > MAX_MESSAGE_BYTES:
            raise DecodeError("too large for a message of ours", data, None)
        try:
            wire = msgspec.json.decode(data, type=_Wire)
        except msgspec.DecodeError as error:
            raise DecodeError("not a message of ours", data, error) from None
        fields: dict[str, Any] = msgspec.to_builtins(wire)
        return fields


class SafeRetries(Retries):
    """Offers a message again when its retry cannot be enqueued; Dramatiq alone would count it as done."""

    def after_process_message(self, broker: Any, message: Any, **outcome: Any) -> None:
        try:
            super().after_process_message(broker, message, **outcome)
        except Exception as error:
            log.warning("actor.retry_not_enqueued", actor=message.actor_name, error=type(error).__name__)
            message.must_requeue = True
            message.fail()


class _RabbitConsumer(_RabbitmqConsumer):
    broker: "RabbitBroker"

    def __next__(self) -> Any:
        message = super().__next__()
        return message and _of_queue(message, self.queue_name)

    def nack(self, message: MessageProxy) -> None:
        if getattr(message, "must_requeue", False):
            time.sleep(REQUEUE_PAUSE_S)
            self._requeue(message)
        elif _is_parked(message, self.broker.park):
            self.ack(message)
        else:
            super().nack(message)

    def _requeue(self, message: Any) -> None:
        if message._tag in self.known_tags:
            self.known_tags.remove(message._tag)
            again = partial(self.channel.basic_nack, message._tag, requeue=True)
            self.connection.add_callback_threadsafe(again)


class RabbitBroker(RabbitmqBroker):
    """RabbitMQ with publisher confirms; dead messages wait in `<queue>.XQ`, without an end, to be moved to MongoDB."""

    def __init__(self, url: str, *, middleware: list[Middleware], park: Park, quorum: bool) -> None:
        super().__init__(url=url, middleware=middleware, confirm_delivery=True)
        # A RabbitMQ that is full blocks publishers; give up and try again rather than wait without end.
        self.parameters: pika.URLParameters = pika.URLParameters(url)
        self.parameters.blocked_connection_timeout = 30
        self.park = park
        self.quorum = quorum

    @property
    def consumer_class(self) -> type[_RabbitConsumer]:
        return _RabbitConsumer

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Any:
        """Take ahead from each queue as many messages as the process has threads: Dramatiq asks for twice as many.

        All queues share the threads, so the last message taken waits for one run a queue, which `RABBIT_PATIENCE_MS`
        must outlast. Messages that wait for another try are held, too, and have a bound of their own.
        """
        most = MAX_WAITING if queue_name == dq_name(queue_name) else max(1, prefetch // 2)
        return super().consume(queue_name, min(prefetch, most), timeout)

    def _build_queue_arguments(self, queue_name: str) -> dict[str, Any]:
        return queue_arguments(queue_name, quorum=self.quorum)

    def _declare_xq_queue(self, queue_name: str) -> Any:
        return self.channel.queue_declare(
            queue=xq_name(queue_name), durable=True, arguments=dead_queue_arguments(quorum=self.quorum)
        )


def queue_arguments(queue: str, *, quorum: bool) -> dict[str, Any]:
    """How a queue and its delay queue are declared, here and by the publisher."""
    dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": xq_name(queue)}
    return dead | dead_queue_arguments(quorum=quorum)


def dead_queue_arguments(*, quorum: bool) -> dict[str, Any]:
    """How a dead-letter queue is declared: without the week after which Dramatiq drops what is in it."""
    return {"x-queue-type": "quorum"} if quorum else {}


class _RedisConsumerOfOurs(_RedisConsumer):
    broker: "HardRedisBroker"

    def __next__(self) -> Any:
        try:
            message = super().__next__()
        except DecodeError as error:
            self._park_unreadable(error.data)
            return None
        return message and _of_queue(message, self.queue_name)

    def nack(self, message: MessageProxy) -> None:
        if getattr(message, "must_requeue", False):
            time.sleep(REQUEUE_PAUSE_S)
            self.queued_message_ids.discard(message.message_id)
            try:
                self.requeue([message])
            except redis.RedisError as error:
                raise ConnectionClosed(error) from None
        elif _is_parked(message, self.broker.park):
            self.ack(message)
        else:
            super().nack(message)

    def _park_unreadable(self, data: bytes) -> None:
        """Keep what cannot be decoded; its id is only known to Redis, as the key of this very text."""
        messages = f"{self.broker.namespace}:{self.queue_name}.msgs"
        for redis_id, text in self.broker.client.hscan_iter(messages):
            if text == data:
                settle = (
                    self.broker.do_ack if self.broker.park.unreadable(data, self.queue_name) else self.broker.do_nack
                )
                settle(self.queue_name, redis_id)
                log.error("queue.unreadable_message", queue=self.queue_name, redis_message_id=redis_id.decode())
                return


class HardRedisBroker(RedisBroker):
    """Dramatiq's Redis broker, for machines without RabbitMQ."""

    def __init__(self, url: str, *, middleware: list[Middleware], park: Park, namespace: str) -> None:
        client = redis.Redis.from_url(
            url, socket_timeout=REDIS_TIMEOUT_S, socket_connect_timeout=REDIS_TIMEOUT_S, health_check_interval=15
        )
        super().__init__(client=client, middleware=middleware, namespace=namespace, dead_message_ttl=REDIS_DEAD_TTL_MS)
        self.park = park

    @property
    def consumer_class(self) -> type[_RedisConsumerOfOurs]:
        return _RedisConsumerOfOurs


def _is_parked(message: Any, park: Park) -> bool:
    """Park a message once, however often the broker must be told."""
    message.is_parked = getattr(message, "is_parked", False) or park(message)
    return bool(message.is_parked)


def _of_queue(message: MessageProxy, queue: str) -> MessageProxy:
    """The message under the name of the queue it came from; a forged name would end the worker's thread."""
    if message.queue_name != queue:
        message._message = dataclasses.replace(message._message, queue_name=queue)
    return message


def make_broker(settings: WorkersSettings, *, park: Park, runtime: Middleware | None = None) -> dramatiq.Broker:
    """The broker that the settings name, with all of its middleware. Connects at first use.

    Args:
        park: keeps a message that failed for good.
        runtime: opened after the event loop started and closed before it stops.
    """
    dramatiq.set_encoder(StrictEncoder())
    # Order: "before" hooks run down this list, "after" hooks up it.
    middleware: list[Middleware] = [AsyncIO(), *([runtime] if runtime else []), TimeLimit(), SafeRetries()]
    if settings.amqp_url is not None:
        url = settings.amqp_url.get_secret_value()
        return RabbitBroker(url, middleware=middleware, park=park, quorum=settings.quorum_queues)
    namespace = f"{settings.redis_prefix}:queues"
    return HardRedisBroker(settings.redis_url, middleware=middleware, park=park, namespace=namespace)
