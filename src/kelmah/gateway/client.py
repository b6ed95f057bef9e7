"""HTTP/1.1 to one instance of a service: connections that are kept, and answers read within bounds.

Our own rather than a library's because every request passes here, and this costs less than any client that we found
(docs/performance.md). It knows no redirects, cookies, proxies or compression, and wants none.
"""

import asyncio
import select
import ssl
from collections import deque
from typing import Protocol, cast
from urllib.parse import urlsplit

import httptools

from kelmah.gateway.incoming import Headers
from kelmah.kit import errors

#: Seconds to connect, and that an unused connection is kept: less than any server of ours keeps it.
CONNECT_S, KEEP_S = 1.0, 20.0
MAX_HEAD_BYTES = 65_536
#: Of an answer that is passed on slowly, what is read ahead before the service is made to wait.
HIGH_WATER_BYTES = 262_144


class NotReached(errors.Unavailable):
    """An instance did not take the connection, so nothing was sent to it."""


class ConnectionLost(errors.BadGateway):
    """The connection ended before the answer did. `is_stale`: it was an old one, and nothing at all came back."""

    is_stale = False


class Upload(Protocol):
    """A body that comes piece by piece; `is_read` when nothing is left of it."""

    is_read: bool

    async def next(self) -> bytes:
        """The next piece, or nothing at the end."""


