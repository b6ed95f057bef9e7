"""Applying, answering, and the one contract that an accepted application makes."""

import asyncio
from typing import Any

import pytest

from kelmah.contracts.common import Role
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from tests.fixtures.service import person
from tests.integration.job.steps import OFFER, Desk, hirer, worker


async def _contracts(desk: Desk, job_id: str) -> int:
    return int(await desk.service.context.mongo.collection("contracts").count_documents({"job_id": job_id}))


async def test_an_application_without_milestones_has_one_with_the_whole_rate(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    job = await desk.open_job(anna)
    made = await desk.application(job["id"], kofi)
    assert made["milestones"] == [{"title": job["title"], "amount": OFFER["proposedRate"], "dueAt": None}]
    assert (made["status"], made["workerId"], made["hirerId"]) == ("submitted", kofi.user_id, anna.user_id)
    assert (await desk.ok("GET", f"/applications/{made['id']}", by=anna)) == made
    assert (await desk.ok("GET", "/applications/me", by=kofi))["items"] == [made]
    assert (await desk.ok("GET", f"/jobs/{job['id']}/applications", by=anna))["items"] == [made]
    assert (await desk.ok("GET", f"/jobs/{job['id']}/applications?status=rejected", by=anna))["items"] == []
    assert (await desk.ok("GET", f"/jobs/{job['id']}"))["applicationCount"] == 1
    for stranger in (hirer(), worker()):
        assert (await desk.call("GET", f"/applications/{made['id']}", by=stranger)).status == 404


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"proposedRate": {"amount": 0, "currency": "GHS"}}, "proposedRate.amount"),
        ({"proposedRate": {"amount": 45_000, "currency": "USD"}}, "proposedRate.currency"),
        ({"proposedRate": {"amount": 45_000, "currency": "XXX"}}, "proposedRate.currency"),
        ({"coverLetter": "  "}, "coverLetter"),
        ({"coverLetter": "a\u0007"}, "coverLetter"),
        ({"milestones": [{"title": "All", "amount": 44_999}]}, "milestones"),
        ({"milestones": [{"title": "All", "amount": 0}]}, "milestones[0].amount"),
        ({"milestones": [{"title": "<i>", "amount": 45_000}]}, "milestones[0].title"),
        (
            {"milestones": [{"title": "All", "amount": {"amount": 45_000, "currency": "USD"}}]},
            "milestones[0].amount.currency",
        ),
        ({"milestones": [{"title": "A", "amount": 1}] * 21}, "milestones"),
        ({"workerId": "another"}, "workerId"),
    ],
)
async def test_an_application_that_does_not_fit_is_refused_and_not_kept(
    desk: Desk, changes: dict[str, Any], field: str
) -> None:
    job, kofi = await desk.open_job(hirer()), worker()
    reply = await desk.call("POST", f"/jobs/{job['id']}/applications", OFFER | changes, by=kofi)
    assert (reply.status, reply.data["code"]) == (400, "bad_input")
    assert [one["field"] for one in reply.data["errors"]] == [field]
    assert (await desk.ok("GET", "/applications/me", by=kofi))["items"] == []
    assert (await desk.ok("GET", f"/jobs/{job['id']}"))["applicationCount"] == 0


async def test_only_workers_apply_and_not_to_their_own_job(desk: Desk) -> None:
    anna = hirer()
    job = await desk.open_job(anna)
    path = f"/jobs/{job['id']}/applications"
    assert (await desk.call("POST", path, OFFER)).status == 401
    for role in (Role.HIRER, Role.ADMIN, Role.SUPPORT, Role.MODERATOR):
        assert (await desk.call("POST", path, OFFER, by=person(role))).status == 403
    herself = Principal(user_id=anna.user_id, role=Role.WORKER, session_id=new_id())
    own = await desk.call("POST", path, OFFER, by=herself)
    assert (own.status, own.data["code"]) == (403, "job.own_job")
    assert (await desk.ok("GET", f"/jobs/{job['id']}"))["applicationCount"] == 0


