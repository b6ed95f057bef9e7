"""Work: handed in, answered, approved by word or by silence; and what payment tells of its money."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from kelmah.clients.job import JobClient
from kelmah.contracts.common import Event, Money
from kelmah.contracts.events import Envelope
from kelmah.contracts.job import ContractStatus, MilestoneMoneyState, MilestoneStatus
from kelmah.contracts.payment import (
    DisputeRaised,
    DisputeResolved,
    DisputeWithdrawn,
    EscrowFunded,
    EscrowRefunded,
    EscrowReleased,
    EscrowStatus,
)
from kelmah.kit import clock
from kelmah.kit.calls import ASGITransport, ServiceCaller
from kelmah.kit.errors import Conflict, GatewayTimeout, NotFound, Unavailable
from kelmah.kit.ids import new_id
from kelmah.services.job import service
from tests.fakes.payment import FakePaymentClient
from tests.fixtures.service import KEY
from tests.integration.job.steps import Desk, hirer, milestone, worker

HALVES = [{"title": "One", "amount": 20_000}, {"title": "Two", "amount": 25_000}]


async def _status(desk: Desk, contract_id: str, index: int = 0) -> str:
    found = await desk.service.context.mongo.collection("contracts").find_one({"_id": contract_id})
    return str(found["milestones"][index]["status"])


async def test_work_starts_only_on_a_funded_milestone(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    for contract in (await desk.contract(anna, kofi), await desk.active(anna, kofi)):
        path = milestone(contract["id"], contract["milestones"][0]["id"], "submit")
        reply = await desk.call("POST", path, by=kofi)
        assert (reply.status, reply.data["code"]) == (409, "job.milestone_not_funded")
        assert await _status(desk, contract["id"]) == "agreed"
        assert await desk.timers(contract["id"]) == []


async def test_work_starts_only_under_an_active_contract(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.contract(anna, kofi)
    milestone_id = contract["milestones"][0]["id"]
    await desk.money(contract["id"], milestone_id, "funded")
    reply = await desk.call("POST", milestone(contract["id"], milestone_id, "submit"), by=kofi)
    assert (reply.status, reply.data["code"]) == (409, "job.contract_not_active")


async def test_changes_send_the_work_back_and_the_next_submission_starts_the_wait_anew(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    contract, part = await desk.submitted(anna, kofi)
    assert await desk.timers(contract["id"]) == [f"auto-approve:{contract['id']}:{part}:1"]
    path = milestone(contract["id"], part, "request-changes")
    assert (await desk.call("POST", path, by=anna)).status == 400
    assert (await desk.call("POST", path, {"reason": " "}, by=anna)).status == 400
    back = await desk.ok("POST", path, {"reason": "It still drips."}, by=anna)
    assert (back["status"], back["changesRequested"]) == ("changes_requested", "It still drips.")
    assert back["autoApprovesAt"] is None
    assert await desk.timers(contract["id"]) == []
    again = await desk.ok("POST", milestone(contract["id"], part, "submit"), {"note": "New seal."}, by=kofi)
    assert (again["status"], again["submissionCount"], again["note"]) == ("submitted", 2, "New seal.")
    assert await desk.timers(contract["id"]) == [f"auto-approve:{contract['id']}:{part}:2"]
    await desk.ok("POST", milestone(contract["id"], part, "approve"), by=anna)
    assert await desk.timers(contract["id"]) == []


@pytest.mark.parametrize("action", ["submit", "approve", "request-changes"])
async def test_only_the_right_side_acts_on_a_milestone(desk: Desk, payment: FakePaymentClient, action: str) -> None:
    anna, kofi = hirer(), worker()
    contract, part = await desk.submitted(anna, kofi)
    path = milestone(contract["id"], part, action)
    body = {"reason": "No."} if action == "request-changes" else None
    right, wrong, stranger = (kofi, anna, worker()) if action == "submit" else (anna, kofi, hirer())
    assert (await desk.call("POST", path, body)).status == 401
    assert (await desk.call("POST", path, body, by=wrong)).status == 403
    assert (await desk.call("POST", path, body, by=stranger)).data["code"] == "job.contract_not_found"
    missing = await desk.call("POST", milestone(contract["id"], "nothing", action), body, by=right)
    assert (missing.status, missing.data["code"]) == (404, "job.milestone_not_found")
    assert await _status(desk, contract["id"]) == "submitted"
    assert payment.released == []


async def test_of_many_approvals_at_once_one_counts(desk: Desk, payment: FakePaymentClient) -> None:
    anna, kofi = hirer(), worker()
    contract, part = await desk.submitted(anna, kofi)
    path = milestone(contract["id"], part, "approve")
    replies = await asyncio.gather(*(desk.call("POST", path, by=anna) for _ in range(50)))
    assert sorted(reply.status for reply in replies) == [200] + [409] * 49
    assert payment.released == [(contract["id"], part)]
    events = await desk.events(f"contract:{contract['id']}")
    assert (events.count("milestone_approved"), events.count("contract_completed")) == (1, 1)


async def test_approval_and_changes_at_once_leave_one_answer(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    contract, part = await desk.submitted(anna, kofi)
    calls = [
        desk.call("POST", milestone(contract["id"], part, "approve"), by=anna),
        desk.call("POST", milestone(contract["id"], part, "request-changes"), {"reason": "No."}, by=anna),
    ]
    replies = await asyncio.gather(*calls)
    assert sorted(reply.status for reply in replies) == [200, 409]


@pytest.mark.parametrize("failure", [Unavailable(), GatewayTimeout(), NotFound()])
async def test_an_approval_stands_when_payment_cannot_be_reached(
    desk: Desk, payment: FakePaymentClient, failure: Any
) -> None:
    anna, kofi = hirer(), worker()
    contract, part = await desk.submitted(anna, kofi)
    payment.failure = failure
    approved = await desk.ok("POST", milestone(contract["id"], part, "approve"), by=anna)
    assert approved["status"] == "approved"
    assert (await desk.events(f"contract:{contract['id']}"))[-1] == "milestone_approved"
    assert (await desk.money(contract["id"], part, "released")).status == 204  # when the event was heard
    assert (await desk.ok("GET", f"/contracts/{contract['id']}", by=anna))["status"] == "completed"


async def test_a_refusal_of_payment_reaches_the_hirer_and_the_approval_stands(
    desk: Desk, payment: FakePaymentClient
) -> None:
    anna, kofi = hirer(), worker()
    contract, part = await desk.submitted(anna, kofi)
    payment.failure = Conflict("The escrow is disputed.")
    reply = await desk.call("POST", milestone(contract["id"], part, "approve"), by=anna)
    assert (reply.status, reply.data["detail"]) == (409, "The escrow is disputed.")
    assert await _status(desk, contract["id"]) == "approved"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (EscrowStatus.RELEASED, "released"),
        (EscrowStatus.DISPUTED, "approved"),
        (EscrowStatus.REFUNDED, "refunded"),
        (EscrowStatus.FUNDED, "approved"),
        (EscrowStatus.SETTLED, "approved"),
    ],
)
async def test_the_milestone_follows_the_answer_of_payment(
    desk: Desk, payment: FakePaymentClient, answer: EscrowStatus, status: str
) -> None:
    anna, kofi = hirer(), worker()
    contract, part = await desk.submitted(anna, kofi)
    payment.status = answer
    assert (await desk.ok("POST", milestone(contract["id"], part, "approve"), by=anna))["status"] == status


async def test_silence_approves_after_fourteen_days(desk: Desk, payment: FakePaymentClient) -> None:
    anna, kofi = hirer(), worker()
    contract, part = await desk.submitted(anna, kofi)
    key = f"auto-approve:{contract['id']}:{part}:1"
    timer = await desk.service.context.mongo.collection("timers").find_one({"_id": key})
    assert timer["actor"] == "job.auto_approve_milestone"
    assert timer["args"] == [contract["id"], part, "1"]
    submitted = (await desk.ok("GET", f"/contracts/{contract['id']}", by=kofi))["milestones"][0]
    assert timer["due"] - timedelta(days=14) <= clock.now() <= timer["due"]
    assert submitted["autoApprovesAt"] is not None

    for _ in range(2):  # an actor may run twice
        await service.auto_approve_milestone(desk.service.context, *timer["args"])
    paid = (await desk.ok("GET", f"/contracts/{contract['id']}", by=kofi))["milestones"][0]
    assert (paid["status"], paid["autoApproved"]) == ("released", True)
    assert payment.released == [(contract["id"], part)]
    assert await desk.timers(contract["id"]) == []


async def test_silence_about_an_old_submission_approves_nothing(desk: Desk, payment: FakePaymentClient) -> None:
    anna, kofi = hirer(), worker()
    contract, part = await desk.submitted(anna, kofi)
    await desk.ok("POST", milestone(contract["id"], part, "request-changes"), {"reason": "No."}, by=anna)
    context = desk.service.context
    await service.auto_approve_milestone(context, contract["id"], part, "1")
    assert await _status(desk, contract["id"]) == "changes_requested"
    await desk.ok("POST", milestone(contract["id"], part, "submit"), by=kofi)
    await service.auto_approve_milestone(context, contract["id"], part, "1")
    await service.auto_approve_milestone(context, contract["id"], "nothing", "1")
    await service.auto_approve_milestone(context, "nothing", part, "1")
    assert await _status(desk, contract["id"]) == "submitted"
    assert payment.released == []


async def test_silence_after_a_dispute_approves_nothing(desk: Desk, payment: FakePaymentClient) -> None:
    anna, kofi = hirer(), worker()
    contract, part = await desk.submitted(anna, kofi)
    await desk.dispute(contract["id"], part)
    assert await desk.timers(contract["id"]) == []
    await service.auto_approve_milestone(desk.service.context, contract["id"], part, "1")
    assert (await _status(desk, contract["id"]), payment.released) == ("disputed", [])


async def test_submitted_work_waits_anew_after_a_dispute_that_was_withdrawn(
    desk: Desk, payment: FakePaymentClient
) -> None:
    anna, kofi = hirer(), worker()
    contract, part = await desk.submitted(anna, kofi)
    await desk.dispute(contract["id"], part)
    clock.shift(timedelta(days=10))
    await desk.dispute(contract["id"], part, is_open=False, sequence=3)
    assert await _status(desk, contract["id"]) == "submitted"
    timer = await desk.service.context.mongo.collection("timers").find_one(
        {"_id": f"auto-approve:{contract['id']}:{part}:1"}
    )
    assert timer["due"] - timedelta(days=14) <= clock.now() <= timer["due"]
    await service.auto_approve_milestone(desk.service.context, *timer["args"])
    assert payment.released == [(contract["id"], part)]


@pytest.mark.parametrize("failure", [None, Conflict()])
async def test_approved_work_is_paid_for_after_a_dispute_that_was_withdrawn(
    desk: Desk, payment: FakePaymentClient, failure: Conflict | None
) -> None:
    anna, kofi = hirer(), worker()
    contract, part = await desk.submitted(anna, kofi)
    payment.failure = Conflict("The escrow is disputed.")
    await desk.call("POST", milestone(contract["id"], part, "approve"), by=anna)
    await desk.dispute(contract["id"], part)
    payment.failure, payment.released = Unavailable(), []
    event: Any = _events(contract)["withdrawn"]
    envelope = _envelope(event, 3)
    with pytest.raises(Unavailable):  # the message comes again
        await service.on_dispute_withdrawn(desk.service.context, envelope, event)
    payment.failure = failure
    await service.on_dispute_withdrawn(desk.service.context, envelope, event)
    assert payment.released == [(contract["id"], part)] * 2
    assert await _status(desk, contract["id"]) == "approved"  # until payment tells of the release


async def test_a_refusal_of_payment_does_not_fail_the_timer(desk: Desk, payment: FakePaymentClient) -> None:
    anna, kofi = hirer(), worker()
    contract, part = await desk.submitted(anna, kofi)
    payment.failure = Conflict()
    await service.auto_approve_milestone(desk.service.context, contract["id"], part, "1")
    assert await _status(desk, contract["id"]) == "approved"


async def test_the_client_of_other_services_reads_contracts_and_tells_of_money(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.active(anna, kofi)
    part = contract["milestones"][0]["id"]

    def client(caller: str) -> JobClient:
        transport = ASGITransport(desk.service.app)
        return JobClient(ServiceCaller(caller=caller, callee="job", transport=transport, keys={"job": [KEY]}))

    for caller in ("payment", "review", "messaging"):
        facts = await client(caller).get_contract(contract_id=contract["id"])
        assert (facts.status, facts.milestones[0].status) == (ContractStatus.ACTIVE, MilestoneStatus.AGREED)
        assert (facts.hirer_id, facts.worker_id) == (anna.user_id, kofi.user_id)
        assert facts.milestones[0].amount == Money(amount=45_000)
    for _ in range(2):
        await client("payment").milestone_money(
            contract_id=contract["id"], milestone_id=part, state=MilestoneMoneyState.FUNDED, escrow_id="e1"
        )
    assert await _status(desk, contract["id"]) == "funded"
    for contract_id, milestone_id in ((contract["id"], "nothing"), ("nothing", part)):
        with pytest.raises(NotFound):
            await client("payment").milestone_money(
                contract_id=contract_id, milestone_id=milestone_id, state=MilestoneMoneyState.FUNDED, escrow_id="e1"
            )
    with pytest.raises(NotFound):
        await client("payment").get_contract(contract_id="nothing")


async def test_only_payment_tells_of_money_and_nobody_outside_reads_facts(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.active(anna, kofi)
    path = f"/internal/contracts/{contract['id']}"
    body = {"state": "funded", "escrowId": "e1"}
    money = f"{path}/milestones/{contract['milestones'][0]['id']}/money"
    for caller in ("gateway", "auth", "user", "messaging", "review"):
        assert (await desk.service.call("POST", money, body, by=anna, caller=caller)).status == 403
    for caller in ("gateway", "auth", "user"):
        assert (await desk.service.call("GET", path, by=anna, caller=caller)).status == 403
    assert await _status(desk, contract["id"]) == "agreed"


def _events(contract: Any) -> dict[str, Event]:
    ids = {
        "escrow_id": "e1",
        "contract_id": contract["id"],
        "milestone_id": contract["milestones"][0]["id"],
        "hirer_id": contract["hirerId"],
        "worker_id": contract["workerId"],
    }
    amount = Money(amount=45_000)
    return {
        "funded": EscrowFunded(**ids, amount=amount),
        "released": EscrowReleased(**ids, amount=amount, fee_amount=1),
        "refunded": EscrowRefunded(**ids, amount=amount),
        "disputed": DisputeRaised(**ids, dispute_id="d1", raised_by="x"),
        "withdrawn": DisputeWithdrawn(**ids, dispute_id="d1", withdrawn_by="x"),
        "again": DisputeRaised(**ids, dispute_id="d2", raised_by="x"),
        "resolved": DisputeResolved(**ids, dispute_id="d1", worker_amount=1, hirer_amount=44_999),
        "lost": DisputeResolved(**ids, dispute_id="d1", worker_amount=0, hirer_amount=45_000),
    }


_HEARD_BY: dict[str, Any] = {
    "funded": service.on_escrow_funded,
    "released": service.on_escrow_released,
    "refunded": service.on_escrow_refunded,
    "disputed": service.on_dispute_raised,
    "withdrawn": service.on_dispute_withdrawn,
    "again": service.on_dispute_raised,
    "resolved": service.on_dispute_resolved,
    "lost": service.on_dispute_resolved,
}
#: Their places in the escrow's stream.
_SEQUENCES = {"disputed": 2, "withdrawn": 3, "again": 4}


def _envelope(event: Event, sequence: int = 1) -> Envelope:
    return Envelope(
        id=new_id(),
        source="/kelmah/payment",
        type=event.TYPE,
        time=clock.now(),
        subject="escrow:e1",
        sequence=sequence,
        data=msgspec.Raw(msgspec.json.encode(event)),
        correlationid=new_id(),
    )


@pytest.mark.parametrize(
    ("heard", "status"),
    [
        (["funded"], "funded"),
        (["funded", "released"], "released"),
        (["released", "funded"], "released"),
        (["disputed", "funded"], "disputed"),
        (["funded", "disputed", "resolved"], "released"),
        (["resolved", "disputed", "funded"], "released"),
        (["disputed", "lost"], "refunded"),
        (["lost", "funded", "disputed"], "refunded"),
        (["refunded", "funded"], "refunded"),
        (["refunded", "released"], "released"),
        (["released", "refunded"], "released"),
        (["funded", "disputed", "withdrawn"], "funded"),
        (["disputed", "funded", "withdrawn"], "funded"),
        (["withdrawn", "disputed", "funded"], "funded"),
        (["withdrawn", "disputed", "released"], "released"),
        (["funded", "disputed", "withdrawn", "again"], "disputed"),
        (["again", "funded", "withdrawn", "disputed"], "disputed"),
        (["disputed", "again", "withdrawn", "funded"], "disputed"),
        (["disputed", "again", "withdrawn", "resolved"], "released"),
    ],
)
async def test_news_of_money_is_heard_in_any_order_and_any_number_of_times(
    desk: Desk, heard: list[str], status: str
) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.active(anna, kofi)
    events = _events(contract)
    envelopes = [(name, _envelope(events[name], _SEQUENCES.get(name, 5))) for name in heard]
    for name, envelope in envelopes + envelopes:
        await _HEARD_BY[name](desk.service.context, envelope, events[name])
    await asyncio.gather(*(_HEARD_BY[name](desk.service.context, one, events[name]) for name, one in envelopes * 3))
    after = await desk.ok("GET", f"/contracts/{contract['id']}", by=anna)
    assert (after["milestones"][0]["status"], after["milestones"][0]["escrowId"]) == (status, "e1")
    completed = status == "released"
    assert after["status"] == ("completed" if completed else "active")
    assert (await desk.ok("GET", f"/jobs/{contract['jobId']}"))["status"] == (
        "completed" if completed else "in_progress"
    )
    assert (await desk.events(f"contract:{contract['id']}")).count("contract_completed") == completed


async def test_news_of_a_contract_that_is_not_there_is_dropped(desk: Desk) -> None:
    event = EscrowFunded(
        escrow_id="e1", contract_id="no", milestone_id="no", hirer_id="a", worker_id="b", amount=Money(amount=1)
    )
    await service.on_escrow_funded(desk.service.context, _envelope(event), event)


async def test_a_contract_completes_with_its_last_milestone_only(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.active(anna, kofi, milestones=HALVES)
    one, two = (part["id"] for part in contract["milestones"])
    await desk.money(contract["id"], one, "released")
    assert (await desk.ok("GET", f"/contracts/{contract['id']}", by=anna))["status"] == "active"
    await desk.money(contract["id"], two, "refunded")
    assert (await desk.ok("GET", f"/contracts/{contract['id']}", by=anna))["status"] == "completed"
    assert (await desk.ok("GET", f"/jobs/{contract['jobId']}"))["status"] == "completed"


async def test_two_last_milestones_released_at_once_complete_the_contract_once(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.active(anna, kofi, milestones=HALVES)
    parts = [part["id"] for part in contract["milestones"]]
    replies = await asyncio.gather(*(desk.money(contract["id"], part, "released") for part in parts * 10))
    assert {reply.status for reply in replies} == {204}
    assert (await desk.ok("GET", f"/contracts/{contract['id']}", by=anna))["status"] == "completed"
    assert (await desk.events(f"contract:{contract['id']}")).count("contract_completed") == 1
