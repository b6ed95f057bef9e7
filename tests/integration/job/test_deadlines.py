"""The time for applications ends by itself, and edits leave what was before."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from kelmah.kit import clock
from kelmah.services.job import service
from tests.integration.job.steps import OFFER, Desk, hirer, worker


@pytest.fixture(autouse=True)
async def true_time() -> AsyncIterator[None]:
    yield
    clock.reset()


def _in(days: float) -> str:
    return (clock.now() + timedelta(days=days)).replace(microsecond=0).isoformat().replace("+00:00", "Z")


async def _timer(desk: Desk, job_id: str) -> datetime:
    row = await desk.service.context.mongo.collection("timers").find_one({"_id": f"expire-job:{job_id}"})
    assert row is not None
    assert (row["actor"], row["args"]) == ("job.expire_job", [job_id])
    due: datetime = row["due"]
    return due


async def test_a_job_takes_applications_until_its_deadline_and_can_then_be_answered(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    job = await desk.open_job(anna, applicationDeadline=_in(3))
    assert job["expiresAt"] == job["applicationDeadline"]
    application = await desk.application(job["id"], kofi)
    clock.shift(timedelta(days=3, seconds=1))
    late = await desk.call("POST", f"/jobs/{job['id']}/applications", OFFER, by=worker())
    assert (late.status, late.data["code"]) == (409, "job.deadline_passed")
    for _ in range(2):
        await service.expire_job(desk.service.context, job["id"])
    seen = await desk.ok("GET", f"/jobs/{job['id']}")
    assert (seen["status"], seen["applicationCount"]) == ("expired", 1)
    assert await desk.events(f"job:{job['id']}") == ["job_created", "job_published", "job_expired"]
    assert (await desk.call("POST", f"/jobs/{job['id']}/applications", OFFER, by=worker())).data[
        "code"
    ] == "job.not_open"
    refused = await desk.call("POST", f"/jobs/{job['id']}/publish", by=anna)
    assert (refused.status, refused.data["errors"][0]["field"]) == (400, "applicationDeadline")
    assert (await desk.ok("GET", f"/jobs/{job['id']}"))["status"] == "expired"
    accepted = await desk.ok("POST", f"/applications/{application['id']}/accept", by=anna)
    assert accepted["status"] == "accepted"


async def test_an_expired_job_is_opened_again_with_a_new_deadline(desk: Desk) -> None:
    anna = hirer()
    job = await desk.open_job(anna, applicationDeadline=_in(1))
    clock.shift(timedelta(days=2))
    await service.expire_job(desk.service.context, job["id"])
    change = {"applicationDeadline": _in(5)}
    await desk.ok("PATCH", f"/jobs/{job['id']}", change, by=anna, headers={"If-Match": '"3"'})
    again = await desk.ok("POST", f"/jobs/{job['id']}/publish", by=anna)
    assert (again["status"], again["expiresAt"]) == ("open", change["applicationDeadline"])
    assert (await _timer(desk, job["id"])).isoformat().replace("+00:00", "Z") == change["applicationDeadline"]


async def test_without_a_deadline_a_job_is_open_for_the_usual_days(desk: Desk) -> None:
    anna = hirer()
    job = await desk.open_job(anna)
    assert job["applicationDeadline"] is None
    opened = datetime.fromisoformat(job["expiresAt"]) - timedelta(days=60)
    assert abs(opened - clock.now()) < timedelta(minutes=1)
    clock.shift(timedelta(days=61))
    await service.expire_job(desk.service.context, job["id"])
    renewed = await desk.ok("POST", f"/jobs/{job['id']}/publish", by=anna)
    assert datetime.fromisoformat(renewed["expiresAt"]) - opened > timedelta(days=120)


async def test_a_moved_deadline_moves_the_end_and_an_early_timer_does_nothing(desk: Desk) -> None:
    anna = hirer()
    job = await desk.open_job(anna, applicationDeadline=_in(1))
    tag = {"If-Match": '"2"'}
    moved = await desk.ok("PATCH", f"/jobs/{job['id']}", {"applicationDeadline": _in(9)}, by=anna, headers=tag)
    assert moved["expiresAt"] == moved["applicationDeadline"]
    clock.shift(timedelta(days=2))
    await service.expire_job(desk.service.context, job["id"])
    assert (await desk.ok("GET", f"/jobs/{job['id']}"))["status"] == "open"
    for unknown in ("nobody", (await desk.draft(anna))["id"]):
        await service.expire_job(desk.service.context, unknown)


async def test_each_edit_leaves_the_version_before_it(desk: Desk) -> None:
    anna = hirer()
    job = await desk.draft(anna)
    path = f"/jobs/{job['id']}"
    await desk.ok("PATCH", path, {"title": "Two"}, by=anna, headers={"If-Match": '"1"'})
    await desk.ok("PATCH", path, {"title": "Three", "urgent": True}, by=anna, headers={"If-Match": '"2"'})
    assert (await desk.call("PATCH", path, {"title": "No"}, by=anna, headers={"If-Match": '"2"'})).status == 412
    versions = (await desk.ok("GET", f"{path}/versions", by=anna))["items"]
    assert [(one["version"], one["job"]["title"], one["changed"]) for one in versions] == [
        (2, "Two", ["title", "urgent"]),
        (1, job["title"], ["title"]),
    ]
    assert versions[1]["job"] == job
    first = await desk.ok("GET", f"{path}/versions?limit=1", by=anna)
    rest = await desk.ok("GET", f"{path}/versions?cursor={first['nextCursor']}", by=anna)
    assert first["items"] + rest["items"] == versions
    assert (await desk.call("GET", f"{path}/versions", by=hirer())).status == 404
    assert (await desk.call("GET", f"{path}/versions", by=worker())).status == 403
    assert (await desk.call("GET", f"{path}/versions")).status == 401
