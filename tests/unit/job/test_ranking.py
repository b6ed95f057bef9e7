"""How jobs and workers are scored."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelmah.contracts import taxonomy
from kelmah.contracts.common import Money
from kelmah.services.job.service import ranking
from kelmah.services.job.service.ranking import Feature, Need, Offer

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
ACCRA = (-0.187, 5.6037)
NEED = Need(
    category="water-sanitation",
    skills=["plumber", "pump-technician"],
    budget=Money(amount=50_000),
    place=ACCRA,
    published_at=NOON,
)
BEST = Offer(
    skills=frozenset({"plumber", "pump-technician"}),
    place=ACCRA,
    hourly_rate=Money(amount=5_000),
    rating_milli=5_000,
    review_count=50,
    completed=80,
)


def test_the_weights_of_each_side_sum_to_a_thousand_so_a_perfect_fit_scores_it() -> None:
    assert {sum(weights.values()) for weights in ranking.WEIGHTS.values()} == {1000}
    names = {name for weights in ranking.WEIGHTS.values() for name in weights}
    score = ranking.combine({name: Feature(1000) for name in names})
    assert (score.total, score.sides) == (1000, {"hirer": 1000, "worker": 1000})


def test_a_job_is_open_to_exactly_those_trades_that_pass_its_gate() -> None:
    trades = list(taxonomy.skills())
    for number, category in enumerate(trades):
        wanted = [] if number % 3 == 0 else [trades[number - 1], trades[number // 2]]
        passes = [one for one in trades if ranking.skills(wanted, category, {one}) is not None]
        assert ranking.open_to(wanted, category) == sorted(passes)


@given(st.fixed_dictionaries({name: st.integers(0, 1000) for side in ranking.WEIGHTS.values() for name in side}))
def test_contributions_sum_to_the_score_whatever_the_features(values: dict[str, int]) -> None:
    score = ranking.combine({name: Feature(value) for name, value in values.items()})
    assert sum(score.contributions.values()) == score.total
    assert 0 <= min(score.contributions.values()) <= score.total <= 1000
    assert min(score.sides.values()) <= score.total <= max(score.sides.values())


@given(
    st.lists(st.sampled_from(sorted(taxonomy.skills())), min_size=1, max_size=4),
    st.sampled_from(sorted(taxonomy.skills())),
)
def test_the_wrong_trade_never_outranks_the_right_one(wanted: list[str], offered: str) -> None:
    need = replace(NEED, category=wanted[0], skills=wanted)
    score = ranking.fit(need, replace(BEST, skills={offered}), now=NOON)
    near = {one for trade in wanted for one in ranking.related(trade)}
    assert (score is None) == (offered not in near)


def test_a_barber_of_five_stars_next_door_is_no_plumber() -> None:
    assert ranking.fit(NEED, replace(BEST, skills={"barber"}), now=NOON) is None


def test_a_family_opens_nothing_by_itself_and_a_trade_does() -> None:
    assert ranking.skills(["plumber"], "water-sanitation", {"borehole-driller"}) is None
    assert ranking.skills(["pump-technician"], "plumber", {"plumber"}) == Feature(400, "The trade fits: Plumber")


def test_trades_count_by_their_share_and_their_nearness_in_the_tree() -> None:
    wanted = ["plumber", "pump-technician"]
    assert ranking.skills(wanted, "x", {"plumber"}) == Feature(500, "1 of 2 trades fit: Plumber")
    assert ranking.skills(["plumber"], "x", {"water-sanitation"}) == Feature(600, "1 of 1 trades fit: Plumber")
    assert ranking.skills(["water-sanitation"], "x", {"plumber"}) == Feature(
        900, "1 of 1 trades fit: Water and sanitation"
    )


def test_neither_side_makes_up_for_the_other() -> None:
    """A worker whom the hirer would love and who would never come scores less than two lukewarm sides."""
    far = replace(BEST, place=(-1.6244, 6.6885), hourly_rate=Money(amount=500_000), active=4)
    fair = replace(BEST, skills={"plumber"}, rating_milli=3_500, hourly_rate=Money(amount=9_000))
    one, other = ranking.fit(NEED, far, now=NOON), ranking.fit(NEED, fair, now=NOON)
    assert one is not None
    assert other is not None
    assert one.sides["hirer"] > other.sides["hirer"]
    assert one.total < other.total


def test_reasons_are_words_for_people() -> None:
    score = ranking.fit(NEED, BEST, now=NOON)
    assert score is not None
    assert score.reasons == [
        "2 of 2 trades fit: Plumber, Pump technician",
        "1 km away",
        "Rated 5.0 of 5 in 50 reviews",
        "Completed 80 contracts",
        "The budget pays at least a day at the usual rate",
        "Published today",
    ]


def test_an_urgent_job_is_fresh_to_those_who_are_near_and_free() -> None:
    old = replace(NEED, urgent=True, published_at=NOON - timedelta(days=60))
    assert ranking.recency(old, BEST, 5.0, NOON) == Feature(1000, "Urgent, near and free now")
    for offer, km in ((replace(BEST, is_available=False), 5.0), (BEST, 26.0), (BEST, None)):
        assert ranking.recency(old, offer, km, NOON) == Feature(0)


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
    published = [NOON - timedelta(days=days) for days in (0, 15, 31)]
    assert [ranking.recency(replace(NEED, published_at=at), BEST, 1.0, NOON).value for at in published] == [
        1000,
        500,
        0,
    ]


def test_newcomers_get_a_fair_middle() -> None:
    assert ranking.reputation(None, 0) == Feature(700, "New on Kelmah")
    assert ranking.reputation(4_500, 1) == Feature(900, "Rated 4.5 of 5 in 1 review")


@pytest.mark.parametrize(
    ("ranked", "shown"),
    [
        ("aaaaaaaaaaaan", "aaaanaaaaaaaa"),
        ("aaaaaaaaanaan", "aaaaaaaaanaan"),
        ("aaan", "aaan"),
        ("a" * 10 + "aan" + "a" * 9, "aaaanaaaaaaa" + "a" * 10),
        ("a" * 20 + "nn", "aaaanaaaaaaaaanaaaaaaa"),
        ("a" * 30, "a" * 30),
        ("", ""),
    ],
)
def test_each_ten_places_show_a_newcomer_if_there_is_one(ranked: str, shown: str) -> None:
    assert "".join(ranking.with_newcomers(ranked, is_newcomer=lambda one: one == "n")) == shown


def test_accra_is_200_km_from_kumasi_and_nothing_is_farther_than_half_the_globe() -> None:
    assert ranking.kilometres(ACCRA, (-1.6244, 6.6885)) == pytest.approx(199.5, abs=0.5)
    assert ranking.kilometres((0, 90), (0, -90)) == pytest.approx(20015.1, abs=0.1)


@pytest.mark.parametrize(
    ("urgent", "days", "value"),
    [
        (False, None, ranking.UNKNOWN), (False, [], 0), (False, [0], 200), (False, range(5), 1000),
        (False, range(28), 1000), (False, [13], 200), (False, [14], 0), (False, [-1], 0), (False, [3, 3], 200),
        (True, [2], 1000), (True, [3], 0),
    ],
)  # fmt: skip
def test_a_few_free_days_soon_are_enough(urgent: bool, days: list[int] | None, value: int) -> None:
    today = datetime(2026, 1, 1, tzinfo=UTC).date()
    free = None if days is None else [today + timedelta(days=one) for one in days]
    assert ranking.availability(urgent, free, today).value == value


@pytest.mark.parametrize(
    ("percent", "value", "is_told"),
    [(None, 500, False), (0, 0, False), (79, 790, False), (80, 800, True), (100, 1000, True)],
)
def test_who_answers_is_worth_more(percent: int | None, value: int, is_told: bool) -> None:
    found = ranking.response(percent)
    assert (found.value, found.reason is not None) == (value, is_told)
