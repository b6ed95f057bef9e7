"""A payer's bank takes money back that is in escrow: the escrow is frozen, and the platform's loss is paid first."""

from typing import NamedTuple

import pytest

from kelmah.contracts.common import Role
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.payment.documents import ledger
from kelmah.services.payment.providers.base import ChargebackState
from tests.fixtures.service import person
from tests.integration.payment.conftest import Payments
from tests.integration.payment.test_webhooks import deliver, handle_all, notice

CARD = "pm_card_visa"


class Deal(NamedTuple):
    hirer: Principal
    worker: Principal
    escrow_id: str
    deposit_id: str


async def by_card(payments: Payments, amount: int = 1_000) -> Deal:
    """An escrow that was funded straight from a card."""
    hirer, worker = person(), person(Role.WORKER)
    contract = payments.jobs.make_contract(hirer.user_id, worker.user_id, amount)
    body = {"contractId": contract.id, "milestoneId": contract.milestones[0].id, "paymentMethod": CARD}
    reply = await payments.post("/escrows", body, by=hirer)
    assert reply.status == 201
    return Deal(hirer, worker, reply.data["id"], reply.data["payment"]["id"])


async def charge_back(
    payments: Payments, deposit_id: str, state: ChargebackState = ChargebackState.OPEN, *, times: int = 2
) -> None:
    ref = payments.cards.charge_back(f"pi_{deposit_id}", state)
    kind = "created" if state is ChargebackState.OPEN else "closed"
    for number in range(times):
        await deliver(payments, notice(f"charge.dispute.{kind}", ref, event_id=f"evt_{ref}_{state}_{number}"))
        await handle_all(payments)


async def dispute_of(payments: Payments, deal: Deal) -> dict[str, str]:
    (dispute,) = (await payments.get("/disputes", by=deal.hirer)).data["items"]
    return dict(dispute)


async def test_the_escrow_that_a_payment_funded_is_frozen_as_if_the_hirer_had_disputed_it(payments: Payments) -> None:
    deal = await by_card(payments)
    # The hirer has enough besides, so that the platform loses nothing; the milestone is frozen nevertheless.
    assert (await payments.deposit(deal.hirer, 5_000)).status == 201
    await charge_back(payments, deal.deposit_id)
    dispute = await dispute_of(payments, deal)
    assert (dispute["status"], dispute["raisedBy"]) == ("open", deal.hirer.user_id)
    assert dispute["chargebackId"] == f"stripe:dp_pi_{deal.deposit_id}"
    assert len(await payments.events("dispute_raised", escrowId=deal.escrow_id)) == 1
    release = await payments.post(f"/escrows/{deal.escrow_id}/release", by=deal.hirer)
    assert (release.status, release.data["code"]) == (409, "payment.escrow_disputed")
    path = f"/disputes/{dispute['id']}"
    assert (await payments.post(f"{path}/answer", {"text": "The wall stands."}, by=deal.worker)).status == 200
    async with payments.untouched():
        body = {"workerAmount": 0, "hirerAmount": 1_000}
        for side in (deal.hirer, deal.worker):
            reply = await payments.post(f"{path}/offers", body, by=side)
            assert (reply.status, reply.data["code"]) == (409, "payment.settlement_closed")
    await payments.rule(dispute["id"], 600, 400)
    await payments.let_pass(dispute["id"])
    # 4000 are left of what the wallet had; the ruling adds the hirer's part, since nothing was lost.
    assert await payments.available(deal.hirer) == 4_000 + 400
    assert await payments.available(deal.worker) == 540


