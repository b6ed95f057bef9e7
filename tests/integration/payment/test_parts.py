"""An escrow is paid out in parts, under the terms of its contract, and nothing is lost on the way."""

import asyncio
import json
from typing import Any

import pytest

from kelmah.contracts.common import Role
from kelmah.contracts.job import ContractKind
from kelmah.services.payment.documents import ledger
from kelmah.services.payment.settings import FeeTerms
from tests.fixtures.service import person
from tests.integration.payment.conftest import Payments


def part(amount: int, currency: str = "GHS") -> dict[str, Any]:
    return {"amount": {"amount": amount, "currency": currency}}


async def test_a_part_is_paid_and_the_rest_stays(payments: Payments) -> None:
    hirer, worker, escrow_id = await payments.funded(10_005)
    path = f"/escrows/{escrow_id}/release"
    first = await payments.post(path, part(4_009), by=hirer)
    assert (first.status, first.data["status"]) == (200, "funded")
    assert (first.data["held"]["amount"], first.data["released"]["amount"]) == (5_996, 4_009)
    assert await payments.available(worker) == 4_009 - 400
    assert payments.jobs.told[-1][1] == "funded"
    second = await payments.post(path, part(5_991), by=hirer)
    assert second.data["held"]["amount"] == 5
    last = await payments.post(path, by=hirer)
    assert (last.data["status"], last.data["held"]["amount"]) == ("released", 0)
    # The fee of the parts is the fee of the whole: 10 % of 10005, rounded down once.
    assert (last.data["net"]["amount"], last.data["fee"]["amount"]) == (9_005, 1_000)
    assert await payments.available(worker) == 9_005
    told = await payments.events("escrow_released", escrowId=escrow_id)
    assert [(one["amount"]["amount"], one["heldAmount"], one["feeAmount"]) for one in told] == [
        (4_009, 5_996, 400),
        (5_991, 5, 600),
        (5, 0, 0),
    ]
    assert payments.jobs.told[-1][1] == "released"
    assert (await payments.post(path, by=hirer)).status == 409


async def told(payments: Payments, escrow_id: str) -> list[tuple[str, dict[str, Any]]]:
    """All that was told of an escrow, from the first."""
    rows = payments.context.mongo.collection("events").find({"subject": f"escrow:{escrow_id}"}).sort("_id")
    return [(row["type"], json.loads(row["data"])) async for row in rows]


async def test_each_step_is_told_in_full_and_said_again_to_who_asks_again(payments: Payments) -> None:
    hirer, worker = await payments.hirer_with(2_010), person(Role.WORKER)
    contract = payments.jobs.make_contract(hirer.user_id, worker.user_id, 1_005, 1_005)
    paid, back = [(await payments.fund(contract, index, by=hirer)).data["id"] for index in range(2)]
    for path, body, by, key in (
        (f"/escrows/{paid}/release", part(405), hirer, "part"),
        (f"/escrows/{paid}/release", None, hirer, "rest"),
        (f"/escrows/{back}/release", part(1), hirer, "part"),
        (f"/escrows/{back}/refund", None, worker, "rest"),
    ):
        first = await payments.post(path, body, by=by, key=key)
        async with payments.untouched():
            again = await payments.post(path, body, by=by, key=key)
        assert (first.status, again.status, again.data) == (200, 200, first.data)
        assert again.headers["idempotent-replayed"] == "true"

    def step(way: str, amount: int, **more: int) -> tuple[str, dict[str, Any]]:
        return f"payment.escrow_{way}.v1", {"amount": {"amount": amount, "currency": "GHS"}, **more}

    for escrow_id, index, steps in (
        (
            paid,
            0,
            [
                step("funded", 1_005),
                step("released", 405, feeAmount=40, taxAmount=0, heldAmount=600),
                step("released", 600, feeAmount=60, taxAmount=0, heldAmount=0),
            ],
        ),
        (
            back,
            1,
            [
                step("funded", 1_005),
                step("released", 1, feeAmount=0, taxAmount=0, heldAmount=1_004),
                step("refunded", 1_004, releasedAmount=1),
            ],
        ),
    ):
        ids = {
            "escrowId": escrow_id,
            "contractId": contract.id,
            "milestoneId": contract.milestones[index].id,
            "hirerId": hirer.user_id,
            "workerId": worker.user_id,
        }
        assert await told(payments, escrow_id) == [(kind, ids | facts) for kind, facts in steps]
    one, other = (milestone.id for milestone in contract.milestones)
    assert payments.jobs.told == [
        (one, "funded", paid),
        (other, "funded", back),
        (one, "released", paid),
        (other, "released", back),
    ]
    assert payments.jobs.told_of == [contract.id] * 4


async def test_no_part_is_more_than_is_there(payments: Payments) -> None:
    hirer, worker, escrow_id = await payments.funded(1_000)
    path = f"/escrows/{escrow_id}/release"
    await payments.post(path, part(400), by=hirer)
    for body, field in (
        (part(601), "amount.amount"),
        (part(100, "USD"), "amount.currency"),
        (part(0), "amount.amount"),
        (part(-1), "amount.amount"),
        ({"amount": {"amount": 1.5, "currency": "GHS"}}, "amount.amount"),
        (part(2**63), "amount.amount"),
    ):
        reply = await payments.post(path, body, by=hirer)
        assert (reply.status, reply.data["errors"][0]["field"]) == (400, field), body
    for body, why in (
        (part(601), "1 to 600, which is what this escrow holds"),
        (part(100, "USD"), "this escrow is in GHS"),
    ):
        reply = await payments.post(path, body, by=hirer)
        assert reply.data["errors"][0]["message"] == why
    assert (await payments.post(path, part(10), by=worker)).status == 403
    assert (await payments.post(path, part(10), by=person())).status == 404
    assert await payments.available(worker) == 360
    exact = await payments.post(path, part(600), by=hirer)
    assert (exact.status, exact.data["status"]) == (200, "released")


