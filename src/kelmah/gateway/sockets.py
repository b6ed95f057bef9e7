"""Passes WebSockets on: the handshake signed, frames in both directions, close codes to the other side."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context
from typing import Any, NamedTuple

import structlog
from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientSession,
    ClientWebSocketResponse,
    ClientWSTimeout,
    WSMsgType,
    WSServerHandshakeError,
)
from litestar.types import Message, Receive, Send, WebSocketScope
from multidict import CIMultiDict
from yarl import URL

from kelmah.gateway.balancer import Ticket
from kelmah.gateway.client import NotReached
from kelmah.gateway.incoming import address_key
from kelmah.gateway.proxy import Keys, Request, signed_headers
from kelmah.gateway.upstreams import Call, Instance, MemoryInstance, Service, memory_scope
from kelmah.kit import errors, signing

log = structlog.get_logger(__name__)

#: Largest message in either direction.
MAX_MESSAGE_BYTES = 1_048_576
#: Seconds between pings to the service, and for it to answer a close.
HEARTBEAT_S, CLOSE_S = 30.0, 5.0
#: What the client is told when the service vanished (IANA: Bad Gateway) or a message was too large.
BAD_GATEWAY, TOO_LARGE = 1014, 1009
#: What it is told when its socket was idle, or is old: a new one may come at once.
GOING_AWAY, RESTART = 1001, 1012
_REFUSALS: dict[int, type[errors.KelmahError]] = {
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    429: errors.TooManyRequests,
    503: errors.Unavailable,
}


class SocketLimits(NamedTuple):
    """How many sockets there may be, and for how long.

    Attributes:
        sockets: open at once in this process.
        per_address: from one address (or /64).
        per_person: of one person who came with a token; tickets are the service's to count.
        idle_s: seconds without a frame in either direction, after which a socket is closed.
        lifetime_s: seconds after which any is.
    """

    sockets: int
    per_address: int
    per_person: int
    idle_s: float
    lifetime_s: float


class Timed:
    """The client's end of a socket, which is closed when nothing comes or goes, or when its time is over."""

    def __init__(self, receive: Receive, send: Send, *, idle_s: float, lifetime_s: float) -> None:
        self._receive = receive
        self._send = send
        self._now = asyncio.get_running_loop().time
        self._idle_s = idle_s
        self._last = self._now()
        self._ends = self._last + lifetime_s

    async def receive(self) -> Any:
        """What the client sends; that it left, when we sent it away."""
        while True:
            try:
                async with asyncio.timeout_at(min(self._ends, self._last + self._idle_s)):
                    message = await self._receive()
            except TimeoutError:
                now = self._now()
                if now >= self._ends:
                    return await self._close(RESTART, "come again")
                if now >= self._last + self._idle_s:
                    return await self._close(GOING_AWAY, "idle")
            else:
                self._last = self._now()
                return message

    async def send(self, message: Message) -> None:
        """Something for the client."""
        self._last = self._now()
        await self._send(message)

    async def _close(self, code: int, reason: str) -> Any:
        await self._send({"type": "websocket.close", "code": code, "reason": reason})
        return {"type": "websocket.disconnect", "code": code, "reason": reason}


class Sockets:
    """All WebSockets that run through this process."""

    def __init__(
        self,
        session: ClientSession,
        services: Mapping[str, Service],
        *,
        keys: Keys,
        limits: SocketLimits,
    ) -> None:
        self._session = session
        self._services = services
        self._keys = keys
        self._limits = limits
        self._count = 0
        self._open: Counter[tuple[str, str]] = Counter()

    async def forward(self, request: Request, scope: WebSocketScope, receive: Receive, send: Send) -> None:
        """Connect to the service, then accept (`websocket.connect` was received), then pass on until one side is done.

        Raises:
            KelmahError: the service or we refused before the client was accepted.
        """
        person = request.principal.user_id if request.principal else None
        key = person or request.address
        timed = Timed(receive, send, idle_s=self._limits.idle_s, lifetime_s=self._limits.lifetime_s)
        with self._place(person, address_key(request.address)):
            digest = signing.body_digest(b"")
            headers = signed_headers(request, self._keys, method="GET", digest=digest)
            call = Call(
                method="GET",
                target=request.target,
                headers=headers,
                body=b"",
                streams=True,
                timeout_s=request.route.timeout_s,
            )
            service = self._services[request.route.service]
            attempt = service.balancer.take(request.route.balance, key)
            if isinstance(attempt.instance, MemoryInstance):
                with attempt:
                    attempt.abandoned()  # there is no connection that could fail
                    await _in_memory(attempt.instance, call, scope, timed.receive, timed.send)
                return
            async with await self._reach(service, attempt, request, key, call, scope) as upstream:
                await _pass_on(upstream, timed.receive, timed.send)

    async def _reach(
        self,
        service: Service,
        attempt: Ticket[Instance],
        request: Request,
        key: str,
        call: Call,
        scope: WebSocketScope,
    ) -> ClientWebSocketResponse[bool]:
        """Connect to an instance. One that was not reached was sent nothing: then the next one may have it."""
        unreached: set[str] = set()
        while True:
            try:
                with attempt:
                    return await self._connect(attempt.instance, call, scope, request.route.timeout_s)
            except NotReached:
                unreached.add(attempt.instance.name)
                if len(unreached) >= len(service.balancer.members):
                    raise
            attempt = service.balancer.take(request.route.balance, key, without=unreached)

    @contextmanager
    def _place(self, person: str | None, address: str) -> Iterator[None]:
        if self._count >= self._limits.sockets:
            raise errors.Unavailable(retry_after_s=5)
        counted = [("address", address)]
        if self._open["address", address] >= self._limits.per_address:
            raise errors.TooManyRequests("Too many sockets are open from your address.", retry_after_s=5)
        if person is not None:
            counted.append(("person", person))
            if self._open["person", person] >= self._limits.per_person:
                raise errors.TooManyRequests("You have too many sockets open.", retry_after_s=5)
        self._count += 1
        self._open.update(counted)
        try:
            yield
        finally:
            self._count -= 1
            for one in counted:
                self._open[one] -= 1
                if not self._open[one]:
                    del self._open[one]

    async def _connect(
        self, instance: Instance, call: Call, scope: WebSocketScope, timeout_s: float
    ) -> ClientWebSocketResponse[bool]:
        url = URL("ws" + instance.name.removeprefix("http") + call.target, encoded=True)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._session.ws_connect(
                    url,
                    headers=CIMultiDict((name.decode(), value.decode()) for name, value in call.headers),
                    protocols=scope["subprotocols"],
                    heartbeat=HEARTBEAT_S,
                    max_msg_size=MAX_MESSAGE_BYTES + 1,  # aiohttp refuses what reaches it
                    timeout=ClientWSTimeout(ws_close=CLOSE_S),
                )
        except WSServerHandshakeError as error:
            raise _REFUSALS.get(error.status, errors.BadGateway) from error
        except TimeoutError as error:
            raise errors.GatewayTimeout from error
        except ClientConnectorError as error:
            raise NotReached(retry_after_s=1) from error
        except (ClientError, OSError) as error:
            raise errors.Unavailable(retry_after_s=1) from error


