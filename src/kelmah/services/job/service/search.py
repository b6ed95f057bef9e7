"""Search of open jobs: by words, trades, place, region and budget; with the reasons for each hit, and counts."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import msgspec

from kelmah.contracts import regions, taxonomy
from kelmah.contracts.common import Latitude, Longitude, Page
from kelmah.contracts.job import Facet, JobFacets, JobSuggestions, JobView, Why
from kelmah.kit.errors import BadInput
from kelmah.kit.nearest import Circle
from kelmah.kit.pagination import page, read_cursor
from kelmah.services.job import mapping
from kelmah.services.job.documents import search as documents
from kelmah.services.job.documents.search import Amount, JobFilter, JobRow
from kelmah.services.job.service import lexicon, words
from kelmah.services.job.service.lexicon import Wanted
from kelmah.services.job.service.paging import position
from kelmah.services.job.settings import JobSettings

#: Kilometres around a place, unless the client says otherwise, and at most.
DEFAULT_RADIUS_KM = 50.0
MAX_RADIUS_KM = 500.0
#: Words of a query that are looked at; more are refused.
MAX_WORDS = 10
_SUGGESTIONS = 10
_FACET_VALUES = 50
#: What a word of the query counts by where a job has it.
_POINTS = {"title": 500, "trade": 300, "place": 100, "description": 100}


class Sort(StrEnum):
    """The order of what was found."""

    NEWEST = "newest"
    NEAREST = "nearest"
    BUDGET = "budget"


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
    urgent: bool | None = None
    sort: Sort = Sort.NEWEST
    explain: bool = False


async def search_jobs(settings: JobSettings, asked: JobSearch, *, cursor: str | None, limit: int) -> Page[JobView]:
    """Open jobs that fit. Every word of `q` is found, or its completion, or its correction."""
    await check(settings, asked)
    wanted = await _wanted_words(asked.q)
    fits = job_filter(asked, wanted)

    def view(row: JobRow) -> JobView:
        return mapping.job_view(row, distance_m=row.distance_m, why=why(row, wanted, fits) if asked.explain else None)

    if asked.sort is Sort.NEAREST and fits.near is not None:
        after = read_cursor(cursor, (int, str))
        found = await documents.nearest_open(fits, fits.near, after=after, limit=limit + 1)
        return page(found, limit, view=view, last=lambda one: (one.distance_m, one.id))
    if asked.sort is Sort.BUDGET:
        values = read_cursor(cursor, (int, str))
        above = None if values is None else Amount(*values)
        found = await documents.best_paid_open(fits, after=above, limit=limit + 1)
        return page(found, limit, view=view, last=lambda one: (one.budget.amount, one.id))
    found = await documents.newest_open(fits, after=position(cursor), limit=limit + 1)
    return page(found, limit, view=view, last=lambda one: (one.published_at, one.id))


async def count_jobs(settings: JobSettings, asked: JobSearch) -> JobFacets:
    """How the open jobs that fit spread over trades and regions."""
    await check(settings, asked)
    counts = await documents.count_facets(job_filter(asked, await _wanted_words(asked.q)))
    names = taxonomy.skills()
    return JobFacets(
        count=counts.counted,
        is_complete=counts.counted < documents.MAX_COUNTED,
        urgent=counts.urgent,
        trades=[
            Facet(value=value, name=names[value].name, count=count)
            for value, count in _most(counts.trades)
            if value in names
        ],
        regions=[Facet(value=value, name=value, count=count) for value, count in _most(counts.regions)],
    )


def _most(counts: Counter[str]) -> list[tuple[str, int]]:
    """The most frequent values, twins in the order of the alphabet."""
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_FACET_VALUES]


async def suggest(typed: str) -> JobSuggestions:
    """What the words that were typed may go on to."""
    return JobSuggestions(items=await lexicon.suggestions(typed, limit=_SUGGESTIONS))


async def check(settings: JobSettings, asked: JobSearch) -> None:
    """Refuse a query of which the parts do not fit.

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
    found = words.asked_words(asked.q or "")
    if len(found) > MAX_WORDS:
        raise BadInput.of("q", f"at most {MAX_WORDS} words")
    if asked.q and asked.q.strip() and not found:
        raise BadInput.of("q", "must have a letter or a digit")
    key = job_filter(asked, []).region_key
    if asked.region and key and key not in regions.ghana() and not await documents.has_region(key):
        raise BadInput.of("region", str(regions.unknown(asked.region)))


def job_filter(asked: JobSearch, wanted: list[Wanted]) -> JobFilter:
    """The query as the documents know it; a family stands for all of its trades.

    Raises:
        BadInput: a trade is unknown or a place is none; names it.
    """
    place = _place(asked.near)
    skills = {words.trade("skill", one) for one in asked.skill}
    return JobFilter(
        stems=[one.stems for one in wanted],
        is_rare=len(wanted) == 1 and 0 < wanted[0].jobs <= documents.MAX_RARE,
        category=sorted(taxonomy.expand(words.trade("category", asked.category))) if asked.category is not None else (),
        skills=sorted({one for skill in skills for one in taxonomy.expand(skill)}),
        region_key=words.region_key(asked.region, field="region") if asked.region is not None else None,
        currency=asked.currency,
        min_budget=asked.min_budget,
        max_budget=asked.max_budget,
        urgent=asked.urgent,
        near=None if place is None else Circle(*place, (asked.radius_km or DEFAULT_RADIUS_KM) * 1000),
    )


def why(row: JobRow, wanted: list[Wanted], fits: JobFilter) -> list[Why]:
    """What of the query each part of the job answers; the points of words tell how prominent they are."""
    names = taxonomy.skills()
    texts = {
        "title": words.stems(row.title),
        "trade": _trade_stems(tuple(row.trades)),
        "place": words.stems(row.location.city, row.location.region),
        "description": words.stems(row.description),
    }
    found = [
        Why(part="q", asked=one.asked, found=stem, where=where, how=one.how, points=_POINTS[where])
        for one in wanted
        for stem in one.stems
        for where, stems in texts.items()
        if stem in stems
    ]
    for part, group in (("category", fits.category), ("skill", fits.skills)):
        found += [
            Why(part=part, asked=group[0] if len(group) == 1 else "family", found=names[one].name, where="trade")
            for one in row.trades
            if one in group
        ]
    if row.distance_m is not None:
        found.append(Why(part="near", found=f"{row.distance_m / 1000:.1f} km away", where="place"))
    return found


@lru_cache(maxsize=1024)
def _trade_stems(trades: tuple[str, ...]) -> list[str]:
    """The stems of all that these trades are called."""
    skills = [skill for one in trades for skill in taxonomy.lineage(one)]
    return words.stems(*(name for skill in skills for name in (skill.name, *skill.synonyms)))


async def _wanted_words(q: str | None) -> list[Wanted]:
    return [await lexicon.wanted(word) for word in words.asked_words(q or "")]


def _place(near: str | None) -> tuple[float, float] | None:
    if near is None:
        return None
    try:
        return msgspec.json.decode(f"[{near}]", type=tuple[Longitude, Latitude])
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise BadInput.of("near", "must be longitude,latitude, such as -0.187,5.6037") from error
