"""Escrow straight from a provider: the milestone is claimed at once, and funded when the money is there, once."""

import asyncio
from typing import Any

import msgspec
import pytest

from kelmah.contracts.common import Role
from kelmah.contracts.job import ContractCancelled, ContractFacts, ContractStatus
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.payment import service
from tests.fakes.cards import DECLINED, MISSING, NEEDS_ACTION
from tests.fixtures.service import Reply, person
from tests.integration.payment.conftest import Payments
from tests.integration.payment.test_escrows import _envelope


async def fund(
    payments: Payments, contract: ContractFacts, *, by: Principal, card: str = "pm_card_visa", key: str | None = None
) -> Reply:
    body = {"contractId": contract.id, "milestoneId": contract.milestones[0].id, "paymentMethod": card}
    return await payments.post("/escrows", body, by=by, key=key)


def deal(payments: Payments, amount: int = 1_500) -> tuple[Principal, Principal, ContractFacts]:
    hirer, worker = person(), person(Role.WORKER)
    return hirer, worker, payments.jobs.make_contract(hirer.user_id, worker.user_id, amount)


async def test_a_card_funds_a_milestone(payments: Payments) -> None:
    hirer, _, contract = deal(payments)
    reply = await fund(payments, contract, by=hirer, key="once")
    assert (reply.status, reply.data["status"], reply.data["held"]["amount"]) == (201, "funded", 1_500)
    assert reply.data["payment"]["status"] == "succeeded"
    again = await fund(payments, contract, by=hirer, key="once")
    assert (again.status, again.data) == (201, reply.data)
    assert await payments.available(hirer) == 0
    assert payments.cards.taken.total() == 1
    assert payments.jobs.told == [(contract.milestones[0].id, "funded", reply.data["id"])]
    assert (await fund(payments, contract, by=hirer)).status == 409
    assert payments.cards.taken.total() == 1


@pytest.mark.parametrize("card", [DECLINED, MISSING])
async def test_a_refused_card_frees_the_milestone(payments: Payments, card: str) -> None:
    hirer, _, contract = deal(payments)
    assert (await fund(payments, contract, by=hirer, card=card)).data["code"] == "payment.declined"
    (escrow,) = (await payments.get(f"/escrows?contractId={contract.id}", by=hirer)).data["items"]
    assert (escrow["status"], escrow["held"]["amount"]) == ("voided", 0)
    assert (await fund(payments, contract, by=hirer)).status == 201
    assert payments.cards.taken.total() == 1


async def test_a_payer_who_must_act_holds_the_milestone_until_then(payments: Payments) -> None:
    hirer, worker, contract = deal(payments)
    reply = await fund(payments, contract, by=hirer, card=NEEDS_ACTION)
    assert (reply.status, reply.data["status"]) == (202, "pending")
    assert reply.data["payment"]["clientSecret"].startswith("pi_")
    deposit_id, path = reply.data["payment"]["id"], f"/escrows/{reply.data['id']}"
    for attempt in (
        await fund(payments, contract, by=hirer),
        await payments.post(f"{path}/release", by=hirer),
        await payments.post(f"{path}/refund", by=worker),
        await payments.post("/disputes", {"escrowId": reply.data["id"], "reason": "r"}, by=worker),
    ):
        assert attempt.status == 409
    payments.cards.pass_action(f"pi_{deposit_id}")
    await asyncio.gather(*(service.requery_deposit(payments.context, deposit_id) for _ in range(3)))
    assert (await payments.get(path, by=worker)).data["status"] == "funded"
    assert await payments.available(hirer) == 0
    assert len(await payments.events("escrow_funded", escrowId=reply.data["id"])) == 1


@pytest.mark.parametrize("step", ["confirm:before", "confirm:after"])
async def test_what_is_not_known_is_not_charged_again(payments: Payments, step: str) -> None:
    hirer, _, contract = deal(payments)
    payments.cards.lose(step)
    reply = await fund(payments, contract, by=hirer, key="k")
    assert (reply.status, reply.data["status"], reply.data["payment"]["status"]) == (202, "pending", "unknown")
    assert (await fund(payments, contract, by=hirer)).status == 409
    await service.requery_deposit(payments.context, reply.data["payment"]["id"])
    has_paid = step == "confirm:after"
    status = (await payments.get(f"/escrows/{reply.data['id']}", by=hirer)).data["status"]
    assert status == ("funded" if has_paid else "expired")
    assert (await fund(payments, contract, by=hirer)).status == (409 if has_paid else 201)
    assert payments.cards.taken.total() == 1


