"""Searches over open jobs. They read raw rows, which costs a fraction of whole documents."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import msgspec
from pymongo import DESCENDING

from kelmah.contracts.common import Money
from kelmah.contracts.job import JobStatus
from kelmah.kit.keyset import MAX_TIME_MS, ordered
from kelmah.kit.nearest import Circle, Places, nearest
from kelmah.services.job.documents.base import Position
from kelmah.services.job.documents.jobs import JobDocument

#: Open jobs that facets count: below this they are exact, and the answer says whether they are.
MAX_COUNTED = 1_000
#: Between the values of `counted_as`; no cleaned text has it.
_APART = "\t"
_PLACES = Places(
    field="location.point",
    indexes={
        "open_to_near": frozenset({"status", "open_to"}),
        "trade_near": frozenset({"status", "trades"}),
        "term_near": frozenset({"status", "terms"}),
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


class RankedRow(msgspec.Struct, frozen=True, kw_only=True):
    """What ranking reads of a job: hundreds are ranked for the few that are shown."""

    class Place(msgspec.Struct, frozen=True):
        point: JobRow.Point

    id: str = msgspec.field(name="_id")
    hirer_id: str
    category: str
    skills: list[str]
    budget: Money
    location: Place
    published_at: datetime
    urgent: bool = False


RowT = TypeVar("RowT", JobRow, RankedRow)


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
    return await _ordered(JobRow, query_of(wanted), "published_at", after, limit)


async def best_paid_open(wanted: JobFilter, *, after: Amount | None, limit: int) -> list[JobRow]:
    """Open jobs that fit and whose budget is in the filter's currency, the largest budget first."""
    query = query_of(wanted) | {"budget.currency": wanted.currency}
    return await _ordered(JobRow, query, "budget.amount", after, limit)


async def nearest_open(
    wanted: JobFilter, circle: Circle, *, after: tuple[float, str] | None, limit: int
) -> list[JobRow]:
    """Open jobs that fit, the nearest first."""
    collection = JobDocument.get_pymongo_collection()
    found = await nearest(collection, _PLACES, circle, _conditions(wanted), after=after, limit=limit)
    rows = await get_rows([one.id for one in found])
    return [msgspec.structs.replace(rows[one.id], distance_m=one.metres) for one in found if one.id in rows]


async def get_rows(ids: Sequence[str]) -> dict[str, JobRow]:
    """Jobs by id, those that are there."""
    return {row.id: row for row in await _by_ids(JobRow, ids)}


def counted_as(trades: Sequence[str], region: str) -> str:
    """What facets count of a job. It is one text since an index that holds a list cannot answer by itself."""
    return _APART.join([region, *trades])


async def count_facets(wanted: JobFilter) -> Facets:
    """How the open jobs that fit spread over trades and regions."""
    values = {"counted_as": {"$push": "$counted_as"}}
    urgent = {"$sum": {"$cond": ["$urgent", 1, 0]}}
    stages: list[dict[str, Any]] = [
        {"$match": query_of(wanted)},
        {"$limit": MAX_COUNTED},
        # Before the group, so that MongoDB sees that the index holds all that is needed.
        {"$project": {"_id": 0, "counted_as": 1, "urgent": 1}},
        {"$group": {"_id": None, "urgent": urgent, **values}},
    ]
    rows = await (await JobDocument.get_pymongo_collection().aggregate(stages, maxTimeMS=MAX_TIME_MS)).to_list()
    found: dict[str, Any] = rows[0] if rows else {"urgent": 0, "counted_as": []}
    regions: Counter[str] = Counter()
    trades: Counter[str] = Counter()
    for text, count in Counter(found["counted_as"]).items():
        region, *of_job = text.split(_APART)
        regions[region] += count
        for trade in of_job:
            trades[trade] += count
    return Facets(counted=len(found["counted_as"]), trades=trades, regions=regions, urgent=found["urgent"])


async def open_for_offer(offered: Collection[str], *, not_of: str, near: Circle | None, limit: int) -> list[RankedRow]:
    """Open jobs that a worker of these trades may do: the nearest, or the newest when no place is given."""
    query: dict[str, Any] = {"status": JobStatus.OPEN.value, "open_to": _one_of(sorted(offered))}
    if near is None:
        rows = await _ordered(RankedRow, query, "published_at", None, limit)
    else:
        found = await nearest(JobDocument.get_pymongo_collection(), _PLACES, near, query, limit=limit)
        rows = await _by_ids(RankedRow, [one.id for one in found])
    return [row for row in rows if row.hirer_id != not_of]


def query_of(wanted: JobFilter) -> dict[str, Any]:
    """The query for open jobs that fit, the circle included."""
    query = _conditions(wanted)
    if wanted.near is not None:
        query[_PLACES.field] = wanted.near.condition()
    return query


def _conditions(wanted: JobFilter) -> dict[str, Any]:
    query: dict[str, Any] = {"status": JobStatus.OPEN.value}
    trades = [group for group in (wanted.skills, wanted.category) if group]
    several = []
    for field, groups in (("trades", trades), ("terms", wanted.stems)):
        if groups:
            query[field] = _one_of(groups[0])
        several += [{field: _one_of(group)} for group in groups[1:]]
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


async def _ordered(
    row: type[RowT], query: Mapping[str, Any], field: str, after: tuple[Any, str] | None, limit: int
) -> list[RowT]:
    jobs = JobDocument.get_pymongo_collection()
    by = (field, DESCENDING)
    found = await ordered(jobs, query, _projection(row), by=by, ids=DESCENDING, after=after, limit=limit)
    return msgspec.convert(found, list[row])  # type: ignore[valid-type]  # a type of run time


async def _by_ids(row: type[RowT], ids: Sequence[str]) -> list[RowT]:
    rows = JobDocument.get_pymongo_collection().find({"_id": {"$in": list(ids)}}, _projection(row))
    return msgspec.convert(await rows.to_list(), list[row])  # type: ignore[valid-type]  # a type of run time


def _projection(row: type[RowT]) -> dict[str, int]:
    return {field.encode_name: 1 for field in msgspec.structs.fields(row)}
