"""Serves one WebSocket from its handshake to its end: who it is, what the client may send, and when it is closed."""

import asyncio
import math
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
from litestar import WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect
from redis.exceptions import RedisError

from kelmah.contracts.messaging import (
    AckFrame,
    ActiveFrame,
    ClientFrame,
    ErrorFrame,
    NewMessage,
    PingFrame,
    PongFrame,
    ReadMark,
    ReadMarkFrame,
    ResumeFrame,
    SendFrame,
    TypingFrame,
)
from kelmah.kit import clock, errors, problem
from kelmah.kit.app import API_PREFIX
from kelmah.kit.context import current_trace, trace_from
from kelmah.kit.tasks import end
from kelmah.services.messaging import service
from kelmah.services.messaging.errors import BadFrame, OriginRefused, TooManyFrames
from kelmah.services.messaging.service import Context
from kelmah.services.messaging.settings import MessagingSettings
from kelmah.services.messaging.socket.connection import (
    INTERNAL_ERROR,
    POLICY_VIOLATION,
    SILENT,
    TOO_BIG,
    UNSUPPORTED_DATA,
    Connection,
    Ending,
)
from kelmah.services.messaging.socket.hub import Hub

log = structlog.get_logger(__name__)

#: Seconds that serving one frame may take.
FRAME_S = 10
#: Seconds that a socket has to take its close frame.
CLOSE_S = 5
#: Seconds between two notes of a socket's activity.
ACTIVITY_S = 20
#: Seconds' worth of frames that may come at once.
BURST_S = 3

_decoder: msgspec.json.Decoder[ClientFrame] = msgspec.json.Decoder(ClientFrame)


@websocket(f"{API_PREFIX}/ws", name="OpenSocket")
async def open_socket(socket: WebSocket[Any, Any, Any]) -> None:
    """Everything but the handshake is in `docs` as the messaging protocol."""
    context: Context = socket.app.state.context
    hub: Hub = socket.app.state.hub
    try:
        connection = await _admit(socket, context, hub)
    except Exception as error:
        await _refuse(socket, problem.translate(error))
        return
    try:
        await socket.accept()
        await _serve(socket, context, connection)
    finally:
        await hub.remove(connection)
        await _count_out(context, connection)


async def _admit(socket: WebSocket[Any, Any, Any], context: Context, hub: Hub) -> Connection:
    """The socket's person, counted and subscribed.

    Raises:
        KelmahError: and nothing of it is left.
    """
    _check_origin(socket.headers.get("origin"), context.settings)
    if len(hub) >= context.settings.max_sockets:
        raise errors.Unavailable(retry_after_s=5)
    principal = await service.redeem_ticket(context, socket.query_params.get("ticket", ""))
    connection = Connection(context, principal, await service.epoch(context), hub.turns)
    await hub.add(connection)
    try:
        await service.join(context, connection.id, by=principal)
    except BaseException:
        await hub.remove(connection)
        raise
    return connection


def _check_origin(origin: str | None, settings: MessagingSettings) -> None:
    """A browser always says where its page is from. Other clients may leave it out: their ticket is enough."""
    if origin is None:
        return
    public = urlsplit(settings.public_url)
    if origin not in (f"{public.scheme}://{public.netloc}", *settings.allowed_origins):
        raise OriginRefused


async def _refuse(socket: WebSocket[Any, Any, Any], error: errors.KelmahError) -> None:
    """Answer the handshake with a problem where the server can, else with its plain 403."""
    log.info("messaging.socket.refused", code=error.code)
    if "websocket.http.response" not in (socket.scope.get("extensions") or {}):
        await socket.close(code=POLICY_VIOLATION, reason=error.code)
        return

    async def send(message: Any) -> None:
        message["type"] = f"websocket.{message['type']}"
        await socket.send(message)

    await problem.respond(send, error, instance=socket.scope["path"])


async def _count_out(context: Context, connection: Connection) -> None:
    try:
        await service.leave(context, connection.id, by=connection.principal)
    except Exception as error:  # it runs out by itself
        log.warning("messaging.socket.not_counted_out", error=type(error).__name__)


async def _serve(socket: WebSocket[Any, Any, Any], context: Context, connection: Connection) -> None:
    """Read and write until the client goes, or somebody calls for an end."""

    async def send(frame: bytes) -> None:
        await socket.send({"type": "websocket.send", "text": frame.decode(), "bytes": None})

    reading = asyncio.create_task(_read_all(socket, context, connection))
    writing = asyncio.create_task(connection.send_all(send))
    ends: list[asyncio.Future[Any]] = [reading, writing, connection.ending]
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(reading, writing)
    for result in await asyncio.gather(reading, writing, return_exceptions=True):
        if isinstance(result, Exception) and not _is_disconnect(result):
            log.error("messaging.socket.failed", exc_info=result)
            connection.end(INTERNAL_ERROR, "something went wrong")
    if connection.ending.done():
        await _close(socket, connection.ending.result())


