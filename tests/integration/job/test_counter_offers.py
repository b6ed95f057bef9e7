"""Counter-offers, and who was turned down."""

import asyncio
from typing import Any

import pytest

from kelmah.contracts.common import Location
from kelmah.contracts.user import WorkerFacts
from tests.fakes.user import FakeUserClient
from tests.integration.job.steps import ACCRA, OFFER, Desk, hirer, worker

COUNTER: dict[str, Any] = {
    "proposedRate": {"amount": 40_000, "currency": "GHS"},
    "milestones": [{"title": "Half", "amount": 20_000}, {"title": "Rest", "amount": 20_000}],
    "note": "The sink is small.",
}


async def _applied(desk: Desk) -> tuple[Any, Any, Any]:
    anna, kofi = hirer(), worker()
    job = await desk.open_job(anna)
    return anna, kofi, await desk.application(job["id"], kofi)


async def test_terms_that_the_worker_takes_are_those_of_the_contract(desk: Desk) -> None:
    anna, kofi, application = await _applied(desk)
    path = f"/applications/{application['id']}"
    await desk.ok("POST", f"{path}/counter-offer", COUNTER | {"milestones": None}, by=anna)
    offered = (await desk.ok("POST", f"{path}/counter-offer", COUNTER, by=anna))["counterOffer"]
    assert (offered["proposedRate"], offered["note"]) == (COUNTER["proposedRate"], COUNTER["note"])
    assert (await desk.ok("GET", path, by=kofi))["proposedRate"] == OFFER["proposedRate"]
    taken = await desk.ok("POST", f"{path}/counter-offer/accept", {"id": offered["id"]}, by=kofi)
    assert (taken["status"], taken["counterOffer"]) == ("submitted", None)
    assert (taken["proposedRate"], taken["milestones"]) == (offered["proposedRate"], offered["milestones"])
    accepted = await desk.ok("POST", f"{path}/accept", by=anna)
    assert accepted["contract"]["value"]["amount"] == 40_000
    assert [one["title"] for one in accepted["contract"]["milestones"]] == ["Half", "Rest"]
    assert await desk.events(f"application:{application['id']}") == [
        "application_received",
        "counter_offer_made",
        "counter_offer_made",
        "counter_offer_answered",
        "application_accepted",
    ]


async def test_terms_that_are_left_or_replaced_bind_nobody(desk: Desk) -> None:
    anna, kofi, application = await _applied(desk)
    path = f"/applications/{application['id']}"
    first = (await desk.ok("POST", f"{path}/counter-offer", COUNTER, by=anna))["counterOffer"]
    second = (await desk.ok("POST", f"{path}/counter-offer", COUNTER, by=anna))["counterOffer"]
    stale = await desk.call("POST", f"{path}/counter-offer/accept", {"id": first["id"]}, by=kofi)
    assert (stale.status, stale.data["code"]) == (404, "job.counter_offer_not_found")
    left = await desk.ok("POST", f"{path}/counter-offer/decline", {"id": second["id"]}, by=kofi)
    assert (left["counterOffer"], left["proposedRate"]) == (None, OFFER["proposedRate"])
    assert (await desk.call("POST", f"{path}/counter-offer/accept", {"id": second["id"]}, by=kofi)).status == 404
    await desk.ok("POST", f"{path}/counter-offer", COUNTER, by=anna)
    accepted = await desk.ok("POST", f"{path}/accept", by=anna)
    assert (accepted["counterOffer"], accepted["contract"]["value"]["amount"]) == (None, 45_000)
    late = await desk.call("POST", f"{path}/counter-offer", COUNTER, by=anna)
    assert (late.status, late.data["code"]) == (409, "job.illegal_step")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"proposedRate": {"amount": 0, "currency": "GHS"}}, "proposedRate.amount"),
        ({"proposedRate": {"amount": 40_000, "currency": "XXX"}}, "proposedRate.currency"),
        ({"proposedRate": {"amount": 40_000, "currency": "USD"}}, "proposedRate.currency"),
        ({"milestones": [{"title": "Half", "amount": 1}]}, "milestones"),
        ({"milestones": [{"title": "<i>x</i>", "amount": 40_000}]}, "milestones[0].title"),
        ({"note": "a\u0000b"}, "note"),
    ],
)
async def test_a_counter_offer_that_does_not_fit_is_refused(desk: Desk, changes: dict[str, Any], field: str) -> None:
    anna, _, application = await _applied(desk)
    path = f"/applications/{application['id']}"
    reply = await desk.call("POST", f"{path}/counter-offer", COUNTER | changes, by=anna)
    assert (reply.status, [one["field"] for one in reply.data["errors"]]) == (400, [field])
    assert await desk.ok("GET", path, by=anna) == application


