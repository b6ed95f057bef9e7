"""The open sockets of this instance, and the one subscription to Redis that feeds them.

A message published while the subscription was down is lost to Redis, so every time a channel is subscribed anew
its person's sockets are told by a `gap` frame that they may have missed something.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import structlog
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from kelmah.contracts.messaging import GapFrame
from kelmah.kit import clock
from kelmah.kit.errors import Unavailable
from kelmah.kit.tasks import end
from kelmah.services.messaging import service
from kelmah.services.messaging.service import Context, live
from kelmah.services.messaging.socket.connection import Connection, Outgoing

log = structlog.get_logger(__name__)

#: Seconds of silence after which Redis is asked for a sign of life, and after which the connection is given up.
ASK_AFTER_S = 10
GIVE_UP_AFTER_S = 25
#: Seconds that a subscription may take to be confirmed.
SUBSCRIBE_S = 5
#: While an instance waits, its people get nothing live, and new sockets are refused.
MAX_BACKOFF_S = 2.0
_GAP = Outgoing(msgspec.json.encode(GapFrame()))


class Hub:
    """Made once an instance; `running` opens and closes it."""

    def __init__(self, context: Context) -> None:
        #: First in, first out: the database's pool would let whoever ran last run again.
        self.turns = asyncio.Semaphore(context.settings.max_concurrent_requests)
        self._context = context
        self._prefix = context.settings.redis_prefix
        self._people: defaultdict[str, dict[str, Connection]] = defaultdict(dict)
        self._by_channel: dict[str, str] = {}
        self._pending: dict[str, asyncio.Future[None]] = {}
        self._pubsub: PubSub | None = None
        # Subscribing and unsubscribing go over the wire in the order in which people come and go.
        self._changes = asyncio.Lock()

    def __len__(self) -> int:
        return sum(len(sockets) for sockets in self._people.values())

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Hub"]:
        """Keep the subscription and the presence of this instance's people up."""
        tasks = [
            asyncio.create_task(self._forever(self._listen)),
            asyncio.create_task(self._forever(self._keep_present)),
        ]
        try:
            yield self
        finally:
            await end(*tasks)

    async def add(self, connection: Connection) -> None:
        """Deliver to this socket from now on: when it returns, nothing published later is missed.

        Raises:
            Unavailable: the subscription was not confirmed; the socket is not added.
        """
        user_id = connection.principal.user_id
        try:
            async with asyncio.timeout(SUBSCRIBE_S):
                async with self._changes:
                    is_first = user_id not in self._people
                    self._people[user_id][connection.id] = connection
                    confirmed = self._subscribe(user_id) if is_first else self._pending.get(user_id)
                    if is_first:
                        await self._send_subscribe(user_id)
                if confirmed is not None:
                    await asyncio.shield(confirmed)
        except (TimeoutError, RedisError, OSError) as error:
            await self.remove(connection)
            raise Unavailable(retry_after_s=1) from error
        except BaseException:
            await self.remove(connection)
            raise

    def _subscribe(self, user_id: str) -> asyncio.Future[None]:
        self._by_channel[live.channel(self._prefix, user_id)] = user_id
        self._pending[user_id] = confirmed = asyncio.get_running_loop().create_future()
        return confirmed

    async def _send_subscribe(self, user_id: str) -> None:
        if self._pubsub is None:  # the listener subscribes everybody when it is back
            return
        await self._pubsub.subscribe(live.channel(self._prefix, user_id))

    async def remove(self, connection: Connection) -> None:
        """Deliver no more to this socket. Never raises for Redis."""
        user_id = connection.principal.user_id
        async with self._changes:
            sockets = self._people.get(user_id, {})
            sockets.pop(connection.id, None)
            if sockets or user_id not in self._people:
                return
            del self._people[user_id]
            channel = live.channel(self._prefix, user_id)
            self._by_channel.pop(channel, None)
            if (pending := self._pending.pop(user_id, None)) is not None:
                pending.cancel()
            if self._pubsub is not None:
                with suppress(RedisError, OSError):
                    await self._pubsub.unsubscribe(channel)

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
        idle_channel = live.channel(self._prefix, "-")
        async with self._context.redis.pubsub() as pubsub:
            try:
                async with self._changes:
                    await pubsub.subscribe(idle_channel, *self._by_channel)
                    self._pubsub = pubsub
                await self._read(pubsub)
            finally:
                self._pubsub = None

    async def _read(self, pubsub: PubSub) -> None:
        heard, asked = clock.monotonic(), False
        while True:
            message = await pubsub.get_message(timeout=ASK_AFTER_S)
            now = clock.monotonic()
            if message is not None:
                heard, asked = now, False
                self._take(message)
            elif now - heard > GIVE_UP_AFTER_S:
                raise ConnectionError("Redis is silent")
            elif not asked:
                asked = True
                await pubsub.ping("hub")

    def _take(self, message: dict[str, Any]) -> None:
        channel = message["channel"].decode() if isinstance(message["channel"], bytes) else message["channel"]
        user_id = self._by_channel.get(channel or "")
        if user_id is None:
            return
        sockets = list(self._people.get(user_id, {}).values())
        if message["type"] == "subscribe":
            pending = self._pending.pop(user_id, None)
            if pending is not None and not pending.done():
                pending.set_result(None)
                return
            for socket in sockets:  # subscribed again: what was published in between is lost
                socket.put(_GAP)
        elif message["type"] == "message" and (found := live.read(message["data"], self._context.ring)) is not None:
            for socket in sockets:
                socket.deliver(found)

    async def _keep_present(self) -> None:
        while True:
            await asyncio.sleep(service.REFRESH_S)
            sockets = {user_id: tuple(found) for user_id, found in self._people.items()}
            if sockets:
                await service.refresh_presence(self._context, sockets)
            await service.expire_presence(self._context)
