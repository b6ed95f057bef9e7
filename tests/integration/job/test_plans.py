"""Every query of the service uses an index and reads few: the database's own profile of a day's work says so."""

from datetime import timedelta
from typing import Any

from kelmah.contracts.common import Location
from kelmah.contracts.user import WorkerFacts
from kelmah.kit.ids import new_id
from kelmah.services.job import service
from kelmah.services.job.documents import DOCUMENTS
from kelmah.services.job.documents.search import MAX_COUNTED
from tests.fakes.user import FakeUserClient
from tests.integration.job.steps import ACCRA, JOB, Desk, hirer, milestone, worker

#: What the day's work must have asked of the database, so that it stays a day's work.
READ = {one.Settings.name for one in DOCUMENTS}
FAR = {"city": "Sea", "region": "Sea", "coordinates": [-20, -20]}
SEARCHES = (
    "",
    "q=plumber",
    "q=plumber+sink",
    "q=plomber",
    "q=plu",
    "category=building",
    "skill=plumber&region=ashanti",
    "region=greater+accra",
    "minBudget=1&maxBudget=900000",
    "urgent=true",
    "sort=budget",
    "sort=budget&minBudget=10",
    "near=0,0&radiusKm=500",
    "near=0,0&radiusKm=500&sort=nearest",
    "q=sink&near=0,0&sort=nearest&skill=plumber",
    "q=sink&near=0,0&radiusKm=500&sort=nearest&region=Greater+Accra&urgent=true",
    "near=0,0&radiusKm=500&sort=nearest&minBudget=1&maxBudget=2",
    "q=sink+plumber&minBudget=1&maxBudget=900000&explain=true&urgent=true&skill=plumber",
)


#: Open jobs that no search of the day looks for, and the most that any query but the counts of facets may read.
CROWD, MOST_READ = 300, 100
#: With these conditions even facets read jobs: a place, and a second condition on a list.
NOT_COVERED = {"location.point", "$and"}


async def test_no_query_of_a_days_work_scans_a_collection_or_reads_much(desk: Desk, users: FakeUserClient) -> None:
    database = desk.service.context.mongo.database
    await _crowd(desk)
    await database.command({"profile": 2, "filter": {"ns": {"$ne": f"{database.name}.system.profile"}}})
    try:
        await _a_days_work(desk, users)
    finally:
        await database.command({"profile": 0, "filter": "unset"})
    rows = await database["system.profile"].find({"planSummary": {"$exists": True}}).to_list()
    await database["system.profile"].drop()
    asked = {row["ns"].removeprefix(f"{database.name}.") for row in rows}
    assert asked >= READ - {"words"}
    assert [_query(row) for row in rows if "COLLSCAN" in row["planSummary"]] == []
    assert [_query(row) for row in rows if row.get("docsExamined", 0) > MOST_READ] == []
    counted = [row for row in rows if {"$limit": MAX_COUNTED} in row["command"].get("pipeline", ())]
    by_index = [row for row in counted if not NOT_COVERED & row["command"]["pipeline"][0]["$match"].keys()]
    assert len(by_index) > 5
    assert [_query(row) for row in by_index if row["docsExamined"]] == []


async def _crowd(desk: Desk) -> None:
    """Far away, of another trade or of another region; they are older than what the day publishes.

    What other tests left is taken away: how much a search reads is counted.
    """
    await desk.service.context.mongo.collection("jobs").delete_many({})
    job = await desk.open_job(hirer(), title="Crowd", skills=["barber"], category="fashion-beauty", location=FAR)
    jobs = desk.service.context.mongo.collection("jobs")
    row = await jobs.find_one({"_id": job["id"]})
    assert row is not None
    plumbing = {"trades": ["plumber"], "skills": ["plumber"]}
    rows = [
        row
        | {"_id": new_id(), "published_at": row["published_at"] - timedelta(minutes=at)}
        | (plumbing if at % 10 == 0 else {})
        for at in range(CROWD)
    ]
    await jobs.insert_many(rows)


def _query(row: dict[str, Any]) -> tuple[str, Any]:
    command = row["command"]
    return row["ns"], command.get("filter") or command.get("pipeline") or command.get("q") or command


