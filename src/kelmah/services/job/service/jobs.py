"""Jobs: writing, publishing, changing and closing them."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import UNSET

from kelmah.contracts import taxonomy
from kelmah.contracts.common import Event, Location, Page
from kelmah.contracts.job import (
    ApplicationRejected,
    CreateJob,
    JobClosed,
    JobCreated,
    JobDeleted,
    JobExpired,
    JobPaused,
    JobPublished,
    JobStatus,
    JobUpdated,
    JobVersion,
    JobView,
    UpdateJob,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput, KelmahError, PreconditionFailed
from kelmah.kit.ids import new_id
from kelmah.kit.pagination import page
from kelmah.services.job import mapping
from kelmah.services.job.documents import applications as application_documents
from kelmah.services.job.documents import jobs as documents
from kelmah.services.job.documents import search as search_documents
from kelmah.services.job.documents.base import MoneyValue
from kelmah.services.job.documents.jobs import JobDocument, Place, Point
from kelmah.services.job.errors import IllegalStep, JobNotFound, VersionNotFound
from kelmah.services.job.service import lexicon, ranking, words
from kelmah.services.job.service.context import Context
from kelmah.services.job.service.paging import position
from kelmah.services.job.service.states import EDITABLE_JOB, JOB_TRANSITIONS, sources

#: The actor that ends a job's time for applications.
EXPIRE = "job.expire_job"
#: The actor that tells workers of a job that was just published.
ALERT = "job.alert_workers"
#: How far ahead a deadline may be.
MAX_DEADLINE = timedelta(days=365)
#: What a job says, but for its deadline.
CONTENT = ("title", "description", "category", "skills", "budget", "location", "urgent")
#: What the worker reads whose application a closed job leaves behind.
CLOSED_REASON = "The job was closed."


async def create_job(context: Context, data: CreateJob, *, by: Principal) -> JobView:
    """Write a job; it is a draft."""
    job = new_job(checked_content(context, msgspec.structs.asdict(data)), by=by)

    async def change() -> JobView:
        await documents.insert_job(job)
        await context.events.append(JobCreated(job_id=job.id, hirer_id=job.hirer_id), subject=subject(job.id))
        return mapping.job_view(job)

    return await context.mongo.transact(change)


def new_job(content: dict[str, Any], *, by: Principal) -> JobDocument:
    """A draft with this checked content, not stored yet."""
    now = clock.now()
    job = JobDocument(id=new_id(), hirer_id=by.user_id, created_at=now, updated_at=now, trades=[], terms=[], **content)
    found: JobDocument = job.model_copy(update=search_fields(job))
    return found


async def get_job(job_id: str, *, viewer_id: str | None) -> JobView:
    """A job; a draft only for its hirer."""
    job = await documents.get_visible_job(job_id, viewer_id=viewer_id)
    if job is None:
        raise JobNotFound
    return mapping.job_view(job)


async def list_own_jobs(*, by: Principal, status: JobStatus | None, cursor: str | None, limit: int) -> Page[JobView]:
    """The hirer's own jobs in any state, the last written first."""
    found = await documents.jobs_of_hirer(by.user_id, status=status, after=position(cursor), limit=limit + 1)
    return page(found, limit, view=mapping.job_view, last=lambda job: (job.created_at, job.id))


async def update_job(context: Context, job_id: str, data: UpdateJob, *, version: int, by: Principal) -> JobView:
    """Change what a job says, if it still is at this version."""
    given = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not UNSET}
    if not given:
        raise BadInput("There is nothing to change.")
    return await _edit(context, job_id, checked_content(context, given), version=version, by=by)


async def restore_job(context: Context, job_id: str, kept: int, *, version: int, by: Principal) -> JobView:
    """Have a job say again what it said at the version `kept`, as another edit. Its deadline stays as it is."""
    found = await documents.get_own_job(job_id, hirer_id=by.user_id)
    if found is None:
        raise JobNotFound
    past = await documents.version_of(job_id, kept)
    if past is None:
        raise VersionNotFound
    old = JobDocument.model_validate(past.job | {"terms": []})
    content = {name: getattr(old, name) for name in CONTENT if getattr(old, name) != getattr(found, name)}
    if not content:
        raise BadInput("There is nothing to change.")
    return await _edit(context, job_id, content, version=version, by=by)


