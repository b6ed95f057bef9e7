"""How the gateway's own client writes an upload."""

import asyncio
from typing import Any

from kelmah.gateway.client import Connection


class Upload:
    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)
        self.is_read = False

    async def next(self) -> bytes:
        piece = self._pieces.pop(0) if self._pieces else b""
        self.is_read = not self._pieces
        return piece


async def written(*pieces: bytes) -> list[bytes]:
    connection, writes = Connection(), []

    class Transport(asyncio.Transport):
        def write(self, data: Any) -> None:
            writes.append(data)

    connection.connection_made(Transport())
    beginning = asyncio.create_task(connection.begin(b"head\r\n\r\n", Upload(*pieces), timeout_s=5, ahead=0))
    for _ in range(5):
        await asyncio.sleep(0)
    beginning.cancel()
    return writes


async def test_a_body_of_one_piece_goes_with_its_head_and_end() -> None:
    """So that it has arrived before a service that refuses it unread closes the connection."""
    assert await written(b"abc") == [b"head\r\n\r\n3\r\nabc\r\n0\r\n\r\n"]


async def test_a_body_of_several_pieces_goes_as_it_comes() -> None:
    assert await written(b"abc", b"de") == [b"head\r\n\r\n3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"]


async def test_an_empty_body_still_ends() -> None:
    assert await written() == [b"head\r\n\r\n0\r\n\r\n"]
