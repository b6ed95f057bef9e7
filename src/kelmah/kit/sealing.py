"""Encrypts a stream in pieces, so that a file never lies in memory or in the store as it is.

Each piece is sealed for its place (which names the file), its number and whether it is the last: pieces cannot be
swapped, dropped or cut off.
"""

from collections.abc import AsyncIterator

from kelmah.kit.crypto import DecryptionError, KeyRing

PIECE_BYTES = 65_536
#: What the ring adds to a piece: version, key id, nonce and tag.
_OVERHEAD_BYTES = 1 + 4 + 12 + 16


async def seal(ring: KeyRing, place: str, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The sealed pieces of a stream. An empty stream has one piece."""
    number, held = 0, bytearray()
    async for chunk in chunks:
        held += chunk
        while len(held) > PIECE_BYTES:
            yield ring.encrypt(bytes(held[:PIECE_BYTES]), context=_context(place, number, is_last=False))
            del held[:PIECE_BYTES]
            number += 1
    yield ring.encrypt(bytes(held), context=_context(place, number, is_last=True))


async def unseal(ring: KeyRing, place: str, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The stream that `seal` was given.

    Raises:
        DecryptionError: it was changed; what was yielded before is good.
    """
    number, held, size = 0, bytearray(), PIECE_BYTES + _OVERHEAD_BYTES
    async for chunk in chunks:
        held += chunk
        while len(held) > size:
            yield ring.decrypt(bytes(held[:size]), context=_context(place, number, is_last=False))
            del held[:size]
            number += 1
    if not held:
        raise DecryptionError("the file's last piece is missing")
    yield ring.decrypt(bytes(held), context=_context(place, number, is_last=True))


def _context(place: str, number: int, *, is_last: bool) -> bytes:
    return f"{place}:{number}:{'last' if is_last else 'more'}".encode()
