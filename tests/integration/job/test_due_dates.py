"""Milestones with a due date: part of what is signed, in the calendar, and both sides are reminded."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from kelmah.kit import clock
from kelmah.services.job import service
from tests.integration.job.steps import Desk, hirer, milestone, worker
from tests.integration.job.test_planning import TEMPLATE, TEMPLATES
from tests.integration.job.test_terms import amend, sign_both


@pytest.fixture(autouse=True)
def clock_again() -> Any:
    yield
    clock.reset()


def soon(days: float = 3) -> str:
    return (clock.now() + timedelta(days=days)).isoformat()


def dated(**due: str) -> list[dict[str, Any]]:
    return [{"title": "One", "amount": 20_000} | due, {"title": "Two", "amount": 25_000}]


async def due_timers(desk: Desk, contract_id: str) -> list[dict[str, Any]]:
    timers = desk.service.context.mongo.collection("timers")
    rows = timers.find({"actor": "job.remind_milestone", "args": contract_id}).sort("due")
    return [row async for row in rows]


async def told(desk: Desk, contract_id: str) -> list[bool]:
    """Whether each reminder so far said that the time is over."""
    rows = desk.service.context.mongo.collection("events").find({"subject": f"contract:{contract_id}"})
    return [json.loads(row["data"])["late"] async for row in rows if row["type"] == "job.milestone_due.v1"]


async def test_a_due_date_goes_from_the_application_into_the_terms(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.contract(anna, kofi, milestones=dated(dueAt=soon()))
    first, second = contract["milestones"]
    assert second["dueAt"] is None
    signed_parts = json.loads(contract["terms"])["milestones"]
    assert [part.get("dueAt") for part in signed_parts] == [first["dueAt"], None]
    await sign_both(desk, contract, anna, kofi)
    assert len(await due_timers(desk, contract["id"])) == 2
    for side in (anna, kofi):
        (entry,) = (await desk.ok("GET", "/calendar", by=side))["items"]
        assert (entry["kind"], entry["milestoneId"], entry["startsAt"]) == (
            "milestone_due",
            first["id"],
            first["dueAt"],
        )
    steps = (await desk.ok("GET", f"/contracts/{contract['id']}/next", by=kofi))["items"]
    assert [(one["milestoneId"], one["at"]) for one in steps] == [(first["id"], first["dueAt"]), (second["id"], None)]


async def test_both_sides_are_reminded_a_day_before_and_when_it_is_over_each_once(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.active(anna, kofi, milestones=dated(dueAt=soon()))
    due_at = datetime.fromisoformat(contract["milestones"][0]["dueAt"])
    timers = await due_timers(desk, contract["id"])
    assert [row["due"] for row in timers] == [due_at - timedelta(days=1), due_at]
    for number, timer in enumerate(timers):
        for _ in range(3):
            await service.remind_milestone(desk.service.context, *timer["args"])
        assert await told(desk, contract["id"]) == [False, True][: number + 1]
    # The first one again, after the second: nobody hears that an hour is left when none is.
    await service.remind_milestone(desk.service.context, *timers[0]["args"])
    assert await told(desk, contract["id"]) == [False, True]


async def test_nobody_is_reminded_of_what_is_handed_in_or_cancelled(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.active(anna, kofi, milestones=dated(dueAt=soon()))
    part = contract["milestones"][0]["id"]
    await desk.money(contract["id"], part, "funded")
    await desk.ok("POST", milestone(contract["id"], part, "submit"), by=kofi)
    ended = await desk.active(anna, kofi, milestones=dated(dueAt=soon()))
    await desk.ok("POST", f"/contracts/{ended['id']}/cancel", by=anna)
    for one in (contract, ended):
        for timer in await due_timers(desk, one["id"]):
            await service.remind_milestone(desk.service.context, *timer["args"])
        assert await told(desk, one["id"]) == []
    assert [one["kind"] for one in (await desk.ok("GET", "/calendar", by=kofi))["items"]] == ["answer_due"]
    # Sent back, it is awaited again.
    await desk.ok("POST", milestone(contract["id"], part, "request-changes"), {"reason": "No."}, by=anna)
    await service.remind_milestone(desk.service.context, contract["id"], part, "late")
    assert await told(desk, contract["id"]) == [True]


async def test_an_amendment_brings_its_own_due_date(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.active(anna, kofi)
    more = [{"title": "More", "amount": 1_000, "dueAt": soon(5)}]
    signed = await amend(desk, contract, anna, kofi, milestones=more)
    assert signed["milestones"][1]["dueAt"] is not None
    assert {row["args"][1] for row in await due_timers(desk, contract["id"])} == {signed["milestones"][1]["id"]}


@pytest.mark.parametrize("due_at", [soon(-0.01), soon(366), "2031-01-01T00:00:00", "tomorrow", 5])
async def test_a_due_date_that_cannot_be_is_refused_everywhere(desk: Desk, due_at: Any) -> None:
    anna, kofi = hirer(), worker()
    job = await desk.open_job(anna)
    body = {"proposedRate": {"amount": 45_000, "currency": "GHS"}, "coverLetter": "Hello"}
    path = f"/jobs/{job['id']}/applications"
    reply = await desk.call("POST", path, body | {"milestones": dated(dueAt=due_at)}, by=kofi)
    assert (reply.status, [one["field"] for one in reply.data["errors"]]) == (400, ["milestones[0].dueAt"])
    assert (await desk.ok("GET", "/applications/me", by=kofi))["items"] == []

    unsigned = await desk.contract(anna, kofi)
    part = {"title": "More", "amount": 1, "dueAt": due_at}
    reply = await desk.call("POST", f"/contracts/{unsigned['id']}/milestones", part, by=anna)
    assert (reply.status, [one["field"] for one in reply.data["errors"]]) == (400, ["dueAt"])
    assert await desk.ok("GET", f"/contracts/{unsigned['id']}", by=kofi) == unsigned

    active = await desk.active(anna, kofi)
    amendment = {"reason": "More.", "milestones": [part]}
    reply = await desk.call("POST", f"/contracts/{active['id']}/amendment", amendment, by=anna)
    assert (reply.status, [one["field"] for one in reply.data["errors"]]) == (400, ["milestones[0].dueAt"])
    assert await desk.ok("GET", f"/contracts/{active['id']}", by=kofi) == active


async def test_a_template_has_no_due_dates(desk: Desk) -> None:
    anna = hirer()
    body = TEMPLATE | {"budget": {"amount": 45_000, "currency": "GHS"}, "milestones": dated(dueAt=soon())}
    reply = await desk.call("POST", TEMPLATES, body, by=anna)
    assert (reply.status, [one["field"] for one in reply.data["errors"]]) == (400, ["milestones[0].dueAt"])
    assert (await desk.ok("GET", TEMPLATES, by=anna))["items"] == []