class Connection(asyncio.Protocol):
    """One connection, one exchange at a time: `begin`, then `next` until the answer is over."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._late_at = 0.0
        self._room: asyncio.Future[None] | None = None
        self._upload: asyncio.Task[None] | None = None
        self._is_idle = True
        #: Whether it served before, and until when it may be used again.
        self.is_old, self.keep_until = False, 0.0
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.headers: Headers = []
        #: Whether the answer was read to its end.
        self.is_complete = False
        self._pieces: list[bytes] = []
        self._size = self._head_bytes = 0
        self._has_head = self._is_informational = self._is_reusable = self._ends_at_close = False
        self._failure: errors.KelmahError | None = None
        self._ahead = 0

    # What an exchange does

    async def begin(self, head: bytes, body: bytes | Upload, *, timeout_s: float, ahead: int) -> None:
        """Send a request; return when its answer is complete, or is longer than `ahead` bytes.

        Raises:
            GatewayTimeout: nothing came in time.
            BadGateway: what came was no answer, or broke off.
            KelmahError: what the body was refused with while it was read.
        """
        self._reset()
        self._is_idle = False
        self._ahead = ahead
        self._timeout_s = timeout_s
        if isinstance(body, bytes):
            self._transport.write(head + body)
        else:
            self._upload = self._loop.create_task(self._send(head, body))
            self._upload.add_done_callback(self._uploaded)
        await self._wait()
        self._ahead = 1

    async def next(self) -> bytes:
        """What came of the body since; `is_complete` says whether that was all.

        Raises:
            KelmahError: as `begin`.
        """
        if not self._pieces and not self.is_complete:
            await self._wait()
        return self.read()

    def read(self) -> bytes:
        """What came of the body and was not read yet."""
        content = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces = []
        if self._size > HIGH_WATER_BYTES:
            self._transport.resume_reading()
        self._size = 0
        return content

    def end(self) -> bool:
        """Let go of the exchange; whether another one may follow.

        A body that came in pieces is the last thing on its connection: a service may answer without having read it, and
        then closes.
        """
        is_good = self.is_complete and self._is_reusable and self._size <= HIGH_WATER_BYTES
        if self._upload is not None:
            self._upload.cancel()
            self._upload, is_good = None, False
        self._is_idle = self.is_old = True
        self.keep_until = self._loop.time() + KEEP_S
        return is_good and not self._transport.is_closing()

    def is_fit(self, *, surely: bool) -> bool:
        """Whether an idle connection still stands. `surely`: ask the kernel for news that were not told yet."""
        if self._transport.is_closing() or self._loop.time() > self.keep_until:
            return False
        if not surely:
            return True
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        """Close it at once."""
        self._transport.abort()

    async def _wait(self) -> None:
        if self._failure is None and not self._is_ready():
            self._waiter = self._loop.create_future()
            self._expect_by(self._loop.time() + self._timeout_s)
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._failure is not None and not self.is_complete:
            raise self._failure

    def _is_ready(self) -> bool:
        return self.is_complete or (self._has_head and self._size >= self._ahead)

    async def _send(self, head: bytes, body: Upload) -> None:
        """Send the head with the first piece, and the end with the last.

        A service that answers unread and closes would reset a connection on which more comes, and its answer be lost.
        """
        unsent, is_over = head, False
        while not is_over:
            piece = await body.next()
            is_over = body.is_read
            unsent += b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
            self._transport.write(unsent + b"0\r\n\r\n" if is_over else unsent)
            unsent = b""
            if self._room is not None:
                await self._room

    def _uploaded(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, errors.KelmahError):
            self._fail(error)

    def _expect_by(self, when: float) -> None:
        """Have `_check_time` look at or before then. One timer serves many waits: most end long before it is due."""
        self._late_at = when
        if self._timer is not None and self._timer.when() > when:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(when, self._check_time)

    def _check_time(self) -> None:
        self._timer = None
        if self._waiter is None:
            return
        if self._loop.time() >= self._late_at:
            self._fail(errors.GatewayTimeout())
        else:
            self._expect_by(self._late_at)

    def _fail(self, error: errors.KelmahError) -> None:
        self._failure = self._failure or error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What the transport and the parser tell

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._is_idle:  # nobody asked: whoever comes next must not take it for the answer
            self.close()
            return
        if not self._has_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._is_reusable = False
            self._fail(errors.BadGateway())
            return
        if not self._has_head and self._head_bytes > MAX_HEAD_BYTES:
            self._fail(errors.BadGateway())
        elif self._is_ready():
            self._wake()
        if self._size > HIGH_WATER_BYTES:
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        if self._has_head and self._ends_at_close and exc is None:
            self.is_complete = True
            self._wake()
            return
        error = ConnectionLost()
        error.is_stale = self.is_old and not self._head_bytes
        self._fail(error)

    def pause_writing(self) -> None:
        """The service reads slowly."""
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """It caught up."""
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    def on_message_begin(self) -> None:
        """The first byte of an answer; a second answer is nobody's."""
        if self.is_complete:
            raise httptools.HttpParserError("two answers to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; a trailer is dropped."""
        if not self._has_head:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is read."""
        status = self._parser.get_status_code()
        self._is_informational = status < 200
        if self._is_informational:
            self.headers = []
            return
        self.status = status
        self._has_head = True
        self._is_reusable = self._parser.should_keep_alive()
        named = dict(self.headers)
        self._ends_at_close = b"content-length" not in named and b"transfer-encoding" not in named

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._pieces.append(body)
        self._size += len(body)

    def on_message_complete(self) -> None:
        """The end of an answer."""
        if not self._is_informational:
            self.is_complete = True


class Pool:
    """The connections to one instance. As many are open as there are requests under way, which the edge bounds."""

    def __init__(self, url: str) -> None:
        """`url`: scheme, host and port."""
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._idle: deque[Connection] = deque()
        self._is_closed = False
        self.authority = parts.netloc.encode()

    async def take(self, *, surely: bool) -> Connection:
        """A connection that nobody uses, or a new one.

        Raises:
            NotReached: the instance takes none.
        """
        while self._idle:
            connection = self._idle.pop()
            if connection.is_fit(surely=surely):
                return connection
            connection.close()
        return await self.connect()

    async def connect(self) -> Connection:
        """A new connection.

        Raises:
            NotReached: the instance takes none.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S):
                _, connection = await loop.create_connection(Connection, self._host, self._port, ssl=self._tls)
        except (OSError, TimeoutError) as error:
            raise NotReached(retry_after_s=1) from error
        return connection

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next request if it is good for one. The longest unused is looked at meanwhile."""
        if connection.end() and not self._is_closed:
            self._idle.append(connection)
        else:
            connection.close()
        if self._idle and not self._idle[0].is_fit(surely=False):
            self._idle.popleft().close()

    def close(self) -> None:
        """Close what nobody uses, and from now on each connection when it was used."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()
