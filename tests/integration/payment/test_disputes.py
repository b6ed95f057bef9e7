"""Disputes freeze an escrow until the sides agree, or a ruling stands."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from kelmah.contracts.common import Role
from kelmah.contracts.job import ContractKind
from kelmah.kit.ids import new_id
from kelmah.services.payment import service
from kelmah.services.payment.documents import disputes as documents
from kelmah.services.payment.errors import LedgerError
from kelmah.services.payment.service import disputes
from kelmah.services.payment.service.disputes import business_days_after
from kelmah.services.payment.settings import FeeTerms
from tests.fixtures.service import person
from tests.integration.payment.conftest import Payments


def share(worker: int, hirer: int) -> dict[str, int]:
    return {"workerAmount": worker, "hirerAmount": hirer}


def refused(reply: Any) -> tuple[int, str]:
    return reply.status, reply.data["code"]


def due(data: dict[str, Any], key: str = "deadlineAt") -> datetime:
    return datetime.fromisoformat(data[key])


@pytest.mark.parametrize("raised_by", [0, 1])
async def test_either_side_raises_a_dispute(payments: Payments, raised_by: int) -> None:
    *sides, escrow_id = await payments.funded(1_000)
    raiser = sides[raised_by]
    reply = await payments.post("/disputes", {"escrowId": escrow_id, "reason": "The wall leans."}, by=raiser)
    assert (reply.status, reply.data["status"], reply.data["raisedBy"]) == (201, "open", raiser.user_id)
    assert due(reply.data) == business_days_after(due(reply.data, "createdAt"), 5)
    (event,) = await payments.events("dispute_raised", escrowId=escrow_id)
    assert (event["disputeId"], event["raisedBy"]) == (reply.data["id"], raiser.user_id)
    for side in (*sides, person(Role.SUPPORT)):
        assert (await payments.get(f"/disputes/{reply.data['id']}", by=side)).data == reply.data
    assert (await payments.get("/disputes", by=sides[0])).data == {"items": [reply.data], "nextCursor": None}
    stranger = person()
    assert (await payments.get(f"/disputes/{reply.data['id']}", by=stranger)).status == 404
    assert (await payments.get("/disputes", by=stranger)).data["items"] == []


async def test_strangers_and_blank_reasons_freeze_nothing(payments: Payments) -> None:
    hirer, worker, escrow_id = await payments.funded(1_000)
    body = {"escrowId": escrow_id, "reason": "mine"}
    async with payments.untouched():
        assert (await payments.post("/disputes", body, by=person())).status == 404
        assert (await payments.post("/disputes", body, by=person(Role.SUPPORT))).status == 403
        for reason in ("", "  \n ", "\0", "x" * 2001):
            reply = await payments.post("/disputes", body | {"reason": reason}, by=hirer)
            assert (reply.status, reply.data["errors"][0]["field"]) == (400, "reason")
    assert (await payments.post(f"/escrows/{escrow_id}/release", by=hirer)).status == 200
    assert await payments.available(worker) == 900


def test_business_days_are_monday_to_friday() -> None:
    monday, friday, saturday = (datetime(2026, 11, day, 9, tzinfo=UTC) for day in (23, 27, 28))
    assert business_days_after(monday, 5) == datetime(2026, 11, 30, 9, tzinfo=UTC)
    assert business_days_after(friday, 1) == datetime(2026, 11, 30, 9, tzinfo=UTC)
    assert business_days_after(saturday, 5) == datetime(2026, 12, 4, 9, tzinfo=UTC)
    assert business_days_after(saturday, 0) == saturday


# --- Rulings ---


@pytest.mark.parametrize(
    ("worker_amount", "hirer_amount", "net"), [(1_000, 0, 900), (0, 1_000, 0), (605, 395, 545), (1, 999, 1)]
)
async def test_a_ruling_shares_out_every_minor_unit_once_nobody_may_appeal(
    payments: Payments, worker_amount: int, hirer_amount: int, net: int
) -> None:
    hirer, worker, dispute_id = await payments.disputed(raised_by=1)
    support = person(Role.SUPPORT)
    async with payments.untouched():
        reply = await payments.rule(dispute_id, worker_amount, hirer_amount, by=support)
        assert (reply.status, reply.data["status"], reply.data["resolvedBy"]) == (200, "ruled", support.user_id)
        (event,) = await payments.events("dispute_ruled", disputeId=dispute_id)
        assert (event["workerAmount"], event["ruledBy"]) == (worker_amount, support.user_id)
        assert due(event, "appealUntil") == due(reply.data)
        await service.end_step(payments.context, dispute_id)  # too early
        again = await payments.rule(dispute_id, worker_amount, hirer_amount)
        assert refused(again) == (409, "payment.dispute_step_closed")
    await payments.let_pass(dispute_id)
    await service.end_step(payments.context, dispute_id)
    assert (await payments.available(worker), await payments.available(hirer)) == (net, hirer_amount)
    assert await payments.timer(f"dispute:{dispute_id}") is None
    dispute = (await payments.get(f"/disputes/{dispute_id}", by=hirer)).data
    assert (dispute["status"], dispute["deadlineAt"]) == ("resolved", None)
    escrow = (await payments.get(f"/escrows/{dispute['escrowId']}", by=hirer)).data
    assert escrow["status"] == "settled"
    assert escrow["net"]["amount"] + escrow["fee"]["amount"] + escrow["refunded"]["amount"] == 1_000
    (event,) = await payments.events("dispute_resolved", disputeId=dispute_id)
    assert (event["workerAmount"], event["hirerAmount"]) == (worker_amount, hirer_amount)
    again = await payments.rule(dispute_id, worker_amount, hirer_amount)
    assert refused(again) == (409, "payment.dispute_resolved")


async def test_without_days_of_appeal_the_money_moves_at_once(payments: Payments) -> None:
    settings = payments.context.settings.model_copy(update={"dispute_appeal_days": 0})
    payments.service.replace(settings=settings)
    hirer, worker, dispute_id = await payments.disputed()
    reply = await payments.rule(dispute_id, 400, 600)
    assert (reply.data["status"], reply.data["deadlineAt"]) == ("resolved", None)
    assert (await payments.available(worker), await payments.available(hirer)) == (360, 600)
    assert await payments.timer(f"dispute:{dispute_id}") is None


@pytest.mark.parametrize(
    ("worker_amount", "hirer_amount", "code"),
    [
        (500, 499, "payment.ruling_does_not_add_up"),
        (1_000, 1, "payment.ruling_does_not_add_up"),
        (0, 0, "payment.ruling_does_not_add_up"),
        (1_001, -1, "bad_input"),
        (999.5, 0.5, "bad_input"),
        (2**63, 0, "bad_input"),
    ],
)
async def test_shares_that_do_not_add_up_change_nothing(
    payments: Payments, worker_amount: float, hirer_amount: float, code: str
) -> None:
    hirer, _, dispute_id = await payments.disputed(raised_by=1)
    body = {"workerAmount": worker_amount, "hirerAmount": hirer_amount}
    async with payments.untouched():
        ruling = await payments.post(f"/disputes/{dispute_id}/resolve", body | {"note": "n"}, by=person(Role.ADMIN))
        offer = await payments.post(f"/disputes/{dispute_id}/offers", body, by=hirer)
        assert refused(ruling) == refused(offer) == (400, code)
        blank = await payments.post(
            f"/disputes/{dispute_id}/resolve", share(1_000, 0) | {"note": " "}, by=person(Role.ADMIN)
        )
        assert (blank.status, blank.data["errors"][0]["field"]) == (400, "note")
    dispute = (await payments.get(f"/disputes/{dispute_id}", by=hirer)).data
    assert (dispute["status"], dispute["offers"]) == ("open", [])


async def test_only_support_rules_and_once(payments: Payments) -> None:
    hirer, worker, dispute_id = await payments.disputed(raised_by=1)
    for one in (hirer, worker, person(Role.MODERATOR)):
        assert (await payments.rule(dispute_id, 500, 500, by=one)).status == 403
    assert refused(await payments.rule("none", 500, 500)) == (404, "payment.dispute_not_found")
    replies = await asyncio.gather(*(payments.rule(dispute_id, 500, 500) for _ in range(5)))
    assert sorted(reply.status for reply in replies) == [200] + [409] * 4
    await payments.let_pass(dispute_id)
    assert (await payments.available(worker), await payments.available(hirer)) == (450, 500)


# --- Appeals ---


@pytest.mark.parametrize("appealed_by", [0, 1])
async def test_an_appeal_is_ruled_on_by_somebody_else_and_that_stands(payments: Payments, appealed_by: int) -> None:
    *sides, dispute_id = await payments.disputed()
    first, second = person(Role.SUPPORT), person(Role.ADMIN)
    path, body = f"/disputes/{dispute_id}/appeal", {"reason": "The photos are of another wall."}
    async with payments.untouched():
        assert refused(await payments.post(path, body, by=sides[0])) == (409, "payment.dispute_step_closed")
        await payments.rule(dispute_id, 1_000, 0, by=first)
        assert (await payments.post(path, body, by=person())).status == 404
        assert (await payments.post(path, {"reason": " "}, by=sides[0])).status == 400
        key = new_id()
        reply = await payments.post(path, body, by=sides[appealed_by], key=key)
        assert (reply.data["status"], reply.data["appealedBy"]) == ("appealed", sides[appealed_by].user_id)
        assert (await payments.post(path, body, by=sides[appealed_by], key=key)).data == reply.data
        assert refused(await payments.post(path, body, by=sides[1])) == (409, "payment.dispute_step_closed")
        assert await payments.timer(f"dispute:{dispute_id}") is None
        assert len(await payments.events("dispute_appealed", disputeId=dispute_id)) == 1
        await service.end_step(payments.context, dispute_id)
        again = await payments.rule(dispute_id, 500, 500, by=first)
        assert refused(again) == (403, "payment.second_ruler_needed")
    reply = await payments.rule(dispute_id, 300, 700, by=second)
    assert (reply.data["status"], reply.data["resolvedBy"]) == ("resolved", second.user_id)
    hirer, worker = sides
    assert (await payments.available(worker), await payments.available(hirer)) == (270, 700)


async def test_an_appeal_comes_in_time_or_not_at_all(payments: Payments) -> None:
    hirer, worker, dispute_id = await payments.disputed()
    await payments.rule(dispute_id, 1_000, 0)
    timer = await payments.timer(f"dispute:{dispute_id}")
    assert timer is not None
    # The clock is past the deadline, and no worker has come to the timer yet.
    payments.shift_to(timer["due"])
    late = await payments.post(f"/disputes/{dispute_id}/appeal", {"reason": "r"}, by=hirer)
    assert refused(late) == (409, "payment.dispute_step_closed")
    await service.end_step(payments.context, dispute_id)
    assert (await payments.available(worker), await payments.available(hirer)) == (900, 0)


# --- Answers and deadlines ---


async def test_the_other_side_answers_once(payments: Payments) -> None:
    hirer, worker, dispute_id = await payments.disputed()
    path, body = f"/disputes/{dispute_id}/answer", {"text": "It stood when I left."}
    assert refused(await payments.post(path, body, by=hirer)) == (403, "forbidden")
    assert (await payments.post(path, body, by=person(Role.WORKER))).status == 404
    assert (await payments.post(path, body, by=person(Role.SUPPORT))).status == 403
    blank = await payments.post(path, {"text": "\t"}, by=worker)
    assert (blank.status, blank.data["errors"][0]["field"]) == (400, "text")
    replies = await asyncio.gather(*(payments.post(path, body, by=worker) for _ in range(3)))
    assert sorted(reply.status for reply in replies) == [200, 409, 409]
    dispute = (await payments.get(f"/disputes/{dispute_id}", by=hirer)).data
    assert (dispute["status"], dispute["answer"]) == ("answered", body["text"])
    assert due(dispute) > business_days_after(due(dispute, "createdAt"), 9)
    (event,) = await payments.events("dispute_answered", disputeId=dispute_id)
    assert event["answeredBy"] == worker.user_id


async def test_who_does_not_agree_in_time_is_ruled_over_by_support(payments: Payments) -> None:
    hirer, worker, dispute_id = await payments.disputed()
    await payments.post(f"/disputes/{dispute_id}/answer", {"text": "no"}, by=worker)
    async with payments.untouched():
        await payments.let_pass(dispute_id)
        await service.end_step(payments.context, dispute_id)
        dispute = (await payments.get(f"/disputes/{dispute_id}", by=hirer)).data
        assert (dispute["status"], dispute["deadlineAt"]) == ("in_review", None)
        assert len(await payments.events("dispute_escalated", disputeId=dispute_id)) == 1
    assert (await payments.rule(dispute_id, 0, 1_000)).data["status"] == "ruled"


@pytest.mark.parametrize("raised_by", [0, 1])
async def test_who_does_not_answer_is_ruled_against_and_may_appeal(payments: Payments, raised_by: int) -> None:
    *sides, dispute_id = await payments.disputed(raised_by=raised_by)
    async with payments.untouched():
        await payments.let_pass(dispute_id)
        dispute = (await payments.get(f"/disputes/{dispute_id}", by=sides[0])).data
        won = (0, 1_000) if raised_by == 0 else (1_000, 0)
        assert (dispute["status"], dispute["resolvedBy"]) == ("ruled", "deadline")
        assert (dispute["workerAmount"], dispute["hirerAmount"]) == won
        late = await payments.post(f"/disputes/{dispute_id}/answer", {"text": "wait"}, by=sides[1 - raised_by])
        assert refused(late) == (409, "payment.dispute_step_closed")
    await payments.let_pass(dispute_id)
    hirer, worker = sides
    assert (await payments.available(hirer), await payments.available(worker)) == (won[1], won[0] * 9 // 10)


async def test_the_timer_of_a_dispute_that_is_not_there_changes_nothing(payments: Payments) -> None:
    async with payments.untouched():
        await service.end_step(payments.context, "none")


# --- Offers ---


async def test_an_accepted_offer_shares_the_escrow_out_at_once(payments: Payments) -> None:
    hirer, worker, dispute_id = await payments.disputed()
    offers, accept = f"/disputes/{dispute_id}/offers", f"/disputes/{dispute_id}/accept"
    async with payments.untouched():
        first = (await payments.post(offers, share(200, 800), by=hirer)).data["offers"][0]
        reply = await payments.post(offers, share(700, 300), by=worker)
        assert [one["by"] for one in reply.data["offers"]] == [hirer.user_id, worker.user_id]
        reply = await payments.post(offers, share(605, 395), by=hirer)
        offer = next(one for one in reply.data["offers"] if one["by"] == hirer.user_id)
        assert (offer["workerAmount"], offer["hirerAmount"], len(reply.data["offers"])) == (605, 395, 2)
        assert (await payments.post(offers, share(1_000, 0), by=person())).status == 404
        for by, offer_id in ((hirer, offer["id"]), (worker, first["id"]), (worker, "none")):
            missing = await payments.post(accept, {"offerId": offer_id}, by=by)
            assert refused(missing) == (404, "payment.offer_not_found")
        assert (await payments.post(accept, {"offerId": offer["id"]}, by=person(Role.WORKER))).status == 404
    key = new_id()
    replies = await asyncio.gather(
        *(payments.post(accept, {"offerId": offer["id"]}, by=worker) for _ in range(3)),
        payments.post(accept, {"offerId": offer["id"]}, by=worker, key=key),
    )
    assert sorted(reply.status for reply in replies) == [200, 409, 409, 409]
    assert (await payments.available(worker), await payments.available(hirer)) == (545, 395)
    dispute = (await payments.get(f"/disputes/{dispute_id}", by=hirer)).data
    assert (dispute["status"], dispute["resolvedBy"], dispute["note"]) == ("resolved", worker.user_id, None)
    assert await payments.timer(f"dispute:{dispute_id}") is None
    made = await payments.events("dispute_offer_made", disputeId=dispute_id)
    assert [(one["offeredBy"], one["workerAmount"]) for one in made] == [
        (hirer.user_id, 200),
        (worker.user_id, 700),
        (hirer.user_id, 605),
    ]
    assert len(await payments.events("dispute_resolved", disputeId=dispute_id)) == 1
    late = await payments.post(offers, share(1_000, 0), by=hirer)
    assert refused(late) == (409, "payment.dispute_resolved")


async def test_an_offer_and_a_ruling_at_once_end_one_way(payments: Payments) -> None:
    hirer, worker, dispute_id = await payments.disputed()
    offer = (await payments.post(f"/disputes/{dispute_id}/offers", share(0, 1_000), by=worker)).data["offers"][0]
    accepted, ruled = await asyncio.gather(
        payments.post(f"/disputes/{dispute_id}/accept", {"offerId": offer["id"]}, by=hirer),
        payments.rule(dispute_id, 1_000, 0),
    )
    assert sorted((accepted.status, ruled.status)) == [200, 409]
    if ruled.status == 200:
        assert refused(accepted) == (409, "payment.dispute_step_closed")
        await payments.let_pass(dispute_id)
    had = (await payments.available(worker), await payments.available(hirer))
    assert had == ((900, 0) if ruled.status == 200 else (0, 1_000))


# --- What would come of it ---


async def test_both_sides_see_exactly_what_each_end_would_bring(payments: Payments) -> None:
    terms = FeeTerms(fee=1_250, tax=750, referral=2_000)
    settings = payments.context.settings.model_copy(update={"fee_terms": {ContractKind.MILESTONES: terms}})
    payments.service.replace(settings=settings)
    hirer, worker = await payments.hirer_with(20_000), person(Role.WORKER)
    referrer = await payments.brought(worker)
    contract = payments.jobs.make_contract(hirer.user_id, worker.user_id, 9_999, kind=ContractKind.MILESTONES)
    escrow_id = (await payments.fund(contract, by=hirer)).data["id"]
    part = {"amount": {"amount": 1_111, "currency": "GHS"}}
    await payments.post(f"/escrows/{escrow_id}/release", part, by=hirer)
    before = [await payments.available(one) for one in (worker, hirer, referrer)]
    dispute_id = (await payments.post("/disputes", {"escrowId": escrow_id, "reason": "r"}, by=hirer)).data["id"]
    path = f"/disputes/{dispute_id}/outcomes"
    offer = (await payments.post(f"/disputes/{dispute_id}/offers", share(4_444, 4_444), by=worker)).data["offers"][0]
    reply = await payments.get(f"{path}?workerAmount=4445", by=hirer)
    assert reply.data == (await payments.get(f"{path}?workerAmount=4445", by=worker)).data
    kinds = [one["kind"] for one in reply.data["outcomes"]]
    assert (reply.data["currency"], kinds) == ("GHS", ["deadline", "offer", "release", "refund", "asked"])
    deadline, offered, released, refunded, asked = reply.data["outcomes"]
    assert (deadline["workerNet"], deadline["hirerAmount"], offered["offerId"]) == (0, 8_888, offer["id"])
    assert deadline["at"] == (await payments.get(f"/disputes/{dispute_id}", by=hirer)).data["deadlineAt"]
    for one, gross in ((offered, 4_444), (released, 8_888), (refunded, 0), (asked, 4_445)):
        assert one["workerNet"] + one["fee"] + one["tax"] == gross
        assert one["hirerAmount"] == 8_888 - gross
    assert [offered[name] for name in ("workerNet", "fee", "tax", "referral")] == [3_596, 556, 292, 111]
    for worker_amount in (8_889, -1, "x"):
        odd = await payments.get(f"{path}?workerAmount={worker_amount}", by=hirer)
        assert (odd.status, odd.data["errors"][0]["field"]) == (400, "workerAmount")
    assert (await payments.get(path, by=person())).status == 404
    await payments.post(f"/disputes/{dispute_id}/accept", {"offerId": offer["id"]}, by=hirer)
    after = [await payments.available(one) for one in (worker, hirer, referrer)]
    gained = [now - then for now, then in zip(after, before, strict=True)]
    assert gained == [offered["workerNet"], offered["hirerAmount"], offered["referral"]]
    assert (await payments.get(path, by=hirer)).data["outcomes"] == []


async def test_outcomes_follow_the_steps(payments: Payments) -> None:
    hirer, worker, dispute_id = await payments.disputed()

    async def outcomes() -> list[tuple[str, bool, int | None]]:
        found = (await payments.get(f"/disputes/{dispute_id}/outcomes", by=worker)).data["outcomes"]
        return [(one["kind"], one["at"] is not None, one["workerNet"]) for one in found]

    ends = [("release", False, 900), ("refund", False, 0)]
    assert await outcomes() == [("deadline", True, 0), *ends]
    await payments.post(f"/disputes/{dispute_id}/answer", {"text": "no"}, by=worker)
    assert await outcomes() == [("deadline", True, None), *ends]
    await payments.let_pass(dispute_id)
    assert await outcomes() == ends
    await payments.rule(dispute_id, 500, 500)
    assert await outcomes() == [("deadline", True, 450)]
    await payments.post(f"/disputes/{dispute_id}/appeal", {"reason": "r"}, by=hirer)
    assert await outcomes() == ends


# --- Lists, and what cannot be ---


async def test_disputes_are_listed_page_by_page(payments: Payments) -> None:
    hirer = await payments.hirer_with(3_000)
    contract = payments.jobs.make_contract(hirer.user_id, person(Role.WORKER).user_id, 1_000, 1_000, 1_000)
    made = []
    for index in range(3):
        body = {"escrowId": (await payments.fund(contract, index, by=hirer)).data["id"], "reason": "r"}
        made.append((await payments.post("/disputes", body, by=hirer)).data["id"])
    first = (await payments.get("/disputes?limit=2", by=hirer)).data
    rest = (await payments.get(f"/disputes?cursor={first['nextCursor']}", by=hirer)).data
    assert [one["id"] for one in first["items"] + rest["items"]] == made[::-1]
    assert rest["nextCursor"] is None
    assert (await payments.get("/disputes?cursor=!", by=hirer)).status == 400


async def test_steps_that_were_overtaken_change_nothing(payments: Payments) -> None:
    hirer, _, escrow_id = await payments.funded(1_000)
    await payments.post(f"/escrows/{escrow_id}/release", by=hirer)
    _, worker, dispute_id = await payments.disputed()
    await payments.post(f"/disputes/{dispute_id}/answer", {"text": "no"}, by=worker)
    stale = await documents.find_dispute(dispute_id, seen_by=None)
    assert stale is not None
    await payments.rule(dispute_id, 500, 500)
    async with payments.untouched():
        await payments.context.mongo.transact(lambda: disputes.escalate(payments.context, stale))
        await payments.context.mongo.transact(
            lambda: disputes.freeze(payments.context, escrow_id, chargeback_id="stripe:dp")
        )
    assert (await payments.get(f"/disputes/{dispute_id}", by=worker)).data["status"] == "ruled"
    assert (await payments.get(f"/escrows/{escrow_id}", by=hirer)).data["status"] == "released"


@pytest.mark.parametrize(
    ("collection", "damage"),
    [
        ("escrows", {"$set": {"status": "funded"}}),
        ("disputes", {"$set": {"worker_amount": None}}),
        ("disputes", {"$set": {"hirer_amount": None}}),
        ("disputes", {"$set": {"chargeback_ids": ["stripe:dp_nowhere"]}}),
    ],
)
async def test_a_dispute_that_does_not_fit_its_escrow_moves_nothing_and_says_so(
    payments: Payments, collection: str, damage: dict[str, Any]
) -> None:
    hirer, _, dispute_id = await payments.disputed()
    data = (await payments.rule(dispute_id, 400, 600)).data
    rows = payments.context.mongo.collection(collection)
    row_id = dispute_id if collection == "disputes" else data["escrowId"]
    whole = await rows.find_one({"_id": row_id})
    await rows.update_one({"_id": row_id}, damage)
    async with payments.untouched():
        with pytest.raises(LedgerError):
            await payments.let_pass(dispute_id)
    assert (await payments.get(f"/disputes/{dispute_id}", by=hirer)).data["status"] == "ruled"
    await rows.replace_one({"_id": row_id}, whole)
    await service.end_step(payments.context, dispute_id)
    assert await payments.available(hirer) == 600


async def test_a_dispute_without_its_escrow_has_no_outcomes(payments: Payments) -> None:
    hirer, _, dispute_id = await payments.disputed()
    rows = payments.context.mongo.collection("disputes")
    await rows.update_one({"_id": dispute_id}, {"$set": {"escrow_id": "none"}})
    with pytest.raises(LedgerError):
        await service.preview_outcomes(dispute_id, by=hirer)


async def test_a_dispute_whose_escrow_is_not_frozen_is_not_withdrawn(payments: Payments) -> None:
    hirer, _, dispute_id = await payments.disputed()
    dispute = (await payments.get(f"/disputes/{dispute_id}", by=hirer)).data
    rows = payments.context.mongo.collection("escrows")
    await rows.update_one({"_id": dispute["escrowId"]}, {"$set": {"status": "funded"}})
    async with payments.untouched():
        assert (await payments.post(f"/disputes/{dispute_id}/withdraw", by=hirer)).status == 500
    assert (await payments.get(f"/disputes/{dispute_id}", by=hirer)).data["status"] == "open"
    await rows.update_one({"_id": dispute["escrowId"]}, {"$set": {"status": "disputed"}})
    assert (await payments.post(f"/disputes/{dispute_id}/withdraw", by=hirer)).status == 200
