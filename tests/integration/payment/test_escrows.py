"""Escrow is funded once, and its money leaves once."""

import asyncio
from typing import Any

import pytest

from kelmah.contracts.common import Money, Role
from kelmah.contracts.events import Envelope
from kelmah.contracts.job import ContractCancelled, ContractStatus, MilestoneApproved, MilestoneStatus
from kelmah.kit.context import Principal
from kelmah.kit.errors import Unavailable
from kelmah.kit.events import from_document
from kelmah.kit.ids import new_id
from kelmah.services.payment import service
from tests.fixtures.service import Reply, person
from tests.integration.payment.conftest import Payments


async def test_funding_moves_the_milestones_amount(payments: Payments) -> None:
    hirer, worker = await payments.hirer_with(20_000), person(Role.WORKER)
    contract = payments.jobs.make_contract(hirer.user_id, worker.user_id, 15_000, 3_000)
    reply = await payments.fund(contract, by=hirer)
    assert (reply.status, reply.data["status"]) == (201, "funded")
    assert reply.data["amount"] == {"amount": 15_000, "currency": "GHS"}
    assert await payments.available(hirer) == 5_000
    told = {
        "escrowId": reply.data["id"],
        "contractId": contract.id,
        "milestoneId": contract.milestones[0].id,
        "hirerId": hirer.user_id,
        "workerId": worker.user_id,
        "amount": {"amount": 15_000, "currency": "GHS"},
    }
    assert await payments.events("escrow_funded", escrowId=reply.data["id"]) == [told]
    assert payments.jobs.told == [(contract.milestones[0].id, "funded", reply.data["id"])]
    for side in (hirer, worker, person(Role.SUPPORT)):
        assert (await payments.get(f"/escrows/{reply.data['id']}", by=side)).data == reply.data
    listed = await payments.get(f"/escrows?contractId={contract.id}", by=worker)
    assert listed.data == {"items": [reply.data], "nextCursor": None}
    assert (await payments.get("/escrows?contractId=other", by=worker)).data["items"] == []


async def test_funding_stands_when_the_job_service_is_down(payments: Payments) -> None:
    hirer = await payments.hirer_with(500)
    payments.jobs.down = Unavailable()
    reply = await payments.fund(payments.jobs.make_contract(hirer.user_id, new_id(), 500), by=hirer)
    assert reply.status == 201
    assert len(await payments.events("escrow_funded", escrowId=reply.data["id"])) == 1


async def test_only_what_is_agreed_is_funded(payments: Payments) -> None:
    hirer, other = await payments.hirer_with(5_000), await payments.hirer_with(5_000)
    make = payments.jobs.make_contract
    good = make(hirer.user_id, new_id(), 500)
    assert (await payments.fund(good, by=other)).status == 404
    assert (await payments.fund(good, by=person(Role.WORKER))).status == 403
    body = {"contractId": good.id, "milestoneId": "other"}
    assert (await payments.post("/escrows", body, by=hirer)).status == 404
    assert (await payments.post("/escrows", body | {"contractId": "none"}, by=hirer)).status == 404
    assert (await payments.post("/escrows", body | {"amount": 1}, by=hirer)).status == 400
    for status in set(ContractStatus) - {ContractStatus.ACTIVE}:
        reply = await payments.fund(make(hirer.user_id, new_id(), 500, status=status), by=hirer)
        assert (reply.status, reply.data["code"]) == (409, "payment.milestone_not_fundable")
    for milestone in set(MilestoneStatus) - {MilestoneStatus.AGREED}:
        reply = await payments.fund(make(hirer.user_id, new_id(), 500, milestone_status=milestone), by=hirer)
        assert (reply.status, reply.data["code"]) == (409, "payment.milestone_not_fundable")
    assert await payments.available(hirer) == 5_000
    assert payments.jobs.told == []


