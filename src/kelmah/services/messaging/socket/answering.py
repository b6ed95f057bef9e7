"""Serves one frame of a client."""

import asyncio
import math
from contextlib import suppress

import msgspec
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
from kelmah.kit.context import current_principal, current_trace, trace_from
from kelmah.services.messaging import service
from kelmah.services.messaging.errors import BadFrame
from kelmah.services.messaging.service import Context
from kelmah.services.messaging.socket.connection import Connection

#: Seconds that serving one frame may take.
FRAME_S = 10
#: Seconds between two notes of a socket's activity.
ACTIVITY_S = 20

_decoder: msgspec.json.Decoder[ClientFrame] = msgspec.json.Decoder(ClientFrame)


async def answer(text: str, context: Context, connection: Connection, turns: asyncio.Semaphore) -> None:
    """Do what a frame asks for. What goes wrong with it is told, and the socket stays."""
    current_trace.set(trace_from(None, None, None))
    current_principal.set(connection.principal)
    client_id = None
    try:
        frame = _decode(text)
        client_id = frame.client_id if isinstance(frame, SendFrame) else None
        async with asyncio.timeout(FRAME_S), turns:
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
