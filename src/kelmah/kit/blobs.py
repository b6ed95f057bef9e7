"""Keeps files: one protocol, kept in GridFS or on a disk."""

import asyncio
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, ParamSpec, Protocol, TypeVar

import structlog
from gridfs.errors import FileExists, NoFile
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorGridFSBucket
from pymongo.errors import PyMongoError

from kelmah.kit.errors import KelmahError

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger()

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_READ_BYTES = 256 * 1024
_TIMEOUT_MS = 5_000
_SOCKET_TIMEOUT_MS = 20_000
_MAX_POOL_SIZE = 10


class BlobNotFound(KelmahError):
    """No blob has this id."""

    status_code = 404
    code = "kit.blob_not_found"
    title = "File not found"


class BlobExists(KelmahError):
    """A blob of this id is kept already; blobs are never overwritten."""

    status_code = 409
    code = "kit.blob_exists"
    title = "File exists"


class BlobTooLarge(KelmahError):
    """The stream went beyond the store's cap; nothing was kept."""

    status_code = 413
    code = "kit.blob_too_large"
    title = "File too large"


class BlobStore(Protocol):
    """Keeps immutable byte streams by id.

    An id is 1 to 128 letters, digits, ``-`` and ``_``, starting with a letter or digit; every method raises
    ValueError for another.
    """

    async def put(self, blob_id: str, stream: AsyncIterator[bytes], *, metadata: Mapping[str, str]) -> int:
        """Keep a stream under a new id and return its size in bytes.

        The blob appears whole or not at all: if the stream raises, grows too large or the caller is
        cancelled, nothing is left.

        Args:
            blob_id: the blob's new id.
            stream: the bytes, in chunks.
            metadata: small facts for the store's operator, kept beside the bytes. No personal data.

        Raises:
            BlobTooLarge: beyond the store's cap.
            BlobExists: the id is taken.
        """
        ...

    async def get(self, blob_id: str) -> AsyncIterator[bytes]:
        """Open a blob and return its bytes in chunks of at most 256 KiB; iterate it, or close it, to free it.

        Raises:
            BlobNotFound: no blob has this id.
        """
        ...

    async def delete(self, blob_id: str) -> None:
        """Remove a blob; removing one that is not there is no error."""
        ...

    async def exists(self, blob_id: str) -> bool:
        """Tell whether a blob has this id."""
        ...


class GridFSBlobStore:
    """Keeps blobs in MongoDB. The only use of Motor, so that it can be replaced here alone.

    The blob's id is the GridFS filename under a unique index, and each upload has its own GridFS id: two
    uploads of one blob never share chunks, so the loser can be removed without harm to the winner. A process
    killed during an upload leaves chunks without a file; nothing refers to them.
    """

    def __init__(self, url: str, *, database: str, bucket: str = "blobs", max_bytes: int) -> None:
        """Make a store; it connects at its first use. Call `close` at the end.

        Args:
            url: a ``mongodb://`` address.
            database: the service's own database.
            bucket: the prefix of the two collections.
            max_bytes: the most bytes of one blob.
        """
        self._client: Any = AsyncIOMotorClient(
            url,
            serverSelectionTimeoutMS=_TIMEOUT_MS,
            connectTimeoutMS=_TIMEOUT_MS,
            waitQueueTimeoutMS=_TIMEOUT_MS,
            socketTimeoutMS=_SOCKET_TIMEOUT_MS,
            maxPoolSize=_MAX_POOL_SIZE,
            w="majority",
        )
        self._files = self._client[database][f"{bucket}.files"]
        self._bucket = AsyncIOMotorGridFSBucket(
            self._client[database], bucket_name=bucket, chunk_size_bytes=_READ_BYTES
        )
        self._max_bytes = max_bytes
        self._is_indexed = False

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    async def put(self, blob_id: str, stream: AsyncIterator[bytes], *, metadata: Mapping[str, str]) -> int:
        """See `BlobStore.put`."""
        _check_id(blob_id)
        if not self._is_indexed:
            await self._files.create_index("filename", unique=True, name="blob_id")
            self._is_indexed = True
        if await self.exists(blob_id):
            raise _exists(blob_id)
        upload = self._bucket.open_upload_stream(blob_id, metadata=dict(metadata))
        size = 0
        try:
            async for chunk in stream:
                size = _grown(size, chunk, self._max_bytes)
                await _to_the_end(upload.write(chunk))
            await _to_the_end(upload.close())
        except BaseException as error:
            await _to_the_end(self._remove(upload))
            if isinstance(error, FileExists):
                raise _exists(blob_id) from None
            raise
        return size

    async def get(self, blob_id: str) -> AsyncIterator[bytes]:
        """See `BlobStore.get`."""
        _check_id(blob_id)
        try:
            download = await self._bucket.open_download_stream_by_name(blob_id)
        except NoFile:
            raise _not_found(blob_id) from None
        return self._chunks(download)

    async def delete(self, blob_id: str) -> None:
        """See `BlobStore.delete`."""
        _check_id(blob_id)
        file = await self._files.find_one({"filename": blob_id}, {"_id": 1})
        if file is not None:
            try:
                await self._bucket.delete(file["_id"])
            except NoFile:
                return  # another caller was faster

    async def exists(self, blob_id: str) -> bool:
        """See `BlobStore.exists`."""
        _check_id(blob_id)
        return await self._files.find_one({"filename": blob_id}, {"_id": 1}) is not None

    async def _chunks(self, download: Any) -> AsyncIterator[bytes]:
        try:
            while chunk := await download.readchunk():
                yield bytes(chunk)
        finally:
            # Motor closes in the calling thread, and closing a cursor halfway is a call to the server.
            await _in_thread(download.close)

    async def _remove(self, upload: Any) -> None:
        """Undo an upload, also one whose last answer was lost or that was cancelled as it ended."""
        try:
            await self._bucket.delete(upload._id)
        except NoFile:
            return  # deleting removes the chunks even where there is no file
        except PyMongoError:
            # The upload's own error tells the caller more than this one.
            log.warning("kit.blobs.upload_not_removed", exc_info=True)


