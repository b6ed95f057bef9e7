"""The open formula of reputation, by hand-computed values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelmah.services.review.mapping import rating_milli, wilson_lower_bound
from kelmah.services.review.service import commitment


@pytest.mark.parametrize(
    ("count", "stars", "milli"),
    [(0, 0, 4000), (1, 5, 4167), (1, 1, 3500), (2, 7, 3857), (5, 25, 4500), (100, 500, 4952), (3, 9, 3625)],
)
def test_the_bayesian_mean(count: int, stars: int, milli: int) -> None:
    assert rating_milli(count, stars) == milli


@given(st.lists(st.integers(1, 5), max_size=200))
def test_the_mean_stays_between_prior_and_stars_and_moves_with_them(stars: list[int]) -> None:
    now = rating_milli(len(stars), sum(stars))
    assert 1000 <= now <= 5000
    assert rating_milli(len(stars) + 1, sum(stars) + 1) <= now <= rating_milli(len(stars) + 1, sum(stars) + 5)


@pytest.mark.parametrize(
    ("yes", "no", "bound"), [(0, 0, None), (1, 0, 0.2065), (10, 0, 0.7225), (90, 10, 0.8256), (0, 5, 0.0)]
)
def test_the_wilson_bound(yes: int, no: int, bound: float | None) -> None:
    assert wilson_lower_bound(yes, no) == bound


def test_a_commitment_binds_stars_and_text() -> None:
    assert len({commitment("s", 5, "fine"), commitment("s", 4, "fine"), commitment("s", 5, "good")}) == 3
