"""The open formula of reputation, by hand-computed values."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelmah.services.review.service import commitment, formula
from kelmah.services.review.service.formula import Tally, rating_milli, weight_milli, wilson_lower_bound

NOW = datetime(2026, 11, 25, tzinfo=UTC)
MONTHS = st.dictionaries(
    st.builds("{:04}-{:02}".format, st.integers(2000, 2026), st.integers(1, 12)),
    st.dictionaries(st.sampled_from("12345"), st.integers(1, 50), min_size=1),
    max_size=8,
)


@pytest.mark.parametrize(
    ("stars", "milli"),
    [
        ({}, 4000),
        ({"5": 1}, 4167),
        ({"1": 1}, 3500),
        ({"3": 1, "4": 1}, 3857),
        ({"5": 5}, 4500),
        ({"5": 100}, 4952),
        ({"3": 3}, 3625),
    ],
)
def test_the_bayesian_mean_of_new_reviews(stars: dict[str, int], milli: int) -> None:
    assert rating_milli({"2026-11": stars} if stars else {}, NOW) == milli


@pytest.mark.parametrize(
    ("month", "milli"),
    [
        ("2026-11", 1000),
        ("2026-10", 972),
        ("2024-11", 500),
        ("2022-11", 250),
        ("2006-11", 1),
        ("1999-01", 1),
        ("2026-12", 1000),  # a clock that is behind
    ],
)
def test_a_review_weighs_half_after_two_years(month: str, milli: int) -> None:
    assert weight_milli(month, NOW) == milli


def test_old_reviews_count_less() -> None:
    # (5000 x 4000 + 500 x 1000 x 1 x 10 + 1000 x 1000 x 5 x 10) / (5000 + 5000 + 10000) = 75,000,000 / 20,000
    assert rating_milli({"2024-11": {"1": 10}, "2026-11": {"5": 10}}, NOW) == 3750


@given(MONTHS)
def test_the_mean_stays_between_one_and_five_and_moves_with_the_next_review(months: dict[str, dict[str, int]]) -> None:
    tally = Tally(months)
    now = rating_milli(months, NOW)
    assert 1000 <= now <= 5000
    one, five = (rating_milli(tally.with_one_more(stars, NOW).months, NOW) for stars in (1, 5))
    assert one <= now <= five
    assert tally.with_one_more(5, NOW).reviews == tally.reviews + 1


@given(MONTHS, st.integers(0, 50), st.integers(0, 50))
def test_a_score_is_the_sum_of_its_parts_and_stays_in_bounds(
    months: dict[str, dict[str, int]], yes: int, no: int
) -> None:
    tally = Tally(months, yes, no)
    assert 0 <= formula.score(tally, NOW) <= 1000
    assert formula.score(tally.with_one_more(5, NOW), NOW) >= formula.score(tally.with_one_more(1, NOW), NOW)


def test_the_scores_of_nobody_and_of_the_best() -> None:
    # Nobody: 4.0 stars are 750 of 1000, times 0.7 = 525; half of 200; no experience.
    assert formula.score(Tally({}), NOW) == 625
    # 5 x 4000 + 95 x 5000 over 100 = 4.95 stars, 988 of 1000, 692 points (691.6); Wilson of 95 in 95 is 0.9611.
    assert formula.score(Tally({"2026-11": {"5": 95}}, yes=95), NOW) == 692 + 192 + 100


def test_what_is_left_without_some() -> None:
    months = {"2026-11": {"5": 3, "1": 1}, "2026-10": {"4": 1}}
    assert formula.without(months, {"2026-11": {"1": 1}}) == {"2026-11": {"5": 3, "1": 0}, "2026-10": {"4": 1}}


@pytest.mark.parametrize(
    ("yes", "no", "bound"), [(0, 0, None), (1, 0, 0.2065), (10, 0, 0.7225), (90, 10, 0.8256), (0, 5, 0.0)]
)
def test_the_wilson_bound(yes: int, no: int, bound: float | None) -> None:
    assert wilson_lower_bound(yes, no) == bound


def test_a_commitment_binds_stars_and_text() -> None:
    assert len({commitment("s", 5, "fine"), commitment("s", 4, "fine"), commitment("s", 5, "good")}) == 3
