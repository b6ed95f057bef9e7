"""Makes the indexes of one service's database those that its documents and the kit's collections declare."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from beanie import Document
from pymongo import IndexModel
from pymongo.errors import OperationFailure

from kelmah.kit import deadletters, events, idempotency, timers
from kelmah.kit.mongo import Mongo

#: What of an index is compared, beside its fields.
_OPTIONS = ("unique", "sparse", "partialFilterExpression", "expireAfterSeconds", "collation", "hidden")
_INDEX_NOT_FOUND = 27


class Did(StrEnum):
    """What was done, or is being done."""

    BUILDING = "building"
    BUILT = "built"
    #: Another index of the name, or of the fields, which had to go before the new one could be built.
    REPLACED = "replaced"
    #: No longer declared.
    DROPPED = "dropped"
    #: All of the collection.
    READY = "ready"


class NotUnique(RuntimeError):
    """An index is missing that keeps something from being there twice; no service may run without it."""

    def __init__(self, database: str, missing: Iterable[str]) -> None:
        super().__init__(
            f"{database} lacks unique indexes: {', '.join(sorted(missing))}. Run `kelmah indexes build` first."
        )


class Step(NamedTuple):
    """What was done to a collection, and to which of its indexes."""

    collection: str
    did: Did
    indexes: tuple[str, ...] = ()


async def build(mongo: Mongo, documents: Iterable[type[Document]]) -> AsyncIterator[Step]:
    """Build what is missing or differs, then drop what is not declared; yields each step. Safe to run again.

    New indexes are there before old ones go, so that no query is ever without. The exception is an index of the same
    name, or of the same fields and options, since MongoDB holds one of each: change the name with the fields.
    """
    for collection, wanted in _declared(documents).items():
        stored = mongo.collection(collection)
        there = {row["name"]: _definition(row) async for row in await stored.list_indexes() if row["name"] != "_id_"}
        missing = {name: model for name, model in wanted.items() if there.get(name) != _definition(model.document)}
        # Before all else: an index of this name, or the same one by another name.
        blocked = {_definition(model.document)[0] for model in missing.values()}
        for name in [name for name, one in there.items() if name in missing or one[0] in blocked]:
            await _drop(mongo, collection, name)
            del there[name]
            yield Step(collection, Did.REPLACED, (name,))
        if missing:
            yield Step(collection, Did.BUILDING, tuple(missing))
            await stored.create_indexes(list(missing.values()))
            yield Step(collection, Did.BUILT, tuple(missing))
        for name in there.keys() - wanted.keys():
            await _drop(mongo, collection, name)
            yield Step(collection, Did.DROPPED, (name,))
        yield Step(collection, Did.READY)


async def check_unique(mongo: Mongo, documents: Iterable[type[Document]]) -> None:
    """See that every unique index that is declared is there; the others only cost time while they are missing.

    Raises:
        NotUnique: names those that are missing.
    """
    wanted = {
        (collection, name)
        for collection, models in _declared(documents).items()
        for name, model in models.items()
        if model.document.get("unique")
    }

    async def there(collection: str) -> set[tuple[str, str]]:
        return {(collection, row["name"]) async for row in await mongo.collection(collection).list_indexes()}

    found = await asyncio.gather(*(there(collection) for collection in {collection for collection, _ in wanted}))
    if missing := wanted.difference(*found):
        raise NotUnique(mongo.database.name, (f"{collection}.{name}" for collection, name in missing))


def _declared(documents: Iterable[type[Document]]) -> Mapping[str, dict[str, IndexModel]]:
    """Collection → name → index."""
    kept = events.INDEXES | timers.INDEXES | idempotency.INDEXES | deadletters.INDEXES
    found: dict[str, dict[str, IndexModel]] = {}
    for collection, models in [*kept.items(), *map(_of_document, documents)]:
        found.setdefault(collection, {}).update({model.document["name"]: model for model in models})
    return found


def _of_document(document: type[Document]) -> tuple[str, list[IndexModel]]:
    settings: Any = document.Settings
    return settings.name, getattr(settings, "indexes", [])


def _definition(index: Mapping[str, Any]) -> tuple[tuple[tuple[str, Any], ...], dict[str, Any]]:
    """The fields and the options, as far as they tell indexes apart."""
    options = {name: index[name] for name in _OPTIONS if index.get(name) not in (None, False)}
    return tuple(index["key"].items()), options


async def _drop(mongo: Mongo, collection: str, name: str) -> None:
    """Drop an index, unless another process just did."""
    try:
        await mongo.collection(collection).drop_index(name)
    except OperationFailure as error:
        if error.code != _INDEX_NOT_FOUND:
            raise
