"""Jobs: the documents and their queries."""

from collections.abc import AsyncIterator, Collection
from datetime import datetime
from typing import Any, ClassVar, Literal

from beanie import Document
from pydantic import BaseModel, Field
from pymongo import ASCENDING, DESCENDING, GEOSPHERE, IndexModel

from kelmah.contracts.job import JobStatus
from kelmah.kit.mongo import change, session
from kelmah.services.job.documents.base import MoneyValue, Position, newest

#: Invitations that one job may send.
MAX_INVITATIONS = 50
#: States in which a job takes applications.
TAKES_APPLICATIONS = (JobStatus.OPEN,)
#: How lists of open jobs are sorted.
NEWEST = [("published_at", DESCENDING), ("_id", DESCENDING)]


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


#: What narrows a search and what facets count. Each index of a list ends in them: who does not fit is left out without
#: being read, and counting reads no job at all.
_NARROWING = ("budget.currency", "budget.amount", "urgent", "location.region_key", "counted_as")


def _list_index(name: str, *first: str) -> IndexModel:
    """By these fields, then the newest first."""
    ahead = [("status", ASCENDING), *((field, ASCENDING) for field in first)]
    return IndexModel([*ahead, *NEWEST, *_narrowing(*first)], name=name)


def _narrowing(*ahead: str) -> list[tuple[str, int]]:
    return [(field, ASCENDING) for field in _NARROWING if field not in ahead]


def _place_index(name: str, *first: str) -> IndexModel:
    """By place; budget and urgency come after it, so that what does not fit is left out without being read."""
    fields = [*first, "location.point", "budget.currency", "budget.amount", "urgent"]
    order = [(field, GEOSPHERE if field == "location.point" else ASCENDING) for field in fields]
    return IndexModel([("status", ASCENDING), *order], name=name)


class JobDocument(Document):
    """A job. Shard key: hashed `_id`; a job is mostly read by id, and searches ask every shard anyway.

    `category` and `skills` are ids of the taxonomy. Derived, for search: `trades` has both, `terms` the stems of words,
    `open_to` each trade that may meet it in a recommendation, `counted_as` what facets count, as one text.
    """

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    hirer_id: str
    status: JobStatus = JobStatus.DRAFT
    version: int = 1
    title: str
    description: str
    category: str
    skills: list[str]
    trades: list[str]
    terms: list[str]
    open_to: list[str] = Field(default_factory=list)
    counted_as: str = ""
    budget: MoneyValue
    location: Place
    urgent: bool = False
    application_deadline: datetime | None = None
    expires_at: datetime | None = Field(None, description="Set while it is open: when it stops taking applications.")
    application_count: int = 0
    invitation_count: int = 0
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None = None
    contract_id: str | None = None
    offered_to: str | None = Field(None, description="The worker of the direct offer that it was made for.")
    reason: str | None = Field(None, description="Why it was closed.")

    class Settings:
        name = "jobs"
        keep_nulls = False
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("hirer_id", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)], name="hirer"),
            _list_index("newest"),
            _list_index("terms", "terms"),
            _list_index("trades", "trades"),
            _list_index("region", "location.region_key"),
            _list_index("trade_region", "trades", "location.region_key"),
            _list_index("urgent", "urgent"),
            _list_index("open_to", "open_to"),
            IndexModel(
                [
                    ("status", ASCENDING),
                    ("budget.currency", ASCENDING),
                    ("budget.amount", DESCENDING),
                    ("_id", DESCENDING),
                    *_narrowing("budget.currency", "budget.amount"),
                ],
                name="budget",
            ),
            _place_index("near"),
            _place_index("trade_near", "trades"),
            _place_index("term_near", "terms"),
            _place_index("region_near", "location.region_key"),
            _place_index("open_to_near", "open_to"),
        ]


class JobVersionDocument(Document):
    """A job as it read before an edit. Shard key: `job_id`."""

    id: str  # type: ignore[assignment]  # job id and version
    job_id: str
    version: int
    replaced_at: datetime
    changed: list[str]
    job: dict[str, Any]
    after: dict[str, Any] = Field(default_factory=dict, description="What the edit made of the changed fields.")

    class Settings:
        name = "job_versions"
        keep_nulls = False
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("job_id", ASCENDING), ("replaced_at", DESCENDING), ("_id", DESCENDING)], name="job")
        ]


