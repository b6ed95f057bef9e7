"""Saved jobs, saved searches with their alerts, urgent jobs and invitations."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from kelmah.contracts.common import Location
from kelmah.contracts.user import WorkerFacts
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.services.job import service
from tests.fakes.user import FakeUserClient
from tests.integration.job.steps import ACCRA, KUMASI, TEMA, Desk, hirer, worker

TRADE = "shoemaker"


def _facts(who: Principal, skills: list[str], place: list[float], **more: Any) -> WorkerFacts:
    location = Location(city="X", region="Y", coordinates=(place[0], place[1]))
    return WorkerFacts(user_id=who.user_id, display_name="Kofi M.", skills=skills, location=location, **more)


async def _alerts(desk: Desk, job_id: str) -> dict[str, str]:
    """Worker → why, of each alert; that nobody heard twice is asserted."""
    rows = await desk.service.context.mongo.collection("events").find({"subject": f"job-alerts:{job_id}"}).to_list()
    told = [json.loads(row["data"]) for row in rows]
    assert len({one["workerId"] for one in told}) == len(told)
    return {one["workerId"]: one["because"] for one in told}


async def test_a_job_is_kept_once_and_shown_as_it_is_now(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    one, two = await desk.open_job(anna), await desk.open_job(anna)
    for job in (one, one, two):
        assert (await desk.call("PUT", f"/jobs/saved/{job['id']}", by=kofi)).status == 204
    await desk.ok("POST", f"/jobs/{one['id']}/close", by=anna)
    first = await desk.ok("GET", "/jobs/saved?limit=1", by=kofi)
    assert [job["id"] for job in first["items"]] == [two["id"]]
    rest = await desk.ok("GET", f"/jobs/saved?limit=1&cursor={first['nextCursor']}", by=kofi)
    assert [(job["id"], job["status"]) for job in rest["items"]] == [(one["id"], "cancelled")]
    assert (await desk.ok("GET", "/jobs/saved", by=worker()))["items"] == []
    for _ in range(2):
        assert (await desk.call("DELETE", f"/jobs/saved/{two['id']}", by=kofi)).status == 204
    assert [job["id"] for job in (await desk.ok("GET", "/jobs/saved", by=kofi))["items"]] == [one["id"]]
    draft = await desk.draft(anna)
    assert (await desk.call("PUT", f"/jobs/saved/{draft['id']}", by=kofi)).status == 404
    assert (await desk.call("PUT", f"/jobs/saved/{two['id']}", by=anna)).status == 403
    assert (await desk.call("GET", "/jobs/saved")).status == 401


async def test_a_saved_search_hears_of_the_jobs_that_fit_and_of_each_once(desk: Desk) -> None:
    anna = hirer()
    near = {"near": ACCRA, "radiusKm": 30}
    searches: dict[str, tuple[Principal, dict[str, Any], bool]] = {
        name: (worker(), asked, heard)
        for name, asked, heard in (
            ("all", {}, True),
            ("trade", {"skill": ["cobbler"]}, True),
            ("family", {"category": "fashion-beauty"}, True),
            ("both", {"category": "fashion-beauty", "skill": [TRADE]}, True),
            ("other trade", {"skill": ["barber"]}, False),
            ("words", {"q": "rings for a wedding"}, True),
            ("other words", {"q": "rings gate"}, False),
            ("region", {"region": "greater-accra"}, True),
            ("other region", {"region": "Ashanti"}, False),
            ("pay", {"minBudget": 50_000, "maxBudget": 50_000}, True),
            ("more pay", {"minBudget": 50_001}, False),
            ("less pay", {"maxBudget": 49_999}, False),
            ("other money", {"minBudget": 1, "currency": "USD"}, False),
            ("near", near, True),
            ("far", near | {"near": KUMASI}, False),
            ("urgent", {"urgent": True}, False),
            ("calm", {"urgent": False}, True),
        )
    }
    for name, (kofi, asked, _) in searches.items():
        saved = await desk.ok("POST", "/jobs/searches", {"name": name} | asked, by=kofi)
        assert saved["search"].items() >= ({"name": name} | asked).items()
    all_fits = searches["all"][0]
    await desk.ok("POST", "/jobs/searches", {"name": "the same"}, by=all_fits)
    job = await desk.open_job(anna, title="Wedding rings", category="fashion-beauty", skills=[TRADE])
    timer = await desk.service.context.mongo.collection("timers").find_one({"_id": f"alert-workers:{job['id']}"})
    assert timer is not None
    assert (timer["actor"], timer["args"]) == ("job.alert_workers", [job["id"]])
    for _ in range(2):
        await service.alert_workers(desk.service.context, job["id"])
    told = await _alerts(desk, job["id"])
    assert {name: kofi.user_id in told for name, (kofi, _, _) in searches.items()} == {
        name: heard for name, (_, _, heard) in searches.items()
    }
    assert set(told.values()) == {"saved_search"}
    for kofi, _, _ in searches.values():
        for one in (await desk.ok("GET", "/jobs/searches", by=kofi))["items"]:
            assert (await desk.call("DELETE", f"/jobs/searches/{one['id']}", by=worker())).status == 404
            assert (await desk.call("DELETE", f"/jobs/searches/{one['id']}", by=kofi)).status == 204
            assert (await desk.call("DELETE", f"/jobs/searches/{one['id']}", by=kofi)).status == 404


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"skill": ["astrology"]}, "skill"),
        ({"category": "building", "skill": ["barber"]}, "skill"),
        ({"radiusKm": 5}, "radiusKm"),
        ({"near": [0]}, "near"),
        ({"near": [0, 91]}, "near[1]"),
        ({"near": ACCRA, "radiusKm": 50_000}, "radiusKm"),
        ({"minBudget": 2, "maxBudget": 1}, "minBudget"),
        ({"currency": "XXX"}, "currency"),
        ({"q": "x" * 201}, "q"),
        ({"q": {"$ne": 1}}, "q"),
    ],
)
async def test_a_search_that_does_not_fit_is_not_kept(desk: Desk, changes: dict[str, Any], field: str) -> None:
    kofi = worker()
    reply = await desk.call("POST", "/jobs/searches", {"name": "Mine"} | changes, by=kofi)
    assert (reply.status, [one["field"] for one in reply.data["errors"]]) == (400, [field])
    assert (await desk.ok("GET", "/jobs/searches", by=kofi))["items"] == []


async def test_nobody_keeps_more_than_twenty_searches(desk: Desk) -> None:
    kofi = worker()
    asked = [desk.call("POST", "/jobs/searches", {"name": f"N{n}", "skill": ["barber"]}, by=kofi) for n in range(25)]
    replies = await asyncio.gather(*asked)
    assert sorted(one.status for one in replies) == [201] * 20 + [409] * 5
    assert len((await desk.ok("GET", "/jobs/searches", by=kofi))["items"]) == 20
    assert (await desk.call("POST", "/jobs/searches", {"name": "x"}, by=hirer())).status == 403


async def test_an_urgent_job_is_told_to_those_near_and_free_of_the_trade(desk: Desk, users: FakeUserClient) -> None:
    anna = hirer()
    near, far, other, away, close, booked = (worker() for _ in range(6))
    today = clock.now().date()
    trades = ["plumber", "pump-technician"]
    facts = [
        _facts(near, trades, ACCRA, free_on=[today]),
        _facts(close, ["plumber"], TEMA, free_on=[today, today + timedelta(days=1)]),
        _facts(far, trades, KUMASI, free_on=[today]),
        _facts(other, ["barber"], ACCRA, free_on=[today]),
        _facts(away, trades, ACCRA, is_available=False, free_on=[today]),
        _facts(booked, trades, ACCRA, free_on=[today + timedelta(days=1)]),
    ]
    users.workers = {one.user_id: one for one in facts}
    calm, urgent = await desk.open_job(anna), await desk.open_job(anna, urgent=True)
    paused = await desk.open_job(anna, urgent=True)
    await desk.ok("POST", f"/jobs/{paused['id']}/pause", by=anna)
    for job in (calm, urgent, urgent, paused):
        await service.alert_workers(desk.service.context, job["id"])
    assert await _alerts(desk, urgent["id"]) == {near.user_id: "urgent", close.user_id: "urgent"}
    assert await _alerts(desk, calm["id"]) == await _alerts(desk, paused["id"]) == {}
    await service.alert_workers(desk.service.context, "nothing")


async def test_an_invitation_is_answered_by_applying_or_declining(desk: Desk, users: FakeUserClient) -> None:
    anna, kofi, ama = hirer(), worker(), worker()
    users.workers = {one.user_id: _facts(one, ["plumber"], ACCRA) for one in (kofi, ama)}
    job = await desk.open_job(anna)
    path = f"/jobs/{job['id']}/invitations"
    first = await desk.ok("POST", path, {"workerId": kofi.user_id, "note": "Please come."}, by=anna)
    second = await desk.ok("POST", path, {"workerId": ama.user_id}, by=anna)
    assert (first["status"], first["note"], second["note"]) == ("sent", "Please come.", None)
    assert await desk.events(f"invitation:{first['id']}") == ["job_alert"]
    assert (await desk.call("POST", path, {"workerId": ama.user_id}, by=anna)).data["code"] == "job.already_invited"
    assert [one["id"] for one in (await desk.ok("GET", path, by=anna))["items"]] == [second["id"], first["id"]]
    assert (await desk.ok("GET", "/invitations/me", by=kofi))["items"] == [first]
    assert (await desk.call("POST", f"/invitations/{first['id']}/decline", by=ama)).status == 404
    declined = await desk.ok("POST", f"/invitations/{first['id']}/decline", by=kofi)
    assert declined["status"] == "declined"
    again = await desk.call("POST", f"/invitations/{first['id']}/decline", by=kofi)
    assert (again.status, again.data["code"]) == (409, "job.illegal_step")
    assert await desk.events(f"invitation:{first['id']}") == ["job_alert", "invitation_declined"]
    await desk.application(job["id"], kofi)
    await desk.application(job["id"], ama)
    assert [one["status"] for one in (await desk.ok("GET", path, by=anna))["items"]] == ["applied", "applied"]


async def test_only_the_hirer_of_an_open_job_invites_and_only_workers(desk: Desk, users: FakeUserClient) -> None:
    anna, kofi = hirer(), worker()
    users.workers = {kofi.user_id: _facts(kofi, ["plumber"], ACCRA)}
    body = {"workerId": kofi.user_id}
    draft, job = await desk.draft(anna), await desk.open_job(anna)
    assert (await desk.call("POST", f"/jobs/{draft['id']}/invitations", body, by=anna)).data["code"] == "job.not_open"
    assert (await desk.call("POST", f"/jobs/{job['id']}/invitations", body, by=hirer())).status == 404
    assert (await desk.call("GET", f"/jobs/{job['id']}/invitations", by=hirer())).status == 404
    assert (await desk.call("POST", f"/jobs/{job['id']}/invitations", body, by=kofi)).status == 403
    unknown = await desk.call("POST", f"/jobs/{job['id']}/invitations", {"workerId": "nobody"}, by=anna)
    assert (unknown.status, unknown.data["errors"][0]["field"]) == (400, "workerId")
    assert (await desk.ok("GET", "/invitations/me", by=kofi))["items"] == []
    replies = await asyncio.gather(
        *(desk.call("POST", f"/jobs/{job['id']}/invitations", body, by=anna) for _ in range(10))
    )
    assert sorted(one.status for one in replies) == [201] + [409] * 9
    assert len((await desk.ok("GET", "/invitations/me", by=kofi))["items"]) == 1
