"""Searches over open jobs. They read raw rows, which costs a fraction of whole documents."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

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
#: Open jobs with a word that are read through in its index when little of them fits.
MAX_RARE = 4_000
_PLACES = Places(
    field="location.point",
    indexes={
        "open_to_near": frozenset({"status", "open_to"}),
        "trade_near": frozenset({"status", "trades"}),
        "term_near": frozenset({"status", "terms"}),
        "region_near": frozenset({"status", "location.region_key"}),
        "near": frozenset({"status"}),
    },
    lists={"open_to_near": "open_to", "trade_near": "trades", "term_near": "terms"},
    held=frozenset({"budget.currency", "budget.amount", "urgent", "location.region_key"}),
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
    distance_m: int | None = None


#: What is read of a job for a list.
_SHOWN = {field.encode_name: 1 for field in msgspec.structs.fields(JobRow)}


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """What open jobs are searched for; amounts are minor units, the radius metres.

    `stems` has a group for each word of the query: of each group a job has one. With `is_rare` there is one stem, and
    at most `MAX_RARE` open jobs have it. `category` and `skills` list ids.
    """

    stems: Sequence[Sequence[str]] = ()
    is_rare: bool = False
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


async def has_region(region_key: str) -> bool:
    """Whether an open job is there."""
    query = {"status": JobStatus.OPEN.value, "location.region_key": region_key}
    return await JobDocument.get_pymongo_collection().find_one(query, {"_id": 1}) is not None


def database_name() -> str:
    """Whose jobs these are; a process of tests knows several."""
    return JobDocument.get_pymongo_collection().database.name


async def count_open_with(stem: str) -> int:
    """How many open jobs have this stem; of more than `MAX_RARE`, one more than that."""
    query = {"status": JobStatus.OPEN.value, "terms": stem}
    jobs = JobDocument.get_pymongo_collection()
    return await jobs.count_documents(query, hint="terms", limit=MAX_RARE + 1, maxTimeMS=MAX_TIME_MS)


async def newest_open(wanted: JobFilter, *, after: Position | None, limit: int) -> list[JobRow]:
    """Open jobs that fit, the last published first."""
    # Left to itself MongoDB reads all jobs of the budget, because it counts keys and documents alike.
    narrow = wanted.is_rare and (wanted.min_budget, wanted.max_budget) != (None, None) and wanted.near is None
    hint = "terms" if narrow and not wanted.skills and not wanted.category else None
    return await _ordered(query_of(wanted), "published_at", after, limit, hint=hint)


async def best_paid_open(wanted: JobFilter, *, after: Amount | None, limit: int) -> list[JobRow]:
    """Open jobs that fit and whose budget is in the filter's currency, the largest budget first."""
    query = query_of(wanted) | {"budget.currency": wanted.currency}
    return await _ordered(query, "budget.amount", after, limit)


async def nearest_open(
    wanted: JobFilter, circle: Circle, *, after: tuple[float, str] | None, limit: int
) -> list[JobRow]:
    """Open jobs that fit, the nearest first."""
    collection = JobDocument.get_pymongo_collection()
    found = await nearest(collection, _PLACES, circle, _conditions(wanted), _SHOWN, after=after, limit=limit)
    return msgspec.convert(found, list[JobRow])


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


async def open_for_offer(offered: Collection[str], *, not_of: str, near: Circle | None, limit: int) -> list[JobRow]:
    """Open jobs that a worker of these trades may do: the nearest, or the newest when no place is given."""
    query: dict[str, Any] = {"status": JobStatus.OPEN.value, "open_to": _one_of(sorted(offered))}
    if near is None:
        rows = await _ordered(query, "published_at", None, limit)
    else:
        jobs = JobDocument.get_pymongo_collection()
        found = await nearest(jobs, _PLACES, near, query, _SHOWN, limit=limit)
        rows = msgspec.convert(found, list[JobRow])
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
    query: Mapping[str, Any],
    field: str,
    after: tuple[Any, str] | None,
    limit: int,
    hint: str | None = None,
) -> list[JobRow]:
    jobs = JobDocument.get_pymongo_collection()
    by = (field, DESCENDING)
    found = await ordered(jobs, query, _SHOWN, by=by, ids=DESCENDING, after=after, limit=limit, hint=hint)
    return msgspec.convert(found, list[JobRow])
