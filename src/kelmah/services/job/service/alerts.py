"""Tells workers of a job that was just published: who saved such a search, and if it is urgent who is near and free."""

from collections.abc import Sequence

from kelmah.contracts.job import JobAlert, JobStatus
from kelmah.kit import clock
from kelmah.services.job.documents import interest as documents
from kelmah.services.job.documents import jobs as job_documents
from kelmah.services.job.documents.interest import SavedSearchDocument
from kelmah.services.job.documents.jobs import JobDocument
from kelmah.services.job.service import matching, ranking, words
from kelmah.services.job.service.context import Context

#: Saved searches that are looked at, and workers that are told, in one transaction.
_BATCH = 100
#: Workers near and free who are told of one urgent job.
MAX_NEAR = 20


async def alert_workers(context: Context, job_id: str) -> None:
    """Tell each worker of an open job at most once, however often this runs."""
    job = await job_documents.get_job(job_id)
    if job is None or job.status is not JobStatus.OPEN:
        return
    if job.urgent:
        near = [one.worker.user_id for one in await matching.candidates(context, job) if _is_near_and_free(job, one)]
        await _tell(context, job, near[:MAX_NEAR], because="urgent")
    after = ""
    while batch := await documents.searches_for(job.trades, after=after, limit=_BATCH):
        after = batch[-1].id
        fitting = [one.worker_id for one in batch if fits(one, job) and one.worker_id != job.hirer_id]
        await _tell(context, job, fitting, because="saved_search")


def fits(search: SavedSearchDocument, job: JobDocument) -> bool:
    """Whether a job is what the search asks for; trades were compared by the query."""
    region_key = words.region_key(job.location.region, field="region")
    if search.region_key not in (None, region_key) or search.urgent not in (None, job.urgent):
        return False
    if not set(search.stems) <= set(job.terms):
        return False
    if search.min_budget is not None or search.max_budget is not None:
        lowest, highest = search.min_budget or 0, search.max_budget
        amount = job.budget.amount
        if search.currency != job.budget.currency or amount < lowest or (highest is not None and amount > highest):
            return False
    if search.near is None:
        return True
    return ranking.kilometres(search.near, job.location.point.coordinates) * 1000 <= search.radius_m


async def _tell(context: Context, job: JobDocument, worker_ids: Sequence[str], *, because: str) -> None:
    async def change() -> None:
        new = await documents.not_alerted(job.id, worker_ids)
        if not new:
            return
        await documents.note_alerts(job.id, new, at=clock.now())
        for worker_id in new:
            event = JobAlert(job_id=job.id, hirer_id=job.hirer_id, worker_id=worker_id, because=because)
            await context.events.append(event, subject=f"job-alerts:{job.id}")

    if worker_ids:
        await context.mongo.transact(change)


def _is_near_and_free(job: JobDocument, candidate: matching.Candidate) -> bool:
    """Whether the worker is near, and works today without a booking. Availability alone says neither."""
    place = candidate.worker.location
    if place is None or clock.now().date() not in candidate.worker.free_on:
        return False
    return ranking.kilometres(place.coordinates, job.location.point.coordinates) <= ranking.URGENT_KM
