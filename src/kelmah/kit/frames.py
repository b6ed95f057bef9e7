"""WebSockets that cost little while nothing happens: no task, no queue and no parser object each.

`FramesServer` is uvicorn's own protocol up to the end of the handshake. An app that finds `EXTENSION` in its scope may
then take the socket over: it is called back for what comes, and writes without waiting. RFC 6455 without extensions.
"""

import asyncio
import struct
from typing import Any, Final, Protocol

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

try:
    from websockets.speedups import apply_mask
except ImportError:  # not built here
    from websockets.utils import apply_mask

#: The key in a scope's `extensions`, below which `adopt` is found.
EXTENSION: Final = "kelmah.frames"
#: Seconds that the other side has to answer a close frame.
CLOSE_S = 5
MORE, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
NORMAL, PROTOCOL_ERROR, NO_CODE, BAD_DATA, TOO_BIG, RESTART = 1000, 1002, 1005, 1007, 1009, 1012
_FIN, _MASKED = 0x80, 0x80
_MAX_CONTROL_BYTES = 125


class Listener(Protocol):
    """Who is called back. None of these may wait or raise."""

    def on_text(self, text: str) -> None: ...

    def on_binary(self) -> None: ...

    def on_drained(self) -> None:
        """The wire is not full any more."""

    def on_lost(self) -> None:
        """The socket is gone, for whatever reason; called once, and last."""


class Wire(Protocol):
    """What a listener has in its hands."""

    #: Whether what is written now would only lie in memory.
    is_full: bool

    def write(self, text: bytes) -> None:
        """Send a text frame; where the wire is full or closed this is no error."""

    def close(self, code: int, reason: str) -> None:
        """Begin to close; nothing more is heard or sent."""

    def pause(self) -> None:
        """Read no more for now; what was read already still comes."""

    def resume(self) -> None: ...


