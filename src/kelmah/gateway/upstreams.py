"""How a request gets to an instance of a service: over HTTP, or in memory to an app of this process."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextvars import Context
from typing import Any, Protocol
from urllib.parse import unquote

import msgspec
from litestar.types import ASGIApp, Message

from kelmah.gateway.balancer import Balancer
from kelmah.gateway.client import ConnectionLost, Pool
from kelmah.gateway.errors import Overloaded
from kelmah.gateway.incoming import SAFE_METHODS, Body, Headers
from kelmah.kit import errors
from kelmah.kit.breaker import RetryBudget
from kelmah.kit.registry import Endpoint
from kelmah.kit.turns import Turns

#: Apps of this very process by service, for the platform in one process; empty when each has its own.
Apps = Mapping[str, ASGIApp]
#: An answer up to this size is read whole before it is passed on, so that a service dying meanwhile is a clean 502.
READ_AHEAD_BYTES = 65_536
#: Seconds that a request waits for a place at its service.
LINE_S = 2.0


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request as a service gets it. `body` is bytes, or comes piece by piece; `streams`: so does the answer.

    `timeout_s`: how long the service may leave us waiting, for its first byte and between any two.
    """

    method: str
    target: str
    headers: Headers
    body: bytes | Body
    streams: bool
    timeout_s: float


class Sink(Protocol):
    """Takes an answer as it comes."""

    async def start(self, status: int, headers: Headers, body: bytes | None = None) -> bool:
        """Take status and headers, and the body where it is all there; False: the rest is not wanted."""

    async def piece(self, content: bytes, *, last: bool) -> None:
        """Take a piece of the body."""


class Instance(Protocol):
    """One instance of a service; `version` is what it says that it runs."""

    name: str
    version: str

    async def send(self, call: Call, sink: Sink) -> None:
        """Send the call and hand the answer to the sink. What the sink raises ends it.

        Raises:
            NotReached: nothing was sent.
            GatewayTimeout: it took too long.
            BadGateway: there was no usable answer, or it broke off.
            KelmahError: what the client's own body was refused with.
        """


class HTTPInstance:
    """Over HTTP/1.1."""

    def __init__(self, url: str) -> None:
        self.name = url.rstrip("/")
        self.version = ""
        self._pool = Pool(self.name)

    async def send(self, call: Call, sink: Sink) -> None:
        """As `Instance`."""
        is_safe = call.method in SAFE_METHODS
        connection = await self._pool.take(surely=not is_safe)
        try:
            head, ahead = self._head(call), 0 if call.streams else READ_AHEAD_BYTES
            try:
                await connection.begin(head, call.body, timeout_s=call.timeout_s, ahead=ahead)
            except ConnectionLost as error:
                # The service closed the kept connection just then, and may have read the request or not.
                if not (error.is_stale and is_safe):
                    raise
                connection.close()
                connection = await self._pool.connect()
                await connection.begin(head, call.body, timeout_s=call.timeout_s, ahead=ahead)
            whole = connection.read() if connection.is_complete else None
            is_over = not await sink.start(connection.status, connection.headers, whole)
            while not is_over:
                piece = await connection.next()
                is_over = connection.is_complete
                await sink.piece(piece, last=is_over)
        finally:
            self._pool.give_back(connection)

    def _head(self, call: Call) -> bytes:
        lines = [
            f"{call.method} {call.target} HTTP/1.1".encode("ascii"),
            b"host: " + self._pool.authority,
            *map(b": ".join, call.headers),
        ]
        if isinstance(call.body, Body):
            lines.append(b"transfer-encoding: chunked")
        elif call.body or call.method not in SAFE_METHODS:
            lines.append(b"content-length: %d" % len(call.body))
        lines.append(b"\r\n")
        return b"\r\n".join(lines)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._pool.close()