async def insert_job(job: JobDocument) -> None:
    """Store a new job."""
    await job.insert(session=session())


async def get_job(job_id: str) -> JobDocument | None:
    """A job in any state."""
    return await JobDocument.find_one({"_id": job_id}, session=session())


async def every() -> AsyncIterator[JobDocument]:
    """All jobs."""
    async for job in JobDocument.find_all():
        yield job


async def get_visible_job(job_id: str, *, viewer_id: str | None) -> JobDocument | None:
    """A job that the viewer may see: until it is published, its hirer's and that worker's to whom it was offered."""
    own = [{"hirer_id": viewer_id}, {"offered_to": viewer_id}] if viewer_id is not None else []
    query = {"_id": job_id, "$or": [{"published_at": {"$ne": None}}, *own]}
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


async def keep_version(job: JobDocument, *, changed: list[str], after: dict[str, Any], at: datetime) -> None:
    """Keep a job as it reads before an edit, and what that makes of the changed fields."""
    content = job.model_dump(exclude={"terms", "open_to", "counted_as"}, exclude_none=True)
    version = JobVersionDocument(
        id=f"{job.id}:{job.version}",
        job_id=job.id,
        version=job.version,
        replaced_at=at,
        changed=changed,
        job=content,
        after=after,
    )
    await version.insert(session=session())


async def versions_of(job_id: str, *, after: Position | None, limit: int) -> list[JobVersionDocument]:
    """How a job read before its edits, the last edit first."""
    return await newest(JobVersionDocument, {"job_id": job_id}, time_field="replaced_at", after=after, limit=limit)


async def version_of(job_id: str, version: int) -> JobVersionDocument | None:
    """How a job read at this version, which was edited since."""
    return await JobVersionDocument.find_one({"_id": f"{job_id}:{version}"})


async def expire(job_id: str, *, at: datetime) -> JobDocument | None:
    """End an open job's time for applications, if it is over."""
    return await change(
        JobDocument,
        {"_id": job_id, "status": JobStatus.OPEN, "expires_at": {"$lte": at}},
        {"$set": {"status": JobStatus.EXPIRED, "updated_at": at}, "$inc": {"version": 1}},
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


async def count_application(job_id: str, *, worker_id: str, most: int, at: datetime) -> JobDocument | None:
    """Take one of the places for applications of an open job of somebody else, before its time is over."""
    return await change(
        JobDocument,
        {
            "_id": job_id,
            "status": JobStatus.OPEN,
            "expires_at": {"$gt": at},
            "hirer_id": {"$ne": worker_id},
            "application_count": {"$lt": most},
        },
        {"$inc": {"application_count": 1}},
    )


async def count_invitation(job_id: str, *, hirer_id: str, at: datetime) -> JobDocument | None:
    """Take one of the places for invitations of a hirer's open job, before its time is over."""
    return await change(
        JobDocument,
        {
            "_id": job_id,
            "hirer_id": hirer_id,
            "status": JobStatus.OPEN,
            "expires_at": {"$gt": at},
            "invitation_count": {"$lt": MAX_INVITATIONS},
        },
        {"$inc": {"invitation_count": 1}},
    )


async def next_of_hirer(hirer_id: str, *, after: str) -> str | None:
    """The hirer's job with the least id beyond `after`."""
    row = await JobDocument.get_pymongo_collection().find_one(
        {"hirer_id": hirer_id, "_id": {"$gt": after}}, {"_id": 1}, sort=[("_id", ASCENDING)], session=session()
    )
    return None if row is None else str(row["_id"])


async def jobs_of_hirer(
    hirer_id: str, *, status: JobStatus | None, after: Position | None, limit: int
) -> list[JobDocument]:
    """A hirer's jobs, the last written first."""
    query = {"hirer_id": hirer_id} | ({"status": status.value} if status else {})
    return await newest(JobDocument, query, time_field="created_at", after=after, limit=limit)
