"""What a seed makes is decided before anything is made, and always the same."""

from datetime import UTC, date, datetime, time, timedelta

import pytest

from kelmah.cli.seed import SeedError, fill
from kelmah.cli.seed.plan import STAFF_AGE, Plan, Size, Stage, make_plan
from kelmah.contracts.common import Role
from kelmah.contracts.taxonomy import skills

DAY = date(2026, 5, 4)
END = datetime.combine(DAY, time(), UTC)


@pytest.fixture(params=[Size.SMALL, Size.MEDIUM])
def plan(request: pytest.FixtureRequest) -> Plan:
    return make_plan(3, request.param, DAY)


def test_the_same_seed_makes_the_same(plan: Plan) -> None:
    size = Size.SMALL if len(plan.people) == 20 else Size.MEDIUM
    assert make_plan(3, size, DAY) == plan
    assert make_plan(4, size, DAY).people != plan.people
    assert [deal.price for deal in make_plan(4, size, DAY).deals] != [deal.price for deal in plan.deals]


def test_another_day_moves_all_by_as_much(plan: Plan) -> None:
    size = Size.SMALL if len(plan.people) == 20 else Size.MEDIUM
    later = make_plan(3, size, DAY + timedelta(days=40))
    assert [deal.begins - timedelta(days=40) for deal in later.deals] == [deal.begins for deal in plan.deals]
    assert [one.email for one in later.people] == [one.email for one in plan.people]


@pytest.mark.parametrize(("size", "people"), [(Size.SMALL, 20), (Size.MEDIUM, 300), (Size.LARGE, 5_000)])
def test_sizes_are_what_they_are_said_to_be(size: Size, people: int) -> None:
    plan = make_plan(1, size, DAY)
    assert len(plan.people) == people == len({one.email for one in plan.people})
    assert {deal.stage for deal in plan.deals} == set(Stage)
    assert [one.role for one in plan.staff] == [Role.ADMIN, Role.MODERATOR, Role.SUPPORT]


def test_a_larger_size_has_the_people_of_the_smaller() -> None:
    small, medium = make_plan(1, Size.SMALL, DAY), make_plan(1, Size.MEDIUM, DAY)
    assert all(one in medium.people for one in small.people)


def test_everything_fits(plan: Plan) -> None:
    for person in plan.people:
        longitude, latitude = person.location.coordinates
        assert -3.3 < longitude < 1.3, person  # Ghana
        assert 4.7 < latitude < 11.2, person
        assert END - STAFF_AGE <= person.joined <= END - timedelta(days=99)
    for deal in plan.deals:
        assert deal.trade in skills()
        assert all(part.amount > 0 for part in deal.parts)
        assert deal.price == sum(part.amount for part in deal.parts) >= 10_000
        assert len({deal.worker.name, deal.hirer.name, *(one.name for one in deal.others)}) == 2 + len(deal.others)
        assert max(deal.worker.joined, deal.hirer.joined) < deal.begins < END


@pytest.mark.parametrize(
    ("environ", "as_of", "reason"),
    [
        ({"KELMAH_ENVIRONMENT": "production"}, None, "this is production"),
        ({}, date(2999, 1, 1), "2999-01-01 is not here yet"),
    ],
)
async def test_some_seeds_are_refused_before_anything_is_opened(
    environ: dict[str, str], as_of: date | None, reason: str
) -> None:
    with pytest.raises(SeedError, match=reason):
        await fill(environ, seed=1, size=Size.SMALL, as_of=as_of, tell=lambda *_: None)