async def test_a_wallet_that_holds_too_little_is_left_alone(payments: Payments) -> None:
    hirer = await payments.hirer_with(499)
    contract = payments.jobs.make_contract(hirer.user_id, new_id(), 500)
    for money in (499, 499):
        reply = await payments.fund(contract, by=hirer, key="k")
        assert (reply.status, reply.data["code"]) == (402, "payment.insufficient_funds")
        assert await payments.available(hirer) == money
    await payments.deposit(hirer, 100)
    assert (await payments.fund(contract, by=hirer, key="k")).status == 201
    foreign = payments.jobs.make_contract(hirer.user_id, new_id(), 1, currency="USD")
    assert (await payments.fund(foreign, by=hirer)).status == 402
    assert await payments.available(hirer) == 99


async def test_a_milestone_is_funded_once(payments: Payments) -> None:
    hirer = await payments.hirer_with(10_000)
    contract = payments.jobs.make_contract(hirer.user_id, new_id(), 500)
    replies = await asyncio.gather(*(payments.fund(contract, by=hirer) for _ in range(8)))
    assert sorted(reply.status for reply in replies) == [201] + [409] * 7
    assert await payments.available(hirer) == 9_500
    funded = next(reply for reply in replies if reply.status == 201).data
    await payments.post(f"/escrows/{funded['id']}/release", by=hirer)
    again = await payments.fund(contract, by=hirer)
    assert (again.status, again.data["code"]) == (409, "payment.escrow_exists")


async def test_release_pays_the_worker_less_the_fee(payments: Payments) -> None:
    hirer, worker, escrow_id = await payments.funded(10_005)
    reply = await payments.post(f"/escrows/{escrow_id}/release", by=hirer)
    assert (reply.status, reply.data["status"]) == (200, "released")
    assert (reply.data["net"]["amount"], reply.data["fee"]["amount"]) == (9_005, 1_000)
    assert (await payments.available(hirer), await payments.available(worker)) == (0, 9_005)
    (event,) = await payments.events("escrow_released", escrowId=escrow_id)
    assert (event["amount"]["amount"], event["feeAmount"], event["workerId"]) == (10_005, 1_000, worker.user_id)
    assert payments.jobs.told[-1][1:] == ("released", escrow_id)


@pytest.mark.parametrize("way", ["release", "refund", "dispute", "ruling"])
async def test_what_has_left_cannot_leave_again(payments: Payments, way: str) -> None:
    hirer, worker, escrow_id = await payments.funded(1_000)
    support = person(Role.SUPPORT)
    if way in ("dispute", "ruling"):
        dispute = await payments.post("/disputes", {"escrowId": escrow_id, "reason": "no roof"}, by=hirer)
        ruling = {"workerAmount": 400, "hirerAmount": 600, "note": "half a roof"}
        if way == "ruling":
            await payments.post(f"/disputes/{dispute.data['id']}/resolve", ruling, by=support)
            await payments.let_pass(dispute.data["id"])
    else:
        assert (
            await payments.post(f"/escrows/{escrow_id}/{way}", by=hirer if way == "release" else worker)
        ).status == 200
    before = [await payments.available(one) for one in (hirer, worker)]
    events = await payments.context.mongo.collection("events").count_documents({})
    code = "payment.escrow_disputed" if way == "dispute" else "payment.escrow_not_funded"
    attempts = [
        await payments.post(f"/escrows/{escrow_id}/release", by=hirer),
        await payments.post(f"/escrows/{escrow_id}/refund", by=worker),
        await payments.post(f"/escrows/{escrow_id}/refund", by=support),
        await payments.post("/disputes", {"escrowId": escrow_id, "reason": "again"}, by=worker),
    ]
    assert [(reply.status, reply.data["code"]) for reply in attempts] == [(409, code)] * 4
    assert [await payments.available(one) for one in (hirer, worker)] == before
    assert await payments.context.mongo.collection("events").count_documents({}) == events


