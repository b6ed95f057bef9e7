"""The far end of many sockets: opens them, publishes or sends messages, and times how they arrive.

`python -m tests.bench.sockets.load` reads one JSON command a line and prints one JSON answer a line. Frames are
written and read by hand: what this process costs is not what is measured. A text that begins with `@@` and 19 letters
says when it was sent.
"""

import asyncio
import base64
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, cast
from urllib.parse import urlsplit

import aiohttp
import msgspec
import uvloop
from tests.bench.processes import hs256
from tests.fixtures.service import KEY

from kelmah.contracts.common import Role
from kelmah.contracts.messaging import MessageFrame, MessageView
from kelmah.kit import clock, signing
from kelmah.kit.context import Principal
from kelmah.kit.crypto import KeyRing
from kelmah.kit.ids import new_id
from kelmah.kit.redis import command
from kelmah.services.messaging.service import live

#: Handshakes that are under way at once.
OPENING = 50
#: Seconds that what is under way has to arrive when nothing is sent any more.
LATE_S = 10.0
#: Seconds between two heartbeats of a socket, and parts that all sockets are split into for it.
BEAT_S, BEATS = 20.0, 200
DIGITS, LETTERS = str.maketrans("abcdefghij", "0123456789"), str.maketrans("0123456789", "abcdefghij")
WORDS = "The tiles for the kitchen have come; shall I bring them on Monday, or is the floor not dry yet?"


def stamped() -> str:
    """A text that says when it was sent, in letters: digits could be a telephone number, which ours would look into."""
    return f"@@{time.perf_counter_ns():019d}".translate(LETTERS) + " " + WORDS


class Socket(asyncio.Protocol):
    """One socket: its handshake, and what comes over it."""

    def __init__(self, user_id: str, hello: bytes, heard: Callable[["Socket", bytes], None]) -> None:
        self.user_id = user_id
        self._hello, self._heard = hello, heard
        self._data = b""
        self._is_open = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._hello)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(exc or ConnectionError("closed"))

    def data_received(self, data: bytes) -> None:
        data = self._data + data
        if not self._is_open:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._data = head
                return
            if b" 101 " not in head[:20]:
                raise ConnectionError(head.decode() + data.decode())
            self._is_open = True
        at = 0
        while len(data) - at >= 2:
            size, start = data[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(data[at + 2 : at + 4]), at + 4
            if len(data) < start + size:
                break
            at = start + size
            self._heard(self, data[start:at])
        self._data = data[at:]

    def say(self, text: bytes) -> None:
        """A text frame; its mask of zeros changes nothing."""
        size = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2)
        self.transport.write(b"\x81" + size + b"\0\0\0\0" + text)


