"""Jobs: the documents and their queries."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal, NamedTuple

from beanie import Document
from pydantic import BaseModel, Field
from pymongo import ASCENDING, DESCENDING, GEOSPHERE, IndexModel

from kelmah.contracts.job import JobStatus
from kelmah.kit.mongo import session
from kelmah.services.job.documents.base import MoneyValue, Position, change, newest, with_position

EARTH_RADIUS_M = 6_378_137.0


class Point(BaseModel):
    """A GeoJSON point: longitude, latitude."""

    type: Literal["Point"] = "Point"
    coordinates: tuple[float, float]


class Place(BaseModel):
    """Where the work is."""

    city: str
    region: str
    region_key: str
    point: Point


class JobDocument(Document):
    """A job. Shard key: hashed `_id`; a job is mostly read by id, and searches ask every shard anyway.

    The `…_key` fields and `terms` are what search compares: folded words without accents or case.
    """

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    hirer_id: str
    status: JobStatus = JobStatus.DRAFT
    version: int = 1
    title: str
    description: str
    category: str
    category_key: str
    skills: list[str]
    skill_keys: list[str]
    terms: list[str]
    budget: MoneyValue
    location: Place
    application_count: int = 0
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None = None
    contract_id: str | None = None
    reason: str | None = Field(None, description="Why it was closed.")

    class Settings:
        name = "jobs"
        keep_nulls = False
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("hirer_id", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)], name="hirer"),
            IndexModel([("status", ASCENDING), ("published_at", DESCENDING), ("_id", DESCENDING)], name="newest"),
            IndexModel([("status", ASCENDING), ("terms", ASCENDING)], name="terms"),
            IndexModel([("status", ASCENDING), ("skill_keys", ASCENDING), ("published_at", DESCENDING)], name="skills"),
            IndexModel(
                [("status", ASCENDING), ("category_key", ASCENDING), ("published_at", DESCENDING)], name="category"
            ),
            IndexModel([("location.point", GEOSPHERE), ("status", ASCENDING)], name="place"),
        ]


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """What open jobs are searched for; amounts are minor units, the radius metres."""

    words: Sequence[str] = ()
    category_key: str | None = None
    skill_keys: Sequence[str] = ()
    region_key: str | None = None
    currency: str | None = None
    min_budget: int | None = None
    max_budget: int | None = None
    near: tuple[float, float] | None = None
    radius_m: float = 0


class Found(NamedTuple):
    """A job that was found, and how far it is in metres where that was asked."""

    job: JobDocument
    distance_m: float | None = None


class Distance(NamedTuple):
    """Where a page of the nearest ended."""

    distance_m: float
    id: str


async def insert_job(job: JobDocument) -> None:
    """Store a new job."""
    await job.insert(session=session())


async def get_job(job_id: str) -> JobDocument | None:
    """A job in any state."""
    return await JobDocument.find_one({"_id": job_id}, session=session())


async def get_visible_job(job_id: str, *, viewer_id: str | None) -> JobDocument | None:
    """A job that the viewer may see: a draft is its hirer's alone."""
    own = [{"hirer_id": viewer_id}] if viewer_id is not None else []
    query = {"_id": job_id, "$or": [{"status": {"$ne": JobStatus.DRAFT.value}}, *own]}
    return await JobDocument.find_one(query, session=session())


async def get_own_job(job_id: str, *, hirer_id: str) -> JobDocument | None:
    """A job of this hirer, in any state."""
    return await JobDocument.find_one({"_id": job_id, "hirer_id": hirer_id}, session=session())


async def update_job(
    job_id: str, *, hirer_id: str, version: int, states: Collection[JobStatus], changes: dict[str, Any]
) -> JobDocument | None:
    """Change the content of a hirer's job at this version and in one of these states."""
    return await change(
        JobDocument,
        {"_id": job_id, "hirer_id": hirer_id, "version": version, "status": {"$in": list(states)}},
        {"$set": changes, "$inc": {"version": 1}},
    )


async def move_job(
    job_id: str,
    *,
    sources: Collection[JobStatus],
    to: JobStatus,
    at: datetime,
    hirer_id: str | None = None,
    changes: dict[str, Any] | None = None,
) -> JobDocument | None:
    """Take a job to another state, if it is in one of `sources`. A job keeps the time it was first published."""
    query: dict[str, Any] = {"_id": job_id, "status": {"$in": list(sources)}}
    if hirer_id is not None:
        query["hirer_id"] = hirer_id
    update: dict[str, Any] = {"$set": {"status": to, "updated_at": at, **(changes or {})}, "$inc": {"version": 1}}
    if to is JobStatus.OPEN:
        update["$min"] = {"published_at": at}
    return await change(JobDocument, query, update)


