"""Writing, changing, publishing and closing jobs."""

import asyncio
from typing import Any

import pytest

from kelmah.contracts.common import Role
from tests.fixtures.service import Service, person
from tests.integration.job.steps import API, JOB, Desk, hirer, worker


async def test_a_new_job_is_a_draft_that_only_its_hirer_sees(desk: Desk) -> None:
    anna = hirer()
    reply = await desk.call("POST", "/jobs", JOB | {"title": "  Fix a tap  "}, by=anna)
    assert (reply.status, reply.headers["etag"]) == (201, '"1"')
    job = reply.data
    assert (job["status"], job["title"], job["hirerId"]) == ("draft", "Fix a tap", anna.user_id)
    assert job["location"] == JOB["location"]
    for stranger in (None, hirer(), worker()):
        assert (await desk.call("GET", f"/jobs/{job['id']}", by=stranger)).status == 404
    assert (await desk.ok("GET", f"/jobs/{job['id']}", by=anna)) == job


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": " \t "}, "title"),
        ({"title": "\u200b\u2060"}, "title"),
        ({"title": "x" * 121}, "title"),
        ({"title": "<b>bold</b>"}, "title"),
        ({"title": "evil\u202egnp.exe"}, "title"),
        ({"description": "a\u0000b"}, "description"),
        ({"category": "---"}, "category"),
        ({"skills": []}, "skills"),
        ({"skills": ["a"] * 10_000}, "skills"),
        ({"skills": ["tiler", "!!"]}, "skills[1]"),
        ({"skills": ["tiler", "brain surgery"]}, "skills[1]"),
        ({"category": "astrology"}, "category"),
        ({"applicationDeadline": "2020-01-01T00:00:00Z"}, "applicationDeadline"),
        ({"applicationDeadline": "2126-01-01T00:00:00Z"}, "applicationDeadline"),
        ({"applicationDeadline": "2026-12-24T12:00:00"}, "applicationDeadline"),
        ({"urgent": "yes"}, "urgent"),
        ({"budget": {"amount": 0, "currency": "GHS"}}, "budget.amount"),
        ({"budget": {"amount": 2**53, "currency": "GHS"}}, "budget.amount"),
        ({"budget": {"amount": 1.5, "currency": "GHS"}}, "budget.amount"),
        ({"budget": {"amount": 1, "currency": "XXX"}}, "budget.currency"),
        ({"budget": {"amount": 1, "currency": "ghs"}}, "budget.currency"),
        ({"location": JOB["location"] | {"coordinates": [1]}}, "location.coordinates"),
        (
            {"location": {"city": "Accra", "region": "Greater Accra", "coordinates": [181, 0]}},
            "location.coordinates[0]",
        ),
        ({"location": JOB["location"] | {"region": "?"}}, "location.region"),
        ({"location": JOB["location"] | {"region": "Atlantis"}}, "location.region"),
        ({"location": {"city": "x", "region": "Ashnti", "coordinates": [-20, -20]}}, "location.region"),
        ({"hirerId": "somebody"}, "hirerId"),
        ({"status": "open"}, "status"),
    ],
)
async def test_a_job_that_does_not_fit_is_refused_by_field_and_not_kept(
    desk: Desk, changes: dict[str, Any], field: str
) -> None:
    anna = hirer()
    reply = await desk.call("POST", "/jobs", JOB | changes, by=anna)
    assert (reply.status, reply.data["code"]) == (400, "bad_input")
    assert [one["field"] for one in reply.data["errors"]] == [field]
    assert (await desk.ok("GET", "/jobs?mine=true", by=anna))["items"] == []

    job = await desk.open_job(anna)
    edit = await desk.call("PATCH", f"/jobs/{job['id']}", changes, by=anna, headers={"If-Match": '"2"'})
    assert (edit.status, [one["field"] for one in edit.data["errors"]]) == (400, [field])
    assert (await desk.ok("GET", f"/jobs/{job['id']}", by=anna)) == job
    assert (await desk.ok("GET", f"/jobs/{job['id']}/versions", by=anna))["items"] == []


async def test_only_hirers_write_jobs(desk: Desk) -> None:
    assert (await desk.call("POST", "/jobs", JOB)).status == 401
    for role in (Role.WORKER, Role.MODERATOR, Role.SUPPORT, Role.ADMIN):
        assert (await desk.call("POST", "/jobs", JOB, by=person(role))).status == 403


async def test_an_edit_needs_the_version_that_was_read(desk: Desk) -> None:
    anna = hirer()
    path = f"/jobs/{(await desk.draft(anna))['id']}"
    assert (await desk.call("PATCH", path, {"title": "New"}, by=anna)).status == 428
    for stale in ('"2"', '"0"', "1", 'W/"1"', "*", '"x"'):
        assert (await desk.call("PATCH", path, {"title": "New"}, by=anna, headers={"If-Match": stale})).status == 412
    reply = await desk.call("PATCH", path, {"title": "New", "skills": ["Tiling"]}, by=anna, headers={"If-Match": '"1"'})
    assert (reply.status, reply.headers["etag"]) == (200, '"2"')
    assert (reply.data["title"], reply.data["skills"], reply.data["category"]) == ("New", ["tiler"], "water-sanitation")
    assert (await desk.call("PATCH", path, {"title": "Again"}, by=anna, headers={"If-Match": '"1"'})).status == 412
    assert (await desk.call("PATCH", path, {}, by=anna, headers={"If-Match": '"2"'})).status == 400
    assert (await desk.call("PATCH", path, {"title": None}, by=anna, headers={"If-Match": '"2"'})).status == 400
    assert (await desk.ok("GET", path, by=anna)) == reply.data