async def test_refund_is_the_workers_or_supports(payments: Payments) -> None:
    hirer, worker, escrow_id = await payments.funded(1_000)
    path = f"/escrows/{escrow_id}/refund"
    assert (await payments.post(path, by=hirer)).status == 403
    assert (await payments.post(path, by=person(Role.WORKER))).status == 404
    assert (await payments.post(path, by=person(Role.MODERATOR))).status == 403
    assert await payments.available(hirer) == 0
    reply = await payments.post(path, by=worker)
    assert (reply.status, reply.data["status"], reply.data["refunded"]["amount"]) == (200, "refunded", 1_000)
    assert (await payments.available(hirer), await payments.available(worker)) == (1_000, 0)
    (event,) = await payments.events("escrow_refunded", escrowId=escrow_id)
    assert event["amount"] == {"amount": 1_000, "currency": "GHS"}
    hirer, _, escrow_id = await payments.funded(700)
    assert (await payments.post(f"/escrows/{escrow_id}/refund", by=person(Role.ADMIN))).status == 200
    assert await payments.available(hirer) == 700


async def test_release_is_the_hirers(payments: Payments) -> None:
    hirer, worker, escrow_id = await payments.funded(1_000)
    path = f"/escrows/{escrow_id}/release"
    assert (await payments.post(path, by=worker)).status == 403
    assert (await payments.post(path, by=person())).status == 404
    assert (await payments.post("/escrows/none/release", by=hirer)).status == 404
    assert (await payments.get(f"/escrows/{escrow_id}", by=person())).status == 404
    assert await payments.available(worker) == 0


async def test_another_role_makes_nobody_the_other_side(payments: Payments) -> None:
    """Who is what in an escrow is what the escrow says, not what the person came to be since."""
    hirer, worker, escrow_id = await payments.funded(1_000)
    async with payments.untouched():
        for who, role, way in ((worker, Role.HIRER, "release"), (hirer, Role.WORKER, "refund")):
            by = Principal(user_id=who.user_id, role=role, session_id=who.session_id)
            for body in (None, {"amount": {"amount": 1, "currency": "GHS"}}) if way == "release" else (None,):
                reply = await payments.post(f"/escrows/{escrow_id}/{way}", body, by=by)
                assert (reply.status, reply.data["code"]) == (403, "forbidden")


async def test_a_refunded_milestone_can_be_funded_again(payments: Payments) -> None:
    hirer, worker = await payments.hirer_with(1_000), person(Role.WORKER)
    contract = payments.jobs.make_contract(hirer.user_id, worker.user_id, 600)
    first = (await payments.fund(contract, by=hirer)).data["id"]
    await payments.post(f"/escrows/{first}/refund", by=worker)
    assert (await payments.fund(contract, by=hirer)).status == 201
    assert await payments.available(hirer) == 400


async def test_release_and_refund_at_once_move_the_money_once(payments: Payments) -> None:
    hirer, worker, escrow_id = await payments.funded(1_000)
    replies = await asyncio.gather(
        *(payments.post(f"/escrows/{escrow_id}/release", by=hirer) for _ in range(5)),
        *(payments.post(f"/escrows/{escrow_id}/refund", by=worker) for _ in range(5)),
    )
    assert sorted(reply.status for reply in replies) == [200] + [409] * 9
    assert (await payments.available(hirer), await payments.available(worker)) in [(1_000, 0), (0, 900)]


async def release_milestone(payments: Payments, escrow: dict[str, Any], caller: str = "job") -> Reply:
    path = f"/internal/contracts/{escrow['contractId']}/milestones/{escrow['milestoneId']}/release"
    return await payments.service.call("POST", path, caller=caller)


async def test_the_job_service_releases_once_however_often_it_says_so(payments: Payments) -> None:
    hirer, worker, escrow_id = await payments.funded(1_000)
    escrow = (await payments.get(f"/escrows/{escrow_id}", by=hirer)).data
    for caller in ("gateway", "user"):
        assert (await release_milestone(payments, escrow, caller)).status == 403
    replies = [await release_milestone(payments, escrow) for _ in range(3)]
    assert [reply.status for reply in replies] == [200] * 3
    assert replies[0].data == replies[2].data
    assert (replies[0].data["status"], replies[0].data["feeAmount"]) == ("released", 100)
    assert await payments.available(worker) == 900
    assert (await release_milestone(payments, escrow | {"milestoneId": "none"})).status == 404


