"""Searches over open jobs. They read raw rows, which costs a fraction of whole documents."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from pymongo import DESCENDING

from kelmah.contracts.common import Money
from kelmah.contracts.job import JobStatus
from kelmah.services.job.documents.base import Position, with_position
from kelmah.services.job.documents.jobs import NEWEST, JobDocument

EARTH_RADIUS_M = 6_378_137.0
#: Open jobs that facets count; of more the first are counted and the answer says so.
MAX_COUNTED = 5_000
_FACET_VALUES = 50
#: Jobs that are read beyond a page of the nearest, to see the end of a tie.
_TIES = 10


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a search reads of a job: all that is shown, and nothing that only the search compares."""

    class Point(msgspec.Struct, frozen=True):
        coordinates: tuple[float, float]

    class Place(msgspec.Struct, frozen=True):
        city: str
        region: str
        point: "JobRow.Point"

    id: str = msgspec.field(name="_id")
    hirer_id: str
    status: JobStatus
    version: int
    title: str
    description: str
    category: str
    skills: list[str]
    trades: list[str]
    budget: Money
    location: Place
    application_count: int
    created_at: datetime
    updated_at: datetime
    published_at: datetime
    urgent: bool = False
    application_deadline: datetime | None = None
    expires_at: datetime | None = None
    distance_m: float | None = None


#: The fields of a row.
PROJECTION = {field.encode_name: 1 for field in msgspec.structs.fields(JobRow)}


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """What open jobs are searched for; amounts are minor units, the radius metres.

    `stems` has a group for each word of the query: of each group a job has one. `category` and `skills` list ids.
    """

    stems: Sequence[Sequence[str]] = ()
    category: Sequence[str] = ()
    skills: Sequence[str] = ()
    region_key: str | None = None
    currency: str | None = None
    min_budget: int | None = None
    max_budget: int | None = None
    urgent: bool | None = None
    near: tuple[float, float] | None = None
    radius_m: float = 0


class Distance(NamedTuple):
    """Where a page of the nearest ended."""

    distance_m: float
    id: str


class Amount(NamedTuple):
    """Where a page of the best paid ended."""

    amount: int
    id: str


class Facets(msgspec.Struct, frozen=True):
    """How many of the open jobs that fit have each value."""

    class Count(msgspec.Struct, frozen=True):
        value: str = msgspec.field(name="_id")
        count: int

    counted: int
    trades: list[Count]
    regions: list[Count]
    urgent: int


async def any_open_with(stem: str) -> bool:
    """Whether an open job has this stem."""
    query = {"status": JobStatus.OPEN.value, "terms": stem}
    return await JobDocument.get_pymongo_collection().find_one(query, {"_id": 1}) is not None


async def newest_open(wanted: JobFilter, *, after: Position | None, limit: int) -> list[JobRow]:
    """Open jobs that fit, the last published first."""
    return await _find(with_position(query_of(wanted), "published_at", after), NEWEST, limit)


async def best_paid_open(wanted: JobFilter, *, after: Amount | None, limit: int) -> list[JobRow]:
    """Open jobs that fit and whose budget is in the filter's currency, the largest budget first."""
    query = query_of(wanted) | {"budget.currency": wanted.currency}
    if after is not None:
        beyond = [{"budget.amount": {"$lt": after.amount}}, {"budget.amount": after.amount, "_id": {"$lt": after.id}}]
        query = {"$and": [query, {"$or": beyond}]}
    return await _find(query, [("budget.amount", DESCENDING), ("_id", DESCENDING)], limit)


async def nearest_open(wanted: JobFilter, *, after: Distance | None, limit: int) -> list[JobRow]:
    """Open jobs that fit, the nearest first.

    The server streams them by distance, but equally far ones in no order. So as many more are read as it takes to see
    the end of the last tie, and the ids decide here; a sort in the server would read everything in the circle.
    """
    asked = limit + _TIES
    while True:
        rows = await JobDocument.get_pymongo_collection().aggregate(nearest_stages(wanted, after=after, limit=asked))
        found = msgspec.convert(await rows.to_list(), list[JobRow])
        found.sort(key=lambda one: (one.distance_m, one.id))
        if len(found) < asked or found[limit - 1].distance_m != found[-1].distance_m:
            return found[:limit]
        asked *= 4