def _is_disconnect(error: Exception) -> bool:
    # Servers raise their own subclass of OSError when they send to a client that has gone; Litestar knows it at times.
    return isinstance(error, OSError | WebSocketDisconnect)


async def _close(socket: WebSocket[Any, Any, Any], ending: Ending) -> None:
    log.info("messaging.socket.closed", code=ending.code)
    try:
        async with asyncio.timeout(CLOSE_S):
            await socket.send({"type": "websocket.close", "code": ending.code, "reason": ending.reason})
    except (TimeoutError, OSError, RuntimeError):
        return  # the client has gone, or takes nothing


class _Pace:
    """A bucket of frames that fills evenly."""

    def __init__(self, frames_per_s: int) -> None:
        self._rate = frames_per_s
        self._left = float(frames_per_s * BURST_S)
        self._at = clock.monotonic()

    def take(self) -> bool:
        now = clock.monotonic()
        self._left = min(self._left + (now - self._at) * self._rate, float(self._rate * BURST_S))
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


async def _read_all(socket: WebSocket[Any, Any, Any], context: Context, connection: Connection) -> None:
    pace = _Pace(context.settings.socket_frames_per_s)
    while not connection.ending.done():
        try:
            async with asyncio.timeout(2 * context.settings.socket_heartbeat_s):
                message = await socket.receive()
        except TimeoutError:
            connection.end(SILENT, "no ping came")
            return
        if message["type"] == "websocket.disconnect":
            return
        await _take(message, context, connection, pace)


async def _take(message: Any, context: Context, connection: Connection, pace: _Pace) -> None:
    text = message.get("text")
    if text is None:
        connection.end(UNSUPPORTED_DATA, "frames are text")
    elif not pace.take():
        connection.end(POLICY_VIOLATION, TooManyFrames.code)
    elif len(text) > context.settings.socket_max_frame_bytes or (
        len(text.encode(errors="surrogatepass")) > context.settings.socket_max_frame_bytes
    ):
        connection.end(TOO_BIG, "the frame is too large")
    else:
        current_trace.set(trace_from(None, None, None))
        await _answer(text, context, connection)


async def _answer(text: str, context: Context, connection: Connection) -> None:
    """Serve one frame. What goes wrong with it is told, and the socket stays."""
    client_id = None
    try:
        frame = _decode(text)
        client_id = frame.client_id if isinstance(frame, SendFrame) else None
        async with asyncio.timeout(FRAME_S), connection.turns:
            await _act(frame, context, connection)
    except Exception as error:
        connection.answer(_error_frame(problem.translate(error), client_id))


def _decode(text: str) -> ClientFrame:
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise BadFrame(str(error)) from None


def _error_frame(error: errors.KelmahError, client_id: str | None) -> ErrorFrame:
    return ErrorFrame(
        code=error.code,
        detail=error.message if error.status_code < 500 else None,
        client_id=client_id,
        retry_after_s=None if error.retry_after_s is None else math.ceil(error.retry_after_s),
        errors=error.errors,
    )


async def _note_activity(context: Context, connection: Connection) -> None:
    """Now and then, and never at the cost of what the person does."""
    if clock.monotonic() - connection.noted_at < ACTIVITY_S:
        return
    connection.noted_at = clock.monotonic()
    with suppress(RedisError):
        await service.note_activity(context, by=connection.principal)


async def _act(frame: ClientFrame, context: Context, connection: Connection) -> None:
    by = connection.principal
    if isinstance(frame, SendFrame | ReadMarkFrame | TypingFrame | ActiveFrame):
        await _note_activity(context, connection)
    match frame:
        case ActiveFrame():
            pass
        case PingFrame():
            connection.answer(PongFrame(server_time=clock.now()))
        case SendFrame():
            new = NewMessage(
                client_id=frame.client_id,
                text=frame.text,
                attachment_ids=frame.attachment_ids,
                reply_to=frame.reply_to,
            )
            view, _ = await service.send_message(context, frame.conversation_id, new, by=by)
            connection.answer(AckFrame(client_id=frame.client_id, message=view))
        case ReadMarkFrame():
            await service.mark_read(context, frame.conversation_id, ReadMark(up_to=frame.up_to), by=by)
        case TypingFrame():
            await service.note_typing(context, frame.conversation_id, by=by)
        case ResumeFrame():
            connection.put(frame)
