"""Saved jobs and saved searches of workers, and hirers' invitations to apply."""

from itertools import count

import msgspec

from kelmah.contracts.common import Page
from kelmah.contracts.job import (
    InvitationDeclined,
    InvitationStatus,
    InvitationView,
    Invite,
    JobAlert,
    JobView,
    SavedSearch,
    SavedSearchList,
    SaveSearch,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput, KelmahError, NotFound
from kelmah.kit.ids import new_id
from kelmah.kit.pagination import page
from kelmah.services.job import mapping
from kelmah.services.job.documents import interest as documents
from kelmah.services.job.documents import jobs as job_documents
from kelmah.services.job.documents.interest import InvitationDocument, SavedSearchDocument
from kelmah.services.job.errors import (
    AlreadyInvited,
    IllegalStep,
    InvitationNotFound,
    InvitationsFull,
    JobNotFound,
    JobNotOpen,
    SearchNotFound,
    TooManySaved,
)
from kelmah.services.job.service import search, words
from kelmah.services.job.service.context import Context
from kelmah.services.job.service.paging import position
from kelmah.services.job.service.states import INVITATION_TRANSITIONS, sources

MAX_SAVED_JOBS = 500
MAX_SEARCHES = 20


async def save_job(job_id: str, *, by: Principal) -> None:
    """Keep a job that one may see. Keeping it again changes nothing."""
    if await job_documents.get_visible_job(job_id, viewer_id=by.user_id) is None:
        raise JobNotFound
    if await documents.count_saved_jobs(by.user_id) >= MAX_SAVED_JOBS:
        raise TooManySaved(f"You keep {MAX_SAVED_JOBS} jobs, which is all that one may.")
    await documents.save_job(by.user_id, job_id, at=clock.now())


async def forget_job(job_id: str, *, by: Principal) -> None:
    """Do not keep a job any longer."""
    await documents.forget_job(by.user_id, job_id)


async def list_saved_jobs(*, by: Principal, cursor: str | None, limit: int) -> Page[JobView]:
    """The jobs one keeps, in whatever state they are by now, the last kept first."""
    found = await documents.saved_jobs(by.user_id, after=position(cursor), limit=limit + 1)
    jobs = await documents.jobs_by_id([one.job_id for one in found])
    kept = page(found, limit, view=lambda one: one, last=lambda one: (one.saved_at, one.id))
    views = [mapping.job_view(jobs[one.job_id]) for one in kept.items if one.job_id in jobs]
    return Page(items=views, next_cursor=kept.next_cursor)


async def save_search(context: Context, data: SaveSearch, *, by: Principal) -> SavedSearch:
    """Keep a search; its worker hears of each job that is published and fits."""
    name = words.line("name", data.name, 80)
    asked = search.JobSearch(
        q=data.q,
        category=data.category,
        skill=data.skill,
        near=None if data.near is None else f"{data.near[0]},{data.near[1]}",
        radius_km=data.radius_km,
        region=data.region,
        min_budget=data.min_budget,
        max_budget=data.max_budget,
        currency=data.currency,
        urgent=data.urgent,
    )
    await search.check(context.settings, asked)
    fits = search.job_filter(asked, [])
    trades = sorted(set(fits.category) & set(fits.skills)) if fits.category and fits.skills else None
    if trades == []:
        raise BadInput.of("skill", "none of these trades belongs to the category")

    async def keep() -> SavedSearch:
        taken = {one.slot for one in await documents.searches_of(by.user_id)}
        slot = next(free for free in count() if free not in taken)
        if slot >= MAX_SEARCHES:
            raise TooManySaved(f"You keep {MAX_SEARCHES} searches, which is all that one may.")
        saved = SavedSearchDocument(
            id=new_id(),
            worker_id=by.user_id,
            slot=slot,
            name=name,
            asked=msgspec.to_builtins(data),
            stems=[words.stem(word) for word in words.asked_words(data.q or "")],
            trades=trades or list(fits.category) or list(fits.skills) or [documents.ANY_TRADE],
            region_key=fits.region_key,
            near=None if fits.near is None else fits.near[:2],
            radius_m=0 if fits.near is None else fits.near.reach_m,
            currency=data.currency,
            min_budget=fits.min_budget,
            max_budget=fits.max_budget,
            urgent=fits.urgent,
            created_at=clock.now(),
        )
        await documents.save_search(saved)
        return _search_view(saved)

    return await context.mongo.transact(keep)


async def list_searches(*, by: Principal) -> SavedSearchList:
    """One's own saved searches."""
    return SavedSearchList(items=[_search_view(one) for one in await documents.searches_of(by.user_id)])


async def forget_search(search_id: str, *, by: Principal) -> None:
    """Hear no more of a search."""
    if not await documents.forget_search(search_id, worker_id=by.user_id):
        raise SearchNotFound


async def invite(context: Context, job_id: str, data: Invite, *, by: Principal) -> InvitationView:
    """Ask a worker to apply to one's own open job, once."""
    note = words.optional_lines("note", data.note, 2_000)
    try:
        await context.user.get_worker(user_id=data.worker_id)
    except NotFound as error:
        raise BadInput.of("workerId", "there is no such worker") from error
    now = clock.now()

    async def change() -> InvitationView:
        if await documents.is_invited(job_id, worker_id=data.worker_id):
            raise await _why_not_invite(job_id, by) or AlreadyInvited()
        job = await job_documents.count_invitation(job_id, hirer_id=by.user_id, at=now)
        if job is None:
            raise await _why_not_invite(job_id, by) or InvitationsFull()
        invitation = InvitationDocument(
            id=new_id(),
            job_id=job_id,
            hirer_id=by.user_id,
            worker_id=data.worker_id,
            note=note,
            created_at=now,
            updated_at=now,
        )
        await documents.insert_invitation(invitation)
        event = JobAlert(job_id=job_id, hirer_id=by.user_id, worker_id=data.worker_id, because="invitation")
        await context.events.append(event, subject=f"invitation:{invitation.id}")
        return mapping.invitation_view(invitation)

    return await context.mongo.transact(change)


async def list_invitations(*, by: Principal, cursor: str | None, limit: int) -> Page[InvitationView]:
    """The invitations that a worker got, the last first."""
    found = await documents.invitations({"worker_id": by.user_id}, after=position(cursor), limit=limit + 1)
    return page(found, limit, view=mapping.invitation_view, last=lambda one: (one.created_at, one.id))


async def list_job_invitations(job_id: str, *, by: Principal, cursor: str | None, limit: int) -> Page[InvitationView]:
    """The invitations to one's own job, the last first."""
    if await job_documents.get_own_job(job_id, hirer_id=by.user_id) is None:
        raise JobNotFound
    found = await documents.invitations({"job_id": job_id}, after=position(cursor), limit=limit + 1)
    return page(found, limit, view=mapping.invitation_view, last=lambda one: (one.created_at, one.id))


async def decline(context: Context, invitation_id: str, *, by: Principal) -> InvitationView:
    """Say no to an invitation."""

    async def change() -> InvitationView:
        invitation = await documents.answer_invitation(
            {"_id": invitation_id, "worker_id": by.user_id},
            sources=sources(INVITATION_TRANSITIONS, InvitationStatus.DECLINED),
            to=InvitationStatus.DECLINED,
            at=clock.now(),
        )
        if invitation is None:
            seen = await documents.get_invitation(invitation_id, worker_id=by.user_id)
            raise InvitationNotFound if seen is None else IllegalStep.of("invitation", seen.status)
        event = InvitationDeclined(
            invitation_id=invitation.id,
            job_id=invitation.job_id,
            hirer_id=invitation.hirer_id,
            worker_id=invitation.worker_id,
        )
        await context.events.append(event, subject=f"invitation:{invitation.id}")
        return mapping.invitation_view(invitation)

    return await context.mongo.transact(change)


async def _why_not_invite(job_id: str, by: Principal) -> KelmahError | None:
    job = await job_documents.get_own_job(job_id, hirer_id=by.user_id)
    if job is None:
        return JobNotFound()
    return None if job.status in job_documents.TAKES_APPLICATIONS else JobNotOpen.of("job", job.status)


def _search_view(saved: SavedSearchDocument) -> SavedSearch:
    return SavedSearch(id=saved.id, created_at=saved.created_at, search=msgspec.convert(saved.asked, SaveSearch))
