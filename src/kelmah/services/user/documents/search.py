"""Searches over listed profiles. They read raw rows, which costs a third of whole documents."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from kelmah.contracts.common import Role
from kelmah.contracts.user import SearchSort
from kelmah.services.user.documents.profiles import ProfileDocument

#: Sort → (field, direction). `_id` breaks ties, so that the order is total.
_ORDER = {
    SearchSort.RATING: ("rating_milli", -1),
    SearchSort.RATE: ("hourly_rate.amount", 1),
    SearchSort.DISTANCE: ("distance_m", 1),
}
_FIELDS = (
    "role", "display_name", "headline", "company", "skills", "place", "hourly_rate", "availability.status",
    "rating_milli", "review_count", "distance_m",
)  # fmt: skip
_PROJECTION = dict.fromkeys(_FIELDS, 1)


class Near(NamedTuple):
    """A circle; without a radius, everywhere."""

    longitude: float
    latitude: float
    radius_m: float | None


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is looked for. Every condition that is given must hold; of `skill_ids` one is enough."""

    listed_as: Role = Role.WORKER
    terms: Sequence[str] = ()
    skill_ids: Sequence[str] | None = None
    region_key: str | None = None
    near: Near | None = None
    currency: str | None = None
    min_rate: int | None = None
    max_rate: int | None = None
    min_rating_milli: int | None = None
    is_available: bool = False
    has_place: bool | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What a search reads of a profile."""

    class Skill(msgspec.Struct, frozen=True):
        id: str
        years: int | None = None

    class Point(msgspec.Struct, frozen=True):
        coordinates: tuple[float, float]

    class Place(msgspec.Struct, frozen=True):
        city: str
        region: str
        point: "Row.Point"

    class Rate(msgspec.Struct, frozen=True):
        amount: int
        currency: str

    class Availability(msgspec.Struct, frozen=True):
        status: str

    id: str = msgspec.field(name="_id")
    role: Role
    display_name: str
    headline: str | None
    company: str | None
    skills: list[Skill]
    place: Place | None
    hourly_rate: Rate | None
    availability: Availability
    rating_milli: int
    review_count: int
    distance_m: float | None = None

    def key(self, sort: SearchSort) -> float | int:
        """The value that the sort orders by."""
        if sort is SearchSort.DISTANCE:
            return self.distance_m or 0.0
        if sort is SearchSort.RATE:
            return self.hourly_rate.amount if self.hourly_rate else 0
        return self.rating_milli


async def run(
    search: Search, *, sort: SearchSort, after: tuple[float | int, str] | None = None, limit: int
) -> list[Row]:
    """At most `limit` rows in the order of `sort`, after the given sort value and id."""
    field, direction = _ORDER[sort]
    order = [(field, direction), ("_id", 1)]
    match = _match(search)
    if sort is SearchSort.RATE:
        match.setdefault("hourly_rate.amount", {"$gte": 1})
    collection = ProfileDocument.get_pymongo_collection()
    if search.near is None:
        query = {"$and": [match, _after(field, direction, after)]} if after else match
        rows = await collection.find(query, _PROJECTION).sort(order).limit(limit).to_list(limit)
    else:
        stages: list[dict[str, Any]] = [_geo_near(search.near, match)]
        if after:
            stages.append({"$match": _after(field, direction, after)})
        stages += [{"$sort": dict(order)}, {"$limit": limit}, {"$project": _PROJECTION}]
        rows = await (await collection.aggregate(stages)).to_list(limit)
    return msgspec.convert(rows, list[Row])


def _match(search: Search) -> dict[str, Any]:
    match: dict[str, Any] = {"listed_as": search.listed_as.value}
    if search.terms:
        match["terms"] = {"$all": list(search.terms)}
    if search.skill_ids is not None:
        match["skills.id"] = {"$in": list(search.skill_ids)}
    if search.region_key is not None:
        match["place.region_key"] = search.region_key
    if search.currency is not None:
        match["hourly_rate.currency"] = search.currency
    bounds = {"$gte": search.min_rate, "$lte": search.max_rate}
    if amount := {operator: bound for operator, bound in bounds.items() if bound is not None}:
        match["hourly_rate.amount"] = amount
    if search.min_rating_milli is not None:
        match["rating_milli"] = {"$gte": search.min_rating_milli}
    if search.is_available:
        match["availability.status"] = "available"
    if search.has_place is not None:
        match["place"] = {"$ne": None} if search.has_place else None
    return match


def _after(field: str, direction: int, after: tuple[float | int, str]) -> dict[str, Any]:
    """What comes after a row. The first condition bounds the index scan, the second decides between equals."""
    value, row_id = after
    upto, beyond = ("$gte", "$gt") if direction > 0 else ("$lte", "$lt")
    return {field: {upto: value}, "$or": [{field: {beyond: value}}, {"_id": {"$gt": row_id}}]}


def _geo_near(near: Near, query: dict[str, Any]) -> dict[str, Any]:
    return {
        "$geoNear": {
            "near": {"type": "Point", "coordinates": [near.longitude, near.latitude]},
            "key": "place.point",
            "distanceField": "distance_m",
            "spherical": True,
            "query": query,
            "maxDistance": near.radius_m if near.radius_m is not None else math.pi * 6_378_100,
        }
    }
