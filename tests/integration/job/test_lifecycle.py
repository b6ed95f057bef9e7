"""What the rest and the end of an account do to jobs, applications and contracts."""

from typing import Any

from kelmah.contracts.auth import AccountDeactivated, AccountDeleted
from kelmah.kit.context import Principal
from kelmah.services.job import service
from tests.fixtures.events import envelope
from tests.integration.job.steps import Desk, hirer, worker


async def delete(desk: Desk, who: Principal) -> None:
    event = AccountDeleted(user_id=who.user_id)
    for _ in range(2):
        await service.on_account_deleted(desk.service.context, envelope(event), event)


async def status(desk: Desk, collection: str, row_id: str) -> str | None:
    row: dict[str, Any] | None = await desk.service.context.mongo.collection(collection).find_one({"_id": row_id})
    return str(row["status"]) if row else None


async def test_a_resting_hirers_jobs_are_paused_and_nothing_else(desk: Desk) -> None:
    kofi, other = hirer(), hirer()
    job, foreign, draft = await desk.open_job(kofi), await desk.open_job(other), await desk.draft(kofi)
    application = await desk.application(job["id"], worker())
    event = AccountDeactivated(user_id=kofi.user_id, by=kofi.user_id)
    for _ in range(2):
        await service.on_account_deactivated(desk.service.context, envelope(event), event)
    found = [await status(desk, "jobs", one["id"]) for one in (job, foreign, draft)]
    assert found == ["paused", "open", "draft"]
    assert await status(desk, "applications", application["id"]) == "submitted"
    assert (await desk.events(f"job:{job['id']}")).count("job_paused") == 1
    assert (await desk.ok("POST", f"/jobs/{job['id']}/publish", by=kofi))["status"] == "open"


async def test_a_deleted_hirers_offers_end_and_running_contracts_stay(desk: Desk) -> None:
    kofi, ama = hirer(), worker()
    running, unsigned = await desk.active(kofi, ama), await desk.contract(kofi, worker())
    job, draft = await desk.open_job(kofi), await desk.draft(kofi)
    paused = await desk.open_job(kofi)
    await desk.ok("POST", f"/jobs/{paused['id']}/pause", by=kofi)
    application = await desk.application(job["id"], ama)
    await delete(desk, kofi)
    assert [await status(desk, "jobs", one["id"]) for one in (job, paused, draft)] == ["cancelled", "cancelled", None]
    assert await status(desk, "applications", application["id"]) == "rejected"
    assert [await status(desk, "contracts", one["id"]) for one in (running, unsigned)] == ["active", "cancelled"]
    assert (await desk.events(f"job:{job['id']}")).count("job_closed") == 1


async def test_a_deleted_workers_applications_are_withdrawn(desk: Desk) -> None:
    kofi, ama, other = hirer(), worker(), worker()
    job = await desk.open_job(kofi)
    mine = await desk.application(job["id"], ama)
    second = await desk.open_job(kofi)
    shortlisted = await desk.application(second["id"], ama)
    await desk.ok("POST", f"/applications/{shortlisted['id']}/shortlist", by=kofi)
    theirs = await desk.application(job["id"], other)
    await desk.ok("PUT", f"/jobs/saved/{job['id']}", by=ama)
    await delete(desk, ama)
    found = [await status(desk, "applications", one["id"]) for one in (mine, shortlisted, theirs)]
    assert found == ["withdrawn", "withdrawn", "submitted"]
    assert await status(desk, "jobs", job["id"]) == "open"
    saved = desk.service.context.mongo.collection("saved_jobs")
    assert await saved.count_documents({"worker_id": ama.user_id}) == 0
