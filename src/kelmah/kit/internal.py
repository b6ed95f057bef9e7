"""The door of every service: only signed calls from our own processes come in, with a bounded body."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPReceiveMessage, Message, Receive, Scope, Send, WebSocketReceiveMessage
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import RedisError

from kelmah.kit import errors, problem, signing
from kelmah.kit.context import Origin, current_origin, current_principal, current_system

log = structlog.get_logger(__name__)

#: Open to whoever reaches the port; the network keeps outsiders away from it.
OPEN_PATHS = frozenset({"/livez", "/readyz", "/metrics"})
#: Bytes and seconds of an upload that are still read when it is refused; as many as the largest upload has.
MAX_UNREAD_BYTES, READ_OUT_S = 33_554_432, 5
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class SignedCalls:
    """An ASGI app that passes on what carries a good signature and refuses the rest."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: str,
        keys: Mapping[str, Sequence[SecretStr]],
        redis: Redis,
        prefix: str,
        max_body_bytes: int,
    ) -> None:
        self._app = app
        self._service = service
        self._keys = keys
        self._redis = redis
        self._nonces = f"{prefix}:{service}:nonce:"
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        if scope["type"] == ScopeType.HTTP:
            receive, send = _reading_out(receive, send)
        try:
            receive = await self._admit(scope, receive)
        except errors.KelmahError as error:
            if scope["type"] == ScopeType.WEBSOCKET:
                await send({"type": "websocket.close", "code": 4401, "reason": error.code})  # before accept: HTTP 403
            else:
                await problem.respond(send, error, instance=scope["path"])
            return
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope, receive: Receive) -> Receive:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        signature = headers.get(signing.SIGNATURE_HEADER.encode(), "")
        body: bytes | None = b""
        if scope["type"] == ScopeType.HTTP:
            if int(headers.get(b"content-length", "0")) > self._max_body_bytes:
                raise errors.PayloadTooLarge(f"At most {self._max_body_bytes} bytes are taken.")
            streamed = f",{signing.UNSIGNED_BODY}," in signature
            body = None if streamed else await self._read(receive)
        method = scope["method"] if scope["type"] == ScopeType.HTTP else "GET"
        target = scope["raw_path"].split(b"?")[0].decode("latin-1")
        if query := scope["query_string"]:
            target += "?" + query.decode("latin-1")
        call = signing.verify(
            callee=self._service,
            method=method,
            target=target,
            body=body,
            signature=signature,
            identity=headers.get(signing.IDENTITY_HEADER.encode(), ""),
            keys=self._keys,
        )
        if method not in _SAFE_METHODS:
            await self._refuse_replay(call.nonce)
        scope.setdefault("state", {}).update(caller=call.caller, body_signed=call.body_signed, body=body)
        current_principal.set(call.principal)
        # Only the gateway sees who calls from outside.
        from_edge = call.caller == "gateway"
        if not from_edge and call.principal is None and current_system.get() is None:
            current_system.set(f"system:{call.caller}")
        current_origin.set(Origin(headers.get(b"x-forwarded-for"), headers.get(b"user-agent")) if from_edge else None)
        return receive if body is None or scope["type"] == ScopeType.WEBSOCKET else _replaying(body, receive)

    async def _read(self, receive: Receive) -> bytes:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise errors.BadInput("The request ended before its body did.")
            body += message["body"]
            if len(body) > self._max_body_bytes:
                raise errors.PayloadTooLarge(f"At most {self._max_body_bytes} bytes are taken.")
            if not message["more_body"]:
                return bytes(body)

    async def _refuse_replay(self, nonce: str) -> None:
        """A signature serves once. A replayed read changes nothing, so reads do not pay for this."""
        try:
            fresh = await self._redis.set(self._nonces + nonce, b"", nx=True, ex=2 * signing.MAX_AGE_S)
        except RedisError as error:
            # The network and the clock still bound replays; refusing all writes would be the larger harm.
            log.warning("internal.nonces_unavailable", error=type(error).__name__)
            return
        if not fresh:
            raise signing.SignatureRefused


def _reading_out(receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Read what was left of a body before its answer begins, up to `MAX_UNREAD_BYTES` and `READ_OUT_S`.

    A server that closes with bytes unread resets the connection, and their sender may lose the answer (RFC 9112 §9.6).
    """
    is_over = False

    async def reading() -> HTTPReceiveMessage | WebSocketReceiveMessage:
        nonlocal is_over
        message = await receive()
        is_over = message["type"] != "http.request" or not message["more_body"]
        return message

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start" and not is_over:
            left = MAX_UNREAD_BYTES
            with suppress(TimeoutError):
                async with asyncio.timeout(READ_OUT_S):
                    while left > 0 and not is_over:
                        unread = await reading()
                        left -= len(unread["body"]) if unread["type"] == "http.request" else 0
        await send(message)

    return reading, sending


def _replaying(body: bytes, receive: Receive) -> Receive:
    """A `receive` that first gives the body that was read, then whatever comes (the disconnect)."""
    given = False

    async def replay() -> HTTPReceiveMessage | WebSocketReceiveMessage:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
