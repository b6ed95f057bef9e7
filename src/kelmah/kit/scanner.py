"""Looks for malware with ClamAV's daemon, over its own protocol (`INSTREAM`, see `man clamd`)."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Protocol
from urllib.parse import urlsplit

from kelmah.kit import errors
from kelmah.kit.settings import FileSettings

TIMEOUT_S = 60
_CHUNK_BYTES = 65_536
_MAX_ANSWER_BYTES = 4_096


class ScanFailed(errors.Unavailable):
    """Nothing is known of the file yet."""

    code, title = "kit.scan_failed", "The file could not be looked through yet"


class Scanner(Protocol):
    """Looks through files."""

    async def find(self, chunks: AsyncIterator[bytes]) -> str | None:
        """The name of what was found, or None for a clean file; within a minute.

        Raises:
            ScanFailed: nothing is known of the file; try again later.
        """


def scanner_of(settings: FileSettings) -> Scanner | None:
    """The scanner that a service is told of, if any."""
    return None if settings.clamd_url is None else Clamd(settings.clamd_url)


class Clamd:
    """One connection a file."""

    def __init__(self, url: str) -> None:
        """Take ``tcp://host:port`` or ``unix:///path``.

        Raises:
            ValueError: another URL.
        """
        parts = urlsplit(url)
        self._path = parts.path if parts.scheme == "unix" and parts.path else None
        self._address = (
            (parts.hostname, parts.port) if parts.scheme == "tcp" and parts.hostname and parts.port else None
        )
        if self._path is None and self._address is None:
            raise ValueError("not clamd's address: tcp://host:port or unix:///path")

    async def find(self, chunks: AsyncIterator[bytes]) -> str | None:
        """See `Scanner.find`."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await self._ask(chunks)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            raise ScanFailed("clamd cannot be reached, or does not answer", retry_after_s=10) from None
        if answer == b"stream: OK":
            return None
        if answer.startswith(b"stream: ") and answer.endswith(b" FOUND"):
            return answer[len(b"stream: ") : -len(b" FOUND")].decode(errors="replace")[:100]
        raise ScanFailed("clamd could not look through the file", retry_after_s=60)

    async def _ask(self, chunks: AsyncIterator[bytes]) -> bytes:
        if self._path is not None:
            reader, writer = await asyncio.open_unix_connection(self._path, limit=_MAX_ANSWER_BYTES)
        else:
            assert self._address is not None  # noqa: S101  # one of the two is there
            reader, writer = await asyncio.open_connection(*self._address, limit=_MAX_ANSWER_BYTES)
        try:
            writer.write(b"zINSTREAM\0")
            async for chunk in chunks:
                for start in range(0, len(chunk), _CHUNK_BYTES):
                    piece = chunk[start : start + _CHUNK_BYTES]
                    writer.write(struct.pack("!I", len(piece)) + piece)
                    await writer.drain()
            writer.write(struct.pack("!I", 0))
            await writer.drain()
            return (await reader.readuntil(b"\0"))[:-1]
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
