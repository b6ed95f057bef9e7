import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient

from kelmah.kit.blobs import (
    BlobExists,
    BlobNotFound,
    BlobStore,
    BlobTooLarge,
    DiskBlobStore,
    GridFSBlobStore,
)

MAX_BYTES = 1_000_000
Leftovers = Callable[[], Awaitable[int]]


@pytest.fixture(params=["gridfs", "disk"])
async def stored(
    request: pytest.FixtureRequest, tmp_path: Path, mongo_url: str
) -> AsyncIterator[tuple[BlobStore, Leftovers]]:
    """A store, and a count of all that it keeps: files and pieces of files."""
    if request.param == "disk":

        async def files() -> int:
            return sum(len(names) for _, _, names in os.walk(tmp_path))

        yield DiskBlobStore(tmp_path / "blobs", max_bytes=MAX_BYTES), files
        return
    database = f"kelmah_test_{uuid.uuid4().hex}"
    client: AsyncMongoClient[dict[str, object]] = AsyncMongoClient(mongo_url)
    blobs = client[database]

    async def documents() -> int:
        return await blobs["blobs.files"].count_documents({}) + await blobs["blobs.chunks"].count_documents({})

    store = GridFSBlobStore(mongo_url, database=database, max_bytes=MAX_BYTES)
    yield store, documents
    store.close()
    await client.drop_database(database)
    await client.close()


@pytest.fixture
def store(stored: tuple[BlobStore, Leftovers]) -> BlobStore:
    return stored[0]


@pytest.fixture
def leftovers(stored: tuple[BlobStore, Leftovers]) -> Leftovers:
    return stored[1]


async def _stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def _read(store: BlobStore, blob_id: str) -> bytes:
    return b"".join([chunk async for chunk in await store.get(blob_id)])


async def test_what_is_put_is_got(store: BlobStore) -> None:
    chunks = [bytes([number]) * 100_000 for number in range(7)]
    assert await store.exists("a-1") is False
    assert await store.put("a-1", _stream(*chunks), metadata={"type": "image/png"}) == 700_000
    assert await store.exists("a-1") is True
    read = [chunk async for chunk in await store.get("a-1")]
    assert b"".join(read) == b"".join(chunks)
    assert max(map(len, read)) == 256 * 1024


async def test_an_empty_blob_is_a_blob(store: BlobStore) -> None:
    assert await store.put("empty", _stream(), metadata={}) == 0
    assert await store.exists("empty") is True
    assert await _read(store, "empty") == b""


async def test_ids_that_differ_in_case_are_two(store: BlobStore) -> None:
    await store.put("abc", _stream(b"lower"), metadata={})
    await store.put("ABC", _stream(b"upper"), metadata={})
    assert (await _read(store, "abc"), await _read(store, "ABC")) == (b"lower", b"upper")


async def test_deleting_leaves_nothing_and_may_be_repeated(store: BlobStore, leftovers: Leftovers) -> None:
    await store.put("a", _stream(b"x" * 600_000), metadata={})
    await store.delete("a")
    await store.delete("a")
    assert await store.exists("a") is False
    assert await leftovers() == 0
    with pytest.raises(BlobNotFound):
        await store.get("a")
    await store.put("a", _stream(b"again"), metadata={})
    assert await _read(store, "a") == b"again"


async def test_the_cap_is_exact_and_leaves_nothing(store: BlobStore, leftovers: Leftovers) -> None:
    half = b"x" * (MAX_BYTES // 2)
    with pytest.raises(BlobTooLarge):
        await store.put("a", _stream(half, half, b"x"), metadata={})
    assert await leftovers() == 0
    assert await store.exists("a") is False
    assert await store.put("a", _stream(half, half), metadata={}) == MAX_BYTES


async def test_the_cap_stops_the_reading(store: BlobStore) -> None:
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 1
            yield b"x" * 300_000

    with pytest.raises(BlobTooLarge):
        await store.put("a", endless(), metadata={})
    assert given == 4


async def test_a_failing_stream_leaves_nothing(store: BlobStore, leftovers: Leftovers) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"x" * 600_000
        raise ConnectionResetError("client went away")

    with pytest.raises(ConnectionResetError):
        await store.put("a", failing(), metadata={})
    assert await leftovers() == 0
    assert await store.exists("a") is False


async def test_a_cancelled_put_leaves_nothing(store: BlobStore, leftovers: Leftovers) -> None:
    started = asyncio.Event()

    async def hanging() -> AsyncIterator[bytes]:
        yield b"x" * 600_000
        started.set()
        await asyncio.Event().wait()

    putting = asyncio.create_task(store.put("a", hanging(), metadata={}))
    await started.wait()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert await leftovers() == 0


@pytest.mark.parametrize("turns", range(1, 40, 3))
async def test_a_put_cancelled_at_any_turn_is_whole_or_absent(
    store: BlobStore, leftovers: Leftovers, turns: int
) -> None:
    putting = asyncio.create_task(store.put("a", _stream(*[b"x" * 200_000] * 4), metadata={}))
    for _ in range(turns):
        await asyncio.wait([putting], timeout=0.001)
    putting.cancel()
    await asyncio.wait([putting])
    if await store.exists("a"):
        assert len(await _read(store, "a")) == 800_000
    else:
        assert await leftovers() == 0


async def test_a_blob_is_never_overwritten(store: BlobStore, leftovers: Leftovers) -> None:
    await store.put("a", _stream(b"first"), metadata={})
    before = await leftovers()
    with pytest.raises(BlobExists):
        await store.put("a", _stream(b"second"), metadata={})
    assert await _read(store, "a") == b"first"
    assert await leftovers() == before


async def test_of_concurrent_puts_one_wins_and_the_rest_leave_nothing(store: BlobStore, leftovers: Leftovers) -> None:
    await store.put("warm", _stream(b"x" * 300_000), metadata={})
    one = await leftovers()
    gate = asyncio.Barrier(5)

    async def gated(number: int) -> AsyncIterator[bytes]:
        yield bytes([number]) * 150_000
        await gate.wait()  # all have started, none has ended
        yield bytes([number]) * 150_000

    results = await asyncio.gather(
        *(store.put("a", gated(number), metadata={}) for number in range(5)), return_exceptions=True
    )
    winners = [number for number, result in enumerate(results) if result == 300_000]
    assert len(winners) == 1
    assert sum(isinstance(result, BlobExists) for result in results) == 4
    assert await _read(store, "a") == bytes(winners) * 300_000
    assert await leftovers() == 2 * one


async def test_a_reader_may_stop_early(store: BlobStore) -> None:
    await store.put("a", _stream(b"x" * 900_000), metadata={})
    reading = await store.get("a")
    assert len(await anext(reading)) == 256 * 1024
    await reading.aclose()  # type: ignore[attr-defined]  # both are generators
    await store.delete("a")


@pytest.mark.parametrize("blob_id", ["", "../a", "a/b", "a.b", "-a", "a\n", "a" * 129, "é"])
async def test_strange_ids_are_refused(store: BlobStore, leftovers: Leftovers, blob_id: str) -> None:
    with pytest.raises(ValueError, match="id must be"):
        await store.put(blob_id, _stream(b"x"), metadata={})
    with pytest.raises(ValueError, match="id must be"):
        await store.get(blob_id)
    with pytest.raises(ValueError, match="id must be"):
        await store.delete(blob_id)
    with pytest.raises(ValueError, match="id must be"):
        await store.exists(blob_id)
    assert await leftovers() == 0
