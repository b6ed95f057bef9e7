"""Jobs for a worker, workers for a job."""

from typing import Any

import pytest

from kelmah.contracts.common import Location, Money
from kelmah.contracts.user import WorkerFacts
from kelmah.kit.errors import Unavailable
from tests.fakes.user import FakeUserClient
from tests.integration.job.steps import ACCRA, KUMASI, TEMA, Desk, hirer, worker


def _facts(user_id: str, skills: list[str], place: list[float] | None = None, **more: Any) -> WorkerFacts:
    location = Location(city="X", region="Y", coordinates=(place[0], place[1])) if place else None
    return WorkerFacts(user_id=user_id, display_name="Kofi M.", skills=skills, location=location, **more)


def _at(place: list[float]) -> dict[str, Any]:
    return {"city": "X", "region": "Ashanti", "coordinates": place}


async def test_a_worker_is_recommended_open_jobs_of_the_trade_the_best_first(desk: Desk, users: FakeUserClient) -> None:
    anna, kofi = hirer(), worker()
    users.workers[kofi.user_id] = _facts(kofi.user_id, ["weaver-and-jeweller"], ACCRA, hourly_rate=Money(amount=5_000))
    wanted = {"category": "fashion-beauty", "skills": ["weaver-and-jeweller"]}
    far = await desk.open_job(anna, **wanted, location=_at(KUMASI))
    near = await desk.open_job(anna, **wanted, location=_at(ACCRA))
    close = await desk.open_job(anna, **wanted, location=_at(TEMA))
    both = ["weaver-and-jeweller", "tailor"]
    half = await desk.open_job(anna, category="fashion-beauty", skills=both, location=_at(ACCRA))
    poor = await desk.open_job(anna, **wanted, location=_at(ACCRA), budget={"amount": 100, "currency": "GHS"})
    applied = await desk.open_job(anna, **wanted, location=_at(ACCRA))
    await desk.application(applied["id"], kofi)
    await desk.draft(anna, **wanted, location=_at(ACCRA))
    await desk.open_job(anna, category="fashion-beauty", skills=["barber"], location=_at(ACCRA))

    found = (await desk.ok("GET", "/jobs/recommendations", by=kofi))["items"]
    assert [one["job"]["id"] for one in found] == [one["id"] for one in (near, half, close, poor, far)]
    best = found[0]
    assert best["sides"] == {"hirer": 745, "worker": 1000}
    assert best["score"] == sum(best["contributions"].values()) == 863
    assert best["reasons"] == [
        "1 of 1 trades fit: Weaver and jeweller",
        "1 km away",
        "New on Kelmah",
        "The budget pays at least a day at the usual rate",
        "Published today",
    ]
    limited = await desk.ok("GET", "/jobs/recommendations?limit=2", by=kofi)
    assert [one["job"]["id"] for one in limited["items"]] == [near["id"], half["id"]]


async def test_the_wrong_trade_is_never_recommended(desk: Desk, users: FakeUserClient) -> None:
    anna, dentist = hirer(), worker()
    users.workers[dentist.user_id] = _facts(dentist.user_id, ["blacksmith"], ACCRA)
    await desk.open_job(anna)
    assert (await desk.ok("GET", "/jobs/recommendations", by=dentist))["items"] == []


async def test_without_a_profile_there_is_nothing_and_without_the_user_service_503(
    desk: Desk, users: FakeUserClient
) -> None:
    assert await desk.ok("GET", "/jobs/recommendations", by=worker()) == {"items": [], "nextCursor": None}
    assert (await desk.call("GET", "/jobs/recommendations")).status == 401
    assert (await desk.call("GET", "/jobs/recommendations", by=hirer())).status == 403

    class Down(FakeUserClient):
        async def get_worker(self, *, user_id: str) -> WorkerFacts:
            raise Unavailable

    desk.service.replace(user=Down())
    assert (await desk.call("GET", "/jobs/recommendations", by=worker())).status == 503


async def test_a_hirer_sees_who_fits_and_not_where_they_live(desk: Desk, users: FakeUserClient) -> None:
    anna = hirer()
    job = await desk.open_job(anna)
    people = [
        _facts("far", ["plumber", "pump-technician"], KUMASI, rating_milli=5_000, review_count=80),
        _facts("near", ["plumber", "pump-technician"], TEMA, rating_milli=4_500, review_count=8),
        _facts("new", ["plumber", "pump-technician"], ACCRA),
        _facts("half", ["pump-technician"], ACCRA),
        _facts("away", ["plumber", "pump-technician"], ACCRA, is_available=False),
        _facts("borehole", ["borehole-driller"], ACCRA, rating_milli=5_000, review_count=900),
        _facts("barber", ["barber"], ACCRA, rating_milli=5_000, review_count=900),
    ]
    users.workers = {one.user_id: one for one in people}
    found = (await desk.ok("GET", f"/jobs/{job['id']}/matches", by=anna))["items"]
    assert [one["worker"]["userId"] for one in found] == ["new", "half", "near", "far"]
    assert users.asked is not None
    assert {"plumber", "pump-technician", "water-sanitation"} <= set(users.asked[0])
    assert found[2]["worker"]["distanceKm"] == 20
    assert found[2]["reasons"] == [
        "2 of 2 trades fit: Plumber, Pump technician",
        "20 km away",
        "Rated 4.5 of 5 in 8 reviews",
        "Published today",
    ]
    assert all(one["score"] == sum(one["contributions"].values()) for one in found)
    assert "location" not in found[0]["worker"]
    assert "coordinates" not in str(found)


@pytest.mark.parametrize("action", ["close", "accept"])
async def test_a_job_that_is_taken_or_closed_has_no_matches(desk: Desk, action: str) -> None:
    anna = hirer()
    job = await desk.open_job(anna)
    if action == "close":
        await desk.ok("POST", f"/jobs/{job['id']}/close", by=anna)
    else:
        made = await desk.application(job["id"], worker())
        await desk.ok("POST", f"/applications/{made['id']}/accept", by=anna)
    assert (await desk.call("GET", f"/jobs/{job['id']}/matches", by=anna)).status == 409
