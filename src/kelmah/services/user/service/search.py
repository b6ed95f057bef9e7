"""Finding workers, hirers and trades."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET

from kelmah.contracts import regions, taxonomy
from kelmah.contracts.common import DEFAULT_CURRENCY, Page, Role
from kelmah.contracts.taxonomy import Skill
from kelmah.contracts.user import (
    Correction,
    Facet,
    HirerHit,
    SearchSort,
    Suggestion,
    SuggestionKind,
    WorkerFacets,
    WorkerHit,
    WorkerPage,
)
from kelmah.kit import clock
from kelmah.kit.errors import BadInput
from kelmah.kit.nearest import Circle
from kelmah.kit.pagination import decode_cursor, encode_cursor
from kelmah.services.user import mapping
from kelmah.services.user.documents import search as documents
from kelmah.services.user.documents.search import Row, Search, Window
from kelmah.services.user.service import explaining, popular, spelling, terms, typed
from kelmah.services.user.service.context import Context
from kelmah.services.user.settings import UserSettings

HitT = TypeVar("HitT", WorkerHit, HirerHit)
#: Kilometres around a place, unless said otherwise.
DEFAULT_RADIUS_KM = 25.0
#: How far ahead anybody's availability is known.
HORIZON = timedelta(days=366)


@dataclass(frozen=True, kw_only=True)
class WorkerQuery:
    """What a client asks for, as it was typed. Numbers are within the bounds of the controller's parameters."""

    q: str | None = None
    skill: str | None = None
    near: str | None = None
    radius_km: float | None = None
    region: str | None = None
    min_rate: int | None = None
    max_rate: int | None = None
    currency: str | None = None
    min_rating: float | None = None
    language: str | None = None
    verified: bool = False
    available_on: date | None = None
    available_from: str | None = None
    available_to: str | None = None
    sort: SearchSort | None = None


class Prepared(NamedTuple):
    """A query in the database's terms; `search` is None when nothing was asked for that anybody could have."""

    search: Search | None
    sort: SearchSort
    meanings: Mapping[str, list[str]]


async def find_workers(
    context: Context, query: WorkerQuery, *, limit: int, cursor: str | None, explain: bool = False
) -> WorkerPage:
    """Listed workers that fit. A cursor belongs to its sort and goes on from the last row, whatever was written since.

    Raises:
        BadInput: a parameter does not fit, alone or with another.
    """
    search, sort, meanings = await _prepare(context.settings, query)
    if search is None:
        return WorkerPage(items=[])
    rows, next_cursor = await _page(search, sort, limit, cursor)
    if cursor is None:
        await popular.count(context, query.skill or query.q or "")
    hits = [mapping.worker_hit(row) for row in rows]
    if explain:
        hits = [_explained(hit, row, search, sort, meanings) for hit, row in zip(hits, rows, strict=True)]
    corrections = [Correction(word=word, taken_as=meant) for word, meant in meanings.items()]
    return WorkerPage(items=hits, next_cursor=next_cursor, corrections=corrections or UNSET)


async def count_workers(context: Context, query: WorkerQuery) -> WorkerFacets:
    """How those who fit spread over trades, regions, languages, ratings and statuses.

    Raises:
        BadInput: a parameter does not fit, alone or with another.
    """
    search, _, _ = await _prepare(context.settings, query)
    found = await documents.facets(search) if search else documents.Facets(0, is_capped=False, counts={})

    def facet(field: str, name: Callable[[str], str] = str) -> list[Facet]:
        values = sorted(found.counts.get(field, {}).items(), key=lambda pair: (-pair[1], pair[0]))
        return [Facet(value=value, name=name(value), count=count) for value, count in values]

    return WorkerFacets(
        total=found.counted,
        is_capped=found.is_capped,
        skills=facet("skills", mapping.skill_name),
        regions=facet("regions"),
        languages=facet("languages"),
        ratings=facet("ratings", lambda stars: f"{stars} stars and more"),
        statuses=facet("statuses"),
    )


async def _prepare(settings: UserSettings, query: WorkerQuery) -> Prepared:
    near = _near(query)
    sort = query.sort or (SearchSort.DISTANCE if near else SearchSort.RATING)
    if sort is SearchSort.DISTANCE and near is None:
        raise BadInput.of("sort", "distance needs near")
    if query.min_rate is not None and query.max_rate is not None and query.min_rate > query.max_rate:
        raise BadInput.of("maxRate", "must not be less than minRate")
    about_rates = sort is SearchSort.RATE or query.min_rate is not None or query.max_rate is not None
    if query.currency is not None:
        typed.currency(settings, "currency", query.currency)
    words = terms.query_terms(query.q or "")
    search = Search(
        trades=[_trade(query.skill)] if query.skill else None,
        near=near,
        currency=query.currency or (DEFAULT_CURRENCY if about_rates else None),
        min_rate=query.min_rate,
        max_rate=query.max_rate,
        min_rating_milli=_milli(query.min_rating),
        region_key=await _region_key(query.region) if query.region else None,
        language=query.language,
        is_verified=query.verified,
        window=_window(query),
    )
    if query.q and not words:
        return Prepared(None, sort, {})  # nothing but punctuation was asked for: that is nobody, not everybody
    meanings = await spelling.meanings(words)
    meant = [[word, *meanings.get(word, [])] for word in words]
    return Prepared(dataclasses.replace(search, terms=meant), sort, meanings)


def _trade(skill: str) -> str:
    """What those are found by who offer this trade; of a family, any of its trades."""
    skill_id = typed.skill_id("skill", skill)
    return skill_id if taxonomy.skills()[skill_id].parent else documents.any_of(skill_id)