async def _edit(context: Context, job_id: str, content: dict[str, Any], *, version: int, by: Principal) -> JobView:
    """Change these checked fields, if the job still is at this version."""

    async def change() -> JobDocument:
        found = await documents.get_own_job(job_id, hirer_id=by.user_id)
        if found is None:
            raise JobNotFound
        if found.version != version:
            raise PreconditionFailed
        if found.status not in EDITABLE_JOB:
            raise IllegalStep.of("job", found.status)
        now = clock.now()
        after = found.model_copy(update=content)
        edited = {name: _plain(value) for name, value in content.items()}
        changes = edited | {**search_fields(after), "updated_at": now}
        if after.status is JobStatus.OPEN and "application_deadline" in content:
            changes["expires_at"] = _expiry(context, after, now=now)
        job = await documents.update_job(
            job_id, hirer_id=by.user_id, version=version, states=EDITABLE_JOB, changes=changes
        )
        if job is None:
            raise PreconditionFailed
        await documents.keep_version(found, changed=sorted(content), after=edited, at=now)
        if "expires_at" in changes:
            await _expire_later(context, job)
        event = JobUpdated(job_id=job.id, hirer_id=job.hirer_id, changed=sorted(content))
        await context.events.append(event, subject=subject(job.id))
        return job

    changed = await context.mongo.transact(change)
    if changed.status is JobStatus.OPEN:
        await lexicon.learn(changed.title, changed.location.city)
    return mapping.job_view(changed)


async def list_versions(job_id: str, *, by: Principal, cursor: str | None, limit: int) -> Page[JobVersion]:
    """How one's own job read before each of its edits, the last edit first."""
    if await documents.get_own_job(job_id, hirer_id=by.user_id) is None:
        raise JobNotFound
    found = await documents.versions_of(job_id, after=position(cursor), limit=limit + 1)
    return page(found, limit, view=mapping.job_version, last=lambda one: (one.replaced_at, one.id))


async def delete_job(context: Context, job_id: str, *, by: Principal) -> None:
    """Throw a draft away."""

    async def change() -> None:
        if not await documents.delete_draft(job_id, hirer_id=by.user_id):
            raise await _why_not(job_id, by)
        await context.events.append(JobDeleted(job_id=job_id, hirer_id=by.user_id), subject=subject(job_id))

    await context.mongo.transact(change)


async def publish_job(context: Context, job_id: str, *, by: Principal) -> JobView:
    """Open a draft, paused or expired job for applications, until its deadline or for the usual days.

    Raises:
        BadInput: the deadline has passed.
    """

    async def change() -> JobDocument:
        now = clock.now()
        found = await documents.get_own_job(job_id, hirer_id=by.user_id)
        if found is None:
            raise JobNotFound
        job = await documents.move_job(
            job_id,
            sources=sources(JOB_TRANSITIONS, JobStatus.OPEN),
            to=JobStatus.OPEN,
            at=now,
            hirer_id=by.user_id,
            changes={"expires_at": _expiry(context, found, now=now)},
        )
        if job is None:
            raise IllegalStep.of("job", found.status)
        if job.application_deadline is not None and job.application_deadline <= now:
            raise BadInput.of("applicationDeadline", "has passed: change it before the job is published again")
        await _expire_later(context, job)
        await context.timers.set(f"alert-workers:{job_id}", ALERT, [job_id])
        await context.events.append(JobPublished(job_id=job_id, hirer_id=by.user_id), subject=subject(job_id))
        return job

    published = await context.mongo.transact(change)
    await lexicon.learn(published.title, published.location.city)
    return mapping.job_view(published)


async def expire_job(context: Context, job_id: str) -> None:
    """End the time for applications, if it is over. Run twice or for a job that went another way, it does nothing."""

    async def change() -> None:
        job = await documents.expire(job_id, at=clock.now())
        if job is not None:
            await context.events.append(JobExpired(job_id=job_id, hirer_id=job.hirer_id), subject=subject(job_id))

    await context.mongo.transact(change)


async def pause_job(context: Context, job_id: str, *, by: Principal) -> JobView:
    """Take an open job out of search for a while; its applications stay."""
    event = JobPaused(job_id=job_id, hirer_id=by.user_id)
    return await _move(context, job_id, JobStatus.PAUSED, event, by=by, only_from=frozenset({JobStatus.OPEN}))


async def close_job(context: Context, job_id: str, *, reason: str | None, by: Principal) -> JobView:
    """Close an open or paused job for good; who still waits for an answer is turned down."""
    reason = words.optional_lines("reason", reason, 2_000)
    event = JobClosed(job_id=job_id, hirer_id=by.user_id)

    async def change() -> JobView:
        job = await _move(context, job_id, JobStatus.CANCELLED, event, by=by, reason=reason)
        await reject_waiting(context, job_id, reason=CLOSED_REASON)
        return job

    return await context.mongo.transact(change)