async def _a_days_work(desk: Desk, users: FakeUserClient) -> None:
    anna, kofi, ama = hirer(), worker(), worker()
    place = Location(city="X", region="Y", coordinates=(ACCRA[0], ACCRA[1]))
    for one in (kofi, ama):
        users.workers[one.user_id] = WorkerFacts(
            user_id=one.user_id, display_name="K", skills=["plumber"], location=place
        )
    saved = await desk.ok("POST", "/jobs/searches", {"name": "mine", "skill": ["plumber"]}, by=ama)
    template = JOB | {"name": "Sink"}
    path = f"/contract-templates/{(await desk.ok('POST', '/contract-templates', template, by=anna))['id']}"
    await desk.ok("PUT", path, template, by=anna, headers={"If-Match": '"1"'})
    offer = await desk.ok("POST", f"{path}/offers", {"workerId": ama.user_id}, by=anna)
    await desk.ok("POST", f"/contracts/{offer['id']}/offer/accept", by=ama)
    await desk.ok("DELETE", path, by=anna)
    for side in (anna, kofi):
        await desk.ok("GET", "/calendar", by=side)
        feed = await desk.ok("POST", "/calendar/feed", by=side)
        assert (await desk.call("GET", feed["path"].removeprefix("/api/v1"))).status == 200
        await desk.ok("DELETE", "/calendar/feed", by=side)
    await service.expire_offer(desk.service.context, offer["id"])
    jobs = [await desk.open_job(anna, urgent=True) for _ in range(3)]
    job = jobs[0]["id"]
    await service.alert_workers(desk.service.context, job)
    await service.expire_job(desk.service.context, job)
    await desk.ok("DELETE", f"/jobs/searches/{saved['id']}", by=ama)
    await desk.ok("PATCH", f"/jobs/{job}", {"title": "Sink"}, by=anna, headers={"If-Match": '"2"'})
    await desk.ok("POST", f"/jobs/{job}/versions/2/restore", by=anna, headers={"If-Match": '"3"'})
    for search in SEARCHES:
        page = await desk.ok("GET", f"/jobs?limit=1&{search}")
        if page["nextCursor"]:
            await desk.ok("GET", f"/jobs?limit=1&{search}&cursor={page['nextCursor']}")
        if "sort" not in search:
            await desk.ok("GET", f"/jobs/facets?currency=GHS&{search}".rstrip("&"))
    await desk.ok("GET", "/jobs/suggestions?q=si")
    for path in ("/jobs?mine=true&status=open", f"/jobs/{job}", f"/jobs/{job}/matches", f"/jobs/{job}/versions"):
        await desk.ok("GET", path, by=anna)
    await desk.ok("POST", f"/jobs/{job}/invitations", {"workerId": kofi.user_id}, by=anna)
    await desk.ok("GET", f"/jobs/{job}/invitations", by=anna)
    await desk.ok("PUT", f"/jobs/saved/{job}", by=kofi)
    await desk.application(jobs[1]["id"], ama)
    other = await desk.application(job, ama)
    application = await desk.application(job, kofi)
    for path in ("/jobs/recommendations", "/jobs/saved", "/jobs/searches", "/applications/me", "/invitations/me"):
        await desk.ok("GET", path, by=kofi)
    await desk.ok("GET", f"/jobs/{job}/applications?status=submitted", by=anna)
    await desk.ok("POST", f"/applications/{other['id']}/shortlist", by=anna)
    contract = (await desk.ok("POST", f"/applications/{application['id']}/accept", by=anna))["contract"]
    for side in (anna, kofi):
        await desk.ok("POST", f"/contracts/{contract['id']}/sign", by=side)
        await desk.ok("GET", "/contracts?status=active", by=side)
        await desk.ok("GET", f"/contracts/{contract['id']}/next", by=side)
    part = contract["milestones"][0]["id"]
    await desk.money(contract["id"], part, "funded")
    await desk.ok("POST", milestone(contract["id"], part, "submit"), by=kofi)
    await desk.ok("POST", milestone(contract["id"], part, "approve"), by=anna)
    await desk.ok("POST", f"/jobs/{jobs[1]['id']}/close", by=anna)
