"""How well a worker and a job fit: features in thousandths, weights that sum to 1000, and reasons in words."""

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from kelmah.contracts.common import Money

#: What each feature counts when jobs are ranked for a worker.
JOB_WEIGHTS: Mapping[str, int] = {"skills": 500, "distance": 250, "budget": 150, "recency": 100}
#: What each feature counts when workers are ranked for a job.
WORKER_WEIGHTS: Mapping[str, int] = {"skills": 500, "distance": 200, "reputation": 200, "budget": 100}
#: The value of a feature that nothing is known of: neither a reward nor a punishment.
UNKNOWN = 500
#: Kilometres at which nearness has fallen to 37 in 100.
DISTANCE_SCALE_KM = 25.0
#: A budget that pays this many hours at the worker's rate fits fully.
HOURS_OF_A_DAY = 8
#: Days after which a job is no longer fresh at all.
FRESH_DAYS = 30
#: What newcomers without a review are taken for, in thousandths of five stars: about 3.5.
NEWCOMER_REPUTATION = 700
EARTH_RADIUS_KM = 6371.0088

Coordinates = tuple[float, float]


class Feature(NamedTuple):
    """A value from 0 to 1000, and why, in words for a person; no words where there is nothing to say."""

    value: int
    reason: str | None = None


class Score(NamedTuple):
    """A score from 0 to 1000 with what each feature contributed."""

    total: int
    contributions: dict[str, int]
    reasons: list[str]


def combine(weights: Mapping[str, int], features: Mapping[str, Feature]) -> Score:
    """The weighted sum; reasons in the order of the weights."""
    contributions = {name: weight * features[name].value // 1000 for name, weight in weights.items()}
    reasons = [reason for name in weights if (reason := features[name].reason)]
    return Score(sum(contributions.values()), contributions, reasons)


def skills(wanted: Sequence[str], category: str, offered: Collection[str]) -> Feature | None:
    """The share of the wanted skills that are offered; None closes the gate: nothing of the trade is offered.

    Skills are compared by their keys. Knowing the trade itself counts as half of it, whatever the details.
    """
    matched = [one for one in wanted if one in offered]
    if not matched and category not in offered:
        return None
    value = max(1000 * len(matched) // len(wanted), 500 if category in offered else 0)
    if not matched:
        return Feature(value, f"The trade fits: {category}")
    return Feature(value, f"{len(matched)} of {len(wanted)} skills fit: {', '.join(matched)}")


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


def recency(published_at: datetime, now: datetime) -> Feature:
    """How fresh a job is."""
    days = max(0, (now - published_at).days)
    value = max(0, 1000 - 1000 * days // FRESH_DAYS)
    return Feature(value, "Published today" if days == 0 else None)


def reputation(rating_milli: int | None, review_count: int) -> Feature:
    """The Bayesian rating as a share of five stars. Newcomers get a fair middle."""
    if rating_milli is None or not review_count:
        return Feature(NEWCOMER_REPUTATION, "New on Kelmah")
    noun = "review" if review_count == 1 else "reviews"
    return Feature(min(1000, rating_milli // 5), f"Rated {rating_milli / 1000:.1f} of 5 in {review_count} {noun}")


def kilometres(one: Coordinates, other: Coordinates) -> float:
    """The great-circle distance between two points (longitude, latitude in degrees), by the haversine formula."""
    (lng1, lat1), (lng2, lat2) = [(math.radians(lng), math.radians(lat)) for lng, lat in (one, other)]
    chord = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lng2 - lng1) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, chord)))
