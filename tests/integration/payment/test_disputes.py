"""Disputes freeze an escrow until support shares it out."""

import asyncio

import pytest

from kelmah.contracts.common import Role
from tests.fixtures.service import person
from tests.integration.payment.conftest import Payments


@pytest.mark.parametrize("raised_by", [0, 1])
async def test_either_side_raises_a_dispute(payments: Payments, raised_by: int) -> None:
    *sides, escrow_id = await payments.funded(1_000)
    raiser = sides[raised_by]
    reply = await payments.post("/disputes", {"escrowId": escrow_id, "reason": "The wall leans."}, by=raiser)
    assert (reply.status, reply.data["status"], reply.data["raisedBy"]) == (201, "open", raiser.user_id)
    (event,) = await payments.events("dispute_raised", escrowId=escrow_id)
    assert (event["disputeId"], event["raisedBy"]) == (reply.data["id"], raiser.user_id)
    assert payments.jobs.told[-1][1:] == ("disputed", escrow_id)
    for side in (*sides, person(Role.SUPPORT)):
        assert (await payments.get(f"/disputes/{reply.data['id']}", by=side)).data == reply.data
    assert (await payments.get("/disputes", by=sides[0])).data == {"items": [reply.data], "nextCursor": None}
    stranger = person()
    assert (await payments.get(f"/disputes/{reply.data['id']}", by=stranger)).status == 404
    assert (await payments.get("/disputes", by=stranger)).data["items"] == []


async def test_strangers_and_blank_reasons_freeze_nothing(payments: Payments) -> None:
    hirer, worker, escrow_id = await payments.funded(1_000)
    body = {"escrowId": escrow_id, "reason": "mine"}
    assert (await payments.post("/disputes", body, by=person())).status == 404
    assert (await payments.post("/disputes", body, by=person(Role.SUPPORT))).status == 403
    for reason in ("", "  \n ", "\0", "x" * 2001):
        reply = await payments.post("/disputes", body | {"reason": reason}, by=hirer)
        assert (reply.status, reply.data["errors"][0]["field"]) == (400, "reason")
    assert (await payments.post(f"/escrows/{escrow_id}/release", by=hirer)).status == 200
    assert await payments.available(worker) == 900


@pytest.mark.parametrize(
    ("worker_amount", "hirer_amount", "net"), [(1_000, 0, 900), (0, 1_000, 0), (605, 395, 545), (1, 999, 1)]
)
async def test_a_ruling_shares_out_every_minor_unit(
    payments: Payments, worker_amount: int, hirer_amount: int, net: int
) -> None:
    hirer, worker, escrow_id = await payments.funded(1_000)
    dispute_id = (await payments.post("/disputes", {"escrowId": escrow_id, "reason": "r"}, by=worker)).data["id"]
    support = person(Role.SUPPORT)
    body = {"workerAmount": worker_amount, "hirerAmount": hirer_amount, "note": "as the photos show"}
    reply = await payments.post(f"/disputes/{dispute_id}/resolve", body, by=support)
    assert (reply.status, reply.data["status"], reply.data["resolvedBy"]) == (200, "resolved", support.user_id)
    assert (await payments.available(worker), await payments.available(hirer)) == (net, hirer_amount)
    escrow = (await payments.get(f"/escrows/{escrow_id}", by=hirer)).data
    assert escrow["status"] == "settled"
    assert escrow["net"]["amount"] + escrow["fee"]["amount"] + escrow["refunded"]["amount"] == 1_000
    (event,) = await payments.events("dispute_resolved", escrowId=escrow_id)
    assert (event["workerAmount"], event["hirerAmount"]) == (worker_amount, hirer_amount)
    again = await payments.post(f"/disputes/{dispute_id}/resolve", body, by=support)
    assert (again.status, again.data["code"]) == (409, "payment.dispute_resolved")


@pytest.mark.parametrize(
    ("worker_amount", "hirer_amount", "code"),
    [
        (500, 499, "payment.ruling_does_not_add_up"),
        (1_000, 1, "payment.ruling_does_not_add_up"),
        (0, 0, "payment.ruling_does_not_add_up"),
        (1_001, -1, "bad_input"),
        (999.5, 0.5, "bad_input"),
    ],
)
async def test_a_ruling_that_does_not_add_up_changes_nothing(
    payments: Payments, worker_amount: float, hirer_amount: float, code: str
) -> None:
    hirer, worker, escrow_id = await payments.funded(1_000)
    dispute_id = (await payments.post("/disputes", {"escrowId": escrow_id, "reason": "r"}, by=worker)).data["id"]
    body = {"workerAmount": worker_amount, "hirerAmount": hirer_amount, "note": "n"}
    reply = await payments.post(f"/disputes/{dispute_id}/resolve", body, by=person(Role.ADMIN))
    assert (reply.status, reply.data["code"]) == (400, code)
    assert (await payments.get(f"/disputes/{dispute_id}", by=hirer)).data["status"] == "open"
    assert (await payments.available(worker), await payments.available(hirer)) == (0, 0)


async def test_only_support_rules_and_once(payments: Payments) -> None:
    hirer, worker, escrow_id = await payments.funded(1_000)
    dispute_id = (await payments.post("/disputes", {"escrowId": escrow_id, "reason": "r"}, by=worker)).data["id"]
    path = f"/disputes/{dispute_id}/resolve"
    body = {"workerAmount": 500, "hirerAmount": 500, "note": "n"}
    for one in (hirer, worker, person(Role.MODERATOR)):
        assert (await payments.post(path, body, by=one)).status == 403
    missing = await payments.post("/disputes/none/resolve", body, by=person(Role.SUPPORT))
    assert (missing.status, missing.data["code"]) == (404, "payment.dispute_not_found")
    replies = await asyncio.gather(*(payments.post(path, body, by=person(Role.SUPPORT)) for _ in range(5)))
    assert sorted(reply.status for reply in replies) == [200] + [409] * 4
    assert (await payments.available(worker), await payments.available(hirer)) == (450, 500)
