"""One connection to Redis that is subscribed to many channels, and takes all that has come at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from redis.asyncio import Redis

from kelmah.kit import clock
from kelmah.kit.redis import command, take_over

#: Seconds of silence after which Redis is asked for a sign of life, and after which the connection is given up.
ASK_AFTER_S, GIVE_UP_AFTER_S = 10, 25
_ARRAYS: Final = b"*>"
_LINES: Final = b"+-"

#: What comes: kind, channel, and content or a count.
Push = tuple[bytes, ...]


class Subscription(asyncio.Protocol):
    """Made by `subscription`."""

    def __init__(self, on_push: Callable[[Push], None]) -> None:
        self._on_push = on_push
        self._writer: asyncio.StreamWriter | None = None
        self._held = b""
        self._heard_at = clock.monotonic()
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self, redis: Redis) -> None:
        self._writer = await take_over(redis, self)

    def close(self) -> None:
        self._lost.cancel()
        if self._writer is not None:
            self._writer.transport.abort()

    def subscribe(self, *channels: bytes) -> None:
        """Each is confirmed by a push. What is said to a lost connection is lost."""
        self._say(b"SUBSCRIBE", *channels)

    def unsubscribe(self, *channels: bytes) -> None:
        self._say(b"UNSUBSCRIBE", *channels)

    def _say(self, *words: bytes) -> None:
        if self._writer is not None and not self._lost.done():
            self._writer.write(command(*words))

    async def watch(self) -> None:
        """See that it lives, for as long as it does.

        Raises:
            Exception: what ended it.
        """
        while True:
            silent_s = clock.monotonic() - self._heard_at
            if silent_s > GIVE_UP_AFTER_S:
                raise ConnectionError("Redis is silent")
            if silent_s >= ASK_AFTER_S:
                self._say(b"PING")
            await asyncio.wait([self._lost], timeout=ASK_AFTER_S)
            if self._lost.done():
                self._lost.result()

    def data_received(self, data: bytes) -> None:
        self._heard_at = clock.monotonic()
        data = self._held + data
        try:
            pushes, at = parse(data)
            self._held = data[at:]
            for push in pushes:
                self._on_push(push)
        except Exception as error:
            self.connection_lost(error)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._lost.done():
            self._lost.set_exception(exc or ConnectionError("Redis closed the subscription"))


@asynccontextmanager
async def subscription(redis: Redis, on_push: Callable[[Push], None]) -> AsyncIterator[Subscription]:
    """A connection of its own; `on_push` is called for all that comes.

    Raises:
        redis.exceptions.RedisError: Redis cannot be reached.
    """
    found = Subscription(on_push)
    try:
        await found.open(redis)
        yield found
    finally:
        found.close()


def parse(data: bytes) -> tuple[list[Push], int]:
    """The whole answers at the beginning of what was read, and where they end.

    Raises:
        ConnectionError: Redis refused a command.
    """
    found: list[Push] = []
    at = 0
    while (one := _parse_one(data, at)) is not None:
        push, at = one
        found.append(push)
    return found, at


def _parse_one(data: bytes, at: int) -> tuple[Push, int] | None:
    end = data.find(b"\r\n", at)
    if end < 0:
        return None
    if data[at] in _LINES:
        if data.startswith(b"-", at):
            raise ConnectionError(data[at + 1 : end].decode(errors="replace"))
        return (data[at + 1 : end].lower(),), end + 2
    if data[at] not in _ARRAYS:
        raise ConnectionError("Redis answers in a way that is not known here")
    parts = []
    count, at = int(data[at + 1 : end]), end + 2
    for _ in range(count):
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        value = data[at + 1 : end]
        if data.startswith(b"$", at):
            start, stop = end + 2, end + 2 + int(value)
            if len(data) < stop + 2:
                return None
            value, end = data[start:stop], stop
        parts.append(value)
        at = end + 2
    return tuple(parts), at
