"""Runs Lua scripts of whole numbers in Redis over one connection, pipelined: a fraction of what a client's call costs.

For what every request needs, such as its rate limit.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError

from kelmah.kit import clock
from kelmah.kit.redis import command, take_over

#: Calls that wait for their answer at most, and seconds after which the oldest shows that the connection hangs.
MAX_PENDING, STUCK_S = 1_024, 2.0
#: Bytes of an unfinished answer; those of our scripts are far smaller.
MAX_ANSWER_BYTES = 65_536

Reply = list[int]


class Scripts(asyncio.Protocol):
    """The connection; opened at the first call, and again at the first call after it was lost."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._opening = asyncio.Lock()
        self._writer: asyncio.StreamWriter | None = None
        self._pending: deque[tuple[asyncio.Future[Reply], float]] = deque()
        self._unsent: list[bytes] = []
        self._unread = b""
        self._watching: asyncio.TimerHandle | None = None

    async def run(self, script: "Script", keys: Sequence[str], arguments: Sequence[int | bytes]) -> Reply:
        """Run a script.

        Raises:
            redis.exceptions.RedisError: Redis cannot be reached, or did not like it.
        """
        parts = [key.encode() for key in keys] + [one if isinstance(one, bytes) else b"%d" % one for one in arguments]
        try:
            return await self._call(b"EVALSHA", script.digest, b"%d" % len(keys), *parts)
        except NoScriptError:
            return await self._call(b"EVAL", script.text, b"%d" % len(keys), *parts)

    def close(self) -> None:
        """Close the connection."""
        if self._watching is not None:
            self._watching.cancel()
        if self._writer is not None:
            self._writer.transport.abort()

    async def _call(self, *words: bytes) -> Reply:
        writer = self._writer or await self._open()
        if len(self._pending) >= MAX_PENDING:
            raise RedisConnectionError("too many calls wait")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Reply] = loop.create_future()
        self._pending.append((answer, clock.monotonic()))
        if self._watching is None:
            self._watching = loop.call_later(STUCK_S, self._watch, writer)
        if not self._unsent:
            loop.call_soon(self._send)
        self._unsent.append(command(*words))
        return await answer

    def _watch(self, writer: asyncio.StreamWriter) -> None:
        """Give a connection up that hangs; one timer serves for all calls."""
        self._watching = None
        if not self._pending:
            return
        left_s = self._pending[0][1] + STUCK_S - clock.monotonic()
        if left_s > 0:
            self._watching = asyncio.get_running_loop().call_later(left_s, self._watch, writer)
        else:
            writer.transport.abort()

    def _send(self) -> None:
        """Send the calls of one turn of the event loop together: a write costs as much as ten of them."""
        unsent, self._unsent = self._unsent, []
        if self._writer is not None:
            self._writer.write(b"".join(unsent))

    async def _open(self) -> asyncio.StreamWriter:
        async with self._opening:
            if self._writer is None:
                self._unread = b""
                self._writer = await take_over(self._redis, self)
            return self._writer

    def data_received(self, data: bytes) -> None:
        """Answers come in the order of the calls."""
        self._unread += data
        while self._unread and self._pending:
            try:
                reply, end = _parse(self._unread)
            except ValueError:
                self.close()
                return
            if end == 0:
                break
            self._unread = self._unread[end:]
            answer, _ = self._pending.popleft()
            if answer.done():  # whoever asked did not wait
                continue
            if isinstance(reply, list):
                answer.set_result(reply)
            else:
                answer.set_exception(reply)
        if len(self._unread) > MAX_ANSWER_BYTES:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits gets no answer."""
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        self._writer = None
        self._unsent = []
        while self._pending:
            answer, _ = self._pending.popleft()
            if not answer.done():
                answer.set_exception(RedisConnectionError("the connection was lost"))


class Script:
    """A script by its text; its answers are lists of whole numbers."""

    def __init__(self, text: str) -> None:
        self.text = text.encode()
        self.digest = hashlib.sha1(self.text, usedforsecurity=False).hexdigest().encode()


def _parse(data: bytes) -> tuple[Reply | ResponseError, int]:
    """One answer and where it ends; 0 if it is not all there.

    Raises:
        ValueError: it is no list of whole numbers, nor an error.
    """
    line, end, rest = data.partition(b"\r\n")
    if not end:
        return [], 0
    if line[:1] == b"-":
        kind = NoScriptError if line.startswith(b"-NOSCRIPT") else ResponseError
        return kind(line[1:].decode(errors="replace")), len(line) + 2
    if line[:1] != b"*":
        raise ValueError("no list")
    count = int(line[1:])
    lines = rest.split(b"\r\n", count)
    if len(lines) <= count:
        return [], 0
    if any(one[:1] != b":" for one in lines[:count]):
        raise ValueError("no whole numbers")
    return [int(one[1:]) for one in lines[:count]], len(data) - len(lines[count])
