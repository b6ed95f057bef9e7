"""`?at=`: how a job or a contract stood, for admins alone, with a note that somebody looked."""

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from kelmah.contracts.common import Role
from kelmah.kit import clock
from kelmah.kit.context import Principal
from tests.fixtures.service import person
from tests.integration.job.steps import Desk, hirer, worker

BAD = {
    "": "must be an instant in RFC 3339, as 2026-11-23T12:00:00Z",
    "yesterday": "must be an instant in RFC 3339, as 2026-11-23T12:00:00Z",
    "2026-02-30T12:00:00Z": "must be an instant in RFC 3339, as 2026-11-23T12:00:00Z",
    "0001-01-01T00:00:00+23:59": "must be an instant in RFC 3339, as 2026-11-23T12:00:00Z",
    "2026-01-01T12:00:00": "needs a time zone, as in 2026-11-23T12:00:00Z",
    "9999-12-31T23:59:59Z": "must not be in the future",
}


async def looked(desk: Desk, admin: Principal) -> list[dict[str, Any]]:
    rows = desk.service.context.mongo.collection("events").find({"subject": f"viewer:{admin.user_id}"})
    return [row async for row in rows.sort("sequence")]


async def test_a_job_as_it_stood(desk: Desk) -> None:
    owner, admin = hirer(), person(Role.ADMIN)
    job = await desk.draft(owner)
    drafted = clock.now()
    await asyncio.sleep(0.005)
    await desk.ok("POST", f"/jobs/{job['id']}/publish", by=owner)
    await asyncio.sleep(0.005)

    path = f"/jobs/{job['id']}?at="
    then = await desk.ok("GET", path + quote(drafted.isoformat()), by=admin)
    assert (then["subject"], then["sequence"], then["last"]) == (f"job:{job['id']}", 1, "job.job_created.v1")
    assert then["state"] == {"jobId": job["id"], "hirerId": owner.user_id}
    assert [one["actor"] for one in then["history"]] == [owner.user_id]
    now = await desk.ok("GET", path + quote(clock.now().isoformat()), by=admin)
    assert [one["type"] for one in now["history"]] == ["job.job_created.v1", "job.job_published.v1"]

    rows = await looked(desk, admin)
    assert [(row["type"], row["actor"]) for row in rows] == [("job.past_job_viewed.v1", admin.user_id)] * 2
    assert f'"viewed":"job:{job["id"]}"' in rows[0]["data"]
    before = quote((drafted - timedelta(days=1)).isoformat())
    assert (await desk.call("GET", path + before, by=admin)).status == 404
    assert len(await looked(desk, admin)) == 2


async def test_a_contract_as_it_stood(desk: Desk) -> None:
    admin = person(Role.ADMIN)
    contract = await desk.active(hirer(), worker())
    path = f"/contracts/{contract['id']}"
    then = await desk.ok("GET", f"{path}?at={quote(clock.now().isoformat())}", by=admin)
    assert (then["last"], then["state"]["complete"]) == ("job.contract_signed.v1", True)
    assert (await desk.call("GET", path, by=admin)).status == 404  # how it stands is for its sides


@pytest.mark.parametrize("at", BAD)
async def test_no_instant(desk: Desk, at: str) -> None:
    admin = person(Role.ADMIN)
    job = await desk.draft(hirer())
    reply = await desk.call("GET", f"/jobs/{job['id']}?at={quote(at)}", by=admin)
    assert (reply.status, reply.data["errors"]) == (400, [{"field": "at", "message": BAD[at]}])
    assert await looked(desk, admin) == []


@pytest.mark.parametrize("role", [Role.HIRER, Role.WORKER, Role.SUPPORT, Role.MODERATOR, None])
async def test_others_cannot_look_back(desk: Desk, role: Role | None) -> None:
    owner = hirer()
    job = await desk.open_job(owner)
    by = owner if role is Role.HIRER else person(role) if role else None
    reply = await desk.call("GET", f"/jobs/{job['id']}?at={quote(clock.now().isoformat())}", by=by)
    assert (reply.status, reply.data["code"]) == (403, "forbidden")
