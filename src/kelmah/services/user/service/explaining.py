"""Why somebody is among the found, in words."""

from collections.abc import Mapping
from functools import lru_cache

from kelmah.contracts.user import HitReason, SearchSort
from kelmah.services.user import mapping
from kelmah.services.user.documents import search as documents
from kelmah.services.user.documents.search import Row, Search
from kelmah.services.user.service import terms


def reasons(row: Row, search: Search, *, sort: SearchSort, meanings: Mapping[str, list[str]]) -> list[HitReason]:
    """What was asked for and what answers it; at last what the order goes by."""
    found = [_word(row, typed, meant, is_known=typed not in meanings) for typed, *meant in search.terms]
    if search.trades is not None:
        asked = set(search.trades)
        wanted = [mapping.skill_name(one.id) for one in row.skills if not asked.isdisjoint(documents.trades([one.id]))]
        found.append(HitReason(factor="skill", detail=f"offers {', '.join(wanted)}"))
    if search.region_key is not None and row.place:
        found.append(HitReason(factor="region", detail=f"works in {row.place.region}"))
    if search.language is not None:
        found.append(HitReason(factor="language", detail=f"speaks {search.language}"))
    if search.is_verified:
        found.append(HitReason(factor="verified", detail="has a verified certificate"))
    if search.window is not None:
        day, start, end = search.window
        found.append(HitReason(factor="availability", detail=f"free on {day.isoformat()} from {start} to {end}"))
    if search.min_rating_milli is not None:
        found.append(HitReason(factor="rating", detail=f"rated {row.rating_milli / 1000:.2f}"))
    if (search.min_rate or search.max_rate) and row.hourly_rate:
        found.append(HitReason(factor="rate", detail=f"{row.hourly_rate.amount} {row.hourly_rate.currency} an hour"))
    if search.near is not None and row.distance_m is not None:
        found.append(HitReason(factor="distance", detail=f"{row.distance_m / 1000:.1f} km away"))
    found.append(HitReason(factor="sort", detail=f"ordered by {sort.value}", value=round(row.key(sort))))
    return found


def _word(row: Row, typed: str, meant: list[str], *, is_known: bool) -> HitReason:
    places = {
        "name": [row.display_name],
        "headline": [row.headline or "", row.company or ""],
        "place": [row.place.city, row.place.region] if row.place else [],
    }
    wanted = {typed, *meant}
    where = next((name for name, texts in places.items() if any(wanted & set(terms.words(one)) for one in texts)), None)
    if where is None:
        trades = _words_of(tuple(one.id for one in row.skills))
        where = "trades" if wanted & trades else "text"
    word = typed if is_known else f"{typed} (taken as {' or '.join(meant)})"
    return HitReason(factor="words", detail=f"{word} is in the {where}")


@lru_cache(maxsize=4096)
def _words_of(skill_ids: tuple[str, ...]) -> frozenset[str]:
    """The words by which people call these trades."""
    return frozenset(terms.index_terms(first=[], skill_ids=skill_ids, last=None))
