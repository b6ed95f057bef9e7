"""Contract templates, direct offers that are made from them, and the calendar."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from kelmah.contracts.user import WorkerFacts
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.services.job import service
from kelmah.services.job.service import templates
from tests.fakes.user import FakeUserClient
from tests.integration.job.steps import JOB, Desk, hirer, milestone, worker
from tests.integration.job.test_terms import booked, run_bookings, sign_both, window

TEMPLATES = "/contract-templates"
TEMPLATE: dict[str, Any] = JOB | {
    "name": "Sink",
    "milestones": [{"title": "Take out", "amount": 20_000}, {"title": "Put in", "amount": 30_000}],
    "autoApproveAfterDays": 7,
}


async def offered(
    desk: Desk, users: FakeUserClient, anna: Principal, kofi: Principal, **changes: Any
) -> dict[str, Any]:
    """A contract that was offered directly."""
    users.workers[kofi.user_id] = WorkerFacts(user_id=kofi.user_id, display_name="Kofi", skills=["plumber"])
    template = await desk.ok("POST", TEMPLATES, TEMPLATE, by=anna)
    path = f"{TEMPLATES}/{template['id']}/offers"
    return dict(await desk.ok("POST", path, {"workerId": kofi.user_id} | changes, by=anna))


# --- Templates ---


async def test_templates_are_kept_changed_and_forgotten(desk: Desk) -> None:
    anna = hirer()
    reply = await desk.call("POST", TEMPLATES, TEMPLATE, by=anna)
    made = reply.data
    assert (reply.status, reply.headers["etag"], made["autoApproveAfterDays"]) == (201, '"1"', 7)
    assert [one["amount"]["amount"] for one in made["milestones"]] == [20_000, 30_000]
    path = f"{TEMPLATES}/{made['id']}"
    assert await desk.ok("GET", path, by=anna) == made
    assert (await desk.ok("GET", TEMPLATES, by=anna))["items"] == [made]

    whole = {name: value for name, value in TEMPLATE.items() if name not in ("milestones", "autoApproveAfterDays")}
    assert (await desk.call("PUT", path, whole, by=anna)).status == 428
    changed = await desk.ok("PUT", path, whole | {"name": "Tap"}, by=anna, headers={"If-Match": '"1"'})
    assert (changed["version"], changed["name"], changed["autoApproveAfterDays"]) == (2, "Tap", 14)
    assert changed["milestones"] == [{"title": JOB["title"], "amount": JOB["budget"], "dueAt": None}]
    assert (await desk.call("PUT", path, TEMPLATE, by=anna, headers={"If-Match": '"1"'})).status == 412
    assert await desk.ok("GET", path, by=anna) == changed

    assert (await desk.call("DELETE", path, by=anna)).status == 204
    assert (await desk.call("DELETE", path, by=anna)).status == 404
    assert (await desk.ok("GET", TEMPLATES, by=anna))["items"] == []


async def test_a_template_is_its_hirers_alone(desk: Desk) -> None:
    anna, esi = hirer(), hirer()
    made = await desk.ok("POST", TEMPLATES, TEMPLATE, by=anna)
    path = f"{TEMPLATES}/{made['id']}"
    tag = {"If-Match": '"1"'}
    for method, where, body in (
        ("GET", path, None),
        ("PUT", path, TEMPLATE),
        ("DELETE", path, None),
        ("POST", f"{path}/offers", {"workerId": "w1"}),
    ):
        reply = await desk.call(method, where, body, by=esi, headers=tag if method == "PUT" else None)
        assert (reply.status, reply.data["code"]) == (404, "job.template_not_found")
    assert (await desk.ok("GET", TEMPLATES, by=esi))["items"] == []
    assert await desk.ok("GET", path, by=anna) == made


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "<b>Sink</b>"}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"category": "astrology"}, "category"),
        ({"budget": {"amount": 0, "currency": "GHS"}}, "budget.amount"),
        ({"budget": {"amount": 50_000, "currency": "ZZZ"}}, "budget.currency"),
        ({"budget": {"amount": 50_001, "currency": "GHS"}}, "milestones"),
        ({"milestones": [{"title": "x", "amount": 1}] * 21}, "milestones"),
        ({"autoApproveAfterDays": 0}, "autoApproveAfterDays"),
        ({"autoApproveAfterDays": 31}, "autoApproveAfterDays"),
        ({"skills": []}, "skills"),
    ],
)
async def test_a_template_that_does_not_fit_is_refused(desk: Desk, changes: dict[str, Any], field: str) -> None:
    anna = hirer()
    reply = await desk.call("POST", TEMPLATES, TEMPLATE | changes, by=anna)
    assert (reply.status, [one["field"] for one in reply.data["errors"]]) == (400, [field])
    assert (await desk.ok("GET", TEMPLATES, by=anna))["items"] == []


async def test_templates_are_bounded_also_when_they_are_made_at_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates, "MAX_TEMPLATES", 5)
    anna = hirer()
    replies = await asyncio.gather(*[desk.call("POST", TEMPLATES, TEMPLATE, by=anna) for _ in range(12)])
    assert sorted(one.status for one in replies) == [201] * 5 + [409] * 7
    assert len((await desk.ok("GET", TEMPLATES, by=anna))["items"]) == 5


# --- Direct offers ---


async def test_an_offer_is_taken_signed_and_worked_on(desk: Desk, users: FakeUserClient) -> None:
    anna, kofi = hirer(), worker()
    contract = await offered(desk, users, anna, kofi, work=window())
    path = f"/contracts/{contract['id']}"
    assert (contract["status"], contract["applicationId"], contract["autoApproveAfterDays"]) == ("offered", None, 7)
    assert contract["value"] == JOB["budget"]
    job = await desk.ok("GET", f"/jobs/{contract['jobId']}", by=anna)
    assert (job["status"], job["title"]) == ("in_progress", JOB["title"])
    assert [one["action"] for one in (await desk.ok("GET", f"{path}/next", by=kofi))["items"]] == ["answer_offer"]
    # Nothing else goes on before the worker has answered.
    for side in (anna, kofi):
        assert (await desk.call("POST", f"{path}/sign", by=side)).data["code"] == "job.illegal_step"
        assert (await desk.call("PATCH", f"{path}/terms", {"autoApproveAfterDays": 3}, by=side)).status == 409

    taken = await desk.ok("POST", f"{path}/offer/accept", by=kofi)

    assert (taken["status"], taken["termsHash"]) == ("awaiting_signatures", contract["termsHash"])
    for again in ("accept", "decline"):
        assert (await desk.call("POST", f"{path}/offer/{again}", by=kofi)).data["code"] == "job.illegal_step"
    await sign_both(desk, contract, anna, kofi)
    await run_bookings(desk, contract["id"])
    assert len(users.bookings) == 1
    part = contract["milestones"][0]["id"]
    await desk.money(contract["id"], part, "funded")
    await desk.ok("POST", milestone(contract["id"], part, "submit"), by=kofi)
    assert (await desk.events(f"contract:{contract['id']}"))[:2] == ["contract_offered", "contract_offer_answered"]


@pytest.mark.parametrize("ended_by", ["worker", "hirer"])
async def test_an_offer_that_came_to_nothing_leaves_a_job_that_can_be_published(
    desk: Desk, users: FakeUserClient, ended_by: str
) -> None:
    anna, kofi = hirer(), worker()
    contract = await offered(desk, users, anna, kofi)
    path = f"/contracts/{contract['id']}"
    by, step = (kofi, "offer/decline") if ended_by == "worker" else (anna, "cancel")
    ended = await desk.ok("POST", f"{path}/{step}", {"reason": "No time."}, by=by)
    assert (ended["status"], ended["reason"], ended["cancelledBy"]) == ("cancelled", "No time.", by.user_id)
    assert (await desk.call("POST", f"{path}/offer/accept", by=kofi)).status == 409
    told = "contract_offer_answered" if ended_by == "worker" else "contract_cancelled"
    assert await desk.events(f"contract:{contract['id']}") == ["contract_offered", told]
    published = await desk.ok("POST", f"/jobs/{contract['jobId']}/publish", by=anna)
    assert published["status"] == "open"
    await desk.application(published["id"], kofi)


async def test_the_job_of_an_offer_is_seen_by_its_two_sides_until_it_is_published(
    desk: Desk, users: FakeUserClient
) -> None:
    anna, kofi = hirer(), worker()
    contract = await offered(desk, users, anna, kofi)
    path = f"/jobs/{contract['jobId']}"
    for side in (anna, kofi):
        assert (await desk.ok("GET", path, by=side))["id"] == contract["jobId"]
    for stranger in (None, hirer(), worker()):
        assert (await desk.call("GET", path, by=stranger)).status == 404
    assert (await desk.call("PUT", f"/jobs/saved/{contract['jobId']}", by=worker())).status == 404
    await desk.ok("POST", f"/contracts/{contract['id']}/offer/decline", by=kofi)
    await desk.ok("POST", f"{path}/publish", by=anna)
    assert (await desk.ok("GET", path))["status"] == "open"


async def test_an_offer_is_answered_by_its_worker_alone(desk: Desk, users: FakeUserClient) -> None:
    anna, kofi = hirer(), worker()
    contract = await offered(desk, users, anna, kofi)
    for step in ("accept", "decline"):
        path = f"/contracts/{contract['id']}/offer/{step}"
        assert (await desk.call("POST", path, by=worker())).status == 404
        assert (await desk.call("POST", path, by=anna)).status == 403
    assert await desk.ok("GET", f"/contracts/{contract['id']}", by=kofi) == contract


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"workerId": "nobody"}, "workerId"),
        ({"workerId": ""}, "workerId"),
        ({"work": window(start=-1)}, "work.startsAt"),
        ({"work": window(days=-1)}, "work.endsAt"),
    ],
)
async def test_an_offer_that_does_not_fit_makes_nothing(
    desk: Desk, users: FakeUserClient, changes: dict[str, Any], field: str
) -> None:
    anna, kofi = hirer(), worker()
    users.workers[kofi.user_id] = WorkerFacts(user_id=kofi.user_id, display_name="Kofi", skills=["plumber"])
    template = await desk.ok("POST", TEMPLATES, TEMPLATE, by=anna)
    path = f"{TEMPLATES}/{template['id']}/offers"
    reply = await desk.call("POST", path, {"workerId": kofi.user_id} | changes, by=anna)
    assert (reply.status, [one["field"] for one in reply.data["errors"]]) == (400, [field])
    assert (await desk.ok("GET", "/contracts", by=anna))["items"] == []
    assert (await desk.ok("GET", "/jobs?mine=true", by=anna))["items"] == []


async def test_of_answers_at_once_one_counts(desk: Desk, users: FakeUserClient) -> None:
    anna, kofi = hirer(), worker()
    contract = await offered(desk, users, anna, kofi)
    path = f"/contracts/{contract['id']}"
    replies = await asyncio.gather(
        *[desk.call("POST", f"{path}/offer/accept", by=kofi) for _ in range(5)],
        *[desk.call("POST", f"{path}/offer/decline", by=kofi) for _ in range(5)],
    )
    assert sorted(one.status for one in replies) == [200] + [409] * 9
    assert (await desk.events(f"contract:{contract['id']}")).count("contract_offer_answered") == 1


# --- The calendar ---


async def test_the_calendar_shows_what_is_agreed_and_what_falls_due(desk: Desk, users: FakeUserClient) -> None:
    anna, kofi = hirer(), worker()
    contract = await booked(desk, anna, kofi)
    part = contract["milestones"][0]["id"]
    await desk.money(contract["id"], part, "funded")
    handed_in = await desk.ok("POST", milestone(contract["id"], part, "submit"), by=kofi)
    job = await desk.open_job(anna, title="Fix a lamp")

    mine = (await desk.ok("GET", "/calendar", by=kofi))["items"]
    hers = (await desk.ok("GET", "/calendar", by=anna))["items"]

    assert [(one["kind"], one["startsAt"], one["endsAt"], one["isFirm"]) for one in mine] == [
        ("work", contract["work"]["startsAt"], contract["work"]["endsAt"], True),
        ("answer_due", handed_in["autoApprovesAt"], None, True),
    ]
    assert {one["contractId"] for one in mine} == {contract["id"]}
    assert hers[:2] == mine
    assert (hers[2]["kind"], hers[2]["jobId"], hers[2]["startsAt"]) == (
        "applications_close",
        job["id"],
        job["expiresAt"],
    )
    assert len(hers) == 3
    assert (await desk.ok("GET", "/calendar", by=worker()))["items"] == []
    # What is over is not shown: the hirer answers, and the contract ends.
    clock.shift(timedelta(days=15))
    await service.auto_approve_milestone(desk.service.context, contract["id"], part, "1")
    await desk.money(contract["id"], part, "released")
    clock.reset()
    assert (await desk.ok("GET", "/calendar", by=kofi))["items"] == []


async def test_the_feed_is_what_calendars_read(desk: Desk, users: FakeUserClient) -> None:
    anna, kofi = hirer(), worker()
    contract = await booked(desk, anna, kofi)
    reply = await desk.call("GET", "/calendar.ics", by=kofi)
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/calendar")
    starts_at = datetime.fromisoformat(contract["work"]["startsAt"])
    text = reply.body.decode()
    assert text.startswith("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n")
    assert text.endswith("END:VEVENT\r\nEND:VCALENDAR\r\n")
    assert f"\r\nDTSTART:{starts_at:%Y%m%dT%H%M%SZ}\r\n" in text
    assert f"\r\nSUMMARY:Work: {JOB['title']}\r\nSTATUS:CONFIRMED\r\n" in text
    assert f"\r\nUID:{contract['id']}-work@kelmah\r\n" in text
