"""A file that was changed, cut or mixed up does not open."""

from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kelmah.kit.crypto import DecryptionError, KeyRing
from kelmah.kit.sealing import PIECE_BYTES, seal, unseal

RING = KeyRing([bytes(32)])
CONTENT = bytes(range(256)) * 600  # three pieces


async def stream(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def whole(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


@settings(max_examples=40, deadline=None)
@given(size=st.integers(0, 3 * PIECE_BYTES + 1), write=st.integers(1, 200_000), read=st.integers(1, 200_000))
async def test_what_went_in_comes_out(size: int, write: int, read: int) -> None:
    write, read = max(write, size // 500 + 1), max(read, size // 500 + 1)
    content = (CONTENT * 2)[:size]
    sealed = await whole(seal(RING, "f", stream(content, write)))
    assert content[:40] not in sealed or not content
    assert await whole(unseal(RING, "f", stream(sealed, read))) == content


async def pieces() -> list[bytes]:
    return [piece async for piece in seal(RING, "f", stream(CONTENT, 10_000))]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda parts: parts[:-1],
        lambda parts: [],
        lambda parts: parts[1:],
        lambda parts: [parts[1], parts[0], parts[2]],
        lambda parts: [parts[0], parts[0], parts[2]],
        lambda parts: [parts[0][:-1] + bytes([parts[0][-1] ^ 1]), *parts[1:]],
        lambda parts: [*parts, b"\x00"],
        lambda parts: [*parts[:-1], parts[-1][:-1]],
    ],
)
async def test_what_was_spoiled_does_not_open(spoil: Callable[[list[bytes]], list[bytes]]) -> None:
    spoiled = b"".join(spoil(await pieces()))
    with pytest.raises(DecryptionError):
        await whole(unseal(RING, "f", stream(spoiled, 30_000)))


async def test_a_file_does_not_open_as_another() -> None:
    with pytest.raises(DecryptionError):
        await whole(unseal(RING, "g", stream(b"".join(await pieces()), 30_000)))
