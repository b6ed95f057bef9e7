"""Who is interested in which jobs: saved jobs, saved searches, alerts that were raised, and invitations."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from kelmah.contracts.job import InvitationStatus
from kelmah.kit.mongo import change, session
from kelmah.services.job.documents.base import Position, newest
from kelmah.services.job.documents.jobs import JobDocument
from kelmah.services.job.errors import AlreadyInvited

#: The trade of a saved search that asks for none.
ANY_TRADE = "*"


class SavedJobDocument(Document):
    """A job that a worker keeps. Shard key: `worker_id`."""

    id: str  # type: ignore[assignment]  # worker and job
    worker_id: str
    job_id: str
    saved_at: datetime

    class Settings:
        name = "saved_jobs"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("worker_id", ASCENDING), ("saved_at", DESCENDING), ("_id", DESCENDING)], name="worker")
        ]


class SavedSearchDocument(Document):
    """A search of which its worker hears. `slot` bounds how many one has; `asked` is what was sent."""

    id: str  # type: ignore[assignment]  # ours
    worker_id: str
    slot: int
    name: str
    asked: dict[str, Any]
    stems: list[str]
    trades: list[str]
    region_key: str | None
    near: tuple[float, float] | None
    radius_m: float
    currency: str
    min_budget: int | None
    max_budget: int | None
    urgent: bool | None
    created_at: datetime

    class Settings:
        name = "saved_searches"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("worker_id", ASCENDING), ("slot", ASCENDING)], unique=True, name="slot"),
            IndexModel([("trades", ASCENDING), ("_id", ASCENDING)], name="trades"),
        ]


class AlertDocument(Document):
    """A worker heard of a job; once is enough."""

    id: str  # type: ignore[assignment]  # job and worker
    at: datetime

    class Settings:
        name = "alerts"


class InvitationDocument(Document):
    """A hirer asks a worker to apply. Shard key: `job_id`."""

    id: str  # type: ignore[assignment]  # ours
    job_id: str
    hirer_id: str
    worker_id: str
    status: InvitationStatus = InvitationStatus.SENT
    note: str | None = None
    created_at: datetime
    updated_at: datetime

    class Settings:
        name = "invitations"
        keep_nulls = False
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("job_id", ASCENDING), ("worker_id", ASCENDING)], unique=True, name="one_per_worker"),
            IndexModel([("job_id", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)], name="job"),
            IndexModel([("worker_id", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)], name="worker"),
        ]


async def save_job(worker_id: str, job_id: str, *, at: datetime) -> None:
    """Keep a job; keeping it again changes nothing."""
    await SavedJobDocument.get_pymongo_collection().update_one(
        {"_id": f"{worker_id}:{job_id}"},
        {"$setOnInsert": {"worker_id": worker_id, "job_id": job_id, "saved_at": at}},
        upsert=True,
    )


async def count_saved_jobs(worker_id: str) -> int:
    return await SavedJobDocument.find({"worker_id": worker_id}).count()


async def forget_job(worker_id: str, job_id: str) -> None:
    """Do not keep a job any longer."""
    await SavedJobDocument.get_pymongo_collection().delete_one({"_id": f"{worker_id}:{job_id}"})


async def saved_jobs(worker_id: str, *, after: Position | None, limit: int) -> list[SavedJobDocument]:
    """What a worker keeps, the last first."""
    return await newest(SavedJobDocument, {"worker_id": worker_id}, time_field="saved_at", after=after, limit=limit)


async def jobs_by_id(job_ids: Collection[str]) -> dict[str, JobDocument]:
    """These jobs, in any state."""
    found = await JobDocument.find({"_id": {"$in": list(job_ids)}}).to_list()
    return {job.id: job for job in found}


async def forget_person(worker_id: str) -> None:
    """Remove the jobs and searches that a worker keeps."""
    for model in (SavedJobDocument, SavedSearchDocument):
        await model.get_pymongo_collection().delete_many({"worker_id": worker_id})


async def save_search(search: SavedSearchDocument) -> None:
    """Store a search in its slot, in the transaction that found it free: of two at once one begins again."""
    await search.insert(session=session())


async def searches_of(worker_id: str) -> list[SavedSearchDocument]:
    """A worker's searches, in the order of their slots."""
    return await SavedSearchDocument.find({"worker_id": worker_id}, session=session()).sort("+slot").to_list()


async def forget_search(search_id: str, *, worker_id: str) -> bool:
    """Remove a worker's search. Returns whether there was one."""
    result = await SavedSearchDocument.get_pymongo_collection().delete_one({"_id": search_id, "worker_id": worker_id})
    return result.deleted_count == 1


async def searches_for(trades: Collection[str], *, after: str, limit: int) -> list[SavedSearchDocument]:
    """Searches that ask for any of these trades or for none, in the order of their ids from after `after`."""
    query: Mapping[str, Any] = {"trades": {"$in": [ANY_TRADE, *trades]}, "_id": {"$gt": after}}
    return await SavedSearchDocument.find(query).sort("+_id").limit(limit).to_list()


async def not_alerted(job_id: str, worker_ids: Collection[str]) -> list[str]:
    """Those of these workers who have not heard of the job, each once, in their order."""
    wanted = {f"{job_id}:{one}": one for one in worker_ids}
    rows = AlertDocument.get_pymongo_collection().find({"_id": {"$in": list(wanted)}}, {"_id": 1}, session=session())
    known = {row["_id"] async for row in rows}
    return [worker for key, worker in wanted.items() if key not in known]


async def note_alerts(job_id: str, worker_ids: Collection[str], *, at: datetime) -> None:
    """Remember that these workers heard of the job."""
    rows = [{"_id": f"{job_id}:{one}", "at": at} for one in worker_ids]
    await AlertDocument.get_pymongo_collection().insert_many(rows, session=session())


async def insert_invitation(invitation: InvitationDocument) -> None:
    """Store a new invitation.

    Raises:
        AlreadyInvited: the worker has one to this job.
    """
    try:
        await invitation.insert(session=session())
    except DuplicateKeyError as error:
        raise AlreadyInvited from error


async def is_invited(job_id: str, *, worker_id: str) -> bool:
    """Whether the worker was invited to this job."""
    return await InvitationDocument.find_one({"job_id": job_id, "worker_id": worker_id}, session=session()) is not None


async def is_awaited(job_id: str, *, worker_id: str) -> bool:
    """Whether the worker has an invitation to this job that no application answered yet."""
    query = {"job_id": job_id, "worker_id": worker_id, "status": {"$ne": InvitationStatus.APPLIED.value}}
    return await InvitationDocument.find_one(query, session=session()) is not None


async def invitations(query: Mapping[str, str], *, after: Position | None, limit: int) -> list[InvitationDocument]:
    """Invitations of `{"job_id": …}` or of `{"worker_id": …}`, the last first."""
    return await newest(InvitationDocument, query, time_field="created_at", after=after, limit=limit)


async def get_invitation(invitation_id: str, *, worker_id: str) -> InvitationDocument | None:
    """An invitation of this worker."""
    return await InvitationDocument.find_one({"_id": invitation_id, "worker_id": worker_id}, session=session())


async def answer_invitation(
    query: Mapping[str, str], *, sources: Collection[InvitationStatus], to: InvitationStatus, at: datetime
) -> InvitationDocument | None:
    """Take an invitation to another state."""
    return await change(
        InvitationDocument,
        {**query, "status": {"$in": [one.value for one in sources]}},
        {"$set": {"status": to, "updated_at": at}},
    )