class Kelmah:
    """How to talk to ours."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self._setup = setup
        self._ring = KeyRing([bytes(32)])
        self._heard = _Heard()

    async def greetings(self, people: list[str]) -> Iterator[bytes]:
        async with aiohttp.ClientSession() as http:
            return iter(await asyncio.gather(*(self._greeting(http, one) for one in people)))

    async def _greeting(self, http: aiohttp.ClientSession, user_id: str) -> bytes:
        by = Principal(
            user_id=user_id, role=Role.WORKER, session_id=f"session-{user_id}", address="102.176.0.1",
            device="Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36",
        )  # fmt: skip
        path = "/api/v1/ws-tickets"
        url = f"http://127.0.0.1:{self._setup['port']}{path}"
        async with http.post(url, headers=self._signed("POST", path, by)) as answer:
            ticket = (await answer.json())["ticket"]
        target = f"/api/v1/ws?ticket={ticket}"
        return _handshake(target, self._signed("GET", target, None))

    def _signed(self, method: str, target: str, by: Principal | None) -> dict[str, str]:
        return signing.sign(
            caller="gateway", callee="messaging", method=method, target=target, digest=signing.body_digest(b""),
            principal=by, keys={"messaging": [KEY]},
        )  # fmt: skip

    def heard(self, socket: Socket, frame: bytes) -> bytes | None:
        """The message that a frame brings."""
        if frame.startswith(b'{"type":"message"'):
            return frame
        if frame.startswith(b'{"type":"hello"'):
            socket.ready.set_result(None)
        elif frame.startswith(b'{"type":"error"'):
            raise RuntimeError(frame.decode())
        return None

    def beat(self, socket: Socket) -> None:
        socket.say(b'{"type":"ping"}')

    def publishing(self, conversation_id: str, people: list[str], text: str) -> Iterator[tuple[str, bytes]]:
        """Channel and content, once a person, as `service.live` does."""
        view = MessageView(
            id=new_id(), conversation_id=conversation_id, sequence=self._heard.next(conversation_id),
            sender_id=people[0], client_id=new_id(), text=text, attachments=[], sent_at=clock.now(),
        )  # fmt: skip
        sealed = live.seal(self._ring, MessageFrame(message=view))
        for user_id in people:
            yield live.channel(self._setup["prefix"], user_id), sealed

    def sending(self, conversation_id: str, people: list[str], text: str) -> bytes:
        frame = {"type": "send", "conversationId": conversation_id, "clientId": new_id(), "text": text}
        return json.dumps(frame).encode()


class SocketIO:
    """How to talk to socket.io (Engine.IO 4)."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self._setup = setup
        self._packer = msgspec.msgpack.Encoder()
        self._sent = 0

    async def greetings(self, people: list[str]) -> Iterator[bytes]:
        return (_handshake("/socket.io/?EIO=4&transport=websocket", {}) for _ in people)

    def heard(self, socket: Socket, frame: bytes) -> bytes | None:
        if frame.startswith(b"42"):
            return frame
        if frame == b"2":
            socket.say(b"3")
        elif frame.startswith(b"0"):
            socket.say(b"40" + json.dumps({"token": hs256(self._setup["secret"], socket.user_id)}).encode())
        elif frame.startswith(b"40"):
            socket.ready.set_result(None)
        elif frame.startswith(b"44"):
            raise ConnectionError(frame.decode())
        return None

    def beat(self, socket: Socket) -> None:
        """The server asks."""

    def publishing(self, conversation_id: str, people: list[str], text: str) -> Iterator[tuple[str, bytes]]:
        """As `@socket.io/redis-adapter` does: one message for all rooms."""
        view = {
            "id": new_id(), "conversationId": conversation_id, "sequence": 1, "senderId": people[0],
            "clientId": new_id(), "text": text, "sentAt": clock.now().isoformat(), "attachments": [], "flags": [],
            "reactions": [], "replyTo": None, "editedAt": None, "deletedAt": None,
        }  # fmt: skip
        packet = {"type": 2, "data": ["message", view], "nsp": "/"}
        options = {"rooms": people, "except": [], "flags": {}}
        yield f"{self._setup['prefix']}#/#", self._packer.encode(["bench", packet, options])

    def sending(self, conversation_id: str, people: list[str], text: str) -> bytes:
        self._sent += 1
        sent = {"conversationId": conversation_id, "clientId": new_id(), "text": text, "people": people}
        return b"42" + str(self._sent).encode() + json.dumps(["send", sent]).encode()


