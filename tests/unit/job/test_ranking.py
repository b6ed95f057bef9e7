"""How jobs and workers are scored."""

from datetime import UTC, datetime, timedelta

import pytest

from kelmah.contracts.common import Money
from kelmah.services.job.service import ranking
from kelmah.services.job.service.ranking import Feature

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("weights", [ranking.JOB_WEIGHTS, ranking.WORKER_WEIGHTS])
def test_weights_sum_to_a_thousand_so_a_perfect_fit_scores_it(weights: dict[str, int]) -> None:
    assert sum(weights.values()) == 1000
    score = ranking.combine(weights, {name: Feature(1000, name) for name in weights})
    assert (score.total, score.reasons) == (1000, list(weights))
    assert sum(score.contributions.values()) == score.total


def test_without_a_skill_the_gate_is_closed() -> None:
    assert ranking.skills(["roofing", "tiling"], "building", {"dentistry"}) is None


def test_skills_count_by_their_share_and_the_trade_for_half() -> None:
    assert ranking.skills(["a", "b", "c", "d"], "t", {"a"}) == Feature(250, "1 of 4 skills fit: a")
    assert ranking.skills(["a", "b"], "t", {"a", "b"}) == Feature(1000, "2 of 2 skills fit: a, b")
    assert ranking.skills(["a", "b"], "t", {"t"}) == Feature(500, "The trade fits: t")


def test_nearer_is_better_and_the_unknown_is_in_the_middle() -> None:
    values = [ranking.distance(km).value for km in (0, 5, 25, 500)]
    assert values == [1000, 819, 368, 0]
    assert ranking.distance(None) == Feature(500)


def test_a_budget_fits_if_it_pays_a_day() -> None:
    rate = Money(amount=1_000)
    assert ranking.budget(Money(amount=8_000), rate).value == 1000
    assert ranking.budget(Money(amount=4_000), rate).value == 500
    assert ranking.budget(Money(amount=4_000, currency="USD"), rate).value == 500
    assert ranking.budget(Money(amount=1), None).value == 500


def test_freshness_ends_after_a_month() -> None:
    assert [ranking.recency(NOON - timedelta(days=days), NOON).value for days in (0, 15, 31)] == [1000, 500, 0]


def test_newcomers_get_a_fair_middle() -> None:
    assert ranking.reputation(None, 0) == Feature(700, "New on Kelmah")
    assert ranking.reputation(4_500, 1) == Feature(900, "Rated 4.5 of 5 in 1 review")


def test_accra_is_200_km_from_kumasi_and_nothing_is_farther_than_half_the_globe() -> None:
    assert ranking.kilometres((-0.187, 5.6037), (-1.6244, 6.6885)) == pytest.approx(199.5, abs=0.5)
    assert ranking.kilometres((0, 90), (0, -90)) == pytest.approx(20015.1, abs=0.1)
