"""What the server itself refuses: heads without end, connections that say nothing, answers that nobody takes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from kelmah.gateway.server import MAX_OVERHEAD_BYTES, GuardedProtocol
from tests.integration.gateway.platform import Platform

GET = b"GET /api/v1/echo HTTP/1.1\r\nhost: x\r\n"
CHUNKED = b"POST /api/v1/echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(gateway: Platform) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    try:
        async with asyncio.timeout(15):
            yield reader, writer
    finally:
        writer.close()


async def answer_to(gateway: Platform, *pieces: bytes) -> bytes:
    """All that comes back until the server closes."""
    async with connected(gateway) as (reader, writer):
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads must come within a moment."""
    monkeypatch.setattr(GuardedProtocol, "head_s", 0.2)


@pytest.mark.parametrize(
    "endless",
    [
        b"x-a: " + b"b" * MAX_OVERHEAD_BYTES,
        b"x-a: b\r\n" * (MAX_OVERHEAD_BYTES // 8),
        b"transfer-encoding: chunked\r\n\r\n0;" + b"a" * MAX_OVERHEAD_BYTES,
        b"transfer-encoding: chunked\r\n\r\n0\r\nx-a: " + b"b" * MAX_OVERHEAD_BYTES,
    ],
)
async def test_a_message_may_not_go_on_for_ever(standing: Platform, endless: bytes) -> None:
    answer = await answer_to(standing, GET, endless)
    assert answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 ")), answer
    assert b"x-content-type-options: nosniff\r\n" in answer
    assert b"application/problem+json" in answer
    assert answer.count(b"HTTP/1.1") == 1


async def test_small_chunks_are_no_fault(standing: Platform) -> None:
    answer = await answer_to(standing, CHUNKED, b"1\r\nx\r\n" * 40_000 + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"x" * 40_000 in answer


async def test_trailers_are_no_headers(standing: Platform) -> None:
    answer = await answer_to(standing, CHUNKED + b"1\r\nx\r\n0\r\nx-late: yes\r\nauthorization: Bearer x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"x-late" not in answer


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("said", [b"", b"\r\n", b"GET", GET])
async def test_who_does_not_finish_a_head_is_cut(gateway: Platform, said: bytes) -> None:
    answer = await answer_to(gateway, said)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"gateway.slow_client" in answer


@pytest.mark.usefixtures("hurried")
async def test_a_byte_now_and_then_does_not_hold_a_connection(gateway: Platform) -> None:
    async with connected(gateway) as (reader, writer):

        async def trickle() -> None:
            for byte in GET * 1000:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.03)

        trickling = asyncio.create_task(trickle())
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
        trickling.cancel()


@pytest.mark.usefixtures("hurried")
async def test_a_refused_body_that_goes_on_is_cut(gateway: Platform) -> None:
    async with connected(gateway) as (reader, writer):
        writer.write(b"POST /api/v1/nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 404 ")
        for _ in range(1000):
            if reader.at_eof() or writer.is_closing():
                break
            writer.write(b"x")
            try:
                async with asyncio.timeout(0.03):
                    await reader.read(65_536)
            except TimeoutError:
                continue
            except ConnectionResetError:
                break
        else:
            pytest.fail("it went on")


@pytest.mark.usefixtures("hurried")
async def test_half_of_a_second_request_does_not_spoil_the_first_answer(gateway: Platform) -> None:
    async with connected(gateway) as (reader, writer):
        writer.write(b"GET /api/v1/download HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.write(b"GET /half")
        await asyncio.sleep(0.5)  # longer than a head may take
        gateway.behind.step.set()
        rest = await reader.read()
        assert rest.endswith(b"0\r\n\r\n")
        assert b"HTTP/1.1" not in rest


async def test_rubbish_after_a_request_is_not_answered_within_its_answer(gateway: Platform) -> None:
    async with connected(gateway) as (reader, writer):
        writer.write(b"GET /api/v1/download HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b"first\r\n")
        writer.write(b"\x00\x01 rubbish\r\n\r\n")
        assert await reader.read() == b""  # broken off, and nothing of it could be taken for more of the answer