class DiskBlobStore:
    """Keeps blobs in a folder of one file system: one subfolder a blob, renamed into place when whole."""

    def __init__(self, root: Path, *, max_bytes: int) -> None:
        """Make a store.

        Args:
            root: a folder of its own, made if it is not there.
            max_bytes: the most bytes of one blob.
        """
        self._root = root
        self._incoming = root / "incoming"
        self._max_bytes = max_bytes

    async def put(self, blob_id: str, stream: AsyncIterator[bytes], *, metadata: Mapping[str, str]) -> int:
        """See `BlobStore.put`."""
        folder = self._folder(blob_id)
        if await self.exists(blob_id):
            raise _exists(blob_id)
        upload = _DiskUpload(self._incoming / uuid.uuid4().hex)
        size = 0
        try:
            await _in_thread(upload.open, json.dumps(dict(metadata)))
            async for chunk in stream:
                size = _grown(size, chunk, self._max_bytes)
                await _in_thread(upload.write, chunk)
            await _in_thread(upload.publish, folder)
        except BaseException:
            await _in_thread(upload.discard)
            raise
        return size

    async def get(self, blob_id: str) -> AsyncIterator[bytes]:
        """See `BlobStore.get`."""
        path = self._folder(blob_id) / "data"
        try:
            file = await _in_thread(path.open, "rb")
        except FileNotFoundError:
            raise _not_found(blob_id) from None
        return self._chunks(file)

    async def delete(self, blob_id: str) -> None:
        """See `BlobStore.delete`."""
        await _in_thread(_unpublish, self._folder(blob_id), self._incoming / uuid.uuid4().hex)

    async def exists(self, blob_id: str) -> bool:
        """See `BlobStore.exists`."""
        return await _in_thread(self._folder(blob_id).exists)

    def _folder(self, blob_id: str) -> Path:
        _check_id(blob_id)
        # The hash spreads the blobs, and keeps ids apart that differ only in case where file names do not.
        digest = hashlib.sha256(blob_id.encode()).hexdigest()
        return self._root / digest[:2] / digest

    async def _chunks(self, file: BinaryIO) -> AsyncIterator[bytes]:
        try:
            while chunk := await _in_thread(file.read, _READ_BYTES):
                yield chunk
        finally:
            await _in_thread(file.close)


class _DiskUpload:
    """A folder being filled. Every method blocks; the file stays open between them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open_files = ExitStack()
        self._file: BinaryIO

    def open(self, metadata: str) -> None:
        self._folder.mkdir(parents=True)
        with (self._folder / "metadata.json").open("w") as file:
            file.write(metadata)
            file.flush()
            os.fsync(file.fileno())
        self._file = self._open_files.enter_context((self._folder / "data").open("wb"))

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)

    def publish(self, folder: Path) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._open_files.close()
        _sync_folder(self._folder)
        folder.parent.mkdir(exist_ok=True)
        try:
            self._folder.rename(folder)
        except OSError:
            if folder.exists():  # a folder that is not empty is never replaced
                raise BlobExists("a file of this id is kept already") from None
            raise
        _sync_folder(folder.parent)

    def discard(self) -> None:
        self._open_files.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unpublish(folder: Path, outgoing: Path) -> None:
    outgoing.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.rename(outgoing)
    except FileNotFoundError:
        return
    shutil.rmtree(outgoing)


async def _to_the_end(work: Awaitable[T]) -> T:
    """Wait for work that goes on in a thread, even when cancelled, so that no clean-up runs beside it."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return await _to_the_end(asyncio.to_thread(call, *args, **kwargs))


def _grown(size: int, chunk: bytes, max_bytes: int) -> int:
    size += len(chunk)
    if size > max_bytes:
        raise BlobTooLarge("the file is too large", max_bytes=max_bytes)
    return size


def _check_id(blob_id: str) -> None:
    if not _ID.fullmatch(blob_id):
        raise ValueError("a blob's id must be 1 to 128 letters, digits, - and _")


def _exists(blob_id: str) -> BlobExists:
    return BlobExists("a file of this id is kept already", id=blob_id)


def _not_found(blob_id: str) -> BlobNotFound:
    return BlobNotFound("there is no such file", id=blob_id)