async def test_strangers_neither_offer_nor_answer(desk: Desk) -> None:
    anna, kofi, application = await _applied(desk)
    path = f"/applications/{application['id']}/counter-offer"
    assert (await desk.call("POST", path, COUNTER, by=hirer())).status == 404
    assert (await desk.call("POST", path, COUNTER, by=kofi)).status == 403
    offered = (await desk.ok("POST", path, COUNTER, by=anna))["counterOffer"]
    for action in ("accept", "decline"):
        body = {"id": offered["id"]}
        assert (await desk.call("POST", f"{path}/{action}", body, by=worker())).status == 404
        assert (await desk.call("POST", f"{path}/{action}", body, by=anna)).status == 403
        assert (await desk.call("POST", f"{path}/{action}", body)).status == 401
    assert (await desk.ok("GET", f"/applications/{application['id']}", by=kofi))["counterOffer"] == offered


async def test_of_all_answers_at_once_one_counts(desk: Desk) -> None:
    anna, kofi, application = await _applied(desk)
    path = f"/applications/{application['id']}"
    body = {"id": (await desk.ok("POST", f"{path}/counter-offer", COUNTER, by=anna))["counterOffer"]["id"]}
    calls = [desk.call("POST", f"{path}/counter-offer/accept", body, by=kofi) for _ in range(10)]
    calls += [desk.call("POST", f"{path}/counter-offer/decline", body, by=kofi) for _ in range(10)]
    replies = await asyncio.gather(*calls)
    assert sorted(one.status for one in replies) == [200] + [404] * 19
    amount = 40_000 if any(one.status == 200 for one in replies[:10]) else 45_000
    assert (await desk.ok("GET", path, by=kofi))["proposedRate"]["amount"] == amount


async def test_who_was_turned_down_applies_again_only_when_invited(desk: Desk, users: FakeUserClient) -> None:
    anna, kofi, application = await _applied(desk)
    place = Location(city="X", region="Y", coordinates=(ACCRA[0], ACCRA[1]))
    users.workers[kofi.user_id] = WorkerFacts(user_id=kofi.user_id, display_name="K", skills=[], location=place)
    job = f"/jobs/{application['jobId']}"
    await desk.ok("POST", f"/applications/{application['id']}/reject", by=anna)
    again = await desk.call("POST", f"{job}/applications", OFFER, by=kofi)
    assert (again.status, again.data["code"]) == (409, "job.turned_down")
    assert (await desk.ok("GET", job))["applicationCount"] == 1
    await desk.ok("POST", f"{job}/invitations", {"workerId": kofi.user_id}, by=anna)
    assert (await desk.ok("POST", f"{job}/applications", OFFER, by=kofi))["status"] == "submitted"


async def test_who_lost_to_another_may_apply_again_when_the_job_is_open_again(desk: Desk) -> None:
    anna, kofi, application = await _applied(desk)
    other = await desk.application(application["jobId"], worker())
    contract = (await desk.ok("POST", f"/applications/{other['id']}/accept", by=anna))["contract"]
    assert (await desk.ok("GET", f"/applications/{application['id']}", by=kofi))["status"] == "rejected"
    await desk.ok("POST", f"/contracts/{contract['id']}/cancel", by=anna)
    await desk.ok("POST", f"/jobs/{application['jobId']}/publish", by=anna)
    assert (await desk.application(application["jobId"], kofi))["status"] == "submitted"