async def _region_key(region: str) -> str:
    """How the region is stored. One that is neither Ghana's nor anybody's is a typing error, not an empty list."""
    key = regions.key(region)
    if key not in regions.ghana() and not await documents.has_region(key):
        raise BadInput.of("region", str(regions.unknown(region)))
    return key


def _window(query: WorkerQuery) -> Window | None:
    if query.available_on is None:
        if query.available_from is not None or query.available_to is not None:
            raise BadInput.of("availableOn", "the hours need their day")
        return None
    today = clock.now().date()
    if query.available_on < today:
        raise BadInput.of("availableOn", "must not be in the past")
    typed.not_after("availableOn", query.available_on, today + HORIZON)
    window = Window(query.available_on, query.available_from or "08:00", query.available_to or "17:00")
    if window.start >= window.end:
        raise BadInput.of("availableTo", "must be after availableFrom")
    return window


async def find_hirers(
    *, q: str | None, region: str | None, limit: int, cursor: str | None, explain: bool = False
) -> Page[HirerHit]:
    """Listed hirers that fit, best rated first."""
    words = terms.query_terms(q or "")
    meanings = await spelling.meanings(words)
    search = Search(
        listed_as=Role.HIRER,
        terms=[[word, *meanings.get(word, [])] for word in words],
        region_key=await _region_key(region) if region else None,
    )
    if q and not words:
        return Page(items=[])
    rows, next_cursor = await _page(search, SearchSort.RATING, limit, cursor)
    hits = [mapping.hirer_hit(row) for row in rows]
    if explain:
        hits = [_explained(hit, row, search, SearchSort.RATING, meanings) for hit, row in zip(hits, rows, strict=True)]
    return Page(items=hits, next_cursor=next_cursor)


def _explained(hit: HitT, row: Row, search: Search, sort: SearchSort, meanings: Mapping[str, list[str]]) -> HitT:
    """A hit that says why it is there."""
    return msgspec.structs.replace(hit, reasons=explaining.reasons(row, search, sort=sort, meanings=meanings))


def find_skills(*, q: str | None, parent: str | None) -> Page[Skill]:
    """Trades with their families, synonyms and all; those of a family, or with all words of `q` in their names."""
    wanted = terms.query_terms(q or "")
    if q and not wanted:
        return Page(items=[])
    return Page(
        items=[
            skill
            for skill in taxonomy.skills().values()
            if (parent is None or skill.parent == parent)
            and all(any(name.startswith(word) for name in _words(skill)) for word in wanted)
        ]
    )


async def suggest(context: Context, text: str, *, limit: int) -> Page[Suggestion]:
    """How a typed beginning may go on: trades, what people look for most first, then regions, then likely trades."""
    begun = taxonomy.fold(text)
    if not begun:
        return Page(items=[])
    rank = {one.skill: position for position, one in enumerate(await popular.get(context, limit=popular.MAX_TRADES))}
    named = [
        (not any(taxonomy.fold(name).startswith(begun) for name in (skill.name, *skill.synonyms)), skill)
        for skill in taxonomy.skills().values()
        if any(f" {begun}" in f" {taxonomy.fold(name)}" for name in (skill.name, *skill.synonyms))
    ]
    named.sort(key=lambda pair: (pair[0], rank.get(pair[1].id, len(rank)), pair[1].name))
    found = [Suggestion(kind=SuggestionKind.SKILL, value=skill.id, text=skill.name) for _, skill in named]
    found += [
        Suggestion(kind=SuggestionKind.REGION, value=name, text=name)
        for key, name in regions.ghana().items()
        if f" {begun}" in f" {key}"
    ]
    if not found:
        likely = [skill for skill in map(taxonomy.resolve, taxonomy.suggest(text)) if skill]
        found = [Suggestion(kind=SuggestionKind.SKILL, value=skill.id, text=skill.name) for skill in likely]
    return Page(items=found[:limit])


def read_cursor(cursor: str, types: Sequence[Any]) -> tuple[Any, ...]:
    """The values of a cursor.

    Raises:
        BadInput: it is not one of this list.
    """
    try:
        return decode_cursor(cursor, types)
    except ValueError as error:
        raise BadInput.of("cursor", str(error)) from error


async def _page(search: Search, sort: SearchSort, limit: int, cursor: str | None) -> tuple[list[Row], str | None]:
    after: tuple[float | int, str] | None = None
    if cursor:
        of_sort, value, row_id = read_cursor(cursor, (str, float | int, str))
        if of_sort != sort:
            raise BadInput.of("cursor", "belongs to another sort")
        after = (value, row_id)
    rows = await documents.run(search, sort=sort, after=after, limit=limit + 1)
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], encode_cursor((sort.value, last.key(sort), last.id))


def _near(query: WorkerQuery) -> Circle | None:
    if query.near is None:
        if query.radius_km is not None:
            raise BadInput.of("radiusKm", "needs near")
        return None
    try:
        longitude, latitude = (float(part) for part in query.near.split(","))
    except ValueError:
        raise BadInput.of("near", "send longitude,latitude in degrees, such as -0.19,5.60") from None
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):  # false for NaN too
        raise BadInput.of("near", "longitude is -180 to 180, latitude -90 to 90")
    radius_km = DEFAULT_RADIUS_KM if query.radius_km is None else query.radius_km
    if not math.isfinite(radius_km):
        raise BadInput.of("radiusKm", "must be a number")
    return Circle(longitude, latitude, radius_km * 1000)


def _milli(rating: float | None) -> int | None:
    if rating is None:
        return None
    if not math.isfinite(rating):
        raise BadInput.of("minRating", "must be a number")
    return round(rating * 1000)


def _words(skill: Skill) -> set[str]:
    return {word for name in (skill.id, skill.name, *skill.synonyms) for word in terms.words(name)}
