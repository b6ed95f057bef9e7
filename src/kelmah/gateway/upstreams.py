"""How a request gets to an instance of a service: over HTTP, or in memory to an app of this process."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote

from litestar.types import ASGIApp, Message
from pyreqwest.client import Client
from pyreqwest.exceptions import ConnectError, ConnectTimeoutError, PoolTimeoutError, RequestError, RequestTimeoutError

from kelmah.gateway.balancer import Balancer
from kelmah.gateway.incoming import Body, Headers
from kelmah.kit import errors
from kelmah.kit.breaker import RetryBudget

#: Apps of this very process by service, for the platform in one process; empty when each has its own.
Apps = Mapping[str, ASGIApp]
#: An answer up to this size is read whole before it is passed on, so that a service dying meanwhile is a clean 502.
READ_AHEAD_BYTES = 65_536


class NotReached(errors.Unavailable):
    """An instance did not take the connection, so nothing was sent to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as a service gets it. `body` is bytes, or comes piece by piece; `streams`: so does the answer."""

    method: str
    target: str
    headers: Headers
    body: bytes | Body
    streams: bool


class Sink(Protocol):
    """Takes an answer as it comes."""

    async def start(self, status: int, headers: Headers) -> bool:
        """Take status and headers; False: the rest is not wanted."""

    async def piece(self, content: bytes, *, last: bool) -> None:
        """Take a piece of the body."""


class Instance(Protocol):
    """One instance of a service."""

    name: str

    async def send(self, call: Call, sink: Sink) -> None:
        """Send the call and hand the answer to the sink.

        Raises:
            NotReached: nothing was sent.
            GatewayTimeout: it took too long.
            BadGateway: there was no usable answer, or it broke off.
            KelmahError: what the client's own body was refused with.
        """


class HTTPInstance:
    """Over HTTP/1.1."""

    def __init__(self, client: Client, url: str) -> None:
        self._client = client
        self.url = url.rstrip("/")
        self.name = self.url

    async def send(self, call: Call, sink: Sink) -> None:
        """As `Instance`."""
        request = self._client.request(call.method, self.url + call.target).headers(
            [(name.decode("ascii"), value.decode("ascii")) for name, value in call.headers]
        )
        if isinstance(call.body, Body):
            request = request.body_stream(_pieces(call.body))
        elif call.body:
            request = request.body_bytes(call.body)
        request = request.streamed_read_buffer_limit(0 if call.streams else READ_AHEAD_BYTES)
        try:
            async with request.build_streamed() as response:
                headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.headers.items()]
                if not await sink.start(response.status, headers):
                    return
                reader = response.body_reader
                while (piece := await reader.read_chunk()) is not None:
                    await sink.piece(piece.to_bytes(), last=False)
                await sink.piece(b"", last=True)
        except (ConnectError, ConnectTimeoutError, PoolTimeoutError) as error:
            raise NotReached(retry_after_s=1) from error
        except RequestTimeoutError as error:
            raise errors.GatewayTimeout from error
        except (RequestError, ValueError) as error:  # ValueError: a header that is no text
            if isinstance(call.body, Body) and call.body.error is not None:
                raise call.body.error from error
            raise errors.BadGateway from error


async def _pieces(body: Body) -> AsyncIterator[bytes]:
    while piece := await body.next():
        yield piece


class MemoryInstance:
    """In memory, to an app of this process, which runs in a context of its own as it would in its own process."""

    def __init__(self, name: str, app: ASGIApp) -> None:
        self.name = name
        self.app = app

    async def send(self, call: Call, sink: Sink) -> None:
        """As `Instance`."""
        exchange = _Exchange(call.body, sink)
        scope: Any = memory_scope(call) | {"type": "http", "method": call.method}
        run: Coroutine[Any, Any, None] = self.app(scope, exchange.receive, exchange.send)  # type: ignore[assignment]  # it is one
        try:
            await asyncio.get_running_loop().create_task(run, context=Context())
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

    def __init__(self, body: bytes | Body, sink: Sink) -> None:
        self._body = body
        self._sink = sink
        self._is_given = False
        self._is_wanted = True
        self.is_complete = False
        self.over = asyncio.Event()

    @property
    def upload_error(self) -> errors.KelmahError | None:
        return self._body.error if isinstance(self._body, Body) else None

    async def receive(self) -> Any:
        if self._is_given:  # whoever asks again waits for the client to leave, which it does when all is over
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
        if message["type"] == "http.response.start":
            self._is_wanted = await self._sink.start(message["status"], list(message["headers"]))
        elif message["type"] == "http.response.body":
            self.is_complete = not message.get("more_body", False)
            if self._is_wanted:
                await self._sink.piece(message.get("body", b""), last=self.is_complete)


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
    """The instances of one service, and which of them gets a call."""

    def __init__(self, name: str, instances: Sequence[Instance]) -> None:
        self.name = name
        self.budget = RetryBudget()
        self.balancer = Balancer[Instance](instances)