async def _in_memory(instance: MemoryInstance, call: Call, scope: WebSocketScope, receive: Receive, send: Send) -> None:
    inner: Any = memory_scope(call) | {"type": "websocket", "scheme": "ws", "subprotocols": list(scope["subprotocols"])}
    connected, accepted, refused = False, False, False

    async def first_connect() -> Any:
        nonlocal connected
        if connected:
            return await receive()
        connected = True
        return {"type": "websocket.connect"}

    async def watch(message: Message) -> None:
        nonlocal accepted, refused
        if message["type"] == "websocket.accept":
            accepted = True
        elif not accepted:  # a refused handshake: a server of its own would answer 403
            refused = True
            return
        await send(message)

    run: Any = instance.app(inner, first_connect, watch)
    await asyncio.get_running_loop().create_task(run, context=Context())
    if refused or not accepted:
        raise errors.Forbidden


async def _pass_on(upstream: ClientWebSocketResponse[bool], receive: Receive, send: Send) -> None:
    await send({"type": "websocket.accept", "subprotocol": upstream.protocol, "headers": []})
    to_service = asyncio.create_task(_to_service(upstream, receive))
    to_client = asyncio.create_task(_to_client(upstream, send))
    try:
        await asyncio.wait({to_service, to_client}, return_when=asyncio.FIRST_COMPLETED)
        if to_service.done() and (left := to_service.result()) is not None:
            await upstream.close(code=left[0], message=left[1].encode()[:123])
        elif (left := await to_client) is not None:
            to_service.cancel()  # granian sends no close while it is asked to receive
            await asyncio.wait({to_service})
            await send({"type": "websocket.close", "code": left[0], "reason": left[1]})
    finally:
        for task in (to_service, to_client):
            task.cancel()
        await asyncio.gather(to_service, to_client, return_exceptions=True)


async def _to_service(upstream: ClientWebSocketResponse[bool], receive: Receive) -> tuple[int, str] | None:
    """Until the client leaves: its code and reason; or None when the service cannot be written to any more."""
    while True:
        message: Any = await receive()
        if message["type"] == "websocket.disconnect":
            return _sendable(message.get("code"), 1001), message.get("reason") or ""
        text, data = message.get("text"), message.get("bytes")
        if len(text if text is not None else data) > MAX_MESSAGE_BYTES:
            return None
        try:
            if text is not None:
                await upstream.send_str(text)
            else:
                await upstream.send_bytes(data)
        except (ClientError, OSError):
            return None


async def _to_client(upstream: ClientWebSocketResponse[bool], send: Send) -> tuple[int, str] | None:
    """Until the service closes: its code and reason; or None when the client cannot be written to any more."""
    while True:
        message = await upstream.receive()
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            code = message.data if message.type is WSMsgType.CLOSE else upstream.close_code
            reason = message.extra if message.type is WSMsgType.CLOSE else ""
            return _sendable(code, BAD_GATEWAY), reason or ""
        text = message.type is WSMsgType.TEXT
        try:
            await send(
                {
                    "type": "websocket.send",
                    "text": message.data if text else None,
                    "bytes": None if text else message.data,
                }
            )
        except (OSError, RuntimeError):  # the servers differ in how they say that the client is gone
            return None


def _sendable(code: int | None, otherwise: int) -> int:
    """A code that may stand in a close frame (RFC 6455 §7.4)."""
    if code == 1005:  # closed without a code
        return 1000
    if code is not None and ((1000 <= code <= 1014 and code not in (1004, 1006)) or 3000 <= code <= 4999):
        return code
    return otherwise