async def test_search_finds_an_edited_job_by_its_new_words_only(desk: Desk) -> None:
    anna = hirer()
    job = await desk.open_job(anna, title="Quokka fence")
    await desk.ok("PATCH", f"/jobs/{job['id']}", {"title": "Wombat fence"}, by=anna, headers={"If-Match": '"2"'})
    assert (await desk.ok("GET", "/jobs?q=quokka"))["items"] == []
    assert [one["id"] for one in (await desk.ok("GET", "/jobs?q=wombat"))["items"]] == [job["id"]]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "", {"title": "Mine now"}),
        ("DELETE", "", None),
        ("POST", "/publish", None),
        ("POST", "/pause", None),
        ("POST", "/close", None),
        ("GET", "/matches", None),
        ("GET", "/applications", None),
    ],
)
async def test_a_stranger_meets_nothing_and_changes_nothing(desk: Desk, method: str, path: str, body: Any) -> None:
    anna = hirer()
    job = await desk.draft(anna)
    headers = {"If-Match": '"1"'} if method == "PATCH" else {}
    reply = await desk.call(method, f"/jobs/{job['id']}{path}", body, by=hirer(), headers=headers)
    assert (reply.status, reply.data["code"]) == (404, "job.job_not_found")
    assert (await desk.call(method, f"/jobs/{job['id']}{path}", body, headers=headers)).status == 401
    assert (await desk.call(method, f"/jobs/{job['id']}{path}", body, by=worker(), headers=headers)).status == 403
    assert (await desk.ok("GET", f"/jobs/{job['id']}", by=anna)) == job


async def test_a_draft_can_be_thrown_away_and_an_open_job_cannot(desk: Desk) -> None:
    anna = hirer()
    draft, job = await desk.draft(anna), await desk.open_job(anna)
    assert (await desk.call("DELETE", f"/jobs/{draft['id']}", by=anna)).status == 204
    assert (await desk.call("GET", f"/jobs/{draft['id']}", by=anna)).status == 404
    assert await desk.events(f"job:{draft['id']}") == ["job_created", "job_deleted"]
    refused = await desk.call("DELETE", f"/jobs/{job['id']}", by=anna)
    assert (refused.status, refused.data["code"]) == (409, "job.illegal_step")
    assert refused.data["errors"] == [{"field": "status", "message": "open"}]
    assert (await desk.ok("GET", f"/jobs/{job['id']}"))["status"] == "open"


async def test_closing_a_job_turns_down_who_waits(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    job = await desk.open_job(anna)
    application = await desk.application(job["id"], kofi)
    closed = await desk.ok("POST", f"/jobs/{job['id']}/close", {"reason": "Done by a friend."}, by=anna)
    assert closed["status"] == "cancelled"
    found = await desk.ok("GET", f"/applications/{application['id']}", by=kofi)
    assert (found["status"], found["reason"]) == ("rejected", "The job was closed.")
    assert await desk.events(f"job:{job['id']}") == ["job_created", "job_published", "job_closed"]
    again = await desk.call("POST", f"/jobs/{job['id']}/publish", by=anna)
    assert (again.status, again.data["errors"]) == (409, [{"field": "status", "message": "cancelled"}])


async def test_a_paused_job_keeps_its_place_when_it_opens_again(desk: Desk) -> None:
    anna = hirer()
    job = await desk.open_job(anna)
    assert (await desk.ok("POST", f"/jobs/{job['id']}/pause", by=anna))["status"] == "paused"
    again = await desk.ok("POST", f"/jobs/{job['id']}/publish", by=anna)
    assert (again["status"], again["publishedAt"]) == ("open", job["publishedAt"])


async def test_publishing_twice_at_once_happens_once(desk: Desk) -> None:
    anna = hirer()
    job = await desk.draft(anna)
    path = f"/jobs/{job['id']}/publish"
    replies = await asyncio.gather(*(desk.call("POST", path, by=anna) for _ in range(20)))
    assert sorted(reply.status for reply in replies) == [200] + [409] * 19
    assert await desk.events(f"job:{job['id']}") == ["job_created", "job_published"]


async def test_the_same_key_writes_one_job(desk: Desk) -> None:
    anna = hirer()
    key = {"Idempotency-Key": "abc"}
    first = await desk.call("POST", "/jobs", JOB, by=anna, headers=key)
    again = await desk.call("POST", "/jobs", JOB, by=anna, headers=key)
    assert (again.status, again.data, again.headers["idempotent-replayed"]) == (201, first.data, "true")
    assert len((await desk.ok("GET", "/jobs?mine=true", by=anna))["items"]) == 1


async def test_own_jobs_come_in_pages_in_any_state(desk: Desk) -> None:
    anna = hirer()
    written = [(await desk.draft(anna))["id"] for _ in range(5)]
    await desk.ok("POST", f"/jobs/{written[0]}/publish", by=anna)
    seen: list[str] = []
    cursor = ""
    while True:
        page = await desk.ok("GET", f"/jobs?mine=true&limit=2{cursor}", by=anna)
        seen += [one["id"] for one in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert seen == written[::-1]
    drafts = await desk.ok("GET", "/jobs?mine=true&status=draft", by=anna)
    assert [one["id"] for one in drafts["items"]] == written[:0:-1]
    assert (await desk.call("GET", "/jobs?mine=true")).status == 401
    assert (await desk.call("GET", "/jobs?mine=true", by=worker())).status == 403


async def test_the_schema_of_the_api_can_be_made(job_service: Service) -> None:
    schema = job_service.app.openapi_schema.to_schema()
    assert f"{API}/jobs/{{job_id}}/applications" in schema["paths"]
    assert not [path for path in schema["paths"] if path.startswith("/internal")]
