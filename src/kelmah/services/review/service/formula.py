"""The open formula of ratings and scores: plain functions of counts and a month, in integers.

Anybody can compute them again from `GET /users/{id}/reputation`, to the last digit.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from kelmah.contracts.review import ScorePart

#: The Bayesian prior: a person without reviews stands at 4.0 stars, and the prior weighs as much as 5 new reviews
#: (IMDb's weighted mean, with C = 4 and m = 5). It does not age.
PRIOR_MEAN_MILLI, PRIOR_WEIGHT = 4000, 5
#: Months after which a review weighs half. It ages by calendar months (UTC), so a rating moves once a month at most.
HALF_LIFE_MONTHS = 24
#: Weights in thousandths, by age in months. A review never weighs nothing.
_WEIGHTS: list[int] = [max(1, round(1000 * math.pow(0.5, age / HALF_LIFE_MONTHS))) for age in range(241)]
#: Shares of the score, in thousandths.
RATING_WEIGHT, AGAIN_WEIGHT, EXPERIENCE_WEIGHT = 700, 200, 100
#: What `would work again` counts as while nobody has answered, in thousandths.
AGAIN_PRIOR_MILLI = 500
#: Reviews from which on experience counts in full.
FULL_EXPERIENCE = 20
#: 95 % confidence, two-sided.
_Z = 1.96

#: The number of reviews with each number of stars ("1" to "5"), by month ("2026-11").
Months = Mapping[str, Mapping[str, int]]


class Tally(NamedTuple):
    """The counted reviews of a person."""

    months: Months
    yes: int = 0
    no: int = 0

    @property
    def reviews(self) -> int:
        return sum(sum(stars.values()) for stars in self.months.values())

    def with_one_more(self, stars: int, now: datetime) -> "Tally":
        """As it would be with one more review in this month."""
        month = month_of(now)
        this = dict(self.months.get(month, {}))
        this[str(stars)] = this.get(str(stars), 0) + 1
        return self._replace(months={**self.months, month: this})


def month_of(at: datetime) -> str:
    """The calendar month of an instant in UTC, such as "2026-11"."""
    return f"{at.year:04}-{at.month:02}"


def weight_milli(month: str, now: datetime) -> int:
    """What a review of a month weighs now, in thousandths of a new one."""
    year, number = map(int, month.split("-"))
    age = (now.year - year) * 12 + now.month - number
    return _WEIGHTS[min(max(age, 0), len(_WEIGHTS) - 1)]


def sum_of_stars(stars: Mapping[str, int]) -> int:
    return sum(int(star) * number for star, number in stars.items())


def rating_milli(months: Months, now: datetime) -> int:
    """The Bayesian mean of aging reviews, in thousandths of a star, rounded half up."""
    total, weight = 1000 * PRIOR_WEIGHT * PRIOR_MEAN_MILLI, 1000 * PRIOR_WEIGHT
    for month, stars in months.items():
        one = weight_milli(month, now)
        total += one * 1000 * sum_of_stars(stars)
        weight += one * sum(stars.values())
    return (2 * total + weight) // (2 * weight)


def without(months: Months, some: Months) -> Months:
    """The counts less some of them."""
    return {
        month: {star: number - some.get(month, {}).get(star, 0) for star, number in stars.items()}
        for month, stars in months.items()
    }


def wilson_lower_bound(yes: int, no: int) -> float | None:
    """The share of `yes` that is at least to be expected (Wilson score, 95 %); None without an answer."""
    count = yes + no
    if count == 0:
        return None
    share = yes / count
    centre = share + _Z**2 / (2 * count)
    margin = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    return round(max(0.0, (centre - margin) / (1 + _Z**2 / count)), 4)


def score_parts(tally: Tally, now: datetime) -> Sequence[ScorePart]:
    """What a score is made of; their points add up to it. 0 to 1000."""
    bound = wilson_lower_bound(tally.yes, tally.no)
    return (
        _part("rating", (rating_milli(tally.months, now) - 1000 + 2) // 4, RATING_WEIGHT),
        _part("would_work_again", AGAIN_PRIOR_MILLI if bound is None else round(1000 * bound), AGAIN_WEIGHT),
        _part("experience", min(tally.reviews, FULL_EXPERIENCE) * 1000 // FULL_EXPERIENCE, EXPERIENCE_WEIGHT),
    )


def _part(name: str, value: int, weight: int) -> ScorePart:
    return ScorePart(name=name, value_milli=value, weight_milli=weight, points=(value * weight + 500) // 1000)


def score(tally: Tally, now: datetime) -> int:
    return sum(part.points for part in score_parts(tally, now))
