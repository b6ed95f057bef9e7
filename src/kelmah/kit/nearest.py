"""Finds what is nearest to a point, in an order that pages go on from: by whole metres, then by id.

MongoDB's `$geoNear` alone reads thousands of documents of a dense place before it gives the first, and all of a circle
where few fit. Here it looks in rings, each wider than the last, and where two rings did not do and few documents of
the whole circle fit, these are read by whatever index finds them best.
"""

import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, NamedTuple

from pymongo.asynchronous.collection import AsyncCollection

from kelmah.kit.keyset import MAX_TIME_MS

#: The radius of MongoDB's sphere, in metres.
EARTH_M = 6_378_100
#: How far the first ring around a point reaches, in metres.
FIRST_RING_M = 1_000
#: How many times as much land the next ring makes it: what should do by what was found, and a margin.
_NARROWEST, _WIDEST, _MARGIN = 3.0, 25.0, 1.5
#: If so many rings have less than this part of what is asked for, and no more than `FEW` are to be expected in the
#: whole circle, all of these are read.
_RINGS, _PART = 2, 1 / 3
FEW = 500
#: Metres by which rings overlap, since the server's bounds are not exact to the last bit.
_SLACK_M = 0.01


class Circle(NamedTuple):
    """What is looked in; without a radius, everywhere."""

    longitude: float
    latitude: float
    radius_m: float | None = None

    @property
    def reach_m(self) -> float:
        """How far anything in it may be."""
        return math.pi * EARTH_M if self.radius_m is None else self.radius_m

    def metres_to(self, point: Sequence[float]) -> float:
        """How far a point (longitude, latitude) is from the centre, on MongoDB's sphere."""
        lng1, lat1, lng2, lat2 = map(math.radians, (self.longitude, self.latitude, point[0], point[1]))
        chord = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lng2 - lng1) / 2) ** 2
        return 2 * EARTH_M * math.asin(math.sqrt(min(1.0, chord)))

    def condition(self) -> dict[str, Any]:
        """What MongoDB asks of a point in it."""
        return {"$geoWithin": {"$centerSphere": [[self.longitude, self.latitude], self.reach_m / EARTH_M]}}


class Near(NamedTuple):
    """How far a document is, in whole metres."""

    metres: int
    id: str


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where the points of a collection are: the field, and the 2dsphere indexes with what each bounds, best first.

    The indexes are named since MongoDB, left to itself, takes one that reads more.
    """

    field: str
    indexes: Mapping[str, frozenset[str]]


async def nearest(
    collection: AsyncCollection[dict[str, Any]],
    places: Places,
    circle: Circle,
    match: Mapping[str, Any],
    *,
    after: tuple[float, str] | None = None,
    limit: int,
) -> list[Near]:
    """The nearest documents that match, after a distance and id. Equally far ones are looked at to their end."""
    hint, bounded = next(one for one in places.indexes.items() if match.keys() >= one[1])
    is_narrow = match.keys() > bounded
    start = 0.0 if after is None else max(0.0, after[0] - 0.5)
    inner, area = start, float(FIRST_RING_M**2)
    rings = 0
    found: dict[str, Near] = {}
    last = math.inf
    while True:
        # Each ring ends between two whole metres, so that what is equally far is in one ring.
        outer = min(math.floor(math.sqrt(start**2 + area)) + 0.5, circle.reach_m)
        bounds = (max(0.0, inner - _SLACK_M), outer)
        ring = _ring(collection, places.field, circle, match, bounds=bounds, hint=hint, size=limit - len(found) + 1)
        async with aclosing(ring):
            async for near in ring:
                if near.metres > last:
                    break
                if after is None or near > after:
                    found[near.id] = near
                    if len(found) == limit:
                        last = near.metres
        rings += 1
        if len(found) >= limit or outer >= circle.reach_m:
            return sorted(found.values())[:limit]
        is_sparse = len(found) < limit * _PART and len(found) * circle.reach_m**2 <= FEW * area
        if is_sparse and is_narrow and rings >= _RINGS:
            few = await _few(collection, places.field, circle, match)
            if few is not None:
                return [near for near in few if after is None or near > after][:limit]
            is_narrow = False
        # As much land as should have the rest, by what was found so far.
        area *= min(_WIDEST, max(_NARROWEST, _MARGIN * limit / len(found))) if found else _WIDEST
        inner = outer


async def _few(
    collection: AsyncCollection[dict[str, Any]], field: str, circle: Circle, match: Mapping[str, Any]
) -> list[Near] | None:
    """All that match, the nearest first; None if they are more than few."""
    query = {"$and": [match, {field: circle.condition()}]}
    rows = await collection.find(query, {field: 1}, limit=FEW + 1, max_time_ms=MAX_TIME_MS).to_list()
    if len(rows) > FEW:
        return None
    return sorted(Near(_whole(circle.metres_to(_point(row, field))), row["_id"]) for row in rows)


async def _ring(
    collection: AsyncCollection[dict[str, Any]],
    field: str,
    circle: Circle,
    match: Mapping[str, Any],
    *,
    bounds: tuple[float, float],
    hint: str,
    size: int,
) -> AsyncGenerator[Near, None]:
    """What is this far, in the order of the distance."""
    geo_near = {
        "near": {"type": "Point", "coordinates": [circle.longitude, circle.latitude]},
        "key": field,
        "distanceField": "distance_m",
        "minDistance": bounds[0],
        "maxDistance": bounds[1],
        "query": match,
    }
    stages: list[dict[str, Any]] = [{"$geoNear": geo_near}, {"$project": {"distance_m": 1}}]
    async with await collection.aggregate(stages, batchSize=size, hint=hint, maxTimeMS=MAX_TIME_MS) as cursor:
        async for row in cursor:
            yield Near(_whole(row["distance_m"]), row["_id"])


def _whole(distance_m: float) -> int:
    return math.floor(distance_m + 0.5)


def _point(row: Mapping[str, Any], field: str) -> Sequence[float]:
    """The coordinates in a field whose name may have dots."""
    value: Any = row
    for part in field.split("."):
        value = value[part]
    return value["coordinates"]  # type: ignore[no-any-return]  # of a GeoJSON point
