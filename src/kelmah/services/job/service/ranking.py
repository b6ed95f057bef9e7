"""How well a worker and a job fit: features in thousandths, one table of weights, and reasons in words.

A fit has two sides: would the hirer take the worker, and would the worker take the job. The score is their geometric
mean, so that neither side makes up for the other. Who offers nothing of the trade has no score at all.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import NamedTuple, TypeVar

from kelmah.contracts import taxonomy
from kelmah.contracts.common import Money

#: Side → feature → weight. The weights of a side sum to 1000; docs/matching.md says why each is what it is.
WEIGHTS: Mapping[str, Mapping[str, int]] = {
    "hirer": {
        "skills": 400,
        "reputation": 225,
        "distance": 125,
        "experience": 100,
        "availability": 100,
        "response": 50,
    },
    "worker": {"budget": 400, "distance": 350, "load": 150, "recency": 100},
}
#: Feature → its weights on both sides.
_WEIGHT = {
    name: sum(weights.get(name, 0) for weights in WEIGHTS.values()) for side in WEIGHTS.values() for name in side
}
#: The value of a feature that nothing is known of: neither a reward nor a punishment.
UNKNOWN = 500
#: What one wanted trade counts: offered itself, as one trade of the wanted family, as the family of the wanted trade.
SAME_TRADE, TRADE_OF_FAMILY, FAMILY_OF_TRADE = 1000, 900, 600
#: The trade of the job itself is offered, but none of the skills that it lists.
CATEGORY_ONLY = 400
#: Kilometres at which nearness has fallen to 37 in 100.
DISTANCE_SCALE_KM = 25.0
#: Kilometres within which somebody free is told that a job is urgent.
URGENT_KM = 25.0
#: A budget that pays this many hours at the worker's rate fits fully.
HOURS_OF_A_DAY = 8
#: Days after which a job is no longer fresh at all.
FRESH_DAYS = 30
#: What newcomers without a review are taken for, in thousandths of five stars: about 3.5.
NEWCOMER_REPUTATION = 700
#: Days from today that are looked at for free ones, and how many of them are enough: for a job, and for an urgent one.
SOON, ENOUGH_DAYS = 14, 5
SOON_IF_URGENT, ENOUGH_DAYS_IF_URGENT = 3, 1
#: Percent of answered messages from which on it is worth a word.
ANSWERS_WELL = 80
#: Contracts at the same time at which a worker has no hand free.
FULL_LOAD = 4
#: In each ten places of a list, the one that the best newcomer gets if the ten would show none.
NEWCOMER_PLACE = 5
_BLOCK = 10
EARTH_RADIUS_KM = 6371.0088

Coordinates = tuple[float, float]
RankedT = TypeVar("RankedT")


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a job asks for; trades are ids of the taxonomy."""

    category: str
    skills: Sequence[str]
    budget: Money
    place: Coordinates
    published_at: datetime | None = None
    urgent: bool = False


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What a worker brings; `completed` and `active` are numbers of contracts."""

    skills: Collection[str]
    place: Coordinates | None = None
    hourly_rate: Money | None = None
    rating_milli: int | None = None
    review_count: int = 0
    completed: int = 0
    active: int = 0
    is_available: bool = True
    free_on: Collection[date] | None = None
    response_rate_percent: int | None = None


class Feature(NamedTuple):
    """A value from 0 to 1000, and why, in words for a person; no words where there is nothing to say."""

    value: int
    reason: str | None = None


@dataclass(frozen=True)
class Score:
    """A score from 0 to 1000 with the two sides that it is the mean of. It explains itself when asked, which costs more
    than the score: hundreds are scored for the twenty that are shown.
    """

    total: int
    sides: dict[str, int]
    features: Mapping[str, Feature]

    @property
    def contributions(self) -> dict[str, int]:
        """What each feature contributed to it; they sum to it."""
        return _share(self.total, {name: _WEIGHT[name] * feature.value for name, feature in self.features.items()})

    @property
    def reasons(self) -> list[str]:
        """Why, in words for a person."""
        return [feature.reason for feature in self.features.values() if feature.reason]


def fit(need: Need, offer: Offer, *, now: datetime) -> Score | None:
    """How well a worker and a job fit each other; None when the worker offers nothing of the trade."""
    skill = skills(need.skills, need.category, offer.skills)
    if skill is None:
        return None
    km = None if offer.place is None else kilometres(need.place, offer.place)
    return combine(
        {
            "skills": skill,
            "distance": distance(km),
            "reputation": reputation(offer.rating_milli, offer.review_count),
            "experience": experience(offer.completed),
            "availability": availability(need.urgent, offer.free_on, now.date()),
            "response": response(offer.response_rate_percent),
            "budget": budget(need.budget, offer.hourly_rate),
            "load": load(offer.active),
            "recency": recency(need, offer, km, now),
        }
    )


def combine(features: Mapping[str, Feature]) -> Score:
    """The geometric mean of the two sides, shared out among the features by what each brought; exact to the unit."""
    sides = {
        side: sum([weight * features[name].value for name, weight in weights.items()]) // 1000
        for side, weights in WEIGHTS.items()
    }
    return Score(math.isqrt(sides["hirer"] * sides["worker"]), sides, features)


def with_newcomers(ranked: Sequence[RankedT], *, is_newcomer: Callable[[RankedT], bool]) -> list[RankedT]:
    """The list with a fair chance for newcomers: in each ten that would show none, the next one gets a place."""
    left = list(ranked)
    for start in range(0, len(left), _BLOCK):
        block = left[start : start + _BLOCK]
        if len(block) < NEWCOMER_PLACE or any(is_newcomer(one) for one in block):
            continue
        later = next((at for at in range(start + len(block), len(left)) if is_newcomer(left[at])), None)
        if later is None:
            break
        left.insert(start + NEWCOMER_PLACE - 1, left.pop(later))
    return left


@lru_cache(maxsize=1024)
def related(trade: str) -> frozenset[str]:
    """The trades of which one may meet this one: itself, its family, and the trades of a family."""
    return taxonomy.expand(trade) | {skill.id for skill in taxonomy.lineage(trade)}


def open_to(wanted: Sequence[str], category: str) -> list[str]:
    """The trades of which a worker must offer one to pass the gate of a job: with one of them `skills` is not None."""
    alone = [category] if len(taxonomy.expand(category)) == 1 else []
    return sorted({*alone, *(trade for one in wanted for trade in related(one))})


def skills(wanted: Sequence[str], category: str, offered: Collection[str]) -> Feature | None:
    """How much of the wanted trades is offered; None closes the gate: nothing of the trade is offered.

    A family as category opens nothing by itself, since its trades are strangers to each other.
    """
    values = {one: _covered(one, offered) for one in wanted}
    matched = [one for one, value in values.items() if value]
    if matched:
        names = ", ".join(_name(one) for one in matched)
        return Feature(sum(values.values()) // len(wanted), f"{len(matched)} of {len(wanted)} trades fit: {names}")
    if category in offered and len(taxonomy.expand(category)) == 1:
        return Feature(CATEGORY_ONLY, f"The trade fits: {_name(category)}")
    return None


def distance(km: float | None) -> Feature:
    """Nearness; it decays with the distance."""
    if km is None:
        return Feature(UNKNOWN)
    return Feature(round(1000 * math.exp(-km / DISTANCE_SCALE_KM)), f"{max(1, round(km))} km away")


def budget(offered: Money, hourly_rate: Money | None) -> Feature:
    """Whether the budget pays a day at the worker's rate."""
    if hourly_rate is None or hourly_rate.currency != offered.currency:
        return Feature(UNKNOWN)
    day = hourly_rate.amount * HOURS_OF_A_DAY
    if offered.amount >= day:
        return Feature(1000, "The budget pays at least a day at the usual rate")
    return Feature(1000 * offered.amount // day)


def recency(need: Need, offer: Offer, km: float | None, now: datetime) -> Feature:
    """How fresh a job is. An urgent one is always fresh to those who are near and free."""
    if need.urgent and offer.is_available and km is not None and km <= URGENT_KM:
        return Feature(1000, "Urgent, near and free now")
    if need.published_at is None:
        return Feature(UNKNOWN)
    days = max(0, (now - need.published_at).days)
    return Feature(max(0, 1000 - 1000 * days // FRESH_DAYS), "Published today" if days == 0 else None)


def reputation(rating_milli: int | None, review_count: int) -> Feature:
    """The Bayesian rating as a share of five stars. Newcomers get a fair middle."""
    if rating_milli is None or not review_count:
        return Feature(NEWCOMER_REPUTATION, "New on Kelmah")
    noun = "review" if review_count == 1 else "reviews"
    return Feature(min(1000, rating_milli // 5), f"Rated {rating_milli / 1000:.1f} of 5 in {review_count} {noun}")


def experience(completed: int) -> Feature:
    """Work done on Kelmah; each further contract says less than the one before."""
    noun = "contract" if completed == 1 else "contracts"
    return Feature(1000 * (completed + 3) // (completed + 8), f"Completed {completed} {noun}" if completed else None)


def availability(urgent: bool, free_on: Collection[date] | None, today: date) -> Feature:
    """Free days soon; a few are enough, and an urgent job needs one at once."""
    if free_on is None:
        return Feature(UNKNOWN)
    soon, enough = (SOON_IF_URGENT, ENOUGH_DAYS_IF_URGENT) if urgent else (SOON, ENOUGH_DAYS)
    free = sum(0 <= (day - today).days < soon for day in set(free_on))
    return Feature(1000 * min(free, enough) // enough, f"Free on {free} of the next {soon} days" if free else None)


def response(rate_percent: int | None) -> Feature:
    """How many of those who write first are answered."""
    if rate_percent is None:
        return Feature(UNKNOWN)
    return Feature(10 * rate_percent, f"Answers {rate_percent} % of messages" if rate_percent >= ANSWERS_WELL else None)


def load(active: int) -> Feature:
    """Hands that are free."""
    return Feature(max(0, 1000 - 1000 * active // FULL_LOAD))


def kilometres(one: Coordinates, other: Coordinates) -> float:
    """The great-circle distance between two points (longitude, latitude in degrees), by the haversine formula."""
    (lng1, lat1), (lng2, lat2) = [(math.radians(lng), math.radians(lat)) for lng, lat in (one, other)]
    chord = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lng2 - lng1) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, chord)))


def _covered(trade: str, offered: Collection[str]) -> int:
    if trade in offered:
        return SAME_TRADE
    if not taxonomy.expand(trade).isdisjoint(offered):
        return TRADE_OF_FAMILY
    return 0 if related(trade).isdisjoint(offered) else FAMILY_OF_TRADE


def _share(total: int, brought: Mapping[str, int]) -> dict[str, int]:
    """Whole shares of `total` in proportion; what rounding leaves goes to the largest."""
    whole = sum(brought.values()) or 1
    shares = {name: total * part // whole for name, part in brought.items()}
    shares[max(brought, key=lambda name: brought[name])] += total - sum(shares.values())
    return shares


def _name(trade: str) -> str:
    known = taxonomy.skills().get(trade)
    return known.name if known else trade
