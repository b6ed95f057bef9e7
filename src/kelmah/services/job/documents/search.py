"""Searches over open jobs. They read raw rows, which costs a fraction of whole documents."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

import msgspec
from pymongo import DESCENDING

from kelmah.contracts.common import Money
from kelmah.contracts.job import JobStatus
from kelmah.kit.nearest import MAX_TIME_MS, Circle, Places, nearest
from kelmah.services.job.documents.base import Position, with_position
from kelmah.services.job.documents.jobs import NEWEST, JobDocument

#: Open jobs that facets count: below this they are exact, and the answer says whether they are.
MAX_COUNTED = 1_000
_PLACES = Places(
    field="location.point",
    indexes={
        "trade_near": frozenset({"status", "trades"}),
        "region_near": frozenset({"status", "location.region_key"}),
        "near": frozenset({"status"}),
    },
)


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
    near: Circle | None = None


class Amount(NamedTuple):
    """Where a page of the best paid ended."""

    amount: int
    id: str


class Facets(NamedTuple):
    """How many of the open jobs that fit have each value."""

    counted: int
    trades: Counter[str]
    regions: Counter[str]
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


async def nearest_open(
    wanted: JobFilter, circle: Circle, *, after: tuple[float, str] | None, limit: int
) -> list[JobRow]:
    """Open jobs that fit, the nearest first."""
    return await _nearest(_conditions(wanted), circle, after=after, limit=limit)


async def _nearest(
    match: dict[str, Any], circle: Circle, *, after: tuple[float, str] | None = None, limit: int
) -> list[JobRow]:
    """Ids are found first: in a large town many jobs are looked at for a page."""
    collection = JobDocument.get_pymongo_collection()
    found = await nearest(collection, _PLACES, circle, match, after=after, limit=limit)
    rows = {row.id: row for row in await _find({"_id": {"$in": [one.id for one in found]}}, None, limit)}
    return [msgspec.structs.replace(rows[one.id], distance_m=one.metres) for one in found if one.id in rows]


async def count_facets(wanted: JobFilter) -> Facets:
    """How the open jobs that fit spread over trades and regions."""
    values = {"trades": {"$push": "$trades"}, "regions": {"$push": "$location.region"}}
    urgent = {"$sum": {"$cond": ["$urgent", 1, 0]}}
    group = {"$group": {"_id": None, "counted": {"$sum": 1}, "urgent": urgent, **values}}
    stages: list[dict[str, Any]] = [{"$match": query_of(wanted)}, {"$limit": MAX_COUNTED}, group]
    rows = await (await JobDocument.get_pymongo_collection().aggregate(stages, maxTimeMS=MAX_TIME_MS)).to_list()
    found: dict[str, Any] = rows[0] if rows else {"counted": 0, "urgent": 0, "trades": [], "regions": []}
    return Facets(
        counted=found["counted"],
        trades=Counter(chain.from_iterable(found["trades"])),
        regions=Counter(found["regions"]),
        urgent=found["urgent"],
    )


async def open_for_trades(trades: Collection[str], *, not_of: str, near: Circle | None, limit: int) -> list[JobRow]:
    """Open jobs that ask for any of these trades: the nearest, or the newest when no place is given."""
    query = {"status": JobStatus.OPEN.value, "trades": {"$in": sorted(trades)}}
    rows = await _find(query, NEWEST, limit) if near is None else await _nearest(query, near, limit=limit)
    return [row for row in rows if row.hirer_id != not_of]


def query_of(wanted: JobFilter) -> dict[str, Any]:
    """The query for open jobs that fit, the circle included."""
    query = _conditions(wanted)
    if wanted.near is not None:
        query[_PLACES.field] = wanted.near.condition()
    return query


def _conditions(wanted: JobFilter) -> dict[str, Any]:
    query: dict[str, Any] = {"status": JobStatus.OPEN.value}
    groups = [group for group in (wanted.skills, wanted.category) if group]
    if groups:
        query["trades"] = _one_of(groups[0])
    several = [{"trades": _one_of(group)} for group in groups[1:]]
    several += [{"terms": _one_of(group)} for group in wanted.stems]
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
    jobs = JobDocument.get_pymongo_collection()
    rows = jobs.find(query, PROJECTION, sort=sort, limit=limit, max_time_ms=MAX_TIME_MS)
    return msgspec.convert(await rows.to_list(), list[JobRow])