@pytest.mark.parametrize("action", ["pause", "close"])
async def test_nobody_applies_to_a_job_that_is_not_open(desk: Desk, action: str) -> None:
    anna, kofi = hirer(), worker()
    job = await desk.open_job(anna)
    state = (await desk.ok("POST", f"/jobs/{job['id']}/{action}", by=anna))["status"]
    reply = await desk.call("POST", f"/jobs/{job['id']}/applications", OFFER, by=kofi)
    assert (reply.status, reply.data["code"]) == (409, "job.not_open")
    assert reply.data["errors"] == [{"field": "status", "message": state}]
    draft = await desk.draft(anna)
    assert (await desk.call("POST", f"/jobs/{draft['id']}/applications", OFFER, by=kofi)).status == 404


async def test_of_two_hundred_applications_of_one_worker_one_is_kept(desk: Desk) -> None:
    job, kofi = await desk.open_job(hirer()), worker()
    path = f"/jobs/{job['id']}/applications"
    replies = await asyncio.gather(*(desk.call("POST", path, OFFER, by=kofi) for _ in range(200)))
    assert sorted(reply.status for reply in replies) == [201] + [409] * 199
    assert {reply.data["code"] for reply in replies if reply.status == 409} == {"job.already_applied"}
    assert (await desk.ok("GET", f"/jobs/{job['id']}"))["applicationCount"] == 1


async def test_a_worker_may_withdraw_and_apply_again(desk: Desk) -> None:
    job, kofi = await desk.open_job(hirer()), worker()
    first = await desk.application(job["id"], kofi)
    assert (await desk.ok("POST", f"/applications/{first['id']}/withdraw", by=kofi))["status"] == "withdrawn"
    second = await desk.application(job["id"], kofi)
    assert second["id"] != first["id"]
    mine = await desk.ok("GET", "/applications/me", by=kofi)
    assert [one["status"] for one in mine["items"]] == ["submitted", "withdrawn"]
    assert await desk.events(f"application:{first['id']}") == ["application_received", "application_withdrawn"]


@pytest.mark.parametrize("first", ["shortlist", "accept", "reject", "withdraw"])
@pytest.mark.parametrize("second", ["shortlist", "accept", "reject", "withdraw"])
async def test_each_pair_of_steps_is_legal_or_refused_with_the_state(desk: Desk, first: str, second: str) -> None:
    anna, kofi = hirer(), worker()
    job = await desk.open_job(anna)
    path = f"/applications/{(await desk.application(job['id'], kofi))['id']}"
    who = {"withdraw": kofi}
    before = await desk.ok("POST", f"{path}/{first}", by=who.get(first, anna))
    reply = await desk.call("POST", f"{path}/{second}", by=who.get(second, anna))
    if first == "shortlist" and second != "shortlist":
        assert reply.status == 200
        return
    assert (reply.status, reply.data["code"]) == (409, "job.illegal_step")
    assert reply.data["errors"] == [{"field": "status", "message": before["status"]}]
    assert (await desk.ok("GET", path, by=kofi))["status"] == before["status"]
    assert await _contracts(desk, job["id"]) == (1 if first == "accept" else 0)


@pytest.mark.parametrize("action", ["shortlist", "accept", "reject", "withdraw"])
async def test_a_stranger_answers_nothing(desk: Desk, action: str) -> None:
    anna, kofi = hirer(), worker()
    job = await desk.open_job(anna)
    made = await desk.application(job["id"], kofi)
    stranger = worker() if action == "withdraw" else hirer()
    other_role = anna if action == "withdraw" else kofi
    path = f"/applications/{made['id']}/{action}"
    assert (await desk.call("POST", path)).status == 401
    assert (await desk.call("POST", path, by=other_role)).status == 403
    reply = await desk.call("POST", path, by=stranger)
    assert (reply.status, reply.data["code"]) == (404, "job.application_not_found")
    assert (await desk.ok("GET", f"/applications/{made['id']}", by=kofi)) == made
    assert await _contracts(desk, job["id"]) == 0