async def test_parts_at_once_never_exceed_the_whole(payments: Payments) -> None:
    hirer, worker, escrow_id = await payments.funded(1_000)
    path = f"/escrows/{escrow_id}/release"
    replies = await asyncio.gather(*(payments.post(path, part(300), by=hirer) for _ in range(6)))
    assert sorted(reply.status for reply in replies) == [200] * 3 + [400] * 3
    assert await payments.available(worker) == 810
    same = await asyncio.gather(*(payments.post(path, part(50), by=hirer, key=escrow_id) for _ in range(4)))
    assert {reply.status for reply in same} <= {200, 409}
    assert await payments.available(worker) == 855


async def test_the_rest_of_a_part_paid_escrow_goes_back(payments: Payments) -> None:
    hirer, worker, escrow_id = await payments.funded(1_000)
    await payments.post(f"/escrows/{escrow_id}/release", part(400), by=hirer)
    reply = await payments.post(f"/escrows/{escrow_id}/refund", by=worker)
    assert (reply.status, reply.data["status"], reply.data["refunded"]["amount"]) == (200, "settled", 600)
    assert (await payments.available(hirer), await payments.available(worker)) == (600, 360)
    (event,) = await payments.events("escrow_refunded", escrowId=escrow_id)
    assert (event["amount"]["amount"], event["releasedAmount"]) == (600, 400)
    assert payments.jobs.told[-1][1] == "released"
    # Part of it was paid, so the milestone is not open for another escrow.
    escrow = (await payments.get(f"/escrows/{escrow_id}", by=hirer)).data
    body = {"contractId": escrow["contractId"], "milestoneId": escrow["milestoneId"]}
    assert (await payments.post("/escrows", body, by=hirer)).data["code"] == "payment.escrow_exists"


async def test_a_dispute_is_about_the_rest(payments: Payments) -> None:
    hirer, worker, escrow_id = await payments.funded(1_000)
    await payments.post(f"/escrows/{escrow_id}/release", part(405), by=hirer)
    dispute = await payments.post("/disputes", {"escrowId": escrow_id, "reason": "late"}, by=worker)
    assert dispute.data["amount"]["amount"] == 595
    assert (await payments.post(f"/escrows/{escrow_id}/release", part(10), by=hirer)).status == 409
    path = f"/disputes/{dispute.data['id']}/resolve"
    ruling = {"workerAmount": 300, "hirerAmount": 700, "note": "n"}
    assert (await payments.post(path, ruling, by=person(Role.SUPPORT))).status == 400
    assert (await payments.post(path, ruling | {"hirerAmount": 295}, by=person(Role.SUPPORT))).status == 200
    await payments.let_pass(dispute.data["id"])
    assert (await payments.available(hirer), await payments.available(worker)) == (295, 705 - 70)


@pytest.mark.parametrize("is_brought", [False, True])
async def test_fee_tax_and_referral_leave_in_one_entry(payments: Payments, is_brought: bool) -> None:
    terms = FeeTerms(fee=1_250, tax=750, referral=2_000)
    settings = payments.context.settings.model_copy(update={"fee_terms": {ContractKind.MILESTONES: terms}})
    payments.service.replace(settings=settings)
    hirer, worker = await payments.hirer_with(20_000), person(Role.WORKER)
    referrer = (await payments.brought(worker)).user_id if is_brought else None
    contract = payments.jobs.make_contract(hirer.user_id, worker.user_id, 9_999, 1, kind=ContractKind.MILESTONES)
    escrow = (await payments.fund(contract, by=hirer)).data
    tax = await ledger.balance("tax:GHS")
    reply = await payments.post(f"/escrows/{escrow['id']}/release", by=hirer)
    # 12.5 % of 9999 is 1249.875; 7.5 % of the 8750 left is 656.25; 20 % of the fee is 249.8: all rounded down.
    assert (reply.data["fee"]["amount"], reply.data["tax"]["amount"], reply.data["net"]["amount"]) == (
        1_249,
        656,
        8_094,
    )
    entry = await ledger.find_entry(f"escrow:{escrow['id']}:leave")
    assert entry is not None
    shared = {row.account: row.amount for row in entry.postings}
    assert shared["fees:GHS"] == (1_000 if referrer else 1_249)
    assert shared.get(f"wallet:{referrer}:GHS") == (249 if referrer else None)
    assert await ledger.balance("tax:GHS") == tax + 656
    single = payments.jobs.make_contract(hirer.user_id, worker.user_id, 1_000)
    other = (await payments.fund(single, by=hirer)).data
    reply = await payments.post(f"/escrows/{other['id']}/release", by=hirer)
    assert (reply.data["fee"]["amount"], reply.data["tax"]["amount"]) == (100, 0)