async def delete_draft(job_id: str, *, hirer_id: str) -> bool:
    """Remove a draft of this hirer. Returns whether there was one."""
    result = await JobDocument.get_pymongo_collection().delete_one(
        {"_id": job_id, "hirer_id": hirer_id, "status": JobStatus.DRAFT}, session=session()
    )
    return result.deleted_count == 1


async def count_application(job_id: str, *, worker_id: str, most: int) -> JobDocument | None:
    """Take one of the places for applications of an open job of somebody else."""
    return await change(
        JobDocument,
        {
            "_id": job_id,
            "status": JobStatus.OPEN,
            "hirer_id": {"$ne": worker_id},
            "application_count": {"$lt": most},
        },
        {"$inc": {"application_count": 1}},
    )


async def jobs_of_hirer(
    hirer_id: str, *, status: JobStatus | None, after: Position | None, limit: int
) -> list[JobDocument]:
    """A hirer's jobs, the last written first."""
    query = {"hirer_id": hirer_id} | ({"status": status.value} if status else {})
    return await newest(JobDocument, query, time_field="created_at", after=after, limit=limit)


async def newest_open_jobs(wanted: JobFilter, *, after: Position | None, limit: int) -> list[Found]:
    """Open jobs that fit, the last published first."""
    query = _open(wanted)
    if wanted.near is not None:
        radians = wanted.radius_m / EARTH_RADIUS_M
        query["location.point"] = {"$geoWithin": {"$centerSphere": [list(wanted.near), radians]}}
    rows = JobDocument.get_pymongo_collection().find(
        with_position(query, "published_at", after),
        sort=[("published_at", DESCENDING), ("_id", DESCENDING)],
        limit=limit,
    )
    return [Found(JobDocument.model_validate(row)) async for row in rows]


async def nearest_open_jobs(wanted: JobFilter, *, after: Distance | None, limit: int) -> list[Found]:
    """Open jobs that fit, the nearest first."""
    assert wanted.near is not None  # noqa: S101  # the service asks for a place before it sorts by distance
    near: dict[str, Any] = {
        "near": {"type": "Point", "coordinates": list(wanted.near)},
        "key": "location.point",
        "distanceField": "distance_m",
        "maxDistance": wanted.radius_m,
        "query": _open(wanted),
    }
    stages: list[dict[str, Any]] = [{"$geoNear": near}]
    if after is not None:
        # A metre of slack, because the server's bound is not exact to the last bit; the match below is.
        near["minDistance"] = max(0.0, after.distance_m - 1)
        beyond = [{"distance_m": {"$gt": after.distance_m}}, {"distance_m": after.distance_m, "_id": {"$gt": after.id}}]
        stages.append({"$match": {"$or": beyond}})
    stages += [{"$sort": {"distance_m": 1, "_id": 1}}, {"$limit": limit}]
    rows = await JobDocument.get_pymongo_collection().aggregate(stages)
    return [Found(JobDocument.model_validate(row), row["distance_m"]) async for row in rows]


async def open_jobs_for_skills(
    skill_keys: Collection[str], *, not_of: str, near: tuple[float, float] | None, radius_m: float, limit: int
) -> list[JobDocument]:
    """Open jobs that ask for any of these skills: the nearest, or the newest when no place is given."""
    keys = list(skill_keys)
    query: dict[str, Any] = {
        "status": JobStatus.OPEN,
        "hirer_id": {"$ne": not_of},
        "$or": [{"skill_keys": {"$in": keys}}, {"category_key": {"$in": keys}}],
    }
    if near is None:
        return await newest(JobDocument, query, time_field="published_at", after=None, limit=limit)
    place = {"type": "Point", "coordinates": list(near)}
    query["location.point"] = {"$nearSphere": {"$geometry": place, "$maxDistance": radius_m}}
    rows = JobDocument.get_pymongo_collection().find(query, limit=limit)
    return [JobDocument.model_validate(row) async for row in rows]


def _open(wanted: JobFilter) -> dict[str, Any]:
    query: dict[str, Any] = {"status": JobStatus.OPEN.value}
    if wanted.words:
        # A word finds all that begin with it; anchored, so the index serves it.
        query["$and"] = [{"terms": {"$regex": "^" + re.escape(word)}} for word in wanted.words]
    if wanted.category_key is not None:
        query["category_key"] = wanted.category_key
    if wanted.skill_keys:
        query["skill_keys"] = {"$in": list(wanted.skill_keys)}
    if wanted.region_key is not None:
        query["location.region_key"] = wanted.region_key
    budget = {"$gte": wanted.min_budget, "$lte": wanted.max_budget}
    if bounds := {operator: amount for operator, amount in budget.items() if amount is not None}:
        query["budget.amount"] = bounds
        query["budget.currency"] = wanted.currency
    return query