async def test_the_job_service_cannot_release_what_is_refunded_or_disputed(payments: Payments) -> None:
    for way in ("refund", "dispute"):
        hirer, worker, escrow_id = await payments.funded(1_000)
        escrow = (await payments.get(f"/escrows/{escrow_id}", by=hirer)).data
        if way == "refund":
            await payments.post(f"/escrows/{escrow_id}/refund", by=worker)
        else:
            await payments.post("/disputes", {"escrowId": escrow_id, "reason": "late"}, by=hirer)
        assert (await release_milestone(payments, escrow)).status == 409
        assert await payments.available(worker) == 0


async def test_an_approval_releases_once_however_often_it_is_heard(payments: Payments) -> None:
    hirer, worker, escrow_id = await payments.funded(1_000)
    escrow = (await payments.get(f"/escrows/{escrow_id}", by=hirer)).data
    event = MilestoneApproved(
        contract_id=escrow["contractId"],
        milestone_id=escrow["milestoneId"],
        hirer_id=hirer.user_id,
        worker_id=worker.user_id,
        amount=Money(amount=1_000),
    )
    envelope = await _envelope(payments, event)
    await asyncio.gather(*(service.on_milestone_approved(payments.context, envelope, event) for _ in range(4)))
    await service.on_milestone_approved(payments.context, await _envelope(payments, event), event)
    assert await payments.available(worker) == 900
    assert len(await payments.events("escrow_released", escrowId=escrow_id)) == 1


async def test_an_approval_of_what_was_never_funded_is_let_go(payments: Payments) -> None:
    event = MilestoneApproved(
        contract_id="none", milestone_id="none", hirer_id="h", worker_id="w", amount=Money(amount=5)
    )
    await service.on_milestone_approved(payments.context, await _envelope(payments, event), event)
    assert await payments.events("escrow_released", contractId="none") == []


async def test_a_cancelled_contract_gives_back_what_is_not_disputed(payments: Payments) -> None:
    hirer, worker = await payments.hirer_with(6_000), person(Role.WORKER)
    contract = payments.jobs.make_contract(hirer.user_id, worker.user_id, 1_000, 2_000, 3_000)
    other = payments.jobs.make_contract(hirer.user_id, worker.user_id, 500)
    ids = [(await payments.fund(contract, index, by=hirer)).data["id"] for index in range(3)]
    assert (await payments.post("/disputes", {"escrowId": ids[1], "reason": "r"}, by=worker)).status == 201
    assert (await payments.deposit(hirer, 500)).status == 201
    kept = (await payments.fund(other, by=hirer)).data["id"]
    event = ContractCancelled(
        contract_id=contract.id,
        job_id=contract.job_id,
        hirer_id=hirer.user_id,
        worker_id=worker.user_id,
        cancelled_by=worker.user_id,
    )
    envelope = await _envelope(payments, event)
    await asyncio.gather(*(service.on_contract_cancelled(payments.context, envelope, event) for _ in range(3)))
    assert await payments.available(hirer) == 4_000
    statuses = [(await payments.get(f"/escrows/{one}", by=hirer)).data["status"] for one in [*ids, kept]]
    assert statuses == ["refunded", "disputed", "refunded", "funded"]
    assert len(await payments.events("escrow_refunded", contractId=contract.id)) == 2


async def _envelope(payments: Payments, event: MilestoneApproved | ContractCancelled) -> Envelope:
    async def append() -> Envelope:
        return await payments.context.events.append(event, subject=f"contract:{new_id()}")  # type: ignore[no-any-return]

    envelope = await payments.context.mongo.transact(append)
    row = await payments.context.mongo.collection("events").find_one({"_id": envelope.id})
    return from_document(row)
