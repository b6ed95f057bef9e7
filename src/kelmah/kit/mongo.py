"""One MongoDB database: its connection, its transactions, and the session that a transaction runs in."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from beanie import Document, init_beanie
from pymongo import AsyncMongoClient, ReadPreference, ReturnDocument, UpdateOne, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DuplicateKeyError
from pymongo.read_concern import ReadConcern

ResultT = TypeVar("ResultT")
DocumentT = TypeVar("DocumentT", bound=Document)
RawDocument = dict[str, Any]
#: Seconds within which a transaction must commit; the driver retries transient conflicts until then.
TRANSACTION_TIMEOUT_S = 10
#: Milliseconds that one request for changes waits at the server; below the socket's time-out.
CHANGE_WAIT_MS = 10_000

_DUPLICATE_KEY = 11_000

_session: ContextVar[AsyncClientSession | None] = ContextVar("mongo_session", default=None)
#: Called with the result of a transaction's body as the last thing in it; the idempotency key of a request is kept so.
before_commit: ContextVar[Callable[[object], Awaitable[None]] | None] = ContextVar("before_commit", default=None)


def session() -> AsyncClientSession | None:
    """The session of the transaction that the current code runs in; every read and write passes it on."""
    return _session.get()


def in_transaction() -> bool:
    """Whether a transaction is open, in which no call may leave the process."""
    return _session.get() is not None


async def change(
    model: type[DocumentT],
    query: Mapping[str, Any],
    update: Mapping[str, Any],
    *,
    array_filters: Sequence[Mapping[str, Any]] | None = None,
) -> DocumentT | None:
    """Change the one document that fits the query, in the open transaction if there is one.

    The condition and the change are one step, so this is how a state machine moves. None when nothing fits.
    """
    row = await model.get_pymongo_collection().find_one_and_update(
        query, update, return_document=ReturnDocument.AFTER, array_filters=array_filters, session=session()
    )
    return None if row is None else model.model_validate(row)


class Change(NamedTuple):
    """An update of one document, which fits `where` or is not changed."""

    update: Mapping[str, Any]
    where: Mapping[str, Any] = MappingProxyType({})
    array_filters: list[Mapping[str, Any]] | None = None
    upsert: bool = False


async def change_all(collection: AsyncCollection[RawDocument], changes: Mapping[str, Change]) -> dict[str, RawDocument]:
    """Change documents by id in the open transaction; how each is then.

    One takes one step, and more take two, however many they are. Empty where one does not fit: the transaction must not
    commit then.
    """
    if len(changes) == 1:
        ((document_id, one),) = changes.items()
        row = await collection.find_one_and_update(
            {"_id": document_id, **one.where}, one.update, array_filters=one.array_filters, upsert=one.upsert,
            return_document=ReturnDocument.AFTER, session=session(),
        )  # fmt: skip
        return {} if row is None else {document_id: row}
    writes = [
        UpdateOne({"_id": document_id, **one.where}, one.update, array_filters=one.array_filters, upsert=one.upsert)
        for document_id, one in changes.items()
    ]
    written = await collection.bulk_write(writes, session=session())
    if written.matched_count + written.upserted_count < len(changes):
        return {}
    rows = await collection.find({"_id": {"$in": list(changes)}}, session=session()).to_list()
    return {row["_id"]: row for row in rows}


async def add_all(documents: Sequence[Document]) -> None:
    """Insert documents of one model in the open transaction.

    Pydantic writes them, several times as fast as Beanie's encoder: their fields are what BSON knows.

    Raises:
        DuplicateKeyError: as of a single insert.
    """
    if not documents:
        return
    rows = [one.model_dump(by_alias=True) for one in documents]
    try:
        await type(documents[0]).get_pymongo_collection().insert_many(rows, ordered=False, session=session())
    except BulkWriteError as error:
        for fault in error.details["writeErrors"]:
            if fault["code"] == _DUPLICATE_KEY:
                raise DuplicateKeyError(fault["errmsg"], _DUPLICATE_KEY, fault) from error
        raise


class Mongo:
    """A service's database. Made by `connect`; closed with it."""

    def __init__(self, client: AsyncMongoClient[RawDocument], name: str) -> None:
        self.client = client
        self.database: AsyncDatabase[RawDocument] = client[name]

    def collection(self, name: str) -> AsyncCollection[RawDocument]:
        return self.database[name]

    async def transact(self, body: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Run `body` in one transaction; all of its reads and writes take `session()`.

        On a conflict with another transaction the whole body runs again, so it must not touch anything but the
        database. Inside an open transaction the body joins it.
        """
        if in_transaction():
            return await body()

        async def run(client_session: AsyncClientSession) -> ResultT:
            token = _session.set(client_session)
            try:
                result = await body()
                if (last := before_commit.get()) is not None:
                    await last(result)
                return result
            finally:
                _session.reset(token)

        async with self.client.start_session() as client_session:
            return await client_session.with_transaction(
                run,
                read_concern=ReadConcern("snapshot"),
                write_concern=WriteConcern("majority", wtimeout=TRANSACTION_TIMEOUT_S * 1000),
                read_preference=ReadPreference.PRIMARY,
                max_commit_time_ms=TRANSACTION_TIMEOUT_S * 1000,
            )

    async def inserts(self, *collections: str) -> AsyncIterator[str]:
        """Yield a collection's name each time a document is inserted into it or replaced, from now on, without end.

        Raises:
            PyMongoError: the stream broke; what was inserted meanwhile is not told of.
        """
        wanted = {"operationType": {"$in": ["insert", "replace"]}, "ns.coll": {"$in": list(collections)}}
        pipeline: list[RawDocument] = [{"$match": wanted}, {"$project": {"ns.coll": 1}}]
        async with await self.database.watch(pipeline, max_await_time_ms=CHANGE_WAIT_MS) as stream:
            async for change in stream:
                yield change["ns"]["coll"]

    async def ping(self) -> None:
        """Raises a `PyMongoError` when the database does not answer."""
        await self.client.admin.command("ping")


@asynccontextmanager
async def connect(
    url: str,
    database: str,
    documents: tuple[type[Document], ...] = (),
    *,
    pool_size: int = 64,
    answer_timeout_s: float | None = 20,
) -> AsyncIterator[Mongo]:
    """Open a service's database and bind its documents. Indexes are built by `kelmah indexes build`, not here.

    Without `answer_timeout_s` an answer is waited for as long as it takes: for building indexes.
    """
    client: AsyncMongoClient[RawDocument] = AsyncMongoClient(
        url,
        tz_aware=True,
        maxPoolSize=pool_size,
        maxConnecting=8,
        waitQueueTimeoutMS=2_000,
        serverSelectionTimeoutMS=5_000,
        connectTimeoutMS=5_000,
        socketTimeoutMS=None if answer_timeout_s is None else answer_timeout_s * 1000,
        retryWrites=True,
        w="majority",
        appname="kelmah",
    )
    try:
        mongo = Mongo(client, database)
        if documents:
            await init_beanie(mongo.database, document_models=list(documents), skip_indexes=True)
        yield mongo
    finally:
        await client.close()