class _Heard:
    """The next sequence of each conversation."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def next(self, conversation_id: str) -> int:
        self._last[conversation_id] = self._last.get(conversation_id, 0) + 1
        return self._last[conversation_id]


def _handshake(target: str, headers: dict[str, str]) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    lines = {
        "host": "127.0.0.1", "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
        "sec-websocket-key": key,
    } | headers  # fmt: skip
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"GET {target} HTTP/1.1\r\n{head}\r\n".encode()


class Load:
    """All sockets of one server."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self._setup = setup
        self._way: Kelmah | SocketIO = Kelmah(setup) if setup["name"] == "kelmah" else SocketIO(setup)
        self._sockets: dict[str, list[Socket]] = {}
        self._took: list[int] = []
        #: Set when so many arrived that more may be sent: not for each, which would cost more than sending it.
        self._arrived = asyncio.Event()
        self._enough = 0

    def _heard(self, socket: Socket, frame: bytes) -> None:
        if (message := self._way.heard(socket, frame)) is not None:
            at = message.find(b"@@") + 2
            self._took.append(time.perf_counter_ns() - int(message[at : at + 19].decode().translate(DIGITS)))
            if len(self._took) == self._enough:
                self._arrived.set()

    async def open(self, people: list[str]) -> dict[str, Any]:
        """One socket for each of these."""
        began = time.perf_counter()
        for start in range(0, len(people), OPENING):
            some = people[start : start + OPENING]
            greetings = await self._way.greetings(some)
            await asyncio.gather(*(self._open(user_id, one) for user_id, one in zip(some, greetings, strict=True)))
        return {"seconds": time.perf_counter() - began}

    async def _open(self, user_id: str, hello: bytes) -> None:
        loop = asyncio.get_running_loop()
        _, socket = await loop.create_connection(
            lambda: Socket(user_id, hello, self._heard), "127.0.0.1", self._setup["port"]
        )
        async with asyncio.timeout(30):
            await socket.ready
        self._sockets.setdefault(user_id, []).append(socket)

    async def beat(self) -> None:
        """Heartbeats, spread evenly, for as long as this process lives."""
        while True:
            sockets = [one for several in self._sockets.values() for one in several]
            for start in range(BEATS):
                for one in sockets[start::BEATS]:
                    self._way.beat(one)
                await asyncio.sleep(BEAT_S / BEATS)

    async def idle(self, seconds: float) -> dict[str, Any]:
        """Only heartbeats."""
        await asyncio.sleep(seconds)
        return {"lost": sum(one.transport.is_closing() for several in self._sockets.values() for one in several)}

    async def deliver(self, way: str, pairs: list[Any], seconds: float, rate: float, window: int) -> dict[str, Any]:
        """Messages in turn to all conversations, at a rate or with so many under way; each comes once a socket."""
        self._took.clear()
        where = urlsplit(self._setup["redis"])
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        dropping = asyncio.create_task(_drop(reader))
        due = sent = 0
        began = time.perf_counter()
        while (now := time.perf_counter() - began) < seconds:
            published: list[bytes] = []
            while (sent < now * rate) if rate else (due - len(self._took) < window):
                conversation_id, people = pairs[sent % len(pairs)]
                self._send(way, conversation_id, people, published)
                due += sum(len(self._sockets[one]) for one in people)
                sent += 1
            if published:
                writer.write(b"".join(published))
            self._enough = due - window + (4 if way == "send" else window // 4)
            self._arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, sent / rate - now) if rate else 1):
                    await self._arrived.wait()
        late = time.perf_counter() + LATE_S
        while len(self._took) < due and time.perf_counter() < late:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)
        elapsed = time.perf_counter() - began
        dropping.cancel()
        writer.close()
        took = self._took[len(self._took) // 5 :]
        return {
            "sent": sent, "delivered": len(self._took), "lost": due - len(self._took),
            "a_second": len(self._took) / elapsed, "p50_ms": statistics.median(took) / 1e6,
            "p99_ms": statistics.quantiles(took, n=100)[98] / 1e6,
        }  # fmt: skip

    def _send(self, way: str, conversation_id: str, people: list[str], published: list[bytes]) -> None:
        if way == "send":
            self._sockets[people[0]][0].say(self._way.sending(conversation_id, people, stamped()))
            return
        for channel, content in self._way.publishing(conversation_id, people, stamped()):
            published.append(command(b"PUBLISH", channel.encode(), content))


async def _drop(reader: asyncio.StreamReader) -> None:
    while await reader.read(65_536):
        pass


async def main() -> None:
    """Serve commands until stdin ends."""
    commands = asyncio.StreamReader(limit=2**26)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    load = Load(json.loads(await commands.readline()))
    print("{}", flush=True)
    beating = asyncio.create_task(load.beat())
    while line := await commands.readline():
        command = json.loads(line)
        answer = await getattr(load, command.pop("do"))(**command)
        print(json.dumps(answer), flush=True)
    beating.cancel()


if __name__ == "__main__":
    uvloop.run(main())
