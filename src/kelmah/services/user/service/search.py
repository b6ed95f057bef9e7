"""Finding workers, hirers and trades."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kelmah.contracts import taxonomy
from kelmah.contracts.common import DEFAULT_CURRENCY, Page, Role
from kelmah.contracts.taxonomy import Skill
from kelmah.contracts.user import HirerHit, SearchSort, WorkerHit
from kelmah.kit.errors import BadInput
from kelmah.kit.pagination import decode_cursor, encode_cursor
from kelmah.services.user import mapping
from kelmah.services.user.documents import search as documents
from kelmah.services.user.documents.search import Near, Row, Search
from kelmah.services.user.service import terms, typed
from kelmah.services.user.service.context import Context

#: Kilometres around a place, unless said otherwise.
DEFAULT_RADIUS_KM = 25.0


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
    sort: SearchSort | None = None


async def find_workers(context: Context, query: WorkerQuery, *, limit: int, cursor: str | None) -> Page[WorkerHit]:
    """Listed workers that fit. A cursor belongs to its sort and goes on from the last row, whatever was written since.

    Raises:
        BadInput: a parameter does not fit, alone or with another.
    """
    near = _near(query)
    sort = query.sort or (SearchSort.DISTANCE if near else SearchSort.RATING)
    if sort is SearchSort.DISTANCE and near is None:
        raise BadInput.of("sort", "distance needs near")
    if query.min_rate is not None and query.max_rate is not None and query.min_rate > query.max_rate:
        raise BadInput.of("maxRate", "must not be less than minRate")
    about_rates = sort is SearchSort.RATE or query.min_rate is not None or query.max_rate is not None
    search = Search(
        terms=terms.query_terms(query.q or ""),
        skill_ids=sorted(taxonomy.expand(typed.skill_id("skill", query.skill))) if query.skill else None,
        region_key=terms.region_key(query.region) if query.region else None,
        near=near,
        currency=query.currency or (DEFAULT_CURRENCY if about_rates else None),
        min_rate=query.min_rate,
        max_rate=query.max_rate,
        min_rating_milli=_milli(query.min_rating),
    )
    if query.q and not search.terms:
        return Page(items=[])  # nothing but punctuation was asked for: that is nobody, not everybody
    rows, next_cursor = await _page(search, sort, limit, cursor)
    return Page(items=[mapping.worker_hit(row) for row in rows], next_cursor=next_cursor)


async def find_hirers(
    context: Context, *, q: str | None, region: str | None, limit: int, cursor: str | None
) -> Page[HirerHit]:
    """Listed hirers that fit, best rated first."""
    search = Search(
        listed_as=Role.HIRER,
        terms=terms.query_terms(q or ""),
        region_key=terms.region_key(region) if region else None,
    )
    if q and not search.terms:
        return Page(items=[])
    rows, next_cursor = await _page(search, SearchSort.RATING, limit, cursor)
    return Page(items=[mapping.hirer_hit(row) for row in rows], next_cursor=next_cursor)


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


def _near(query: WorkerQuery) -> Near | None:
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
    return Near(longitude, latitude, radius_km * 1000)


def _milli(rating: float | None) -> int | None:
    if rating is None:
        return None
    if not math.isfinite(rating):
        raise BadInput.of("minRating", "must be a number")
    return round(rating * 1000)


def _words(skill: Skill) -> set[str]:
    return {word for name in (skill.id, skill.name, *skill.synonyms) for word in terms.words(name)}
