"""Sends GETs and prints how many were answered, and how quickly: `python load.py PORT RATE SECONDS < requests`.

With a rate it is an open loop: a request is due at its time whether or not the one before it is answered, and what it
waited for a free connection counts. With rate 0 each connection sends its next request at once. Prints
`answered failed a_second p50_us p99_us`. The requests come on stdin, split by NUL.
"""

import asyncio
import statistics
import sys
import time
from collections import deque
from typing import cast

import uvloop

CONNECTIONS = 32


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._got = b""
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._load.free.append(self)

    def send(self, request: bytes, due: float) -> None:
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        if not end:
            return
        at = head.lower().find(b"content-length:")
        if at < 0 or len(body) < int(head[at + 15 :].split(b"\r\n", 1)[0]):
            return
        self._got = b""
        self._load.answered(self, self._due, is_good=b" 200 " in head[:13])

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.failed += 1


class Load:
    """Who waits and who is free."""

    def __init__(self, requests: list[bytes]) -> None:
        self.free: deque[Connection] = deque()
        self.waiting: deque[float] = deque()
        self.took: list[float] = []
        self.failed = 0
        #: Whether the next request is due when the one before it is answered.
        self.is_closed = False
        self._requests = requests
        self._next = 0

    def due(self, at: float) -> None:
        if self.free:
            self._send(self.free.popleft(), at)
        else:
            self.waiting.append(at)

    def answered(self, connection: Connection, due: float, *, is_good: bool) -> None:
        self.took.append(time.perf_counter() - due)
        self.failed += not is_good
        if self.is_closed:
            self._send(connection, time.perf_counter())
        elif self.waiting:
            self._send(connection, self.waiting.popleft())
        else:
            self.free.append(connection)

    def _send(self, connection: Connection, due: float) -> None:
        self._next = (self._next + 1) % len(self._requests)
        connection.send(self._requests[self._next], due)


async def main(port: int, rate: float, seconds: float) -> None:
    """Send, and print."""
    load = Load(sys.stdin.buffer.read().split(b"\0"))
    loop = asyncio.get_running_loop()
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: Connection(load), "127.0.0.1", port)
    began = time.perf_counter()
    if rate:
        await _pace(load, rate, began, seconds)
    else:
        load.is_closed = True
        while load.free:
            load.due(began)
        await asyncio.sleep(seconds)
    took, elapsed = load.took[len(load.took) // 5 :], time.perf_counter() - began  # the first fifth warms up
    p50, p99 = statistics.median(took), statistics.quantiles(took, n=100)[98]
    failed = load.failed + len(load.waiting)
    print(len(load.took), failed, round(len(load.took) / elapsed), round(p50 * 1e6), round(p99 * 1e6))


async def _pace(load: Load, rate: float, began: float, seconds: float) -> None:
    sent = 0
    while (now := time.perf_counter() - began) < seconds:
        while sent < now * rate:
            load.due(began + sent / rate)
            sent += 1
        await asyncio.sleep(max(0.0, began + sent / rate - time.perf_counter()))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])))
