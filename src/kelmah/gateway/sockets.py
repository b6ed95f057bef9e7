"""Passes WebSockets on: the handshake signed, frames in both directions, close codes to the other side."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context
from typing import Any

import structlog
from aiohttp import (
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

from kelmah.gateway.proxy import Keys, Request, signed_headers
from kelmah.gateway.upstreams import Call, HTTPInstance, MemoryInstance, Service, memory_scope
from kelmah.kit import errors, signing

log = structlog.get_logger(__name__)

#: Largest message in either direction.
MAX_MESSAGE_BYTES = 1_048_576
#: Seconds between pings to the service, and for it to answer a close.
HEARTBEAT_S, CLOSE_S = 30.0, 5.0
#: What the client is told when the service vanished (IANA: Bad Gateway) or a message was too large.
BAD_GATEWAY, TOO_LARGE = 1014, 1009
_REFUSALS: dict[int, type[errors.KelmahError]] = {
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    429: errors.TooManyRequests,
    503: errors.Unavailable,
}


class Sockets:
    """All WebSockets that run through this process."""

    def __init__(
        self,
        session: ClientSession,
        services: Mapping[str, Service],
        *,
        keys: Keys,
        max_sockets: int,
        max_per_address: int,
    ) -> None:
        self._session = session
        self._services = services
        self._keys = keys
        self._max_sockets = max_sockets
        self._max_per_address = max_per_address
        self._open: Counter[str] = Counter()

    async def forward(self, request: Request, scope: WebSocketScope, receive: Receive, send: Send, *, who: str) -> None:
        """Connect to the service, then accept (`websocket.connect` was received), then pass on until one side is done.

        Args:
            who: whose sockets are counted together.

        Raises:
            KelmahError: the service or we refused before the client was accepted.
        """
        with self._place(who):
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
            key = request.principal.user_id if request.principal else request.address
            attempt = self._services[request.route.service].balancer.take(request.route.balance, key)
            instance = attempt.instance
            if isinstance(instance, MemoryInstance):
                with attempt:
                    attempt.abandoned()  # there is no connection that could fail
                    await _in_memory(instance, call, scope, receive, send)
            elif isinstance(instance, HTTPInstance):
                with attempt:
                    upstream = await self._connect(instance, call, scope, request.route.timeout_s)
                async with upstream:
                    await _pass_on(upstream, receive, send)

    @contextmanager
    def _place(self, who: str) -> Iterator[None]:
        if self._open.total() >= self._max_sockets:
            raise errors.Unavailable(retry_after_s=5)
        if self._open[who] >= self._max_per_address:
            raise errors.TooManyRequests("Too many sockets are open from your address.", retry_after_s=5)
        self._open[who] += 1
        try:
            yield
        finally:
            self._open[who] -= 1
            if not self._open[who]:
                del self._open[who]

    async def _connect(
        self, instance: HTTPInstance, call: Call, scope: WebSocketScope, timeout_s: float
    ) -> ClientWebSocketResponse[bool]:
        url = URL("ws" + instance.url.removeprefix("http") + call.target, encoded=True)
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