async def test_money_for_a_cancelled_contract_stays_in_the_wallet(payments: Payments) -> None:
    hirer, worker, contract = deal(payments)
    reply = await fund(payments, contract, by=hirer, card=NEEDS_ACTION)
    event = ContractCancelled(
        contract_id=contract.id,
        job_id=contract.job_id,
        hirer_id=hirer.user_id,
        worker_id=worker.user_id,
        cancelled_by=worker.user_id,
    )
    await service.on_contract_cancelled(payments.context, await _envelope(payments, event), event)
    payments.cards.pass_action(f"pi_{reply.data['payment']['id']}")
    await service.requery_deposit(payments.context, reply.data["payment"]["id"])
    assert (await payments.get(f"/escrows/{reply.data['id']}", by=hirer)).data["status"] == "voided"
    assert await payments.available(hirer) == 1_500


async def test_an_amount_that_differs_funds_nothing(payments: Payments) -> None:
    hirer, _, contract = deal(payments)
    reply = await fund(payments, contract, by=hirer, card=NEEDS_ACTION)
    ref = f"pi_{reply.data['payment']['id']}"
    payments.cards.alter(ref, amount=1_499)
    payments.cards.pass_action(ref)
    await service.requery_deposit(payments.context, reply.data["payment"]["id"])
    assert (await payments.get(f"/escrows/{reply.data['id']}", by=hirer)).data["status"] == "voided"
    assert await payments.available(hirer) == 0


async def test_a_strangers_method_or_contract_is_refused(payments: Payments) -> None:
    hirer, _, contract = deal(payments)
    other = person()
    method = (await payments.post("/methods", {"token": "pm_card_visa"}, by=other)).data["id"]
    body: dict[str, Any] = {"contractId": contract.id, "milestoneId": contract.milestones[0].id, "methodId": method}
    assert (await payments.post("/escrows", body, by=hirer)).data["code"] == "payment.method_not_found"
    assert (await payments.post("/escrows", body, by=other)).status == 404
    assert (await payments.post("/escrows", body | {"provider": "none"}, by=hirer, key=new_id())).status == 400
    assert (await payments.get("/escrows", by=hirer)).data["items"] == []
    assert payments.cards.taken.total() == 0


async def test_what_an_earlier_try_began_is_finished_whatever_became_of_the_contract(payments: Payments) -> None:
    hirer, _, contract = deal(payments)
    payments.cards.lose("create:after")
    assert (await fund(payments, contract, by=hirer, key="k")).status == 503
    payments.jobs.contracts[contract.id] = msgspec.structs.replace(contract, status=ContractStatus.CANCELLED)
    assert (await fund(payments, contract, by=hirer, key="other")).data["code"] == "payment.milestone_not_fundable"
    reply = await fund(payments, contract, by=hirer, key="k")
    assert (reply.status, reply.data["status"], payments.cards.taken.total()) == (201, "funded", 1)


async def test_a_forgotten_key_does_not_stand_for_another_milestone(payments: Payments) -> None:
    """After a day the key itself is forgotten, but what it paid for is not."""
    hirer, _, contract = deal(payments)
    first = await fund(payments, contract, by=hirer, key="k")
    await payments.context.mongo.collection("idempotency_keys").delete_many({})
    assert (await fund(payments, contract, by=hirer, key="k")).data == first.data
    await payments.context.mongo.collection("idempotency_keys").delete_many({})
    other = payments.jobs.make_contract(hirer.user_id, contract.worker_id, 1_500)
    async with payments.untouched():
        reply = await fund(payments, other, by=hirer, key="k")
    assert (reply.status, reply.data["code"]) == (422, "idempotency_key_reused")
    assert (await payments.get(f"/escrows?contractId={other.id}", by=hirer)).data["items"] == []
    assert payments.cards.taken.total() == 1
