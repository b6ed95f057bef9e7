"""Pages of a sorted list: in order, without twins or gaps, and without reading the equals that were shown."""

import random
from typing import Any

import pytest
from pymongo import ASCENDING, DESCENDING
from pymongo.asynchronous.collection import AsyncCollection

from kelmah.kit.ids import new_id
from kelmah.kit.keyset import ordered
from tests.fixtures.service import Service

Rows = AsyncCollection[dict[str, Any]]
FIELDS = {"n": 1}


@pytest.fixture
async def rows(things: Service) -> Rows:
    collection: Rows = things.context.mongo.collection(f"lists{new_id()}")
    await collection.create_index([("open", ASCENDING), ("n", DESCENDING), ("_id", ASCENDING)])
    return collection


@pytest.mark.parametrize("limit", [1, 3, 50])
@pytest.mark.parametrize("ids", [ASCENDING, DESCENDING])
@pytest.mark.parametrize("direction", [ASCENDING, DESCENDING])
async def test_the_pages_together_are_the_sorted_list(rows: Rows, direction: int, ids: int, limit: int) -> None:
    chance = random.Random(3)
    made: list[dict[str, Any]] = [
        {"_id": new_id(), "open": number % 5 > 0, "n": chance.randrange(4)} for number in range(40)
    ]
    await rows.insert_many(made)
    wanted = sorted((row for row in made if row["open"]), key=lambda row: row["_id"], reverse=ids < 0)
    wanted.sort(key=lambda row: row["n"], reverse=direction < 0)
    seen: list[dict[str, Any]] = []
    after = None
    while page := await ordered(rows, {"open": True}, FIELDS, by=("n", direction), ids=ids, after=after, limit=limit):
        assert len(page) <= limit
        seen += page
        after = (page[-1]["n"], page[-1]["_id"])
    assert seen == [{"_id": row["_id"], "n": row["n"]} for row in wanted]


async def test_a_page_goes_on_from_its_row_whatever_was_written_meanwhile(rows: Rows) -> None:
    await rows.insert_many([{"_id": f"b{number}", "open": True, "n": 1} for number in range(4)])
    first = await ordered(rows, {"open": True}, FIELDS, by=("n", DESCENDING), ids=ASCENDING, after=None, limit=2)
    await rows.delete_one({"_id": "b1"})
    await rows.insert_many([{"_id": "a", "open": True, "n": 1}, {"_id": "b2a", "open": True, "n": 1}])
    after = (1, first[-1]["_id"])
    rest = await ordered(rows, {"open": True}, FIELDS, by=("n", DESCENDING), ids=ASCENDING, after=after, limit=9)
    assert [row["_id"] for row in (*first, *rest)] == ["b0", "b1", "b2", "b2a", "b3"]
