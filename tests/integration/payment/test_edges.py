"""The limits on withdrawals, each on both sides of its edge, with the clock standing still."""

from datetime import timedelta

import msgspec
import pytest

from kelmah.contracts.common import Role
from kelmah.kit import clock
from kelmah.kit.context import Principal
from tests.fixtures.service import Reply, person
from tests.integration.payment.conftest import Payments

HOUR = timedelta(hours=1)


async def rich(payments: Payments, amount: int) -> tuple[Principal, str]:
    """Somebody whose money has been in the wallet for exactly as long as it must, and an account. Time stands still."""
    clock.stop(clock.now())
    worker = person(Role.WORKER)
    assert (await payments.deposit(worker, amount)).status == 201
    method_id = await payments.account_of(worker)
    pass_(24 * HOUR)
    return fresh(worker), method_id


def pass_(time: timedelta) -> None:
    clock.stop(clock.now() + time)


def fresh(by: Principal, ago_s: int = 0) -> Principal:
    """The same person, who signed in so long ago."""
    at = int(clock.now().timestamp()) - ago_s
    return msgspec.structs.replace(by, authenticated_at=at)


def outcome(reply: Reply) -> int | str:
    return 201 if reply.status == 201 else str(reply.data["code"])


async def test_the_step_up_lasts_ten_minutes(payments: Payments) -> None:
    worker, method_id = await rich(payments, 10_000)
    clock.stop(clock.now().replace(microsecond=0) + timedelta(seconds=1))
    async with payments.untouched():
        late = await payments.withdraw(fresh(worker, 601), 1_000, method_id)
        assert outcome(late) == "payment.step_up_needed"
    assert outcome(await payments.withdraw(fresh(worker, 600), 1_000, method_id)) == 201


@pytest.mark.parametrize(
    ("amount", "ends"), [(499, "bad_input"), (500, 201), (5_000_000, 201), (5_000_001, "bad_input")]
)
async def test_the_least_and_the_most_of_one(payments: Payments, amount: int, ends: int | str) -> None:
    worker, method_id = await rich(payments, 6_000_000)
    before = await payments.books()
    assert outcome(await payments.withdraw(worker, amount, method_id)) == ends
    assert (await payments.books() == before) == (ends != 201)


async def test_the_days_limit_is_exact_and_slides(payments: Payments) -> None:
    worker, method_id = await rich(payments, 20_000_000)
    for amount in (5_000_000, 4_999_500):
        assert outcome(await payments.withdraw(fresh(worker), amount, method_id)) == 201
        pass_(HOUR)
    worker = fresh(worker)
    async with payments.untouched():
        assert outcome(await payments.withdraw(worker, 501, method_id)) == "payment.withdrawal_limit"
    assert outcome(await payments.withdraw(worker, 500, method_id)) == 201  # exactly ten million
    pass_(22 * HOUR - timedelta(milliseconds=1))
    worker = fresh(worker)
    async with payments.untouched():  # the first one was almost 24 hours ago
        assert outcome(await payments.withdraw(worker, 500, method_id)) == "payment.withdrawal_limit"
    pass_(timedelta(milliseconds=1))
    assert outcome(await payments.withdraw(worker, 5_000_000, method_id)) == 201


async def test_what_came_in_stays_to_the_end_of_the_holding_period(payments: Payments) -> None:
    worker, method_id = await rich(payments, 1_000)
    assert (await payments.deposit(worker, 3_000)).status == 201
    pass_(24 * HOUR - timedelta(milliseconds=1))
    worker = fresh(worker)
    async with payments.untouched():
        assert outcome(await payments.withdraw(worker, 1_001, method_id)) == "payment.holding_period"
    assert outcome(await payments.withdraw(worker, 1_000, method_id)) == 201
    pass_(timedelta(milliseconds=1))
    assert outcome(await payments.withdraw(worker, 3_000, method_id)) == 201


@pytest.mark.parametrize("way", ["release", "ruling", "offer"])
async def test_what_was_earned_stays_as_long(payments: Payments, way: str) -> None:
    clock.stop(clock.now())
    hirer, worker, dispute_id = await payments.disputed(2_000)
    if way == "release":
        hirer, worker, escrow_id = await payments.funded(2_000)
        assert (await payments.post(f"/escrows/{escrow_id}/release", by=hirer)).status == 200
    elif way == "offer":
        body = {"workerAmount": 2_000, "hirerAmount": 0}
        offer = (await payments.post(f"/disputes/{dispute_id}/offers", body, by=hirer)).data["offers"][0]
        assert (
            await payments.post(f"/disputes/{dispute_id}/accept", {"offerId": offer["id"]}, by=worker)
        ).status == 200
    else:
        settings = payments.context.settings.model_copy(update={"dispute_appeal_days": 0})
        payments.service.replace(settings=settings)
        assert (await payments.rule(dispute_id, 2_000, 0)).status == 200
    method_id = await payments.account_of(worker)
    pass_(24 * HOUR - timedelta(milliseconds=1))
    async with payments.untouched():
        assert outcome(await payments.withdraw(fresh(worker), 500, method_id)) == "payment.holding_period"
    pass_(timedelta(milliseconds=1))
    assert outcome(await payments.withdraw(fresh(worker), 1_800, method_id)) == 201
