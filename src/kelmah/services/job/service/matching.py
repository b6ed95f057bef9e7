"""Who fits whom: jobs for a worker, workers for a job. Without the trade there is no match, however near."""

from typing import NamedTuple

from kelmah.contracts import taxonomy
from kelmah.contracts.common import Page
from kelmah.contracts.job import Match, MatchedWorker, Recommendation
from kelmah.contracts.user import WorkerFacts
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import NotFound
from kelmah.kit.nearest import Circle
from kelmah.services.job import mapping
from kelmah.services.job.documents import applications as application_documents
from kelmah.services.job.documents import contracts as contract_documents
from kelmah.services.job.documents import jobs as documents
from kelmah.services.job.documents import search as search_documents
from kelmah.services.job.documents.contracts import Workload
from kelmah.services.job.documents.jobs import JobDocument
from kelmah.services.job.documents.search import JobRow
from kelmah.services.job.errors import IllegalStep, JobNotFound
from kelmah.services.job.service import ranking
from kelmah.services.job.service.context import Context
from kelmah.services.job.service.ranking import Need, Offer, Score
from kelmah.services.job.service.search import MAX_RADIUS_KM
from kelmah.services.job.service.states import EDITABLE_JOB

#: Workers, and jobs, that are scored for one answer. More of them cost much and hardly raise the scores of the best.
CANDIDATES, JOB_CANDIDATES = 100, 60


class Candidate(NamedTuple):
    """A worker with the score for a job."""

    worker: WorkerFacts
    score: Score


async def recommend_jobs(context: Context, *, by: Principal, limit: int) -> Page[Recommendation]:
    """The open jobs that fit a worker best, without those applied to. Nobody without a profile gets any."""
    try:
        worker = await context.user.get_worker(user_id=by.user_id)
    except NotFound:
        return Page(items=[])
    offered = _offer(worker, (await contract_documents.workloads([by.user_id])).get(by.user_id, Workload()))
    if not offered.skills:
        return Page(items=[])
    rows = await search_documents.open_for_offer(
        offered.skills,
        not_of=by.user_id,
        near=None if offered.place is None else Circle(*offered.place, MAX_RADIUS_KM * 1000),
        limit=max(JOB_CANDIDATES, limit),
    )
    applied = await application_documents.jobs_applied_to([row.id for row in rows], worker_id=by.user_id)
    now = clock.now()
    found = [(row, ranking.fit(need(row), offered, now=now)) for row in rows if row.id not in applied]
    scored = [(row, score) for row, score in found if score is not None]
    scored.sort(key=lambda pair: (-pair[1].total, pair[0].id))
    return Page(items=[_recommendation(row, score, offered) for row, score in scored[:limit]])


async def match_workers(context: Context, job_id: str, *, by: Principal, limit: int) -> Page[Match]:
    """The available workers that fit one's own job best, with a fair chance for newcomers."""
    job = await documents.get_own_job(job_id, hirer_id=by.user_id)
    if job is None:
        raise JobNotFound
    if job.status not in EDITABLE_JOB:
        raise IllegalStep.of("job", job.status)
    return Page(items=[_match(job, one) for one in (await candidates(context, job))[:limit]])


async def candidates(context: Context, job: JobDocument) -> list[Candidate]:
    """The available workers that fit a job, the best first."""
    wanted = ranking.open_to(job.skills, job.category)
    found = await context.user.find_workers(skills=wanted[:100], near=mapping.location(job), limit=CANDIDATES)
    workers = [one for one in found if one.is_available and one.user_id != job.hirer_id]
    loads = await contract_documents.workloads([one.user_id for one in workers])
    now, asked = clock.now(), need(job)
    scored = [
        Candidate(worker, score)
        for worker in workers
        if (score := ranking.fit(asked, _offer(worker, loads.get(worker.user_id, Workload())), now=now)) is not None
    ]
    scored.sort(key=lambda one: (-one.score.total, one.worker.user_id))
    return ranking.with_newcomers(scored, is_newcomer=lambda one: not one.worker.review_count)


def need(job: JobDocument | JobRow) -> Need:
    """What a job asks for, as it is ranked."""
    return Need(
        category=job.category,
        skills=job.skills,
        budget=mapping.money(job.budget),
        place=job.location.point.coordinates,
        published_at=job.published_at,
        urgent=job.urgent,
    )


def _offer(worker: WorkerFacts, load: Workload) -> Offer:
    known = [skill.id for skill in map(taxonomy.resolve, worker.skills) if skill]
    return Offer(
        skills=frozenset(known),
        place=worker.location.coordinates if worker.location else None,
        hourly_rate=worker.hourly_rate,
        rating_milli=worker.rating_milli,
        review_count=worker.review_count,
        completed=load.completed,
        active=load.active,
        is_available=worker.is_available,
        free_on=worker.free_on,
        response_rate_percent=worker.response_rate_percent,
    )


def _recommendation(row: JobRow, score: Score, offered: Offer) -> Recommendation:
    km = None if offered.place is None else ranking.kilometres(row.location.point.coordinates, offered.place)
    return Recommendation(
        job=mapping.job_view(row, distance_m=None if km is None else km * 1000),
        score=score.total,
        contributions=score.contributions,
        sides=score.sides,
        reasons=score.reasons,
    )


def _match(job: JobDocument, found: Candidate) -> Match:
    worker, score = found
    place = worker.location.coordinates if worker.location else None
    km = None if place is None else ranking.kilometres(job.location.point.coordinates, place)
    shown = MatchedWorker(
        user_id=worker.user_id,
        display_name=worker.display_name,
        skills=worker.skills,
        hourly_rate=worker.hourly_rate,
        rating_milli=worker.rating_milli,
        review_count=worker.review_count,
        distance_km=None if km is None else max(1, round(km)),
    )
    return Match(
        worker=shown,
        score=score.total,
        contributions=score.contributions,
        sides=score.sides,
        reasons=score.reasons,
    )