async def reject_waiting(context: Context, job_id: str, *, reason: str) -> None:
    """Turn down all live applications of a job, in the open transaction."""
    for one in await application_documents.reject_live(job_id, at=clock.now(), reason=reason):
        event = ApplicationRejected(
            application_id=one.id, job_id=job_id, hirer_id=one.hirer_id, worker_id=one.worker_id
        )
        await context.events.append(event, subject=f"application:{one.id}")


def subject(job_id: str) -> str:
    """What a job's events are filed under."""
    return f"job:{job_id}"


async def _move(
    context: Context,
    job_id: str,
    to: JobStatus,
    event: Event,
    *,
    by: Principal,
    only_from: frozenset[JobStatus] = frozenset(JobStatus),
    reason: str | None = None,
) -> JobView:
    async def change() -> JobView:
        job = await documents.move_job(
            job_id,
            sources=sources(JOB_TRANSITIONS, to) & only_from,
            to=to,
            at=clock.now(),
            hirer_id=by.user_id,
            changes={"reason": reason} if reason else None,
        )
        if job is None:
            raise await _why_not(job_id, by)
        await context.events.append(event, subject=subject(job_id))
        return mapping.job_view(job)

    return await context.mongo.transact(change)


async def _why_not(job_id: str, by: Principal) -> KelmahError:
    job = await documents.get_own_job(job_id, hirer_id=by.user_id)
    return JobNotFound() if job is None else IllegalStep.of("job", job.status)


def checked_content(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    """The checked fields of a job, as they are stored."""
    content: dict[str, Any] = {}
    if "title" in given:
        content["title"] = words.line("title", given["title"], 120)
    if "description" in given:
        content["description"] = words.lines("description", given["description"], 10_000)
    if "category" in given:
        content["category"] = words.trade("category", given["category"])
    if "skills" in given:
        content["skills"] = words.trades("skills", given["skills"])
    if "budget" in given:
        words.check_currency(context.settings, "budget", given["budget"])
        content["budget"] = MoneyValue.of(given["budget"])
    if "location" in given:
        content["location"] = _place(given["location"])
    if "urgent" in given:
        content["urgent"] = given["urgent"]
    if "application_deadline" in given:
        content["application_deadline"] = _deadline(given["application_deadline"])
    return content


def _deadline(given: datetime | None) -> datetime | None:
    if given is None:
        return None
    now = clock.now()
    if not now < given <= now + MAX_DEADLINE:
        raise BadInput.of("applicationDeadline", f"must be in the future, at most {MAX_DEADLINE.days} days")
    return given.replace(microsecond=given.microsecond // 1000 * 1000)  # what MongoDB keeps


def _expiry(context: Context, job: JobDocument, *, now: datetime) -> datetime:
    return job.application_deadline or now + timedelta(days=context.settings.job_open_days)


async def _expire_later(context: Context, job: JobDocument) -> None:
    await context.timers.set(f"expire-job:{job.id}", EXPIRE, [job.id], due=job.expires_at)


def _place(given: Location) -> Place:
    region = words.region("location.region", given.region, at=given.coordinates)
    return Place(
        city=words.line("location.city", given.city, 80),
        region=region,
        region_key=words.region_key(region, field="location.region"),
        point=Point(coordinates=given.coordinates),
    )


def search_fields(job: JobDocument) -> dict[str, Any]:
    """What searches go by."""
    trades = _trades(job)
    return {
        "terms": _terms(job),
        "trades": trades,
        "open_to": ranking.open_to(job.skills, job.category),
        "counted_as": search_documents.counted_as(trades, job.location.region),
    }


def _terms(job: JobDocument) -> list[str]:
    trades = [skill for one in _trades(job) for skill in taxonomy.lineage(one)]
    names = [name for skill in trades for name in (skill.name, *skill.synonyms)]
    return words.stems(job.title, *names, job.location.city, job.description)


def _trades(job: JobDocument) -> list[str]:
    return list(dict.fromkeys([job.category, *job.skills]))


def _plain(value: Any) -> Any:
    return value.model_dump() if isinstance(value, MoneyValue | Place) else value


async def complete_moved(context: Context, job: JobDocument) -> None:
    """Give a job of the old system what searches go by and, while it is open, an end. In the open transaction."""
    for field, value in search_fields(job).items():
        setattr(job, field, value)
    if job.status is JobStatus.OPEN:
        job.expires_at = _expiry(context, job, now=clock.now())
        await _expire_later(context, job)
