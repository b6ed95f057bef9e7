"""Who fits whom: jobs for a worker, workers for a job. Without the skill there is no match, however near."""

from kelmah.contracts.common import Location, Page
from kelmah.contracts.job import JobStatus, Match, MatchedWorker, Recommendation
from kelmah.contracts.user import WorkerFacts
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import NotFound
from kelmah.services.job import mapping
from kelmah.services.job.documents import applications as application_documents
from kelmah.services.job.documents import jobs as documents
from kelmah.services.job.documents.jobs import JobDocument
from kelmah.services.job.errors import IllegalStep, JobNotFound
from kelmah.services.job.service import ranking, words
from kelmah.services.job.service.context import Context
from kelmah.services.job.service.search import MAX_RADIUS_KM
from kelmah.services.job.service.states import EDITABLE_JOB

#: Candidates that are scored for one answer.
CANDIDATES = 200


async def recommend_jobs(context: Context, *, by: Principal, limit: int) -> Page[Recommendation]:
    """The open jobs that fit a worker best, without those applied to. Nobody without a profile gets any."""
    try:
        worker = await context.user.get_worker(user_id=by.user_id)
    except NotFound:
        return Page(items=[])
    offered = _keys(worker)
    candidates = await documents.open_jobs_for_skills(
        offered,
        not_of=by.user_id,
        near=worker.location.coordinates if worker.location else None,
        radius_m=MAX_RADIUS_KM * 1000,
        limit=CANDIDATES,
    )
    applied = await application_documents.jobs_applied_to([job.id for job in candidates], worker_id=by.user_id)
    found = [_recommendation(job, worker, offered) for job in candidates if job.id not in applied]
    ranked = sorted((one for one in found if one is not None), key=lambda one: (-one.score, one.job.id))
    return Page(items=ranked[:limit])


async def match_workers(context: Context, job_id: str, *, by: Principal, limit: int) -> Page[Match]:
    """The available workers that fit one's own job best."""
    job = await documents.get_own_job(job_id, hirer_id=by.user_id)
    if job is None:
        raise JobNotFound
    if job.status not in EDITABLE_JOB:
        raise IllegalStep.of("job", job.status)
    skills = list(dict.fromkeys([*job.skills, job.category]))
    workers = await context.user.find_workers(skills=skills, near=mapping.location(job), limit=CANDIDATES)
    found = [_match(job, worker) for worker in workers if worker.is_available and worker.user_id != by.user_id]
    ranked = sorted((one for one in found if one is not None), key=lambda one: (-one.score, one.worker.user_id))
    return Page(items=ranked[:limit])


def _recommendation(job: JobDocument, worker: WorkerFacts, offered: frozenset[str]) -> Recommendation | None:
    skill = ranking.skills(job.skill_keys, job.category_key, offered)
    if skill is None or job.status is not JobStatus.OPEN or job.published_at is None:
        return None
    km = _kilometres(job, worker.location)
    score = ranking.combine(
        ranking.JOB_WEIGHTS,
        {
            "skills": skill,
            "distance": ranking.distance(km),
            "budget": ranking.budget(mapping.money(job.budget), worker.hourly_rate),
            "recency": ranking.recency(job.published_at, clock.now()),
        },
    )
    return Recommendation(
        job=mapping.job_view(job, distance_m=None if km is None else km * 1000),
        score=score.total,
        contributions=score.contributions,
        reasons=score.reasons,
    )


def _match(job: JobDocument, worker: WorkerFacts) -> Match | None:
    skill = ranking.skills(job.skill_keys, job.category_key, _keys(worker))
    if skill is None:
        return None
    km = _kilometres(job, worker.location)
    score = ranking.combine(
        ranking.WORKER_WEIGHTS,
        {
            "skills": skill,
            "distance": ranking.distance(km),
            "reputation": ranking.reputation(worker.rating_milli, worker.review_count),
            "budget": ranking.budget(mapping.money(job.budget), worker.hourly_rate),
        },
    )
    shown = MatchedWorker(
        user_id=worker.user_id,
        display_name=worker.display_name,
        skills=worker.skills,
        hourly_rate=worker.hourly_rate,
        rating_milli=worker.rating_milli,
        review_count=worker.review_count,
        distance_km=None if km is None else max(1, round(km)),
    )
    return Match(worker=shown, score=score.total, contributions=score.contributions, reasons=score.reasons)


def _keys(worker: WorkerFacts) -> frozenset[str]:
    return frozenset(words.key(one, field="skills") for one in worker.skills if words.words(one))


def _kilometres(job: JobDocument, place: Location | None) -> float | None:
    return None if place is None else ranking.kilometres(job.location.point.coordinates, place.coordinates)
