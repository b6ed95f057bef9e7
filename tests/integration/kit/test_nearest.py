"""The nearest are found in a total order, whatever the land looks like, and without reading all of it."""

import random
from typing import Any

import pytest
from pymongo import ASCENDING, GEOSPHERE
from pymongo.asynchronous.collection import AsyncCollection

from kelmah.kit import nearest as kit
from kelmah.kit.ids import new_id
from kelmah.kit.nearest import Circle, Near, Places, nearest
from tests.fixtures.service import Service

PLACES = Places(
    field="at.point",
    indexes={"kind_at": frozenset({"open", "kind"}), "at": frozenset({"open"})},
    lists={"kind_at": "kind_list"},
    held=frozenset({"n"}),
)
CENTRE = (-0.187, 5.604)
Rows = AsyncCollection[dict[str, Any]]


@pytest.fixture
async def rows(things: Service) -> Rows:
    collection: Rows = things.context.mongo.collection(f"places{new_id()}")
    await collection.create_index([("open", ASCENDING), ("at.point", GEOSPHERE)], name="at")
    await collection.create_index([("open", ASCENDING), ("kind", ASCENDING), ("at.point", GEOSPHERE)], name="kind_at")
    await collection.create_index([("open", ASCENDING), ("kind", ASCENDING), ("n", ASCENDING)], name="kind_list")
    return collection


async def fill(rows: Rows, count: int, *, spread: float, grid: int, **more: Any) -> list[dict[str, Any]]:
    """Rows around the centre; the coarser the grid, the more are equally far."""
    chance = random.Random(count)
    made = [
        {
            "_id": new_id(),
            "open": True,
            "kind": [chance.choice("abcd")],
            "n": chance.randrange(100),
            "at": {
                "point": {
                    "type": "Point",
                    "coordinates": [round(one + chance.gauss(0, spread), grid) for one in CENTRE],
                }
            },
        }
        | more
        for _ in range(count)
    ]
    await rows.insert_many(made)
    return made


def expected(made: list[dict[str, Any]], circle: Circle) -> list[Near]:
    """By looking at everything."""
    far = [(circle.metres_to(one["at"]["point"]["coordinates"]), one["_id"]) for one in made]
    return sorted(Near(int(metres + 0.5), row_id) for metres, row_id in far if metres <= circle.reach_m)


async def near(rows: Rows, circle: Circle, match: dict[str, Any], **more: Any) -> list[Near]:
    found = await nearest(rows, PLACES, circle, match, {"_id": 1}, **more)
    assert all(row.keys() == {"_id", "distance_m"} for row in found)
    return [Near(row["distance_m"], row["_id"]) for row in found]


async def pages(rows: Rows, circle: Circle, match: dict[str, Any], *, limit: int) -> list[Near]:
    seen: list[Near] = []
    while page := await near(rows, circle, match, after=seen[-1] if seen else None, limit=limit):
        assert len(page) <= limit
        seen += page
    return seen


@pytest.mark.parametrize(("spread", "grid"), [(0.01, 4), (0.05, 2), (1.0, 1), (8.0, 3)])
async def test_pages_hold_each_once_in_the_order_of_metres_and_ids(rows: Rows, spread: float, grid: int) -> None:
    made = await fill(rows, 120, spread=spread, grid=grid)
    await fill(rows, 30, spread=spread, grid=grid, open=False)
    for radius_m in (5_000.0, 300_000.0, None):
        circle = Circle(*CENTRE, radius_m)
        assert await pages(rows, circle, {"open": True}, limit=20) == expected(made, circle)
        of_kind = [one for one in made if one["kind"] != ["c"]]
        match = {"open": True, "kind": {"$in": ["a", "b", "d"]}}
        assert await pages(rows, circle, match, limit=7) == expected(of_kind, circle)
        rare = [one for one in made if one["n"] < 4]
        assert await pages(rows, circle, {"open": True, "n": {"$lt": 4}}, limit=3) == expected(rare, circle)


async def test_all_at_one_place_are_in_the_order_of_ids(rows: Rows) -> None:
    made = await fill(rows, 60, spread=0.0, grid=3)
    assert [one.id for one in await pages(rows, Circle(*CENTRE), {"open": True}, limit=25)] == [
        row["_id"] for row in made
    ]


async def test_few_that_fit_are_found_without_looking_at_the_whole_land(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rows.create_index([("rare", ASCENDING)], name="rare")
    await fill(rows, 1_000, spread=0.5, grid=4)
    made = await fill(rows, 9, spread=0.5, grid=4, rare=True)
    rings: list[dict[str, Any]] = []
    aggregate = type(rows).aggregate

    async def counted(self: Rows, pipeline: Any, **more: Any) -> Any:
        rings.append(pipeline[0]["$geoNear"])
        return await aggregate(self, pipeline, **more)

    monkeypatch.setattr(type(rows), "aggregate", counted)
    circle = Circle(*CENTRE)
    assert await near(rows, circle, {"open": True, "rare": True}, limit=20) == expected(made, circle)
    assert [ring["maxDistance"] for ring in rings] == [1_000.5, 5_000.5]
    rings.clear()
    assert len(await near(rows, circle, {"open": True}, limit=20)) == 20
    assert all(ring["maxDistance"] < 50_000 for ring in rings)
    assert len(made) < kit.FEW


@pytest.mark.parametrize("count", [kit.VERY_FEW, kit.VERY_FEW + 1])
async def test_very_few_are_counted_and_read_without_a_ring(
    rows: Rows, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    made = await fill(rows, count, spread=3.0, grid=2, kind=["rare"])
    await fill(rows, 200, spread=0.1, grid=4)
    rings = 0
    ring = kit._ring

    async def counted(*arguments: Any, **more: Any) -> Any:
        nonlocal rings
        rings += 1
        return await ring(*arguments, **more)

    monkeypatch.setattr(kit, "_ring", counted)
    circle = Circle(*CENTRE, 250_000.0)
    match = {"open": True, "kind": "rare", "n": {"$gte": 0}}
    assert await pages(rows, circle, match, limit=40) == expected(made, circle)
    assert (rings == 0) == (count == kit.VERY_FEW)
