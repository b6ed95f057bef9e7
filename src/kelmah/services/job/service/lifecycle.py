"""What the rest and the end of an account do to jobs and applications. Running contracts stay: the other side and the
money in escrow depend on them.

Each step is a transaction of its own with its condition on the state, so that it can be run again and stopped anywhere.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from kelmah.contracts.auth import AccountDeactivated, AccountDeleted
from kelmah.contracts.common import Role
from kelmah.contracts.events import Envelope
from kelmah.contracts.job import ApplicationStatus, ContractStatus, JobStatus
from kelmah.kit.context import Principal
from kelmah.kit.errors import KelmahError
from kelmah.services.job.documents import applications as application_documents
from kelmah.services.job.documents import contracts as contract_documents
from kelmah.services.job.documents import feeds as feed_documents
from kelmah.services.job.documents import interest as interest_documents
from kelmah.services.job.documents import jobs as job_documents
from kelmah.services.job.service import applications, contracts, jobs
from kelmah.services.job.service.context import Context

_AT_ONCE = 100
_GONE = "The account was deleted."


async def on_account_deactivated(context: Context, envelope: Envelope, event: AccountDeactivated) -> None:
    """Pause what the person offers, and close the private feed; who wakes publishes again what is still wanted."""
    await feed_documents.close_feed(event.user_id)
    by = _as(event.user_id, Role.HIRER)
    await _each(_jobs(event.user_id, JobStatus.OPEN), lambda one: jobs.pause_job(context, one, by=by))


async def on_account_deleted(context: Context, envelope: Envelope, event: AccountDeleted) -> None:
    """Close the person's jobs, withdraw the applications, cancel what is not signed yet, and forget what was kept."""
    user_id = event.user_id
    hirer, worker = _as(user_id, Role.HIRER), _as(user_id, Role.WORKER)
    await _each(_jobs(user_id, JobStatus.DRAFT), lambda one: jobs.delete_job(context, one, by=hirer))
    for status in (JobStatus.OPEN, JobStatus.PAUSED, JobStatus.EXPIRED):
        await _each(_jobs(user_id, status), lambda one: jobs.close_job(context, one, reason=_GONE, by=hirer))
    for live in (ApplicationStatus.SUBMITTED, ApplicationStatus.SHORTLISTED):
        await _each(_applications(user_id, live), lambda one: applications.withdraw(context, one, by=worker))
    for unsigned in (ContractStatus.OFFERED, ContractStatus.AWAITING_SIGNATURES):
        await _each(_contracts(user_id, unsigned), lambda one: contracts.cancel(context, one, reason=_GONE, by=hirer))
    await interest_documents.forget_person(user_id)
    await feed_documents.close_feed(user_id)


def _as(user_id: str, role: Role) -> Principal:
    """The person, for rules that ask whose a thing is; nobody is signed in."""
    return Principal(user_id=user_id, role=role, session_id="deleted")


_Find = Callable[[], Awaitable[list[str]]]


def _jobs(user_id: str, status: JobStatus) -> _Find:
    async def find() -> list[str]:
        found = await job_documents.jobs_of_hirer(user_id, status=status, after=None, limit=_AT_ONCE)
        return [one.id for one in found]

    return find


def _applications(user_id: str, status: ApplicationStatus) -> _Find:
    async def find() -> list[str]:
        found = await application_documents.applications_of_worker(user_id, status=status, after=None, limit=_AT_ONCE)
        return [one.id for one in found]

    return find


def _contracts(user_id: str, status: ContractStatus) -> _Find:
    async def find() -> list[str]:
        found = await contract_documents.contracts_of(user_id, status=status, after=None, limit=_AT_ONCE)
        return [one.id for one in found]

    return find


async def _each(find: _Find, move: Callable[[str], Awaitable[object]]) -> None:
    """Move all that is found. What somebody else moved meanwhile is let be, and is not met again."""
    met: set[str] = set()
    while fresh := [one for one in await find() if one not in met]:
        for one in fresh:
            met.add(one)
            with suppress(KelmahError):
                await move(one)
