"""Searches over listed profiles. They read raw rows, which costs a third of whole documents."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import msgspec
from pymongo import ASCENDING

from kelmah.contracts import taxonomy
from kelmah.contracts.common import Role
from kelmah.contracts.user import SearchSort
from kelmah.kit.keyset import MAX_TIME_MS, ordered
from kelmah.kit.nearest import Circle, Places, nearest
from kelmah.services.user.documents.profiles import ProfileDocument

#: Sort → (field, direction).
_ORDER = {
    SearchSort.RATING: ("rating_milli", -1),
    SearchSort.RATE: ("hourly_rate.amount", 1),
}
_FIELDS = (
    "role", "display_name", "headline", "company", "skills", "place", "hourly_rate", "availability.status",
    "rating_milli", "review_count", "distance_m", "visibility",
)  # fmt: skip
_PLACES = Places(
    field="place.point",
    indexes={
        "trade_near": frozenset({"listed_as", "trades"}),
        "term_near": frozenset({"listed_as", "terms"}),
        "region_near": frozenset({"listed_as", "place.region_key"}),
        "near": frozenset({"listed_as"}),
    },
    lists={"trade_near": "trade_rating", "term_near": "term_rating"},
    held=frozenset({"hourly_rate.currency", "hourly_rate.amount", "rating_milli", "place.region_key"}),
)
_PROJECTION = dict.fromkeys(_FIELDS, 1)
_FACTS_PROJECTION = dict.fromkeys(
    (
        "role", "display_name", "skills.id", "place", "hourly_rate", "availability.status", "availability.time_zone",
        "availability.weekly.day", "availability.exceptions", "bookings.local_start", "bookings.local_end",
        "rating_milli", "review_count", "response_rate_percent", "is_resting",
    ),
    1,
)  # fmt: skip


class Window(NamedTuple):
    """Hours of a day; `start` and `end` are "HH:MM"."""

    day: date
    start: str
    end: str


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is looked for. Every condition that is given must hold; of `trades` and of each of `terms` one is enough.

    `window` is a day with the hours from and to, in the worker's own time zone.
    """

    listed_as: Role = Role.WORKER
    terms: Sequence[Sequence[str]] = ()
    trades: Sequence[str] | None = None
    region_key: str | None = None
    near: Circle | None = None
    currency: str | None = None
    min_rate: int | None = None
    max_rate: int | None = None
    min_rating_milli: int | None = None
    is_available: bool = False
    has_place: bool | None = None
    language: str | None = None
    is_verified: bool = False
    window: Window | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What a search reads of a profile."""

    class Skill(msgspec.Struct, frozen=True):
        id: str
        years: int | None = None

    class Point(msgspec.Struct, frozen=True):
        coordinates: tuple[float, float]

    class Place(msgspec.Struct, frozen=True):
        city: str
        region: str
        point: "Row.Point"

    class Rate(msgspec.Struct, frozen=True):
        amount: int
        currency: str

    class Availability(msgspec.Struct, frozen=True):
        status: str

    id: str = msgspec.field(name="_id")
    role: Role
    display_name: str
    headline: str | None
    company: str | None
    skills: list[Skill]
    place: Place | None
    hourly_rate: Rate | None
    availability: Availability
    rating_milli: int
    review_count: int
    distance_m: float | None = None
    visibility: dict[str, str] = {}

    def key(self, sort: SearchSort) -> float | int:
        """The value that the sort orders by."""
        if sort is SearchSort.DISTANCE:
            return self.distance_m or 0.0
        if sort is SearchSort.RATE:
            return self.hourly_rate.amount if self.hourly_rate else 0
        return self.rating_milli


class FactsRow(msgspec.Struct, frozen=True, kw_only=True):
    """What matching reads of a profile: hundreds are read for a list of twenty."""

    class Slot(msgspec.Struct, frozen=True):
        day: int

    class Day(msgspec.Struct, frozen=True):
        day: str
        is_available: bool

    class Availability(Row.Availability, frozen=True):
        time_zone: str
        weekly: list["FactsRow.Slot"]
        exceptions: list["FactsRow.Day"]

    class Booking(msgspec.Struct, frozen=True):
        local_start: str
        local_end: str

    id: str = msgspec.field(name="_id")
    role: Role
    display_name: str
    skills: list[Row.Skill]
    place: Row.Place | None
    hourly_rate: Row.Rate | None
    availability: Availability
    bookings: list[Booking]
    rating_milli: int
    review_count: int
    response_rate_percent: int | None = None
    is_resting: bool = False


async def run(
    search: Search, *, sort: SearchSort, after: tuple[float | int, str] | None = None, limit: int
) -> list[Row]:
    """At most `limit` rows in the order of `sort`, after the given sort value and id."""
    rows = await _run(search, sort=sort, after=after, limit=limit)
    if search.near is not None and sort is not SearchSort.DISTANCE:
        for row in rows:
            row["distance_m"] = search.near.metres_to(row["place"]["point"]["coordinates"])
    return msgspec.convert(rows, list[Row])


async def run_facts(search: Search, *, sort: SearchSort, limit: int) -> list[FactsRow]:
    """As `run`, with what matching wants to know."""
    return msgspec.convert(
        await _run(search, sort=sort, after=None, limit=limit, fields=_FACTS_PROJECTION), list[FactsRow]
    )


async def get_facts(user_id: str) -> FactsRow | None:
    """What matching wants to know of one person."""
    row = await ProfileDocument.get_pymongo_collection().find_one({"_id": user_id}, _FACTS_PROJECTION)
    return row and msgspec.convert(row, FactsRow)


async def _run(
    search: Search,
    *,
    sort: SearchSort,
    after: tuple[float | int, str] | None,
    limit: int,
    fields: Mapping[str, int] = _PROJECTION,
) -> list[dict[str, Any]]:
    profiles = ProfileDocument.get_pymongo_collection()
    match = _match(search)
    if sort is SearchSort.RATE:
        match.setdefault("hourly_rate.amount", {"$gte": 1})
    if search.near is not None and sort is SearchSort.DISTANCE:
        return await nearest(profiles, _PLACES, search.near, match, fields, after=after, limit=limit)
    if search.near is not None:
        match[_PLACES.field] = search.near.condition()
    return await ordered(profiles, match, fields, by=_ORDER[sort], ids=ASCENDING, after=after, limit=limit)


def _match(search: Search) -> dict[str, Any]:
    match: dict[str, Any] = {"listed_as": search.listed_as.value}
    if search.terms:
        first, *others = [{"$in": list(meant)} for meant in search.terms]
        match["terms"] = first
        if others:
            match["$and"] = [{"terms": meant} for meant in others]
    if search.trades is not None:
        match["trades"] = {"$in": list(search.trades)}
    if search.region_key is not None:
        match["place.region_key"] = search.region_key
    if search.currency is not None:
        match["hourly_rate.currency"] = search.currency
    bounds = {"$gte": search.min_rate, "$lte": search.max_rate}
    if amount := {operator: bound for operator, bound in bounds.items() if bound is not None}:
        match["hourly_rate.amount"] = amount
    if search.min_rating_milli is not None:
        match["rating_milli"] = {"$gte": search.min_rating_milli}
    if search.is_available:
        match["availability.status"] = "available"
    if search.has_place is not None:
        match["place"] = {"$ne": None} if search.has_place else None
    traits = ["verified"] if search.is_verified else []
    traits += [] if search.language is None else [f"language:{search.language}"]
    if traits:
        match["traits"] = {"$all": traits}
    if search.window is not None:
        match |= _free(search.window)
    return match


def _free(window: Window) -> dict[str, Any]:
    """Available, at work in these hours (a day worked by exception is worked whole), and not booked."""
    day = window.day.isoformat()
    start, end = f"{day}T{window.start}", f"{day}T{window.end}"
    slot = {"day": window.day.isoweekday(), "start": {"$lte": window.start}, "end": {"$gte": window.end}}
    return {
        "availability.status": "available",
        "availability.exceptions": {"$not": {"$elemMatch": {"day": day, "is_available": False}}},
        "$or": [
            {"availability.weekly": []},
            {"availability.weekly": {"$elemMatch": slot}},
            {"availability.exceptions": {"$elemMatch": {"day": day, "is_available": True}}},
        ],
        "bookings": {"$not": {"$elemMatch": {"local_start": {"$lt": end}, "local_end": {"$gt": start}}}},
    }


#: People that facets are counted of; of more, MongoDB would need more time than the figures are worth.
MAX_COUNTED = 1_000
#: What `counted_as` has of a profile, in this order.
_FACETS = ("skills", "regions", "languages", "statuses")
#: Between the facets in `counted_as`, and between the values of one; no cleaned text has either.
_APART, _BETWEEN = "\t", "\n"


class Facets(NamedTuple):
    """How many of those `counted` have each value of each facet; `is_capped` if there may be more that were not."""

    counted: int
    is_capped: bool
    counts: dict[str, Counter[str]]


async def facets(search: Search) -> Facets:
    """How the found spread over skills, regions, languages, ratings (in stars, "4" is 4 and more) and statuses."""
    match = _match(search)
    if search.near is not None:
        match[_PLACES.field] = search.near.condition()
    stages: list[dict[str, Any]] = [
        {"$match": match},
        {"$limit": MAX_COUNTED},
        # Before the group, so that MongoDB sees that the index holds all that is needed.
        {"$project": {"_id": 0, "counted_as": 1, "rating_milli": 1}},
        {"$group": {"_id": None, "people": {"$push": "$counted_as"}, "ratings": {"$push": "$rating_milli"}}},
    ]
    collection = ProfileDocument.get_pymongo_collection()
    rows = await (await collection.aggregate(stages, maxTimeMS=MAX_TIME_MS)).to_list()
    found: dict[str, Any] = rows[0] if rows else {"people": [], "ratings": []}
    counts: dict[str, Counter[str]] = {name: Counter() for name in (*_FACETS, "ratings")}
    for text, count in Counter(found["people"]).items():
        for name, values in zip(_FACETS, text.split(_APART), strict=False):
            for value in filter(None, values.split(_BETWEEN)):
                counts[name][value] += count
    counts["ratings"] = Counter("4" if one >= 4000 else "3" if one >= 3000 else "1" for one in found["ratings"] if one)
    counted = len(found["people"])
    return Facets(counted, counted == MAX_COUNTED, counts)


def counted_as(*, skills: Sequence[str], region: str | None, languages: Sequence[str], status: str) -> str:
    """What facets count of a profile. It is one text since an index that holds a list cannot answer by itself."""
    return _APART.join((_BETWEEN.join(skills), region or "", _BETWEEN.join(languages), status))


def trades(skill_ids: Iterable[str]) -> list[str]:
    """What a profile is found by where a trade or a family is asked for."""
    own = list(skill_ids)
    families = [any_of(family.id) for one in own for family in taxonomy.lineage(one)[-1:]]
    return list(dict.fromkeys([*own, *families]))


def any_of(family: str) -> str:
    """What those are found by who offer a family as such, or any of its trades."""
    return f"{family}/"


async def has_region(region_key: str) -> bool:
    """Whether a listed person works there."""
    for role in (Role.WORKER, Role.HIRER):
        query = {"listed_as": role.value, "place.region_key": region_key}
        if await ProfileDocument.get_pymongo_collection().find_one(query, {"_id": 1}):
            return True
    return False