@pytest.mark.parametrize(("hirer_amount", "recovered"), [(1_000, 1_000), (400, 400), (0, 0)])
async def test_what_a_ruling_gives_the_payer_pays_the_loss_first(
    payments: Payments, hirer_amount: int, recovered: int
) -> None:
    losses = await ledger.balance("losses:GHS")
    deal = await by_card(payments)
    await charge_back(payments, deal.deposit_id)
    assert await ledger.balance("losses:GHS") == losses - 1_000
    dispute = await dispute_of(payments, deal)
    await payments.rule(dispute["id"], 1_000 - hirer_amount, hirer_amount)
    await payments.let_pass(dispute["id"])
    assert await ledger.balance("losses:GHS") == losses - 1_000 + recovered
    assert await payments.available(deal.hirer) == hirer_amount - recovered
    assert await payments.available(deal.worker) == (1_000 - hirer_amount) * 9 // 10
    # The bank rules later: what the payer paid for goes back with it, or nothing does.
    await charge_back(payments, deal.deposit_id, ChargebackState.WON)
    assert await ledger.balance("losses:GHS") == losses
    assert await payments.available(deal.hirer) == hirer_amount


async def test_no_more_than_the_loss_is_taken(payments: Payments) -> None:
    deal = await by_card(payments, 1_000)
    assert (await payments.deposit(deal.hirer, 300)).status == 201
    await charge_back(payments, deal.deposit_id)
    dispute = await dispute_of(payments, deal)
    await payments.rule(dispute["id"], 0, 1_000)
    await payments.let_pass(dispute["id"])
    assert await payments.available(deal.hirer) == 300  # 300 were held, 700 lost, and 1000 came back


async def test_escrows_from_the_wallet_are_frozen_as_far_as_the_platform_would_lose(payments: Payments) -> None:
    hirer, worker = person(), person(Role.WORKER)
    deposit_id = (await payments.deposit(hirer, 3_000)).data["id"]
    contract = payments.jobs.make_contract(hirer.user_id, worker.user_id, 1_000, 1_000, 1_000)
    ids = [(await payments.fund(contract, index, by=hirer)).data["id"] for index in range(3)]
    assert (await payments.deposit(hirer, 1_500)).status == 201
    await charge_back(payments, deposit_id)
    statuses = [(await payments.get(f"/escrows/{one}", by=hirer)).data["status"] for one in ids]
    assert statuses == ["funded", "disputed", "disputed"]
    assert await payments.available(hirer) == 0


async def test_a_dispute_that_is_open_already_becomes_about_the_chargeback_until_the_bank_gives_back(
    payments: Payments,
) -> None:
    deal = await by_card(payments)
    body = {"escrowId": deal.escrow_id, "reason": "late"}
    dispute_id = (await payments.post("/disputes", body, by=deal.worker)).data["id"]
    path, offer = f"/disputes/{dispute_id}", {"workerAmount": 500, "hirerAmount": 500}
    offer_id = (await payments.post(f"{path}/offers", offer, by=deal.worker)).data["offers"][0]["id"]
    await charge_back(payments, deal.deposit_id)
    async with payments.untouched():
        reply = await payments.post(f"{path}/accept", {"offerId": offer_id}, by=deal.hirer)
        assert (reply.status, reply.data["code"]) == (409, "payment.settlement_closed")
    await charge_back(payments, deal.deposit_id, ChargebackState.WON)
    assert (await payments.get(path, by=deal.hirer)).data["chargebackId"] is None
    assert (await payments.post(f"{path}/accept", {"offerId": offer_id}, by=deal.hirer)).status == 200
    assert (await payments.available(deal.hirer), await payments.available(deal.worker)) == (500, 450)


async def test_a_chargeback_that_is_known_only_when_it_was_won_freezes_nothing(payments: Payments) -> None:
    deal = await by_card(payments)
    await charge_back(payments, deal.deposit_id, ChargebackState.WON)
    assert (await payments.get("/disputes", by=deal.hirer)).data["items"] == []
    assert (await payments.post(f"/escrows/{deal.escrow_id}/release", by=deal.hirer)).status == 200


async def test_a_chargeback_of_money_that_went_to_nobodys_escrow_freezes_nothing(payments: Payments) -> None:
    hirer = person()
    deposit_id = (await payments.deposit(hirer, 1_000)).data["id"]
    assert (await payments.deposit(hirer, 500)).status == 201
    contract = payments.jobs.make_contract(hirer.user_id, new_id(), 500)
    escrow_id = (await payments.fund(contract, by=hirer)).data["id"]
    await charge_back(payments, deposit_id)
    assert (await payments.get(f"/escrows/{escrow_id}", by=hirer)).data["status"] == "funded"
