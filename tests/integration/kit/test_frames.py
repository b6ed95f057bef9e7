"""`kit.frames` beside the RFC: the gateway's cases, answered by a listener that sends back what it hears."""

import asyncio
import socket as sockets
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
import uvicorn

from kelmah.gateway.sockets import MAX_MESSAGE_BYTES
from kelmah.kit.frames import EXTENSION, Frames, FramesServer
from tests.integration.gateway.test_rfc6455 import (
    BINARY,
    CASES,
    CLOSE,
    TEXT,
    close,
    closed,
    comparable,
    connected,
    lines,
)
from tests.integration.gateway.test_rfc6455 import frame as client_frame

#: §5.4 lets a close stand between fragments, and it is answered as any other.
EXPECT = {"close within a message": [closed(1000)]}
#: This listener wants text only.
TEXTS = [name for name, case in CASES.items() if not any(one.opcode == BINARY for one in case.expect)]


class Echo:
    """Sends back what it hears."""

    open_now = 0

    def __init__(self) -> None:
        self.wire: Frames | None = None
        Echo.open_now += 1

    def on_text(self, text: str) -> None:
        assert self.wire is not None
        self.wire.write(text.encode())

    def on_binary(self) -> None:
        assert self.wire is not None
        self.wire.close(1003, "text only")

    def on_drained(self) -> None:
        return

    def on_lost(self) -> None:
        Echo.open_now -= 1


async def app(scope: Any, receive: Any, send: Any) -> None:
    assert (await receive())["type"] == "websocket.connect"
    if scope["query_string"] == b"no":
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    echo = Echo()
    echo.wire = scope["extensions"][EXTENSION]["adopt"](echo, max_bytes=MAX_MESSAGE_BYTES)


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Any]:
    with sockets.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, lifespan="off", ws=FramesServer, log_config=None, timeout_graceful_shutdown=2)
        running = uvicorn.Server(config)
        task = asyncio.create_task(running.serve(sockets=[listener]))
        while not running.started:  # noqa: ASYNC110  # it tells nobody
            await asyncio.sleep(0.01)
        yield SimpleNamespace(port=listener.getsockname()[1])
        running.should_exit = True
        await task
    assert Echo.open_now == 0


@pytest.mark.parametrize("name", TEXTS)
async def test_frames(server: Any, name: str) -> None:
    case = CASES[name]
    expect = EXPECT.get(name, case.expect)
    async with connected(server) as wire:
        assert (await wire.handshake(*lines({})))[0] == 101
        for data in case.send:
            wire.writer.write(data)
            await asyncio.sleep(0)
        found = [await wire.receive() for _ in expect]
        assert [comparable(one) for one in found] == [comparable(one) for one in expect]
        if expect[-1].opcode != CLOSE:
            wire.writer.write(close(1000))
            assert comparable(await wire.receive()) == (CLOSE, b"\x03\xe8")
        assert await wire.receive() is None


async def test_the_app_closes_and_the_client_answers(server: Any) -> None:
    async with connected(server) as wire:
        await wire.handshake(*lines({}))
        wire.writer.write(client_frame(BINARY, b"x"))
        assert comparable(await wire.receive()) == closed(1003)
        wire.writer.write(client_frame(TEXT, b"is not heard any more") + close(1003))
        assert await wire.receive() is None


async def test_pongs_do_not_pile_up_for_somebody_who_reads_nothing(server: Any) -> None:
    """The server goes on reading, and keeps at most what a full buffer holds."""
    pings = client_frame(9, b"p" * 125) * 1000
    async with connected(server) as wire:
        await wire.handshake(*lines({}))
        transport = cast("asyncio.Transport", wire.writer.transport)
        transport.pause_reading()
        for _ in range(60):  # 8 MB
            wire.writer.write(pings)
            await wire.writer.drain()
        wire.writer.write(close(1000))
        await wire.writer.drain()
        transport.resume_reading()
        count = 0
        while (found := await wire.receive()) is not None and found.opcode != CLOSE:
            count += 1
        assert count < 60_000


async def test_a_handshake_that_the_app_refuses(server: Any) -> None:
    async with connected(server) as wire:
        wire.writer.write(("\r\n".join(["GET /x?no HTTP/1.1", *lines({}), "", ""])).encode())
        assert b" 403 " in await wire.reader.readuntil(b"\r\n")