async def test_a_rejection_tells_why(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    made = await desk.application((await desk.open_job(anna))["id"], kofi)
    path = f"/applications/{made['id']}/reject"
    assert (await desk.call("POST", path, {"reason": 5}, by=anna)).status == 400
    assert (await desk.ok("POST", path, {"reason": " Too far away. "}, by=anna))["reason"] == "Too far away."


async def test_of_two_hundred_accepts_of_one_application_one_makes_a_contract(desk: Desk) -> None:
    anna = hirer()
    job = await desk.open_job(anna)
    made = await desk.application(job["id"], worker())
    path = f"/applications/{made['id']}/accept"
    replies = await asyncio.gather(*(desk.call("POST", path, by=anna) for _ in range(200)))
    assert sorted(reply.status for reply in replies) == [200] + [409] * 199
    assert await _contracts(desk, job["id"]) == 1
    assert await desk.events(f"application:{made['id']}") == ["application_received", "application_accepted"]


async def test_of_two_hundred_accepts_of_ten_applications_one_wins_and_the_others_are_turned_down(desk: Desk) -> None:
    anna = hirer()
    job = await desk.open_job(anna)
    made = [await desk.application(job["id"], worker()) for _ in range(10)]
    paths = [f"/applications/{one['id']}/accept" for one in made * 20]
    replies = await asyncio.gather(*(desk.call("POST", path, by=anna) for path in paths))
    assert sorted(reply.status for reply in replies) == [200] + [409] * 199
    listed = (await desk.ok("GET", f"/jobs/{job['id']}/applications", by=anna))["items"]
    assert sorted(one["status"] for one in listed) == ["accepted"] + ["rejected"] * 9
    assert {one["reason"] for one in listed if one.get("reason")} == {"The hirer accepted another application."}
    assert await _contracts(desk, job["id"]) == 1


async def test_an_application_that_races_an_acceptance_is_turned_down_or_refused(desk: Desk) -> None:
    anna = hirer()
    job = await desk.open_job(anna)
    made = await desk.application(job["id"], worker())
    late = [worker() for _ in range(30)]
    replies = await asyncio.gather(
        *(desk.call("POST", f"/jobs/{job['id']}/applications", OFFER, by=one) for one in late[:15]),
        desk.call("POST", f"/applications/{made['id']}/accept", by=anna),
        *(desk.call("POST", f"/jobs/{job['id']}/applications", OFFER, by=one) for one in late[15:]),
    )
    assert {reply.status for reply in replies} <= {200, 201, 409}
    listed = (await desk.ok("GET", f"/jobs/{job['id']}/applications?limit=100", by=anna))["items"]
    assert len(listed) == sum(reply.status == 201 for reply in replies) + 1
    assert sorted({one["status"] for one in listed} - {"rejected"}) == ["accepted"]


async def test_of_two_hundred_workers_for_the_last_place_one_gets_it(desk: Desk) -> None:
    job = await desk.open_job(hirer())
    jobs = desk.service.context.mongo.collection("jobs")
    await jobs.update_one({"_id": job["id"]}, {"$set": {"application_count": 499}})
    path = f"/jobs/{job['id']}/applications"
    replies = await asyncio.gather(*(desk.call("POST", path, OFFER, by=worker()) for _ in range(200)))
    assert sorted(reply.status for reply in replies) == [201] + [409] * 199
    assert {reply.data["code"] for reply in replies if reply.status == 409} == {"job.applications_full"}
    assert (await desk.ok("GET", f"/jobs/{job['id']}"))["applicationCount"] == 500
    assert await desk.service.context.mongo.collection("applications").count_documents({"job_id": job["id"]}) == 1