class _Refused(Exception):
    """The other side broke the protocol."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Frames(asyncio.Protocol):
    """One open socket, at the server's end."""

    __slots__ = (
        "_buffer", "_connections", "_is_closing", "_listener", "_max_bytes", "_opcode", "_parts", "_transport",
        "is_full",
    )  # fmt: skip

    def __init__(self, transport: asyncio.Transport, listener: Listener, *, max_bytes: int, connections: set[Any]):
        self.is_full = False
        self._transport = transport
        self._listener = listener
        self._max_bytes = max_bytes
        self._connections = connections
        self._is_closing = False
        #: What came of a frame that is not whole.
        self._buffer: bytes | bytearray = b""
        #: Kind and beginning of a message whose end has not come.
        self._opcode = 0
        self._parts: bytearray | None = None
        connections.add(self)

    # What the app does.

    def write(self, text: bytes) -> None:
        if not self._is_closing:
            self._transport.write(_head(TEXT, len(text)) + text)

    def close(self, code: int, reason: str) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        payload = struct.pack("!H", code) + reason.encode()[: _MAX_CONTROL_BYTES - 2]
        if not self._transport.is_closing():
            self._transport.write(_head(CLOSE, len(payload)) + payload)
            self._transport.resume_reading()  # for the answer
            asyncio.get_running_loop().call_later(CLOSE_S, self._transport.abort)

    def pause(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    # What the event loop and uvicorn do.

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        self._listener.on_drained()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_closing = True
        self._connections.discard(self)
        self._listener.on_lost()

    def shutdown(self) -> None:
        self.close(RESTART, "")
        self._transport.close()

    def data_received(self, data: bytes | bytearray) -> None:
        if self._buffer:
            self._buffer += data
            data = self._buffer
        try:
            used = self._take_all(data)
        except _Refused as refused:
            self._buffer = b""
            self.close(refused.code, refused.reason)
            self._transport.close()
        else:
            if used or data is not self._buffer:  # a frame that comes byte by byte is not copied each time
                self._buffer = bytearray(data[used:]) if used < len(data) else b""

    def _take_all(self, data: bytes | bytearray) -> int:
        """Take every whole frame; how many bytes they were."""
        at, end = 0, len(data)
        while end - at >= 2:
            opcode, size, start = data[at], data[at + 1], at + 2
            if not size & _MASKED:
                raise _Refused(PROTOCOL_ERROR, "frames of a client are masked")
            size &= ~_MASKED
            is_control = opcode & 0x08
            if is_control and (size > _MAX_CONTROL_BYTES or not opcode & _FIN):
                raise _Refused(PROTOCOL_ERROR, "control frames are short and whole")
            if size > _MAX_CONTROL_BYTES:
                length = 2 if size == 126 else 8
                if end - start < length:
                    break
                size = int.from_bytes(data[start : start + length])
                start += length
            if not is_control and size + len(self._parts or b"") > self._max_bytes:
                raise _Refused(TOO_BIG, "the message is too large")
            if end - start < 4 + size:
                break
            payload = bytes(data[start + 4 : start + 4 + size])
            at = start + 4 + size
            self._take(opcode, apply_mask(payload, bytes(data[start : start + 4])))
        return at

    def _take(self, first: int, payload: bytes) -> None:
        opcode, is_last = first & 0x0F, bool(first & _FIN)
        if first & 0x70:
            raise _Refused(PROTOCOL_ERROR, "there are no extensions")
        if opcode == CLOSE:
            self._take_close(payload)
        elif self._is_closing or opcode == PONG:
            return
        elif opcode == PING:
            if not self.is_full:  # pongs must not pile up for somebody who does not read them
                self._transport.write(_head(PONG, len(payload)) + payload)
        elif opcode in (TEXT, BINARY) and self._parts is None:
            if is_last:
                self._tell(opcode, payload)
            else:
                self._opcode, self._parts = opcode, bytearray(payload)
        elif opcode == MORE and self._parts is not None:
            self._parts += payload
            if is_last:
                whole, self._parts = bytes(self._parts), None
                self._tell(self._opcode, whole)
        else:
            raise _Refused(PROTOCOL_ERROR, "the frame does not belong here")

    def _tell(self, opcode: int, payload: bytes) -> None:
        if opcode == BINARY:
            self._listener.on_binary()
            return
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            raise _Refused(BAD_DATA, "text is UTF-8") from None
        self._listener.on_text(text)

    def _take_close(self, payload: bytes) -> None:
        if len(payload) == 1:
            raise _Refused(PROTOCOL_ERROR, "half a close code")
        code = struct.unpack("!H", payload[:2])[0] if payload else NO_CODE
        if payload and not _may_be_sent(code):
            raise _Refused(PROTOCOL_ERROR, "no such close code")
        try:
            payload[2:].decode()
        except UnicodeDecodeError:
            raise _Refused(BAD_DATA, "reasons are UTF-8") from None
        if not self._is_closing:
            self._is_closing = True
            self._transport.write(_head(CLOSE, min(2, len(payload))) + payload[:2])
        self._transport.close()


def _head(opcode: int, size: int) -> bytes:
    if size < 126:
        return bytes((_FIN | opcode, size))
    if size < 65_536:
        return struct.pack("!BBH", _FIN | opcode, 126, size)
    return struct.pack("!BBQ", _FIN | opcode, 127, size)


def _may_be_sent(code: int) -> bool:
    """RFC 6455 §7.4: some codes are only for use within a program."""
    return (NORMAL <= code <= 1014 and code not in (1004, NO_CODE, 1006)) or 3000 <= code <= 4999


class _Nothing:
    """In place of a transport that has another protocol now."""

    def close(self) -> None:
        return


class FramesServer(WebSocketsSansIOProtocol):
    """uvicorn's protocol for a handshake, and for apps that want no more."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.conn.available_extensions = []  # whatever uvicorn is told: `Frames` knows none

    async def run_asgi(self) -> None:
        self.scope["extensions"][EXTENSION] = {"adopt": self._adopt}
        await super().run_asgi()

    def _adopt(self, listener: Listener, *, max_bytes: int) -> Frames:
        """Accept the handshake and leave the socket to a listener; the app is to return.

        Raises:
            OSError: the client has gone.
        """
        if self.disconnected or self.transport.is_closing():
            raise ClientDisconnected
        del self.response.headers["Date"]
        self.conn.send_response(self.response)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.handshake_complete = True
        self.connections.discard(self)
        frames = Frames(self.transport, listener, max_bytes=max_bytes, connections=self.connections)
        self.transport.set_protocol(frames)
        self.transport = _Nothing()  # type: ignore[assignment]  # uvicorn closes it when the app returns
        return frames
