"""What each edit made of a job, and going back to how it read before."""

from typing import Any

import pytest

from kelmah.kit.context import Principal
from tests.integration.job.steps import Desk, hirer, worker


async def edited(desk: Desk, anna: Principal, job: Any, **changes: Any) -> Any:
    tag = {"If-Match": f'"{job["version"]}"'}
    return await desk.ok("PATCH", f"/jobs/{job['id']}", changes, by=anna, headers=tag)


async def test_each_version_tells_what_its_edit_changed(desk: Desk) -> None:
    anna = hirer()
    job = await desk.draft(anna)
    second = await edited(desk, anna, job, title="Fix a tap", budget={"amount": 1, "currency": "GHS"})
    third = await edited(desk, anna, second, skills=["Tiling"], urgent=True)
    last, first = (await desk.ok("GET", f"/jobs/{job['id']}/versions", by=anna))["items"]
    assert (first["version"], first["job"]) == (1, job)
    assert {one["field"]: (one["before"], one["after"]) for one in first["diff"]} == {
        "title": (job["title"], "Fix a tap"),
        "budget": (job["budget"], {"amount": 1, "currency": "GHS"}),
    }
    assert {one["field"]: (one["before"], one["after"]) for one in last["diff"]} == {
        "skills": (second["skills"], third["skills"]),
        "urgent": (False, True),
    }


async def test_a_job_can_read_again_as_it_did(desk: Desk) -> None:
    anna = hirer()
    job = await desk.open_job(anna, title="Numbat fence")
    changed = await edited(desk, anna, job, title="Bilby fence", location=job["location"] | {"city": "Tema"})
    path = f"/jobs/{job['id']}/versions/{job['version']}/restore"
    back = await desk.ok("POST", path, by=anna, headers={"If-Match": f'"{changed["version"]}"'})
    assert (back["title"], back["location"], back["version"]) == ("Numbat fence", job["location"], job["version"] + 2)
    assert [one["id"] for one in (await desk.ok("GET", "/jobs?q=numbat"))["items"]] == [job["id"]]
    newest = (await desk.ok("GET", f"/jobs/{job['id']}/versions", by=anna))["items"][0]
    assert (newest["version"], newest["changed"]) == (changed["version"], ["location", "title"])
    assert (await desk.events(f"job:{job['id']}"))[-2:] == ["job_updated", "job_updated"]
    # Once it reads so, there is nothing to restore.
    again = await desk.call("POST", path, by=anna, headers={"If-Match": f'"{back["version"]}"'})
    assert (again.status, again.data["code"]) == (400, "bad_input")


@pytest.mark.parametrize(
    ("version", "tag", "status", "code"),
    [
        ("1", None, 428, "precondition_required"),
        ("1", '"1"', 412, "precondition_failed"),
        ("2", '"2"', 404, "job.version_not_found"),
        ("99", '"2"', 404, "job.version_not_found"),
        ("-1", '"2"', 404, "job.version_not_found"),
        ("x", '"2"', 404, "not_found"),
        ("9" * 30, '"2"', 404, "job.version_not_found"),
    ],
)
async def test_a_restore_that_does_not_fit_changes_nothing(
    desk: Desk, version: str, tag: str | None, status: int, code: str
) -> None:
    anna = hirer()
    job = await edited(desk, anna, await desk.draft(anna), title="Fix a tap")
    path = f"/jobs/{job['id']}/versions/{version}/restore"
    reply = await desk.call("POST", path, by=anna, headers={"If-Match": tag} if tag else {})
    assert (reply.status, reply.data["code"]) == (status, code)
    assert await desk.ok("GET", f"/jobs/{job['id']}", by=anna) == job


async def test_only_its_hirer_looks_into_the_past_of_a_job(desk: Desk) -> None:
    anna = hirer()
    job = await edited(desk, anna, await desk.draft(anna), title="Fix a tap")
    path = f"/jobs/{job['id']}/versions"
    for method, where in (("GET", path), ("POST", f"{path}/1/restore")):
        tag = {"If-Match": '"2"'}
        assert (await desk.call(method, where, headers=tag)).status == 401
        assert (await desk.call(method, where, by=worker(), headers=tag)).status == 403
        assert (await desk.call(method, where, by=hirer(), headers=tag)).data["code"] == "job.job_not_found"
    assert await desk.ok("GET", f"/jobs/{job['id']}", by=anna) == job


async def test_a_job_at_work_is_not_restored(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    job = await desk.open_job(anna)
    changed = await edited(desk, anna, job, title="Fix a tap")
    application = await desk.application(job["id"], kofi)
    await desk.ok("POST", f"/applications/{application['id']}/accept", by=anna)
    taken = await desk.ok("GET", f"/jobs/{job['id']}", by=anna)
    path = f"/jobs/{job['id']}/versions/{job['version']}/restore"
    reply = await desk.call("POST", path, by=anna, headers={"If-Match": f'"{taken["version"]}"'})
    assert (reply.status, reply.data["code"]) == (409, "job.illegal_step")
    assert (await desk.ok("GET", f"/jobs/{job['id']}", by=anna))["title"] == changed["title"]
