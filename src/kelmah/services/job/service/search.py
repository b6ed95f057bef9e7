"""Search of open jobs."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from kelmah.contracts.common import Latitude, Longitude, Page
from kelmah.contracts.job import JobView
from kelmah.kit.errors import BadInput
from kelmah.services.job import mapping
from kelmah.services.job.documents import jobs as documents
from kelmah.services.job.documents.jobs import Distance, Found, JobFilter
from kelmah.services.job.service import words
from kelmah.services.job.service.paging import cursor_values, page, position
from kelmah.services.job.settings import JobSettings

#: Kilometres around a place, unless the client says otherwise, and at most.
DEFAULT_RADIUS_KM = 50.0
MAX_RADIUS_KM = 500.0
#: Words of a query that are looked at; more are refused.
MAX_WORDS = 10


class Sort(StrEnum):
    """The order of what was found."""

    NEWEST = "newest"
    NEAREST = "nearest"


@dataclass(frozen=True, kw_only=True)
class JobSearch:
    """What the client asked for, as it came; budgets are minor units of `currency`."""

    q: str | None = None
    category: str | None = None
    skill: tuple[str, ...] = ()
    near: str | None = None
    radius_km: float | None = None
    region: str | None = None
    min_budget: int | None = None
    max_budget: int | None = None
    currency: str = "GHS"
    sort: Sort = Sort.NEWEST


async def search_jobs(settings: JobSettings, asked: JobSearch, *, cursor: str | None, limit: int) -> Page[JobView]:
    """Open jobs that fit, newest or nearest first; a word of `q` finds what begins with it."""
    wanted = job_filter(settings, asked)
    if asked.sort is Sort.NEAREST:
        values = cursor_values(cursor, (float, str))
        after = None if values is None else Distance(*values)
        found = await documents.nearest_open_jobs(wanted, after=after, limit=limit + 1)
        return page(found, limit, view=_view, last=lambda one: (one.distance_m, one.job.id))
    found = await documents.newest_open_jobs(wanted, after=position(cursor), limit=limit + 1)
    return page(found, limit, view=_view, last=lambda one: (one.job.published_at, one.job.id))


def job_filter(settings: JobSettings, asked: JobSearch) -> JobFilter:
    """The checked query.

    Raises:
        BadInput: a part does not fit; names it.
    """
    near = _place(asked.near)
    if near is None and asked.radius_km is not None:
        raise BadInput.of("radiusKm", "needs near=longitude,latitude")
    if near is None and asked.sort is Sort.NEAREST:
        raise BadInput.of("near", "is needed to sort by distance")
    if asked.min_budget is not None and asked.max_budget is not None and asked.min_budget > asked.max_budget:
        raise BadInput.of("minBudget", "must not be more than maxBudget")
    if asked.currency not in settings.currencies:
        raise BadInput.of("currency", f"must be one of {', '.join(settings.currencies)}")
    found = words.words(asked.q or "")
    if len(found) > MAX_WORDS:
        raise BadInput.of("q", f"at most {MAX_WORDS} words")
    if asked.q and asked.q.strip() and not found:
        raise BadInput.of("q", "must have a letter or a digit")
    return JobFilter(
        words=found,
        category_key=words.key(asked.category, field="category") if asked.category is not None else None,
        skill_keys=[words.key(one, field="skill") for one in asked.skill],
        region_key=words.key(asked.region, field="region") if asked.region is not None else None,
        currency=asked.currency,
        min_budget=asked.min_budget,
        max_budget=asked.max_budget,
        near=near,
        radius_m=(asked.radius_km or DEFAULT_RADIUS_KM) * 1000,
    )


def _place(near: str | None) -> tuple[float, float] | None:
    if near is None:
        return None
    try:
        return msgspec.json.decode(f"[{near}]", type=tuple[Longitude, Latitude])
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise BadInput.of("near", "must be longitude,latitude, such as -0.187,5.6037") from error


def _view(found: Found) -> JobView:
    return mapping.job_view(found.job, distance_m=found.distance_m)
