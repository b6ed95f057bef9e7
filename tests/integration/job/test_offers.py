"""Direct offers wait for an answer for some days, and each hirer has so many of them at once."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from kelmah.contracts.user import WorkerFacts
from kelmah.kit import clock
from kelmah.services.job import service
from tests.fakes.user import FakeUserClient
from tests.integration.job.steps import Desk, hirer, worker
from tests.integration.job.test_planning import TEMPLATE, TEMPLATES, offered


@pytest.fixture
def few_offers(desk: Desk) -> int:
    settings = desk.service.context.settings
    desk.service.replace(settings=settings.model_copy(update={"max_open_offers": 3}))
    return 3


@pytest.fixture(autouse=True)
def settings_again(desk: Desk) -> Any:
    settings = desk.service.context.settings
    yield
    desk.service.replace(settings=settings)
    clock.reset()


async def test_an_offer_without_an_answer_expires_and_its_job_can_be_published(
    desk: Desk, users: FakeUserClient
) -> None:
    anna, kofi = hirer(), worker()
    contract = await offered(desk, users, anna, kofi)
    path, contract_id = f"/contracts/{contract['id']}", contract["id"]
    timer = await desk.service.context.mongo.collection("timers").find_one({"_id": f"expire-offer:{contract_id}"})
    assert (timer["actor"], timer["args"]) == ("job.expire_offer", [contract_id])
    (step,) = (await desk.ok("GET", f"{path}/next", by=kofi))["items"]
    assert (step["action"], step["at"]) == ("answer_offer", contract["offerExpiresAt"])
    clock.shift(timedelta(days=7, seconds=-5))
    await service.expire_offer(desk.service.context, contract_id)
    assert await desk.ok("GET", path, by=kofi) == contract  # too early

    clock.shift(timedelta(seconds=5))
    late = await desk.call("POST", f"{path}/offer/accept", by=kofi)  # though no timer came yet
    assert (late.status, late.data["code"]) == (409, "job.offer_expired")
    assert await desk.ok("GET", path, by=kofi) == contract
    await asyncio.gather(*(service.expire_offer(desk.service.context, contract_id) for _ in range(3)))

    ended = await desk.ok("GET", path, by=kofi)
    assert (ended["status"], ended["cancelledBy"]) == ("cancelled", None)
    assert ended["reason"] == "The offer was not answered in time."
    assert await desk.events(f"contract:{contract_id}") == ["contract_offered", "contract_offer_expired"]
    for answer in ("accept", "decline"):
        reply = await desk.call("POST", f"{path}/offer/{answer}", by=kofi)
        assert (reply.status, reply.data["code"]) == (409, "job.illegal_step")
    assert (await desk.ok("POST", f"/jobs/{contract['jobId']}/publish", by=anna))["status"] == "open"


async def test_a_timer_that_comes_after_the_answer_does_nothing(desk: Desk, users: FakeUserClient) -> None:
    anna, kofi = hirer(), worker()
    contract = await offered(desk, users, anna, kofi)
    taken = await desk.ok("POST", f"/contracts/{contract['id']}/offer/accept", by=kofi)
    clock.shift(timedelta(days=8))
    await service.expire_offer(desk.service.context, contract["id"])
    assert await desk.ok("GET", f"/contracts/{contract['id']}", by=anna) == taken


async def test_open_offers_are_bounded_also_when_they_are_made_at_once(
    desk: Desk, users: FakeUserClient, few_offers: int
) -> None:
    anna = hirer()
    template = await desk.ok("POST", TEMPLATES, TEMPLATE, by=anna)
    workers = [worker() for _ in range(10)]
    for one in workers:
        users.workers[one.user_id] = WorkerFacts(user_id=one.user_id, display_name="Kofi", skills=["plumber"])
    path = f"{TEMPLATES}/{template['id']}/offers"
    replies = await asyncio.gather(*(desk.call("POST", path, {"workerId": one.user_id}, by=anna) for one in workers))
    assert sorted(one.status for one in replies) == [201] * few_offers + [409] * 7
    assert {one.data["code"] for one in replies if one.status == 409} == {"job.too_many_offers"}
    made = (await desk.ok("GET", "/contracts?status=offered", by=anna))["items"]
    assert len(made) == few_offers
    assert len((await desk.ok("GET", "/jobs?mine=true", by=anna))["items"]) == few_offers
    # An answer makes room for another one.
    answered = next(one for one in workers if one.user_id == made[0]["workerId"])
    await desk.ok("POST", f"/contracts/{made[0]['id']}/offer/decline", by=answered)
    assert (await desk.call("POST", path, {"workerId": answered.user_id}, by=anna)).status == 201
    assert (await desk.call("POST", path, {"workerId": answered.user_id}, by=anna)).status == 409
