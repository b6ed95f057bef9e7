"""Copies whole databases into files and back: as of one instant, with the digest of every collection.

A file holds a collection's documents one after another as BSON, as mongodump's files do, so that other tools read it.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from bson import CodecOptions, json_util
from bson.raw_bson import RawBSONDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import PyMongoError

from kelmah.kit.mongo import Mongo

MANIFEST = "manifest.json"
_BATCH_DOCUMENTS, _BATCH_BYTES = 1_000, 8 * 1024 * 1024
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
#: BSON's largest document, and a little.
_MAX_DOCUMENT_BYTES = 17 * 1024 * 1024


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One collection: how many documents and bytes its file has, its SHA-256, and its indexes as extended JSON."""

    count: int
    bytes: int
    sha256: str
    indexes: str


class SnapshotError(Exception):
    """A file is not what its manifest says, or a database is not empty; the message says which."""


async def dump(
    mongo: Mongo, session: AsyncClientSession, folder: Path, *, tell: Callable[[str, int], None]
) -> dict[str, Kept]:
    """Write every collection of a database as the session's snapshot has it.

    The snapshot begins with the session's first read; a server keeps it for 5 minutes unless it is told otherwise
    (`minSnapshotHistoryWindowInSeconds`).
    """
    kept = {}
    folder.mkdir(parents=True)
    for name in sorted(await mongo.database.list_collection_names(filter={"type": "collection"})):
        if name.startswith("system."):
            continue
        kept[name] = await _dump_one(mongo, session, folder, name, tell)
    return kept


async def _dump_one(
    mongo: Mongo, session: AsyncClientSession, folder: Path, name: str, tell: Callable[[str, int], None]
) -> Kept:
    digest, count, size = hashlib.sha256(), 0, 0
    collection: AsyncCollection[RawBSONDocument] = mongo.database.get_collection(name, codec_options=_RAW)  # type: ignore[assignment]  # the driver's types tie a collection to its database's documents
    with (folder / f"{name}.bson").open("wb") as file:
        async for document in collection.find({}, session=session, batch_size=_BATCH_DOCUMENTS):
            file.write(document.raw)
            digest.update(document.raw)
            count += 1
            size += len(document.raw)
            if count % _BATCH_DOCUMENTS == 0:
                tell(name, count)
    tell(name, count)
    indexes = [dict(one) async for one in await mongo.collection(name).list_indexes()]
    made = [one for one in indexes if one["name"] != "_id_"]
    return Kept(count=count, bytes=size, sha256=digest.hexdigest(), indexes=json_util.dumps(made))


def check(folder: Path, kept: dict[str, Kept]) -> None:
    """Raises SnapshotError unless every file is what the manifest says."""
    for name, one in kept.items():
        digest, count = hashlib.sha256(), 0
        try:
            with (folder / f"{name}.bson").open("rb") as file:
                for document in _documents(file, name):
                    digest.update(document)
                    count += 1
        except OSError as error:
            raise SnapshotError(f"{folder.name}/{name}.bson: {error.strerror}") from error
        if (count, digest.hexdigest()) != (one.count, one.sha256):
            raise SnapshotError(f"{folder.name}/{name}.bson is not what the manifest says")


async def is_empty(mongo: Mongo) -> bool:
    """Whether no collection has a document."""
    for name in await mongo.database.list_collection_names(filter={"type": "collection"}):
        if await mongo.collection(name).find_one({}, {"_id": 1}) is not None:
            return False
    return True


async def load(mongo: Mongo, folder: Path, kept: dict[str, Kept], *, tell: Callable[[str, int], None]) -> None:
    """Fill an empty database; then its indexes.

    Raises:
        SnapshotError: the database was not empty, or what it has now is not what the manifest says.
    """
    if not await is_empty(mongo):
        raise SnapshotError(f"the database {mongo.database.name} is not empty")
    for name, one in kept.items():
        collection = mongo.database.get_collection(name, codec_options=_RAW)
        done = 0
        with (folder / f"{name}.bson").open("rb") as file:
            for batch in _batches(file, name):
                await collection.insert_many(batch, ordered=False)
                done += len(batch)
                tell(name, done)
        if await collection.count_documents({}) != one.count:
            raise SnapshotError(f"{mongo.database.name}.{name} has another number of documents than the manifest says")
        for index in json_util.loads(one.indexes):
            await _index(mongo, name, index)


async def _index(mongo: Mongo, name: str, index: dict[str, Any]) -> None:
    options = {option: value for option, value in index.items() if option not in ("v", "ns")}
    try:
        await mongo.database.command("createIndexes", name, indexes=[options])
    except PyMongoError as error:
        raise SnapshotError(f"{mongo.database.name}.{name}: the index {index['name']} cannot be made") from error


def _batches(file: BinaryIO, name: str) -> Iterator[list[RawBSONDocument]]:
    batch: list[RawBSONDocument] = []
    size = 0
    for document in _documents(file, name):
        batch.append(RawBSONDocument(document))
        size += len(document)
        if len(batch) == _BATCH_DOCUMENTS or size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _documents(file: BinaryIO, name: str) -> Iterator[bytes]:
    while head := file.read(4):
        size = int.from_bytes(head, "little")
        body = file.read(size - 4) if 5 <= size <= _MAX_DOCUMENT_BYTES else b""
        if len(body) != size - 4:
            raise SnapshotError(f"{name}.bson ends in the middle of a document")
        yield head + body
