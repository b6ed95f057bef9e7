"""Finds what is nearest to a point, in an order that pages go on from: by whole metres, then by id.

MongoDB's `$geoNear` alone reads thousands of documents of a dense place before it gives the first, and all of a circle
where few fit. Here it looks in rings, each wider than the last. Where few fit at all, which is counted first if an
index can do that by itself, these are read instead; and so they are where two rings did not do and few documents of
the whole circle fit, by whatever index finds them best.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as field_of
from functools import partial
from typing import Any, NamedTuple

from pymongo.asynchronous.collection import AsyncCollection

from kelmah.kit.keyset import MAX_TIME_MS

#: The radius of MongoDB's sphere, in metres.
EARTH_M = 6_378_100
#: How far the first ring around a point reaches, in metres, for a page of so many.
FIRST_RING_M, _PAGE = 1_000, 21
#: How many times as much land the next ring makes it: what should do by what was found, and a margin.
_NARROWEST, _WIDEST, _MARGIN = 3.0, 25.0, 1.5
#: If so many rings have less than this part of what is asked for, and no more than `FEW` are to be expected in the
#: whole circle, all of these are read.
_RINGS, _PART = 2, 1 / 3
FEW = 500
#: As many are read without looking in rings.
VERY_FEW = 100
#: Read beyond what is asked for, since the last may have equals; and documents that come in one answer of the server.
_TIES, _BATCH = 10, 1_000
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

    The indexes are named since MongoDB, left to itself, takes one that reads more. `lists` names for some of them an
    index that bounds the same and also holds the fields `held`, so that it counts what fits by itself.
    """

    field: str
    indexes: Mapping[str, frozenset[str]]
    lists: Mapping[str, str] = field_of(default_factory=dict)
    held: frozenset[str] = frozenset()


async def nearest(
    collection: AsyncCollection[dict[str, Any]],
    places: Places,
    circle: Circle,
    match: Mapping[str, Any],
    fields: Mapping[str, int],
    *,
    after: tuple[float, str] | None = None,
    limit: int,
) -> list[dict[str, Any]]:
    """The nearest documents that match, after a distance and id: these fields, and `distance_m` in whole metres.

    Equally far ones are looked at to their end.
    """
    hint, bounded = next(one for one in places.indexes.items() if match.keys() >= one[1])
    if hint in places.lists and match.keys() <= bounded | places.held:
        count = await collection.count_documents(
            match, hint=places.lists[hint], limit=VERY_FEW + 1, maxTimeMS=MAX_TIME_MS
        )
        few = await _few(collection, places.field, circle, match) if count <= VERY_FEW else None
        if few is not None:
            return await _rows(collection, few, fields, after=after, limit=limit)
    is_narrow = match.keys() > bounded
    start = 0.0 if after is None else max(0.0, after[0] - 0.5)
    inner, area = start, float(FIRST_RING_M**2) * max(1, limit / _PAGE)
    rings = 0
    found: dict[str, dict[str, Any]] = {}
    while True:
        # Each ring ends between two whole metres, so that what is equally far is in one ring.
        outer = min(math.floor(math.sqrt(start**2 + area)) + 0.5, circle.reach_m)
        inside = max(0.0, inner - _SLACK_M)
        ring = partial(_ring, collection, places.field, circle, match, hint=hint)
        room = limit - len(found)
        rows = await ring(fields, bounds=(inside, outer), most=room + _TIES)
        new = [row for row in rows if after is None or _key(row) > after]
        is_cut = len(rows) == room + _TIES
        if is_cut and sum(row["distance_m"] < rows[-1]["distance_m"] for row in new) < room:
            # Those as far as the last one may go on, and their order is that of their ids. The ring ends with them.
            outer = rows[-1]["distance_m"] + 0.5
            tied = sorted(map(_key, await ring({}, bounds=(inside, outer), most=None)))
            new = await _rows(collection, tied, fields, after=after, limit=room)
        found |= {row["_id"]: row for row in new}
        rings += 1
        if len(found) >= limit or outer >= circle.reach_m:
            return sorted(found.values(), key=_key)[:limit]
        is_sparse = len(found) < limit * _PART and len(found) * circle.reach_m**2 <= FEW * area
        if is_sparse and is_narrow and rings >= _RINGS:
            few = await _few(collection, places.field, circle, match)
            if few is not None:
                return await _rows(collection, few, fields, after=after, limit=limit)
            is_narrow = False
        # As much land as should have the rest, by what was found so far.
        area *= min(_WIDEST, max(_NARROWEST, _MARGIN * limit / len(found))) if found else _WIDEST
        inner = outer


async def _rows(
    collection: AsyncCollection[dict[str, Any]],
    few: list[Near],
    fields: Mapping[str, int],
    *,
    after: tuple[float, str] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """What is shown of the few, those that are still there."""
    shown = [near for near in few if after is None or near > after][:limit]
    ids = {"_id": {"$in": [near.id for near in shown]}}
    rows = {row["_id"]: row for row in await collection.find(ids, fields, max_time_ms=MAX_TIME_MS).to_list()}
    return [rows[near.id] | {"distance_m": near.metres} for near in shown if near.id in rows]


async def _few(
    collection: AsyncCollection[dict[str, Any]], path: str, circle: Circle, match: Mapping[str, Any]
) -> list[Near] | None:
    """All that match, the nearest first; None if they are more than few."""
    query = {"$and": [match, {path: circle.condition()}]}
    rows = await collection.find(query, {path: 1}, limit=FEW + 1, max_time_ms=MAX_TIME_MS).to_list()
    if len(rows) > FEW:
        return None
    return sorted(Near(_whole(circle.metres_to(_point(row, path))), row["_id"]) for row in rows)


async def _ring(
    collection: AsyncCollection[dict[str, Any]],
    path: str,
    circle: Circle,
    match: Mapping[str, Any],
    fields: Mapping[str, int],
    *,
    bounds: tuple[float, float],
    hint: str,
    most: int | None,
) -> list[dict[str, Any]]:
    """What is this far, in the order of the distance; read in one go, so that no cursor has to be closed."""
    geo_near = {
        "near": {"type": "Point", "coordinates": [circle.longitude, circle.latitude]},
        "key": path,
        "distanceField": "distance_m",
        "minDistance": bounds[0],
        "maxDistance": bounds[1],
        "query": match,
    }
    cut: list[dict[str, Any]] = [] if most is None else [{"$limit": most}]
    stages: list[dict[str, Any]] = [{"$geoNear": geo_near}, *cut, {"$project": {**fields, "distance_m": 1}}]
    rows = await (await collection.aggregate(stages, batchSize=_BATCH, hint=hint, maxTimeMS=MAX_TIME_MS)).to_list()
    return [row | {"distance_m": _whole(row["distance_m"])} for row in rows]


def _key(row: Mapping[str, Any]) -> Near:
    return Near(row["distance_m"], row["_id"])


def _whole(distance_m: float) -> int:
    return math.floor(distance_m + 0.5)


def _point(row: Mapping[str, Any], path: str) -> Sequence[float]:
    """The coordinates in a field whose name may have dots."""
    value: Any = row
    for part in path.split("."):
        value = value[part]
    return value["coordinates"]  # type: ignore[no-any-return]  # of a GeoJSON point
