"""What this service keeps of a person, for the person's archive."""

from collections.abc import Mapping
from typing import Any

from kelmah.contracts.common import Page
from kelmah.contracts.job import JobVersion
from kelmah.kit.context import Principal
from kelmah.kit.exports import Lister, nested
from kelmah.kit.pagination import MAX_LIMIT
from kelmah.services.job.documents import jobs as documents
from kelmah.services.job.service import applications, contracts, interest, jobs, templates
from kelmah.services.job.service.context import Context


async def _jobs(_context: Context, by: Principal, cursor: str | None) -> Page[Any]:
    return await jobs.list_own_jobs(by=by, status=None, cursor=cursor, limit=MAX_LIMIT)


async def _versions(_context: Context, by: Principal, cursor: str | None) -> Page[Any]:
    async def next_job(after: str) -> str | None:
        return await documents.next_of_hirer(by.user_id, after=after)

    async def versions(job_id: str, inner: str | None) -> Page[JobVersion]:
        return await jobs.list_versions(job_id, by=by, cursor=inner, limit=MAX_LIMIT)

    return await nested(cursor, next_parent=next_job, children=versions)


async def _applications(_context: Context, by: Principal, cursor: str | None) -> Page[Any]:
    return await applications.list_own_applications(by=by, status=None, cursor=cursor, limit=MAX_LIMIT)


async def _contracts(_context: Context, by: Principal, cursor: str | None) -> Page[Any]:
    return await contracts.list_contracts(by=by, status=None, cursor=cursor, limit=MAX_LIMIT)


async def _templates(_context: Context, by: Principal, _cursor: str | None) -> Page[Any]:
    return Page(items=(await templates.list_templates(by=by)).items)


async def _invitations(_context: Context, by: Principal, cursor: str | None) -> Page[Any]:
    return await interest.list_invitations(by=by, cursor=cursor, limit=MAX_LIMIT)


async def _saved_jobs(_context: Context, by: Principal, cursor: str | None) -> Page[Any]:
    return await interest.list_saved_jobs(by=by, cursor=cursor, limit=MAX_LIMIT)


async def _saved_searches(_context: Context, by: Principal, _cursor: str | None) -> Page[Any]:
    return Page(items=(await interest.list_searches(by=by)).items)


PARTS: Mapping[str, Lister] = {
    "jobs": _jobs,
    "job_versions": _versions,
    "applications": _applications,
    "contracts": _contracts,
    "templates": _templates,
    "invitations": _invitations,
    "saved_jobs": _saved_jobs,
    "saved_searches": _saved_searches,
}