def nearest_stages(wanted: JobFilter, *, after: Distance | None, limit: int) -> list[dict[str, Any]]:
    """The aggregation that finds the nearest, equally far ones in no order."""
    assert wanted.near is not None  # noqa: S101  # the service asks for a place before it sorts by distance
    near: dict[str, Any] = {
        "near": {"type": "Point", "coordinates": list(wanted.near)},
        "key": "location.point",
        "distanceField": "distance_m",
        "maxDistance": wanted.radius_m,
        "query": _conditions(wanted),
    }
    stages: list[dict[str, Any]] = [{"$geoNear": near}]
    if after is not None:
        # A metre of slack, because the server's bound is not exact to the last bit; the match below is.
        near["minDistance"] = max(0.0, after.distance_m - 1)
        beyond = [{"distance_m": {"$gt": after.distance_m}}, {"distance_m": after.distance_m, "_id": {"$gt": after.id}}]
        stages.append({"$match": {"$or": beyond}})
    return [*stages, {"$limit": limit}, {"$project": PROJECTION}]


async def count_facets(wanted: JobFilter) -> Facets:
    """How the open jobs that fit spread over trades and regions."""
    rows = await JobDocument.get_pymongo_collection().aggregate(facet_stages(wanted))
    (row,) = await rows.to_list()
    counted = row["counted"][0]["n"] if row["counted"] else 0
    urgent = row["urgent"][0]["n"] if row["urgent"] else 0
    return msgspec.convert(row | {"counted": counted, "urgent": urgent}, Facets)


def facet_stages(wanted: JobFilter) -> list[dict[str, Any]]:
    """The aggregation that counts."""
    most = [{"$sort": {"count": -1, "_id": 1}}, {"$limit": _FACET_VALUES}]
    return [
        {"$match": query_of(wanted)},
        {"$limit": MAX_COUNTED + 1},
        {"$project": {"trades": 1, "region": "$location.region", "urgent": 1}},
        {
            "$facet": {
                "counted": [{"$count": "n"}],
                "urgent": [{"$match": {"urgent": True}}, {"$count": "n"}],
                "trades": [{"$unwind": "$trades"}, {"$group": {"_id": "$trades", "count": {"$sum": 1}}}, *most],
                "regions": [{"$group": {"_id": "$region", "count": {"$sum": 1}}}, *most],
            }
        },
    ]


async def open_for_trades(
    trades: Collection[str], *, not_of: str, near: tuple[float, float] | None, radius_m: float, limit: int
) -> list[JobRow]:
    """Open jobs that ask for any of these trades: the nearest, or the newest when no place is given."""
    query: dict[str, Any] = {
        "status": JobStatus.OPEN.value,
        "hirer_id": {"$ne": not_of},
        "trades": {"$in": sorted(trades)},
    }
    if near is None:
        return await _find(query, NEWEST, limit)
    place = {"type": "Point", "coordinates": list(near)}
    query["location.point"] = {"$nearSphere": {"$geometry": place, "$maxDistance": radius_m}}
    return await _find(query, None, limit)


def query_of(wanted: JobFilter) -> dict[str, Any]:
    """The query for open jobs that fit, the circle included."""
    query = _conditions(wanted)
    if wanted.near is not None:
        radians = wanted.radius_m / EARTH_RADIUS_M
        query["location.point"] = {"$geoWithin": {"$centerSphere": [list(wanted.near), radians]}}
    return query


def _conditions(wanted: JobFilter) -> dict[str, Any]:
    query: dict[str, Any] = {"status": JobStatus.OPEN.value}
    several: list[dict[str, Any]] = [{"terms": _one_of(group)} for group in wanted.stems]
    several += [{"trades": _one_of(group)} for group in (wanted.category, wanted.skills) if group]
    if several:
        query["$and"] = several
    if wanted.region_key is not None:
        query["location.region_key"] = wanted.region_key
    if wanted.urgent is not None:
        query["urgent"] = wanted.urgent
    budget = {"$gte": wanted.min_budget, "$lte": wanted.max_budget}
    if bounds := {operator: amount for operator, amount in budget.items() if amount is not None}:
        query["budget.amount"] = bounds
        query["budget.currency"] = wanted.currency
    return query


def _one_of(values: Sequence[str]) -> Any:
    return values[0] if len(values) == 1 else {"$in": list(values)}


async def _find(query: Mapping[str, Any], sort: Any, limit: int) -> list[JobRow]:
    rows = JobDocument.get_pymongo_collection().find(query, PROJECTION, sort=sort, limit=limit)
    return msgspec.convert(await rows.to_list(), list[JobRow])
