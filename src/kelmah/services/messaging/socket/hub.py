"""The open sockets of this instance, and the one subscription to Redis that feeds them.

A message published while the subscription was down is lost to Redis, so every time a channel is subscribed anew
its person's sockets are told by a `gap` frame that they may have missed something.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import structlog
from redis.exceptions import RedisError

from kelmah.contracts.messaging import GapFrame
from kelmah.kit import clock
from kelmah.kit.errors import Unavailable
from kelmah.services.messaging import service
from kelmah.services.messaging.service import Context, live
from kelmah.services.messaging.socket import answering
from kelmah.services.messaging.socket.connection import Connection, Outgoing
from kelmah.services.messaging.socket.subscription import Push, Subscription, subscription

log = structlog.get_logger(__name__)

#: Seconds that an epoch is believed.
EPOCH_S = 1
#: Seconds that a subscription may take to be confirmed.
SUBSCRIBE_S = 5
#: While an instance waits, its people get nothing live, and new sockets are refused.
MAX_BACKOFF_S = 2.0
_GAP = Outgoing(msgspec.json.encode(GapFrame()))


class Hub:
    """Made once an instance; `running` opens and closes it."""

    def __init__(self, get_context: Callable[[], Context]) -> None:
        self._get_context = get_context
        self._prefix = self.context.settings.redis_prefix
        #: First in, first out: the database's pool would let whoever ran last run again.
        self.turns = asyncio.Semaphore(self.context.settings.max_concurrent_requests)
        self._count = 0
        #: The sockets of each person, by channel; most people have one.
        self._people: dict[bytes, tuple[Connection, ...]] = {}
        self._pending: dict[bytes, asyncio.Future[None]] = {}
        self._subscription: Subscription | None = None
        # Subscribing and unsubscribing go over the wire in the order in which people come and go.
        self._changes = asyncio.Lock()
        #: When the epoch was read, and what it was.
        self._epoch: tuple[float, str] | None = None
        self._reading = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        #: What was published last, and what it says: a message goes to each of its people in turn.
        self._last: tuple[bytes, live.Live, Outgoing] | None = None

    def __len__(self) -> int:
        return self._count

    @property
    def context(self) -> Context:
        return self._get_context()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Hub"]:
        """Keep the subscription and the presence of this instance's people up."""
        self.spawn(self._forever(self._listen))
        self.spawn(self._forever(self._keep_present))
        try:
            yield self
        finally:
            while self._tasks:  # a driver may swallow a cancellation
                for task in self._tasks:
                    task.cancel()
                await asyncio.wait(self._tasks, timeout=1)

    def spawn(self, work: Coroutine[Any, Any, object]) -> None:
        """Run something that outlives the call, and ends with the instance."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def answer(self, connection: Connection, text: str) -> None:
        """Serve a frame of a client."""
        await answering.answer(text, self.context, connection, self.turns)

    def lost(self, connection: Connection) -> None:
        """A socket is gone."""
        self.spawn(self._count_out(connection))

    async def _count_out(self, connection: Connection) -> None:
        await self.remove(connection)
        try:
            await service.leave(self.context, connection.id, by=connection.principal)
        except Exception as error:  # it runs out by itself
            log.warning("messaging.socket.not_counted_out", error=type(error).__name__)

    async def epoch(self) -> str:
        """The database's, read once a second at most: everybody who comes back at once must not crowd there."""
        async with self._reading:
            if self._epoch is None or clock.monotonic() - self._epoch[0] > EPOCH_S:
                self._epoch = clock.monotonic(), await service.epoch(self.context)
            return self._epoch[1]

    async def add(self, connection: Connection) -> None:
        """Deliver to this socket from now on: when it returns, nothing published later is missed.

        Raises:
            Unavailable: the subscription was not confirmed; the socket is not added.
        """
        channel = self._channel(connection)
        try:
            async with asyncio.timeout(SUBSCRIBE_S):
                async with self._changes:
                    others = self._people.get(channel, ())
                    self._people[channel] = (*others, connection)
                    self._count += 1
                    if not others:
                        self._pending[channel] = asyncio.get_running_loop().create_future()
                        if self._subscription is not None:  # else the listener subscribes everybody when it is back
                            self._subscription.subscribe(channel)
                    confirmed = self._pending.get(channel)
                if confirmed is not None:
                    await asyncio.shield(confirmed)
        except (TimeoutError, RedisError, OSError) as error:
            await self.remove(connection)
            raise Unavailable(retry_after_s=1) from error
        except BaseException:
            await self.remove(connection)
            raise

    def _channel(self, connection: Connection) -> bytes:
        return live.channel(self._prefix, connection.principal.user_id).encode()

    async def remove(self, connection: Connection) -> None:
        """Deliver no more to this socket. Never raises for Redis."""
        channel = self._channel(connection)
        async with self._changes:
            before = self._people.get(channel, ())
            sockets = tuple(one for one in before if one is not connection)
            self._count -= len(before) - len(sockets)
            if sockets or not before:
                if sockets:
                    self._people[channel] = sockets
                return
            del self._people[channel]
            if (pending := self._pending.pop(channel, None)) is not None:
                pending.cancel()
            if self._subscription is not None:
                self._subscription.unsubscribe(channel)

    async def _forever(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run again whatever ends it, later each time it fails at once."""
        backoff_s = 0.1
        while True:
            started = clock.monotonic()
            try:
                await work()
            except (RedisError, OSError) as error:
                log.warning("messaging.hub.interrupted", work=work.__name__, error=type(error).__name__)
            except Exception:
                log.exception("messaging.hub.failed", work=work.__name__)
            backoff_s = 0.1 if clock.monotonic() - started > 5 * MAX_BACKOFF_S else min(backoff_s * 2, MAX_BACKOFF_S)
            await asyncio.sleep(random.uniform(backoff_s / 2, backoff_s))  # noqa: S311  # jitter needs no secrecy

    async def _listen(self) -> None:
        # Redis unsubscribes whoever has no channel; this one is subscribed always and nobody publishes there.
        idle_channel = live.channel(self._prefix, "-").encode()
        async with subscription(self.context.redis, self._take) as found:
            try:
                async with self._changes:
                    found.subscribe(idle_channel, *self._people)
                    self._subscription = found
                await found.watch()
            finally:
                self._subscription = None

    def _take(self, push: Push) -> None:
        kind, channel = push[0], push[1] if len(push) > 1 else b""
        sockets = self._people.get(channel)
        if sockets is None:
            return
        if kind == b"message":
            self._deliver(push[2], sockets)
        elif kind == b"subscribe":
            pending = self._pending.pop(channel, None)
            if pending is not None and not pending.done():
                pending.set_result(None)
                return
            for socket in sockets:  # subscribed again: what was published in between is lost
                socket.put(_GAP)

    def _deliver(self, data: bytes, sockets: tuple[Connection, ...]) -> None:
        if self._last is None or self._last[0] != data:
            found = live.read(data, self.context.ring)
            if found is None:
                return
            outgoing = Outgoing(bytes(found.frame), found.conversation_id, found.sequence or 0)
            self._last = data, found, outgoing
        for socket in sockets:
            socket.deliver(self._last[1], self._last[2])

    async def _keep_present(self) -> None:
        while True:
            await asyncio.sleep(service.REFRESH_S)
            sockets = {found[0].principal.user_id: [one.id for one in found] for found in self._people.values()}
            if sockets:
                await service.refresh_presence(self.context, sockets)
            await service.expire_presence(self.context)
