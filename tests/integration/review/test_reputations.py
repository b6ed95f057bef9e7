"""Reputations: they age, they are recomputed from events to the last digit, and they say where one stands."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kelmah.contracts.common import Role
from kelmah.contracts.events import decode
from kelmah.contracts.job import MilestoneStatus
from kelmah.contracts.payment import DisputeResolved
from kelmah.contracts.review import ReviewModerated, ReviewRevealed
from kelmah.kit import clock, events, timers
from kelmah.kit.context import Principal
from kelmah.kit.events import from_document
from kelmah.kit.ids import new_id
from kelmah.services.review import service
from kelmah.services.review.documents import ReputationDocument
from kelmah.services.review.service import formula, reputations
from tests.fixtures.events import envelope
from tests.fixtures.service import Service, person
from tests.integration.review.conftest import Contracts
from tests.integration.review.test_suspicion import exchange

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def stopped() -> AsyncIterator[None]:
    clock.stop(NOON)
    yield
    clock.reset()


async def reputation(reviews: Service, of: Principal) -> dict[str, Any]:
    return dict((await reviews.call("GET", f"/api/v1/users/{of.user_id}/reputation")).data)


async def test_a_reputation_ages_when_the_month_turns(reviews: Service, contracts: Contracts) -> None:
    worker = person(Role.WORKER)
    await exchange(reviews, contracts, person(Role.HIRER), worker, rating=1)
    assert (await reputation(reviews, worker))["ratingMilli"] == 3500
    timer = await reviews.context.mongo.collection(timers.TIMERS).find_one({"_id": f"age:{worker.user_id}"})
    assert (timer["actor"], timer["due"]) == ("review.age_reputation", datetime(2026, 12, 1, tzinfo=UTC))
    clock.stop(datetime(2028, 11, 2, tzinfo=UTC))
    await service.age_reputation(reviews.context, worker.user_id)
    shown = await reputation(reviews, worker)
    # (5000 x 4000 + 500 x 1000) / 5500
    assert (shown["ratingMilli"], shown["formula"]["months"][0]["weightMilli"]) == (3727, 500)
    assert shown["agesAt"] == "2028-12-01T00:00:00Z"
    kept = await ReputationDocument.get(worker.user_id)
    assert kept is not None
    assert kept.rating_milli == 3727


async def test_what_a_reputation_is_made_of(reviews: Service, contracts: Contracts) -> None:
    worker = person(Role.WORKER)
    for rating in (5, 4):
        await exchange(reviews, contracts, person(Role.HIRER), worker, rating=rating)
    shown = await reputation(reviews, worker)
    assert shown["formula"]["months"] == [{"month": "2026-11", "weightMilli": 1000, "count": 2, "sumOfStars": 9}]
    # (5 x 4000 + 9000) / 7 = 4142.86; (4143 - 1000) / 4 = 786 x 0.7 = 550; 500 x 0.2; 2 of 20 x 0.1
    assert [(part["name"], part["points"]) for part in shown["scoreParts"]] == [
        ("rating", 550),
        ("would_work_again", 100),
        ("experience", 10),
    ]
    assert (shown["ratingMilli"], shown["score"]) == (4143, 660)
    assert (shown["nextFiveStarsMilli"], shown["nextOneStarMilli"]) == (4250, 3750)
    assert shown["nextFiveStarsScore"] > shown["score"] > shown["nextOneStarScore"]
    assert shown["trend"] == {
        "recentCount": 2, "recentMeanMilli": 4500, "earlierCount": 0, "earlierMeanMilli": None,
    }  # fmt: skip
    assert shown["standing"] is None


async def test_a_standing_among_those_of_the_trade_and_region(reviews: Service, contracts: Contracts) -> None:
    trade, region = "electrician", f"Region {new_id()}"
    workers = [person(Role.WORKER) for _ in range(5)]
    for number, worker in enumerate(workers):
        await exchange(reviews, contracts, person(Role.HIRER), worker, rating=number + 1, trade=trade, region=region)
        if number < 4:  # too few to compare with
            assert (await reputation(reviews, worker))["standing"] is None
    found = [(await reputation(reviews, worker))["standing"] for worker in workers]
    assert [one["percentile"] for one in found] == [0, 20, 40, 60, 80]
    assert (found[0]["trade"], found[0]["region"], found[0]["workers"]) == (trade, region, 5)


async def test_a_score_is_replayed_from_events_to_the_last_digit(reviews: Service, contracts: Contracts) -> None:
    worker, moderator = person(Role.WORKER), person(Role.MODERATOR)
    texts = ["Fine.", "He is an idiot.", "He is an idiot, too.", "Good.", "What an idiot."]
    made = []
    for number, text in enumerate(texts):
        clock.stop(NOON - timedelta(days=200 - 40 * number))
        made.append(await exchange(reviews, contracts, person(Role.HIRER), worker, text=text, rating=number + 1))
    for review, decision in ((made[1], "publish"), (made[2], "remove"), (made[4], "exclude")):
        body = {"decision": decision, "reason": "House rules."}
        path = f"/api/v1/moderation/reviews/{review['id']}/decision"
        assert (await reviews.call("POST", path, body, by=moderator)).status == 200
    clock.stop(NOON)
    await service.age_reputation(reviews.context, worker.user_id)
    shown = await reputation(reviews, worker)
    months = await replay(reviews, worker)
    assert shown["reviewCount"] == sum(sum(stars.values()) for stars in months.values()) == 3
    assert shown["ratingMilli"] == formula.rating_milli(months, NOON)
    counted = await reputations.count(worker.user_id, NOON)
    assert counted == await ReputationDocument.get(worker.user_id)


async def replay(reviews: Service, worker: Principal) -> dict[str, dict[str, int]]:
    """Count by what events say, and nothing else."""
    counting: dict[str, tuple[str, str]] = {}
    async for row in reviews.context.mongo.collection(events.EVENTS).find({}).sort([("subject", 1), ("sequence", 1)]):
        stored = from_document(row)
        event = decode(stored)
        if isinstance(event, ReviewRevealed) and event.subject_id == worker.user_id:
            counting[event.review_id] = (formula.month_of(stored.time), str(event.rating))
        elif isinstance(event, ReviewModerated) and event.decision != "revealed":
            counting.pop(event.review_id, None)
    months: dict[str, dict[str, int]] = {}
    for month, star in counting.values():
        stars = months.setdefault(month, {})
        stars[star] = stars.get(star, 0) + 1
    return months


async def test_a_ruling_opens_a_contract_for_reviews(reviews: Service, contracts: Contracts) -> None:
    hirer, worker = person(Role.HIRER), person(Role.WORKER)
    contract = contracts.make(hirer, worker, MilestoneStatus.REFUNDED)
    body = {"contractId": contract.id, "rating": 2, "text": "He did not come."}
    assert (await reviews.call("POST", "/api/v1/reviews", body, by=hirer)).status == 409
    ruling = DisputeResolved(
        dispute_id=new_id(),
        escrow_id=new_id(),
        contract_id=contract.id,
        milestone_id=contract.milestones[0].id,
        hirer_id=hirer.user_id,
        worker_id=worker.user_id,
        worker_amount=0,
        hirer_amount=100,
    )
    twice = envelope(ruling)
    for _ in range(2):
        await service.on_dispute_resolved(reviews.context, twice, ruling)
    assert (await reviews.call("POST", "/api/v1/reviews", body, by=hirer)).status == 201
