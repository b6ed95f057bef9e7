"""Applications: the documents and their queries."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pydantic import BaseModel, Field
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from kelmah.contracts.job import ApplicationStatus
from kelmah.kit.mongo import change, session
from kelmah.services.job.documents.base import MoneyValue, Position, newest
from kelmah.services.job.errors import AlreadyApplied

#: States in which an application still waits for an answer.
LIVE = (ApplicationStatus.SUBMITTED, ApplicationStatus.SHORTLISTED)


class Offer(BaseModel):
    """A milestone as the worker proposes it."""

    title: str
    amount: int
    due_at: datetime | None = None


class Counter(BaseModel):
    """Terms that the hirer offers for an application."""

    id: str
    proposed_rate: MoneyValue
    milestones: list[Offer]
    offered_at: datetime
    note: str | None = None


class ApplicationDocument(Document):
    """An application. Shard key: `job_id`, so that "one live one per worker and job" stays on one shard."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    job_id: str
    hirer_id: str
    worker_id: str
    status: ApplicationStatus = ApplicationStatus.SUBMITTED
    proposed_rate: MoneyValue
    cover_letter: str
    milestones: list[Offer]
    created_at: datetime
    updated_at: datetime
    reason: str | None = None
    contract_id: str | None = None
    counter_offer: Counter | None = None
    turned_down: bool = Field(False, description="Rejected by the hirer's own hand.")

    class Settings:
        name = "applications"
        keep_nulls = False
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel(
                [("job_id", ASCENDING), ("worker_id", ASCENDING)],
                unique=True,
                partialFilterExpression={"status": {"$in": [status.value for status in LIVE]}},
                name="one_live",
            ),
            IndexModel(
                [("job_id", ASCENDING), ("worker_id", ASCENDING)],
                partialFilterExpression={"turned_down": True},
                name="turned_down",
            ),
            IndexModel([("job_id", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)], name="job"),
            IndexModel([("worker_id", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)], name="worker"),
        ]


async def insert_application(application: ApplicationDocument) -> None:
    """Store a new application.

    Raises:
        AlreadyApplied: the worker has a live one to this job.
    """
    try:
        await application.insert(session=session())
    except DuplicateKeyError as error:
        raise AlreadyApplied from error


async def has_live_application(job_id: str, *, worker_id: str) -> bool:
    """Whether the worker waits for an answer about this job."""
    query = {"job_id": job_id, "worker_id": worker_id, "status": {"$in": list(LIVE)}}
    return await ApplicationDocument.find_one(query, session=session()) is not None


async def was_turned_down(job_id: str, *, worker_id: str) -> bool:
    """Whether the hirer rejected this worker's application by hand."""
    query = {"job_id": job_id, "worker_id": worker_id, "turned_down": True}
    return await ApplicationDocument.find_one(query, session=session()) is not None


async def offer_counter(
    application_id: str, *, hirer_id: str, counter: Counter, at: datetime
) -> ApplicationDocument | None:
    """Put other terms before the worker of a live application, in place of those offered before."""
    return await change(
        ApplicationDocument,
        {"_id": application_id, "hirer_id": hirer_id, "status": {"$in": list(LIVE)}},
        {"$set": {"counter_offer": counter.model_dump(exclude_none=True), "updated_at": at}},
    )


async def answer_counter(
    application_id: str, counter: Counter, *, worker_id: str, taken: bool, at: datetime
) -> ApplicationDocument | None:
    """Take exactly these offered terms, or leave them, while the application is live."""
    terms = counter.model_dump(include={"proposed_rate", "milestones"}) if taken else {}
    return await change(
        ApplicationDocument,
        {
            "_id": application_id,
            "worker_id": worker_id,
            "status": {"$in": list(LIVE)},
            "counter_offer.id": counter.id,
        },
        {"$set": terms | {"updated_at": at}, "$unset": {"counter_offer": ""}},
    )


async def get_application(application_id: str, *, party: str) -> ApplicationDocument | None:
    """An application that this person made or received."""
    query = {"_id": application_id, "$or": [{"worker_id": party}, {"hirer_id": party}]}
    return await ApplicationDocument.find_one(query, session=session())


async def move_application(
    application_id: str,
    *,
    sources: Collection[ApplicationStatus],
    to: ApplicationStatus,
    at: datetime,
    party: dict[str, str],
    changes: dict[str, Any] | None = None,
) -> ApplicationDocument | None:
    """Take an application to another state; `party` is `{"worker_id": …}` or `{"hirer_id": …}`."""
    return await change(
        ApplicationDocument,
        {"_id": application_id, "status": {"$in": list(sources)}, **party},
        {"$set": {"status": to, "updated_at": at, **(changes or {})}}
        | ({} if to in LIVE else {"$unset": {"counter_offer": ""}}),
    )


async def reject_live(job_id: str, *, at: datetime, reason: str) -> list[ApplicationDocument]:
    """Turn down all that still wait for an answer about this job, and give them as they are afterwards."""
    live = {"job_id": job_id, "status": {"$in": list(LIVE)}}
    waiting = await ApplicationDocument.find(live, session=session()).to_list()
    changes = {"status": ApplicationStatus.REJECTED, "updated_at": at, "reason": reason}
    update = {"$set": changes, "$unset": {"counter_offer": ""}}
    await ApplicationDocument.get_pymongo_collection().update_many(live, update, session=session())
    return [one.model_copy(update=changes | {"counter_offer": None}) for one in waiting]


async def applications_to_job(
    job_id: str, *, status: ApplicationStatus | None, after: Position | None, limit: int
) -> list[ApplicationDocument]:
    """A job's applications, the last first."""
    query = {"job_id": job_id} | ({"status": status.value} if status else {})
    return await newest(ApplicationDocument, query, time_field="created_at", after=after, limit=limit)


async def applications_of_worker(
    worker_id: str, *, status: ApplicationStatus | None, after: Position | None, limit: int
) -> list[ApplicationDocument]:
    """A worker's applications, the last first."""
    query = {"worker_id": worker_id} | ({"status": status.value} if status else {})
    return await newest(ApplicationDocument, query, time_field="created_at", after=after, limit=limit)


async def jobs_applied_to(job_ids: Collection[str], *, worker_id: str) -> set[str]:
    """Those of these jobs that the worker ever applied to."""
    rows = ApplicationDocument.get_pymongo_collection().find(
        {"job_id": {"$in": list(job_ids)}, "worker_id": worker_id}, {"job_id": 1}
    )
    return {row["job_id"] async for row in rows}
