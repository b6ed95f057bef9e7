"""A wire over any ASGI server, for those that leave no socket to us (`kit.frames`): all apps in one process."""

import asyncio
from typing import Any

from litestar import WebSocket
from litestar.exceptions import WebSocketDisconnect

from kelmah.kit.frames import CLOSE_S, TOO_BIG
from kelmah.services.messaging.socket.connection import Connection

#: Frames and the close frame; the close frame is the last.
_Item = bytes | tuple[int, str]


class AsgiWire:
    """A `kit.frames.Wire`: what is written is sent by a task, and the wire is full while that waits."""

    def __init__(self) -> None:
        self.is_full = False
        self.readable = asyncio.Event()
        self.readable.set()
        self._items: asyncio.Queue[_Item] = asyncio.Queue()
        self._is_closing = False

    def write(self, text: bytes) -> None:
        if not self._is_closing:
            self.is_full = True
            self._items.put_nowait(text)

    def close(self, code: int, reason: str) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._items.put_nowait((code, reason))

    def pause(self) -> None:
        self.readable.clear()

    def resume(self) -> None:
        self.readable.set()

    async def send_all(self, socket: WebSocket[Any, Any, Any], connection: Connection) -> None:
        """Until the socket is to be closed, which ends with its close frame."""
        while not isinstance(item := await self._items.get(), tuple):
            await socket.send({"type": "websocket.send", "text": item.decode(), "bytes": None})
            if self._items.empty():
                self.is_full = False
                connection.on_drained()
        async with asyncio.timeout(CLOSE_S):
            await socket.send({"type": "websocket.close", "code": item[0], "reason": item[1]})


async def serve(socket: WebSocket[Any, Any, Any], connection: Connection, *, max_bytes: int) -> None:
    """Read and write until the client goes, or the socket is to be closed."""
    wire = AsgiWire()
    tasks: list[asyncio.Task[None]] = []
    try:
        await socket.accept()
        connection.open(wire)
        tasks += [
            asyncio.create_task(wire.send_all(socket, connection)),
            asyncio.create_task(_read_all(socket, connection, wire, max_bytes)),
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        connection.on_lost()
    for result in results:
        # Servers raise their own subclass of OSError when they send to a client that has gone.
        if isinstance(result, Exception) and not isinstance(result, OSError | RuntimeError | WebSocketDisconnect):
            raise result


async def _read_all(socket: WebSocket[Any, Any, Any], connection: Connection, wire: AsgiWire, max_bytes: int) -> None:
    while True:
        await wire.readable.wait()
        message: Any = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        if (text := message.get("text")) is None:
            connection.on_binary()
        elif len(text.encode(errors="surrogatepass")) > max_bytes:
            connection.end(TOO_BIG, "the frame is too large")
        else:
            connection.on_text(text)
        if connection.ended is not None:
            await asyncio.sleep(CLOSE_S)  # the close frame is on its way