class MemoryInstance:
    """In memory, to an app of this process, which runs in a context of its own as it would in its own process."""

    def __init__(self, name: str, app: ASGIApp) -> None:
        self.name = name
        self.version = ""
        self.app = app

    async def send(self, call: Call, sink: Sink) -> None:
        """As `Instance`."""
        deadline = asyncio.timeout(call.timeout_s)
        exchange = _Exchange(call, sink, deadline)
        scope: Any = memory_scope(call) | {"type": "http", "method": call.method}
        run: Coroutine[Any, Any, None] = self.app(scope, exchange.receive, exchange.send)  # type: ignore[assignment]  # it is one
        try:
            async with deadline:
                await asyncio.get_running_loop().create_task(run, context=Context())
        except TimeoutError as error:
            raise (errors.GatewayTimeout if deadline.expired() else errors.BadGateway) from error
        except Exception as error:
            raise errors.BadGateway from error
        finally:
            exchange.over.set()
        if exchange.upload_error is not None:
            raise exchange.upload_error
        if not exchange.is_complete:
            raise errors.BadGateway


class _Exchange:
    """The two ends that an app in memory talks to."""

    def __init__(self, call: Call, sink: Sink, deadline: asyncio.Timeout) -> None:
        self._body = call.body
        self._sink = sink
        self._deadline = deadline
        self._timeout_s = call.timeout_s
        self._is_given = False
        self._is_wanted = True
        self.is_complete = False
        self.over = asyncio.Event()

    @property
    def upload_error(self) -> errors.KelmahError | None:
        return self._body.error if isinstance(self._body, Body) else None

    async def receive(self) -> Any:
        if self._is_given:  # whoever asks again waits for the client to leave, which it does when it has its answer
            await self.over.wait()
            return {"type": "http.disconnect"}
        if isinstance(self._body, bytes):
            self._is_given = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        try:
            piece = await self._body.next()
        except errors.KelmahError:
            self._is_given = True
            self.over.set()
            return {"type": "http.disconnect"}
        self._is_given = self._body.is_read
        return {"type": "http.request", "body": piece, "more_body": not self._is_given}

    async def send(self, message: Message) -> None:
        if self.upload_error is not None:
            return  # the app's opinion of half a request does not count
        self._deadline.reschedule(None)  # the service is not blamed for a slow client
        if message["type"] == "http.response.start":
            self._is_wanted = await self._sink.start(
                message["status"], [(name.lower(), value) for name, value in message["headers"]]
            )
        elif message["type"] == "http.response.body":
            self.is_complete = not message.get("more_body", False)
            if self._is_wanted:
                await self._sink.piece(message.get("body", b""), last=self.is_complete)
            if self.is_complete:
                self.over.set()
        if not self._deadline.expired():
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._timeout_s)


def memory_scope(call: Call) -> dict[str, Any]:
    """The ASGI scope of a call in memory, but for its type and what belongs to that."""
    path, _, query = call.target.partition("?")
    return {
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(b"host", b"in-memory"), *call.headers, *_length(call.body)],
        "client": ("127.0.0.1", 0),
        "server": ("in-memory", 0),
        "state": {},
    }


def _length(body: bytes | Body) -> Headers:
    return [(b"content-length", str(len(body)).encode())] if isinstance(body, bytes) and body else []


class Service:
    """The instances of one service, which of them gets a call, and how many calls there may be at once."""

    def __init__(
        self, name: str, instances: Sequence[Instance] = (), *, zone: str = "", places: int = 128, line: int = 96
    ) -> None:
        """Make it; `places`: requests at once, `line`: that may wait for a place."""
        self.name = name
        self.places = Turns(places)
        self._line = line
        self.budget = RetryBudget()
        self.balancer = Balancer[Instance](instances, zone=zone)

    async def wait_for_place(self) -> None:
        """Wait in line for one of `places`, so that a service that is slow keeps the others' requests from nothing.

        Raises:
            Overloaded: too many wait, or it took too long.
        """
        if self.places.waiting >= self._line:
            raise Overloaded(retry_after_s=1)
        try:
            async with asyncio.timeout(LINE_S):
                await self.places.take()
        except TimeoutError as error:
            raise Overloaded(retry_after_s=1) from error

    def use(self, endpoints: Sequence[Endpoint]) -> None:
        """Send requests to these instances from now on. What is under way goes on as it began."""
        known = {member.instance.name: member.instance for member in self.balancer.members}
        members = []
        for one in endpoints:
            instance = known.get(one.url) or HTTPInstance(one.url)
            instance.version = one.version
            members.append((instance, one.weight, one.zone))
        went = self.balancer.replace(members)
        for instance in went:
            if isinstance(instance, HTTPInstance):
                instance.close()
