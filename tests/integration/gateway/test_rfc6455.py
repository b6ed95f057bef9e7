"""RFC 6455 at the gateway, case by case, over raw sockets. Each message goes on to a service, which sends it back.

Frames are read by the `websockets` package. Where it differs from the RFC, the case says so.
"""

import asyncio
import base64
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest

from kelmah.gateway.sockets import MAX_MESSAGE_BYTES
from tests.integration.gateway.platform import Platform

MORE, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class Frame(NamedTuple):
    opcode: int
    payload: bytes


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True, length: bytes = b"",
    key: bytes = b"\x11\x22\x33\x44",
) -> bytes:  # fmt: skip
    """A client's frame; `length` in place of the right one says something else than the truth."""
    size = len(payload)
    short = size if size < 126 else 126 if size < 65_536 else 127
    extended = b"" if size < 126 else struct.pack("!H" if size < 65_536 else "!Q", size)
    head = bytes([fin << 7 | rsv << 4 | opcode]) + (length or bytes([masked << 7 | short]) + extended)
    if not masked:
        return head + payload
    mask = (key * (size // 4 + 1))[:size]
    return head + key + (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(size, "big")


def close(code: int | None, reason: bytes = b"") -> bytes:
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


def pieces(text: bytes, *sizes: int, opcode: int = TEXT) -> list[bytes]:
    """A message in fragments that end at these places."""
    ends = [*sizes, len(text)]
    found = []
    for number, (start, end) in enumerate(zip([0, *sizes], ends, strict=True)):
        found.append(frame(MORE if number else opcode, text[start:end], fin=number == len(sizes)))
    return found


def echo(text: str | bytes) -> Frame:
    return Frame(TEXT, text.encode()) if isinstance(text, str) else Frame(BINARY, text)


def closed(code: int) -> Frame:
    return Frame(CLOSE, struct.pack("!H", code))


def bytewise(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


class Case(NamedTuple):
    """What the client sends, write by write, and what comes back. A close frame is compared by its code."""

    send: Sequence[bytes]
    expect: Sequence[Frame]


LARGEST = b"x" * MAX_MESSAGE_BYTES
CASES: dict[str, Case] = {
    # §5.2: lengths
    "an empty text": Case([frame(TEXT)], [echo("")]),
    "125 bytes": Case([frame(TEXT, b"x" * 125)], [echo("x" * 125)]),
    "126 bytes, a length of 16 bits": Case([frame(TEXT, b"x" * 126)], [echo("x" * 126)]),
    "65,535 bytes": Case([frame(TEXT, b"x" * 65_535)], [echo("x" * 65_535)]),
    "65,536 bytes, a length of 64 bits": Case([frame(TEXT, b"x" * 65_536)], [echo("x" * 65_536)]),
    "the largest message": Case([frame(TEXT, LARGEST)], [echo(LARGEST.decode())]),
    "one byte above it": Case([frame(TEXT, LARGEST + b"x")], [closed(1009)]),
    "ten megabytes": Case([frame(TEXT, b"x" * 10_000_000)], [closed(1009)]),
    "a terabyte is announced": Case([frame(TEXT, length=b"\xff" + struct.pack("!Q", 2**40))], [closed(1009)]),
    "the highest bit of the length": Case([frame(TEXT, length=b"\xff" + struct.pack("!Q", 2**63))], [closed(1009)]),
    # §5.2 wants the shortest form; `websockets` takes any, which harms nobody.
    "a length in more bits than it needs": Case([frame(TEXT, b"hi", length=b"\xfe\x00\x02")], [echo("hi")]),
    "an empty binary message": Case([frame(BINARY)], [echo(b"")]),
    "all bytes": Case([frame(BINARY, bytes(range(256)))], [echo(bytes(range(256)))]),
    "a byte at a time": Case(bytewise(frame(TEXT, b"slowly")), [echo("slowly")]),
    "two messages in one write": Case([frame(TEXT, b"a") + frame(TEXT, b"b")], [echo("a"), echo("b")]),
    # §5.3: masking
    "a mask of zeros": Case([frame(TEXT, b"plain", key=bytes(4))], [echo("plain")]),
    "a text without a mask": Case([frame(TEXT, b"hi", masked=False)], [closed(1002)]),
    "a ping without a mask": Case([frame(PING, b"hi", masked=False)], [closed(1002)]),
    "a close without a mask": Case([frame(CLOSE, b"\x03\xe8", masked=False)], [closed(1002)]),
    # §5.4: fragments
    "two fragments": Case(pieces(b"hello", 2), [echo("hello")]),
    "an empty fragment between": Case(pieces(b"hello", 2, 2), [echo("hello")]),
    "nothing but empty fragments": Case(pieces(b"", 0, 0), [echo("")]),
    "a thousand fragments": Case([b"".join(pieces(b"x" * 1000, *range(1, 1000)))], [echo("x" * 1000)]),
    "binary fragments": Case(pieces(bytes(9), 3, opcode=BINARY), [echo(bytes(9))]),
    "a ping between fragments": Case(
        [frame(TEXT, b"he", fin=False), frame(PING, b"p"), frame(MORE, b"y")], [Frame(PONG, b"p"), echo("hey")]
    ),
    "fragments that are too large together": Case(pieces(LARGEST + b"x", 1_000_000), [closed(1009)]),
    "a continuation of nothing": Case([frame(MORE, b"x")], [closed(1002)]),
    "a message within another": Case([frame(TEXT, b"a", fin=False), frame(TEXT, b"b")], [closed(1002)]),
    # §5.5: control frames
    "an empty ping": Case([frame(PING)], [Frame(PONG, b"")]),
    "a ping of 125 bytes": Case([frame(PING, b"p" * 125)], [Frame(PONG, b"p" * 125)]),
    "a ping of bytes that are no text": Case([frame(PING, b"\xff\x00\xfe")], [Frame(PONG, b"\xff\x00\xfe")]),
    "a ping of 126 bytes": Case([frame(PING, b"p" * 126)], [closed(1002)]),
    "a ping in fragments": Case([frame(PING, b"p", fin=False)], [closed(1002)]),
    "ten pings": Case([frame(PING, b"%d" % one) for one in range(10)], [Frame(PONG, b"%d" % n) for n in range(10)]),
    "a pong that nobody asked for": Case([frame(PONG, b"?"), frame(TEXT, b"on")], [echo("on")]),
    "a pong of 126 bytes": Case([frame(PONG, b"p" * 126)], [closed(1002)]),
    # §5.2: reserved bits and opcodes
    **{f"reserved bit {bit}": Case([frame(TEXT, b"x", rsv=bit)], [closed(1002)]) for bit in (4, 2, 1)},
    "a reserved bit on a ping": Case([frame(PING, rsv=4)], [closed(1002)]),
    **{f"opcode {one}": Case([frame(one)], [closed(1002)]) for one in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    # §8.1: UTF-8
    "every length of UTF-8": Case([frame(TEXT, "aé€😀\U0010ffff\0".encode())], [echo("aé€😀\U0010ffff\0")]),
    "a character over two fragments": Case(pieces("€".encode(), 1), [echo("€")]),
    "a character over two fragments, a ping between": Case(
        [frame(TEXT, b"\xe2", fin=False), frame(PING), frame(MORE, b"\x82\xac")], [Frame(PONG, b""), echo("€")]
    ),
    **{
        name: Case([frame(TEXT, b"a" + text)], [closed(1007)])
        for name, text in {
            "a lone continuation byte": b"\x80",
            "an overlong slash": b"\xc0\xaf",
            "a surrogate": b"\xed\xa0\x80",
            "above U+10FFFF": b"\xf4\x90\x80\x80",
            "a byte that UTF-8 has not": b"\xff",
            "half a character at the end": b"\xe2\x82",
        }.items()
    },
    # The end of the message is waited for, where the RFC would allow to close at once.
    "bad UTF-8 in the second fragment": Case(pieces(b"ab\x80", 1), [closed(1007)]),
    # §5.5.1 and §7.4: closing
    **{
        f"close with {code}": Case([close(code)], [closed(code)])
        for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    },
    "close without a code": Case([close(None)], [Frame(CLOSE, b"")]),
    "close with a reason of 123 bytes": Case([close(1000, b"r" * 123)], [closed(1000)]),
    **{
        f"close with {code}, which may not be sent": Case([close(code)], [closed(1002)])
        for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535)
    },
    "close with half a code": Case([frame(CLOSE, b"\x03")], [closed(1002)]),
    "close with a reason of 124 bytes": Case([close(1000, b"r" * 124)], [closed(1002)]),
    "close with a reason that is no text": Case([close(1000, b"\xff")], [closed(1007)]),
    "close in fragments": Case([frame(CLOSE, b"\x03\xe8", fin=False)], [closed(1002)]),
    # §5.4 lets a close stand between fragments; `websockets` calls the message that is not whole an error.
    "close within a message": Case([frame(TEXT, b"a", fin=False), close(1000)], [closed(1002)]),
    "what comes after a close is not read": Case([close(1000) + frame(TEXT, b"late") + frame(3)], [closed(1000)]),
}  # fmt: skip


class Wire:
    """The client's end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def receive(self) -> Frame | None:
        """The next frame, or None at the end. The server's are never masked, and never in pieces here."""
        try:
            head = await self.reader.readexactly(2)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        assert head[0] & 0xF0 == 0x80, head
        size = head[1]
        if size >= 126:
            wide = size == 127
            (size,) = struct.unpack("!Q" if wide else "!H", await self.reader.readexactly(8 if wide else 2))
        return Frame(head[0] & 0x0F, await self.reader.readexactly(size))

    async def handshake(self, *lines: str, method: str = "GET", version: str = "1.1") -> tuple[int, dict[str, str]]:
        """Send a handshake of these header lines; the status and the headers of the answer."""
        request = [f"{method} /api/v1/ws HTTP/{version}", *lines, "", ""]
        self.writer.write("\r\n".join(request).encode())
        answer = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in answer[1:] if line)
        return int(answer[0].split(" ")[1]), headers


def comparable(frame: Frame | None) -> Frame | None:
    return frame._replace(payload=frame.payload[:2]) if frame is not None and frame.opcode == CLOSE else frame


GOOD = {
    "Host": "gateway", "Upgrade": "websocket", "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Version": "13",
}  # fmt: skip


def lines(changes: dict[str, str | None]) -> list[str]:
    return [f"{name}: {value}" for name, value in (GOOD | changes).items() if value is not None]


@asynccontextmanager
async def connected(gateway: Platform) -> AsyncIterator[Wire]:
    async with asyncio.timeout(20):
        wire = Wire(*await asyncio.open_connection("127.0.0.1", gateway.port))
        try:
            yield wire
        finally:
            wire.writer.transport.abort()


@pytest.mark.parametrize("name", CASES)
async def test_frames(standing: Platform, name: str) -> None:
    case = CASES[name]
    async with connected(standing) as wire:
        assert (await wire.handshake(*lines({})))[0] == 101
        hello = await wire.receive()
        assert hello is not None
        assert hello.opcode == TEXT
        for data in case.send:
            wire.writer.write(data)
            await asyncio.sleep(0)
        found = [await wire.receive() for _ in case.expect]
        assert [comparable(one) for one in found] == [comparable(one) for one in case.expect]
        if case.expect[-1].opcode != CLOSE:
            wire.writer.write(close(1000))
            assert comparable(await wire.receive()) == (CLOSE, b"\x03\xe8")
        assert await wire.receive() is None


HANDSHAKES: dict[str, tuple[dict[str, str | None], int]] = {
    "as the RFC shows it": ({}, 101),
    "names and values in other cases": ({"Upgrade": "WebSocket", "Connection": "keep-alive, UPGRADE"}, 101),
    "an extension that nobody has": ({"Sec-WebSocket-Extensions": "permessage-deflate, x-dream; a=1"}, 101),
    "a subprotocol that the service takes": ({"Sec-WebSocket-Protocol": "kelmah.v1"}, 101),
    "no key": ({"Sec-WebSocket-Key": None}, 400),
    "a key that is no base64": ({"Sec-WebSocket-Key": "!!!"}, 400),
    "a key of 15 bytes": ({"Sec-WebSocket-Key": base64.b64encode(bytes(15)).decode()}, 400),
    "an empty key": ({"Sec-WebSocket-Key": ""}, 400),
    "two keys": ({"Sec-WebSocket-Key": KEY, "sec-websocket-key": KEY}, 400),
    "no version": ({"Sec-WebSocket-Version": None}, 400),
    # §4.2.2 wants 426 and the version that is spoken; `websockets` says 400 for any fault of these headers.
    "version 8": ({"Sec-WebSocket-Version": "8"}, 400),
    "version 14": ({"Sec-WebSocket-Version": "14"}, 400),
    "two versions": ({"Sec-WebSocket-Version": "13", "sec-websocket-version": "13"}, 400),
    "no Upgrade": ({"Upgrade": None}, 426),
    "no Connection": ({"Connection": None}, 426),
    "another Upgrade": ({"Upgrade": "h2c"}, 426),
    "no Host": ({"Host": None}, 400),
    "another origin": ({"Origin": "https://evil.example"}, 403),
}


@pytest.mark.parametrize("name", HANDSHAKES)
async def test_handshakes(standing: Platform, name: str) -> None:
    changes, status = HANDSHAKES[name]
    async with connected(standing) as wire:
        found, headers = await wire.handshake(*lines(changes))
        assert found == status
        if status == 101:
            assert headers["upgrade"] == "websocket"
            assert headers["connection"] == "upgrade"
            assert headers["sec-websocket-accept"] == "s3pplmbitxaq9kygzzhzrbk+xoo="  # §1.3, in lower case
            assert headers.get("sec-websocket-protocol") == changes.get("Sec-WebSocket-Protocol")
            assert "sec-websocket-extensions" not in headers


@pytest.mark.parametrize(("method", "version"), [("POST", "1.1"), ("HEAD", "1.1"), ("GET", "1.0")])
async def test_only_get_and_http_1_1_open_a_socket(standing: Platform, method: str, version: str) -> None:
    async with connected(standing) as wire:
        status, _ = await wire.handshake(*lines({}), method=method, version=version)
        assert 400 <= status < 500
