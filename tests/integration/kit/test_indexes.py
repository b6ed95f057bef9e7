"""Indexes become those that are declared: new ones first, then old ones go, by name and definition."""

from collections.abc import AsyncIterator
from typing import ClassVar

import pytest
from beanie import Document
from pymongo import ASCENDING, DESCENDING, IndexModel

from kelmah.kit import indexes
from kelmah.kit.ids import new_id
from kelmah.kit.indexes import Did, NotUnique, Step
from kelmah.kit.mongo import Mongo
from tests.fixtures.service import Service


@pytest.fixture
async def mongo(things: Service) -> AsyncIterator[Mongo]:
    """A database without any index."""
    database = Mongo(things.context.mongo.client, f"{things.context.mongo.database.name}_{new_id()[-8:]}")
    yield database
    await database.client.drop_database(database.database)


def declaring(*models: IndexModel) -> type[Document]:
    class Declared(Document):
        class Settings:
            name = "things"
            indexes: ClassVar[list[IndexModel]] = list(models)

    return Declared


async def steps(mongo: Mongo, document: type[Document]) -> list[tuple[Did, tuple[str, ...]]]:
    found = [step async for step in indexes.build(mongo, (document,))]
    return [(did, names) for collection, did, names in found if collection == "things"]


async def there(mongo: Mongo) -> set[str]:
    return {row["name"] async for row in await mongo.collection("things").list_indexes()} - {"_id_"}


BY_A = IndexModel([("a", ASCENDING)], name="by_a")
BY_B = IndexModel([("b", DESCENDING), ("place", "2dsphere")], name="by_b")
UNIQUE = IndexModel([("c", ASCENDING)], name="c", unique=True, partialFilterExpression={"c": {"$in": ["x", "y"]}})
ENDING = IndexModel([("at", ASCENDING)], name="at", expireAfterSeconds=0)


async def test_what_is_missing_is_built_once(mongo: Mongo) -> None:
    document = declaring(BY_A, BY_B, UNIQUE, ENDING)
    names = ("by_a", "by_b", "c", "at")
    assert await steps(mongo, document) == [(Did.BUILDING, names), (Did.BUILT, names), (Did.READY, ())]
    assert await there(mongo) == set(names)
    again = [step async for step in indexes.build(mongo, (document,))]
    assert again == [Step(step.collection, Did.READY) for step in again]
    assert len(again) > 1


async def test_what_is_not_declared_is_dropped_and_named_after_the_new_is_built(mongo: Mongo) -> None:
    await steps(mongo, declaring(BY_A, BY_B))
    await mongo.collection("things").create_index("by_hand", name="by_hand")
    found = await steps(mongo, declaring(BY_B, UNIQUE))
    assert found[:2] == [(Did.BUILDING, ("c",)), (Did.BUILT, ("c",))]
    assert sorted(found[2:4]) == [(Did.DROPPED, ("by_a",)), (Did.DROPPED, ("by_hand",))]
    assert found[4:] == [(Did.READY, ())]
    assert await there(mongo) == {"by_b", "c"}


@pytest.mark.parametrize(
    "changed",
    [
        IndexModel([("a", DESCENDING)], name="by_a"),
        IndexModel([("a", ASCENDING), ("b", ASCENDING)], name="by_a"),
        IndexModel([("a", ASCENDING)], name="by_a", unique=True),
        IndexModel([("a", ASCENDING)], name="by_a", partialFilterExpression={"a": {"$gt": 1}}),
        IndexModel([("a", ASCENDING)], name="renamed"),
    ],
)
async def test_one_that_differs_takes_the_place_of_the_old(mongo: Mongo, changed: IndexModel) -> None:
    await steps(mongo, declaring(BY_A))
    name = (changed.document["name"],)
    expected = [(Did.REPLACED, ("by_a",)), (Did.BUILDING, name), (Did.BUILT, name), (Did.READY, ())]
    assert await steps(mongo, declaring(changed)) == expected
    rows = [row async for row in await mongo.collection("things").list_indexes() if row["name"] != "_id_"]
    assert [(row["name"], row["key"], row.get("unique", False)) for row in rows] == [
        (*name, changed.document["key"], changed.document.get("unique", False))
    ]


async def test_a_duplicate_that_forbids_a_new_index_drops_no_old_one(mongo: Mongo) -> None:
    await steps(mongo, declaring(BY_A))
    await mongo.collection("things").insert_many([{"c": "x"}, {"c": "x"}])
    with pytest.raises(Exception, match="duplicate key"):
        await steps(mongo, declaring(UNIQUE))
    assert await there(mongo) == {"by_a"}


async def test_a_service_finds_out_that_nothing_would_be_unique(mongo: Mongo) -> None:
    document = declaring(BY_A, UNIQUE)
    for _ in range(2):
        with pytest.raises(
            NotUnique, match=r"_\w{8} lacks unique indexes: .*things\.c.* Run `kelmah indexes build` first"
        ):
            await indexes.check_unique(mongo, (document,))
        assert await there(mongo) == set()
    await steps(mongo, declaring(UNIQUE))
    await indexes.check_unique(mongo, (document,))
