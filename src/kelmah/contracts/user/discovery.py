"""What searches for workers and hirers answer."""

from enum import StrEnum

from msgspec import UNSET, UnsetType

from kelmah.contracts.common import Money, Response
from kelmah.contracts.user.profiles import ProfileSkill, WorkerStatus


class SearchSort(StrEnum):
    """The order of found workers. Nearest first is the default with a place, best rated without."""

    RATING = "rating"
    RATE = "rate"
    DISTANCE = "distance"


class HitReason(Response, frozen=True, kw_only=True):
    """Why a person is among the found: what was asked for (`factor`), and what of the person answers it.

    `value` is what the order goes by, where the factor is the sort: the rating in thousandths, the rate in minor
    units, the distance in metres.
    """

    factor: str
    detail: str
    value: int | None = None


class WorkerHit(Response, frozen=True, kw_only=True):
    """A worker that was found. `distanceM` is in metres and known when a place was given."""

    user_id: str
    display_name: str
    headline: str | None
    skills: list[ProfileSkill]
    city: str | None
    region: str | None
    hourly_rate: Money | None
    status: WorkerStatus
    rating_milli: int | None
    review_count: int
    distance_m: int | None = None
    reasons: list[HitReason] | UnsetType = UNSET


class Correction(Response, frozen=True, kw_only=True):
    """A word that nobody uses, and the words that were looked for instead."""

    word: str
    taken_as: list[str]


class WorkerPage(Response, frozen=True, kw_only=True):
    """One page of found workers; `nextCursor` is null on the last. `corrections` only where words were corrected."""

    items: list[WorkerHit]
    next_cursor: str | None = None
    corrections: list[Correction] | UnsetType = UNSET


class Facet(Response, frozen=True, kw_only=True):
    """A value that found workers have, and how many of them have it."""

    value: str
    name: str
    count: int


class WorkerFacets(Response, frozen=True, kw_only=True):
    """How the found workers spread: exact below 1,000. With `isCapped` there may be more, of which 1,000 were counted,
    not chosen by chance: the counts then show what there is, and not how much of it.
    """

    total: int
    is_capped: bool
    skills: list[Facet]
    regions: list[Facet]
    languages: list[Facet]
    ratings: list[Facet]
    statuses: list[Facet]


class SuggestionKind(StrEnum):
    """What a suggestion narrows a search by."""

    SKILL = "skill"
    REGION = "region"


class Suggestion(Response, frozen=True, kw_only=True):
    """How a search may go on: `value` for the parameter named `kind`, `text` to show."""

    kind: SuggestionKind
    value: str
    text: str


class PopularSearch(Response, frozen=True, kw_only=True):
    """A trade, and how often it was looked for in the last 7 days."""

    skill: str
    name: str
    count: int


class HirerHit(Response, frozen=True, kw_only=True):
    """A hirer that was found."""

    user_id: str
    display_name: str
    headline: str | None
    company: str | None
    city: str | None
    region: str | None
    rating_milli: int | None
    review_count: int
    reasons: list[HitReason] | UnsetType = UNSET
