"""Puts messages on the actors' queues and events on the exchange for outside consumers; returns once they are safe."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import aio_pika
import dramatiq
import msgspec
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractIncomingMessage
from dramatiq.common import dq_name, xq_name

from kelmah.contracts.events import Envelope
from kelmah.kit import clock
from kelmah.workers.broker import dead_queue_arguments, queue_arguments
from kelmah.workers.registry import Actor

#: The topic exchange for consumers outside Kelmah; the routing key is the event's type.
EXCHANGE = "kelmah.events"
CLOUDEVENTS = "application/cloudevents+json"
#: Seconds that connecting, or one publication with its confirm, may take.
TIMEOUT_S = 5.0


def message_for(
    actor: Actor, args: Sequence[str], *, message_id: str, cause: Mapping[str, str] | None = None
) -> dramatiq.Message[None]:
    """The Dramatiq message that calls an actor; `cause` is for those that no event causes (see `broker.Cause`)."""
    return dramatiq.Message(
        queue_name=actor.queue,
        actor_name=actor.name,
        args=tuple(args),
        kwargs=dict(cause or {}),
        options={},
        message_id=message_id,
        message_timestamp=int(clock.now().timestamp() * 1000),
    )


class Publisher(Protocol):
    """How messages get to the broker. Any exception means that a message may not have arrived."""

    async def send(self, message: dramatiq.Message[None]) -> None:
        """Put a message on its queue."""

    async def announce(self, envelope: Envelope) -> None:
        """Tell consumers outside Kelmah of an event."""

    async def close(self) -> None: ...


class RabbitPublisher:
    """Over one channel with confirms; connects at first use, and anew after a failure. For one event loop."""

    def __init__(self, url: str, queues: Sequence[str], *, quorum: bool) -> None:
        self._url = url
        self._queues = queues
        self._quorum = quorum
        self._opening = asyncio.Lock()
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._exchange: AbstractExchange | None = None

    async def send(self, message: dramatiq.Message[None]) -> None:
        """Put a message on its queue; a queue that is gone is an error, and is declared anew by the next call."""
        body = aio_pika.Message(
            message.encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT, message_id=message.message_id
        )

        async def publish(channel: AbstractChannel, _: AbstractExchange) -> None:
            await channel.default_exchange.publish(body, message.queue_name, mandatory=True)

        await self._do(publish)

    async def announce(self, envelope: Envelope) -> None:
        """Publish an event to the topic exchange. That nobody listens is no error."""
        body = aio_pika.Message(
            msgspec.json.encode(envelope),
            content_type=CLOUDEVENTS,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=envelope.id,
        )

        async def publish(_: AbstractChannel, exchange: AbstractExchange) -> None:
            await exchange.publish(body, envelope.type, mandatory=False)

        await self._do(publish)

    async def dead(self, queue: str) -> AsyncGenerator[AbstractIncomingMessage, None]:
        """Messages of a queue's dead-letter queue, without end; each must be acknowledged before the next comes."""
        channel, _ = await self._ready()
        async with (await channel.get_queue(xq_name(queue), ensure=False)).iterator() as messages:
            async for message in messages:
                yield message

    async def close(self) -> None:
        connection, self._connection, self._channel, self._exchange = self._connection, None, None, None
        if connection is not None:
            with suppress(Exception):  # it may be broken, which is why we close it
                async with asyncio.timeout(TIMEOUT_S):
                    await connection.close()

    async def _do(self, publish: Callable[[AbstractChannel, AbstractExchange], Awaitable[None]]) -> None:
        channel: AbstractChannel | None = None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                channel, exchange = await self._ready()
                await publish(channel, exchange)
        except BaseException:
            if channel is not None and channel is self._channel:
                await self.close()  # whatever it was, the next call declares and starts anew
            raise

    async def _ready(self) -> tuple[AbstractChannel, AbstractExchange]:
        async with self._opening:
            if self._channel is None or self._channel.is_closed or self._exchange is None:
                await self.close()
                self._connection = await aio_pika.connect(self._url, timeout=TIMEOUT_S)
                channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
                self._exchange = await self._declare(channel)
                self._channel = channel
            return self._channel, self._exchange

    async def _declare(self, channel: AbstractChannel) -> AbstractExchange:
        """The whole topology, as the consumers declare it, too; whoever comes first."""
        for queue in self._queues:
            arguments = queue_arguments(queue, quorum=self._quorum)
            await channel.declare_queue(queue, durable=True, arguments=arguments)
            await channel.declare_queue(dq_name(queue), durable=True, arguments=arguments)
            await channel.declare_queue(
                xq_name(queue), durable=True, arguments=dead_queue_arguments(quorum=self._quorum)
            )
        return await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)


class RedisPublisher:
    """Through Dramatiq's own Redis broker. There is no exchange for outside consumers."""

    def __init__(self, broker: dramatiq.Broker) -> None:
        self._broker = broker

    async def send(self, message: dramatiq.Message[None]) -> None:
        await asyncio.to_thread(self._broker.enqueue, message)

    async def announce(self, envelope: Envelope) -> None:
        """Nobody outside listens on Redis."""

    async def close(self) -> None:
        """The broker is closed by the worker."""
