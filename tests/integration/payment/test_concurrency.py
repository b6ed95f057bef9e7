"""Hundreds at once on one wallet end at the exact balance."""

import asyncio
from typing import TypeVar

from kelmah.contracts.common import Role
from tests.fixtures.service import person
from tests.integration.payment.conftest import Payments

ResultT = TypeVar("ResultT")


async def test_a_hundred_fundings_at_once_end_at_the_exact_balance(payments: Payments) -> None:
    hirer, worker = await payments.hirer_with(10_000), person(Role.WORKER)
    contract = payments.jobs.make_contract(hirer.user_id, worker.user_id, *[150] * 100)
    replies = await asyncio.gather(*(payments.fund(contract, index, by=hirer) for index in range(100)))
    assert sorted(reply.status for reply in replies) == [201] * 66 + [402] * 34
    assert await payments.available(hirer) == 100
    funded = [reply.data["id"] for reply in replies if reply.status == 201]
    released = await asyncio.gather(*(payments.post(f"/escrows/{one}/release", by=hirer) for one in funded))
    assert [reply.status for reply in released] == [200] * 66
    assert await payments.available(worker) == 66 * 135


async def test_five_hundred_withdrawals_and_releases_at_once_end_at_the_exact_balance(payments: Payments) -> None:
    """250 withdrawals of 500 out of 100 000 and 250 releases of 100 into the same wallet."""
    worker, hirer = await payments.rich(100_000), await payments.hirer_with(25_000)
    method_id = await payments.account_of(worker)
    contract = payments.jobs.make_contract(hirer.user_id, worker.user_id, *[100] * 250)
    escrows = [(await payments.fund(contract, index, by=hirer)).data["id"] for index in range(len(contract.milestones))]
    withdrawing = [payments.withdraw(worker, 500, method_id) for _ in range(250)]
    releasing = [payments.post(f"/escrows/{one}/release", by=hirer) for one in escrows]
    replies = await asyncio.gather(*(call for pair in zip(withdrawing, releasing, strict=True) for call in pair))
    withdrawn, released = replies[::2], replies[1::2]
    assert [reply.status for reply in released] == [200] * 250
    # The rest meets what was just earned, and the holding period.
    assert sorted({reply.status for reply in withdrawn}) in ([201, 402, 409], [201, 409])
    taken = sum(reply.status == 201 for reply in withdrawn)
    assert taken == 200
    assert (await payments.available(worker), await payments.held(worker)) == (250 * 90, 100_000)


async def test_first_deposits_at_once_make_one_wallet(payments: Payments) -> None:
    hirer = person()
    replies = await asyncio.gather(*(payments.deposit(hirer, 100 + index) for index in range(30)))
    assert [reply.status for reply in replies] == [201] * 30
    assert await payments.available(hirer) == sum(range(100, 130))
