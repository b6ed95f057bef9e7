"""Whoever raised a dispute takes it back before anybody ruled, and so does a bank: the escrow is as it was."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from kelmah.contracts.common import Role
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.payment.documents import ledger
from kelmah.services.payment.providers.base import ChargebackState
from tests.fixtures.service import Reply, person
from tests.integration.payment.conftest import Payments
from tests.integration.payment.test_crashes import ONE_TRANSACTION, walk
from tests.integration.payment.test_dispute_chargebacks import by_card, charge_back, dispute_of

ANSWER = {"text": "The wall stands."}


async def withdraw(payments: Payments, dispute_id: str, by: Principal, key: str | None = None) -> Reply:
    return await payments.post(f"/disputes/{dispute_id}/withdraw", by=by, key=key)


async def status_of(payments: Payments, escrow_id: str) -> str:
    found = await payments.context.mongo.collection("escrows").find_one({"_id": escrow_id})
    return str(found["status"])


@pytest.mark.parametrize("raised_by", [0, 1])
@pytest.mark.parametrize("until", ["open", "answered", "in_review"])
async def test_whoever_raised_it_withdraws_it_until_somebody_ruled(
    payments: Payments, raised_by: int, until: str
) -> None:
    *sides, dispute_id = await payments.disputed(1_000, raised_by=raised_by)
    raiser, other = sides[raised_by], sides[1 - raised_by]
    if until != "open":
        assert (await payments.post(f"/disputes/{dispute_id}/answer", ANSWER, by=other)).status == 200
    if until == "in_review":
        await payments.let_pass(dispute_id)
    async with payments.untouched():
        reply = await withdraw(payments, dispute_id, raiser)
    assert (reply.status, reply.data["status"]) == (200, "withdrawn")
    assert (reply.data["resolvedBy"], reply.data["deadlineAt"]) == (raiser.user_id, None)
    assert await payments.timer(f"dispute:{dispute_id}") is None
    (event,) = await payments.events("dispute_withdrawn", disputeId=dispute_id)
    assert (event["withdrawnBy"], event["escrowId"]) == (raiser.user_id, reply.data["escrowId"])
    escrow_id = reply.data["escrowId"]
    assert await status_of(payments, escrow_id) == "funded"
    # Either side may dispute it anew, and otherwise it goes its way.
    body = {"escrowId": escrow_id, "reason": "It leans after all."}
    again = await payments.post("/disputes", body, by=other)
    assert (again.status, (await withdraw(payments, again.data["id"], other)).status) == (201, 200)
    assert (await payments.post(f"/escrows/{escrow_id}/release", by=sides[0])).status == 200
    assert await payments.available(sides[1]) == 900


async def test_nobody_else_withdraws_it(payments: Payments) -> None:
    hirer, worker, dispute_id = await payments.disputed()
    before = (await payments.get(f"/disputes/{dispute_id}", by=hirer)).data
    for who, status in ((worker, 403), (person(), 404), (person(Role.WORKER), 404), (person(Role.SUPPORT), 403)):
        assert (await withdraw(payments, dispute_id, who)).status == status
    assert (await withdraw(payments, new_id(), hirer)).data["code"] == "payment.dispute_not_found"
    assert (await payments.get(f"/disputes/{dispute_id}", by=hirer)).data == before
    assert await status_of(payments, before["escrowId"]) == "disputed"


@pytest.mark.parametrize("until", ["ruled", "appealed", "resolved", "withdrawn"])
async def test_nothing_is_withdrawn_after_a_ruling_or_twice(payments: Payments, until: str) -> None:
    hirer, worker, dispute_id = await payments.disputed()
    if until == "withdrawn":
        assert (await withdraw(payments, dispute_id, hirer)).status == 200
    else:
        await payments.rule(dispute_id, 1_000, 0)
    if until == "appealed":
        assert (await payments.post(f"/disputes/{dispute_id}/appeal", {"reason": "r"}, by=hirer)).status == 200
    if until == "resolved":
        await payments.let_pass(dispute_id)
    path = f"/disputes/{dispute_id}"
    before = (await payments.get(path, by=hirer)).data
    async with payments.untouched():
        reply = await withdraw(payments, dispute_id, hirer)
    code = "dispute_resolved" if until in ("resolved", "withdrawn") else "dispute_step_closed"
    assert (before["status"], reply.status, reply.data["code"]) == (until, 409, f"payment.{code}")
    assert (await payments.get(path, by=hirer)).data == before
    if until == "withdrawn":  # nor is anything else done with it
        for step, body, by in (
            ("answer", ANSWER, worker),
            ("offers", {"workerAmount": 0, "hirerAmount": 1_000}, worker),
            ("resolve", {"workerAmount": 0, "hirerAmount": 1_000, "note": "n"}, person(Role.SUPPORT)),
        ):
            refused = await payments.post(f"{path}/{step}", body, by=by)
            assert (refused.status, refused.data["code"]) == (409, "payment.dispute_resolved")


async def test_a_withdrawal_and_a_ruling_at_once_end_one_way(payments: Payments) -> None:
    for _ in range(5):
        hirer, _, dispute_id = await payments.disputed()
        replies = await asyncio.gather(
            *(withdraw(payments, dispute_id, hirer) for _ in range(3)), payments.rule(dispute_id, 1_000, 0)
        )
        assert sorted(reply.status for reply in replies) == [200, 409, 409, 409]
        assert len(await payments.events("dispute_withdrawn", disputeId=dispute_id)) == (replies[3].status == 409)


async def test_a_withdrawal_that_crashed_anywhere_is_made_once(payments: Payments) -> None:
    ids: list[str] = []

    async def prepare() -> Callable[[], Awaitable[Reply]]:
        hirer, _, dispute_id = await payments.disputed()
        ids.append(dispute_id)
        key = new_id()
        return lambda: withdraw(payments, dispute_id, hirer, key)

    assert await walk(payments, prepare) == ONE_TRANSACTION
    assert [len(await payments.events("dispute_withdrawn", disputeId=one)) for one in ids] == [1] * len(ids)


async def test_what_a_bank_froze_is_free_once_it_gives_the_money_back(payments: Payments) -> None:
    deal = await by_card(payments)
    await charge_back(payments, deal.deposit_id)
    dispute_id = (await dispute_of(payments, deal))["id"]
    reply = await withdraw(payments, dispute_id, deal.hirer)
    assert (reply.status, reply.data["code"]) == (409, "payment.settlement_closed")
    assert (await payments.post(f"/disputes/{dispute_id}/answer", ANSWER, by=deal.worker)).status == 200
    await charge_back(payments, deal.deposit_id, ChargebackState.WON)
    dispute: dict[str, object] = {**await dispute_of(payments, deal)}
    assert (dispute["status"], dispute["resolvedBy"], dispute["chargebackId"]) == ("withdrawn", "bank", None)
    (event,) = await payments.events("dispute_withdrawn", disputeId=dispute_id)
    assert event["withdrawnBy"] == "bank"
    assert await payments.timer(f"dispute:{dispute_id}") is None
    assert (await payments.post(f"/escrows/{deal.escrow_id}/release", by=deal.hirer)).status == 200
    assert await payments.available(deal.worker) == 900


async def test_a_ruling_over_what_a_bank_froze_stands_when_it_gives_the_money_back(payments: Payments) -> None:
    deal = await by_card(payments)
    await charge_back(payments, deal.deposit_id)
    dispute_id = (await dispute_of(payments, deal))["id"]
    await payments.rule(dispute_id, 600, 400)
    await charge_back(payments, deal.deposit_id, ChargebackState.WON)
    assert (await dispute_of(payments, deal))["status"] == "ruled"
    await payments.let_pass(dispute_id)
    assert (await payments.available(deal.hirer), await payments.available(deal.worker)) == (400, 540)


async def two_banks(payments: Payments) -> tuple[Principal, Principal, str, list[str]]:
    """An escrow of 1000 that was paid by two deposits, of 700 and 300, and which both banks took back."""
    hirer, worker = person(), person(Role.WORKER)
    deposits = [(await payments.deposit(hirer, amount)).data["id"] for amount in (700, 300)]
    contract = payments.jobs.make_contract(hirer.user_id, worker.user_id, 1_000)
    escrow_id = (await payments.fund(contract, by=hirer)).data["id"]
    for one in deposits:
        await charge_back(payments, one)
    return hirer, worker, escrow_id, deposits


async def test_what_two_banks_froze_is_free_when_both_gave_the_money_back(payments: Payments) -> None:
    _, _, escrow_id, deposits = await two_banks(payments)
    for deposit_id, status in zip(deposits, ("disputed", "funded"), strict=True):
        await charge_back(payments, deposit_id, ChargebackState.WON)
        assert await status_of(payments, escrow_id) == status


async def test_a_ruling_over_what_two_banks_took_pays_both_losses(payments: Payments) -> None:
    losses = await ledger.balance("losses:GHS")
    hirer, worker, _, _ = await two_banks(payments)
    assert await ledger.balance("losses:GHS") == losses - 1_000
    (dispute,) = (await payments.get("/disputes", by=hirer)).data["items"]
    await payments.rule(dispute["id"], 100, 900)
    await payments.let_pass(dispute["id"])
    assert await ledger.balance("losses:GHS") == losses - 100
    assert (await payments.available(hirer), await payments.available(worker)) == (0, 90)
