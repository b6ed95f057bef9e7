"""What is held back, who decides on it, and how one appeals."""

from datetime import timedelta
from typing import Any

import pytest

from kelmah.contracts.common import Role
from kelmah.contracts.events import decode
from kelmah.contracts.review import ReviewModerated
from kelmah.kit import clock, events
from kelmah.kit.context import Principal
from kelmah.kit.events import from_document
from kelmah.services.review.documents import ReviewDocument
from tests.fixtures.service import Reply, Service, person
from tests.integration.review.conftest import Contracts

REVIEWS, QUEUE = "/api/v1/reviews", "/api/v1/moderation/reviews"
INSULT = "He is an idiot and knows nothing."


@pytest.fixture
def hirer() -> Principal:
    return person(Role.HIRER)


@pytest.fixture
def worker() -> Principal:
    return person(Role.WORKER)


async def exchange(
    reviews: Service, contracts: Contracts, hirer: Principal, worker: Principal, text: str, rating: int = 1
) -> str:
    """Both sides review; returns the id of the hirer's."""
    contract = contracts.make(hirer, worker)
    body = {"contractId": contract.id, "rating": rating, "text": text}
    first = await reviews.call("POST", REVIEWS, body, by=hirer)
    await reviews.call("POST", REVIEWS, body | {"rating": 5, "text": "She paid at once."}, by=worker)
    return str(first.data["id"])


async def queued(reviews: Service, review_id: str) -> dict[str, Any] | None:
    queue = await reviews.call("GET", f"{QUEUE}?limit=100", by=person(Role.MODERATOR))
    return next((one for one in queue.data["items"] if one["review"]["id"] == review_id), None)


async def decide(reviews: Service, review_id: str, decision: str, by: Principal) -> Reply:
    body = {"decision": decision, "reason": "House rules."}
    return await reviews.call("POST", f"{QUEUE}/{review_id}/decision", body, by=by)


async def reputation(reviews: Service, of: Principal) -> dict[str, Any]:
    return dict((await reviews.call("GET", f"/api/v1/users/{of.user_id}/reputation")).data)


async def types_of(reviews: Service, review_id: str) -> list[str]:
    rows = reviews.context.mongo.collection(events.EVENTS).find({"subject": f"review:{review_id}"}).sort("sequence")
    return [row["type"].split(".")[1] async for row in rows]


async def test_an_insult_is_held_until_a_moderator_publishes_it(
    reviews: Service, contracts: Contracts, hirer: Principal, worker: Principal
) -> None:
    review_id = await exchange(reviews, contracts, hirer, worker, INSULT)
    for by in (None, worker, person(Role.ADMIN)):
        assert (await reviews.call("GET", f"{REVIEWS}/{review_id}", by=by)).status == 404
    own = await reviews.call("GET", f"{REVIEWS}/{review_id}", by=hirer)
    assert (own.data["status"], own.data["decision"]) == ("held", None)
    assert (await reputation(reviews, worker))["reviewCount"] == 0
    assert (await reputation(reviews, hirer))["reviewCount"] == 1  # the other side's is public
    waiting = await queued(reviews, review_id)
    assert waiting is not None
    assert (waiting["labels"], waiting["reportCount"], waiting["appeal"]) == (["insult"], 0, None)
    moderator = person(Role.MODERATOR)
    assert (await decide(reviews, review_id, "publish", moderator)).data["status"] == "revealed"
    assert (await reviews.call("GET", f"{REVIEWS}/{review_id}")).data["rating"] == 1
    assert (await reputation(reviews, worker))["ratingMilli"] == 3500
    assert await queued(reviews, review_id) is None
    assert await types_of(reviews, review_id) == [
        "review_submitted",
        "review_held",
        "review_revealed",
        "review_moderated",
    ]


async def test_a_held_review_stays_sealed_from_moderators_until_the_reveal(
    reviews: Service, contracts: Contracts, hirer: Principal, worker: Principal
) -> None:
    contract = contracts.make(hirer, worker)
    first = await reviews.call("POST", REVIEWS, {"contractId": contract.id, "rating": 1, "text": INSULT}, by=hirer)
    assert first.data["status"] == "sealed"
    assert await queued(reviews, first.data["id"]) is None
    assert (await decide(reviews, first.data["id"], "remove", person(Role.MODERATOR))).status == 404


async def test_an_excluded_review_is_read_but_does_not_count(
    reviews: Service, contracts: Contracts, hirer: Principal, worker: Principal
) -> None:
    review_id = await exchange(reviews, contracts, hirer, worker, INSULT)
    assert (await decide(reviews, review_id, "exclude", person(Role.ADMIN))).data["status"] == "excluded"
    assert (await reviews.call("GET", f"{REVIEWS}/{review_id}")).data["status"] == "excluded"
    listed = await reviews.call("GET", f"{REVIEWS}?subjectId={worker.user_id}")
    assert [one["id"] for one in listed.data["items"]] == [review_id]
    assert (await reputation(reviews, worker))["reviewCount"] == 0


async def test_a_side_appeals_once_and_another_moderator_decides(
    reviews: Service, contracts: Contracts, hirer: Principal, worker: Principal
) -> None:
    review_id = await exchange(reviews, contracts, hirer, worker, INSULT)
    path, text = f"{REVIEWS}/{review_id}/appeal", {"text": "That is how it was, word by word."}
    early = await reviews.call("POST", path, text, by=hirer)
    assert (early.status, early.data["code"]) == (409, "review.nothing_to_appeal")
    first, second = person(Role.MODERATOR), person(Role.MODERATOR)
    await decide(reviews, review_id, "remove", first)
    shown = (await reviews.call("GET", f"{REVIEWS}/{review_id}", by=hirer)).data
    assert (shown["status"], shown["decision"]["reason"], shown["decision"]["canAppeal"]) == (
        "removed",
        "House rules.",
        True,
    )
    for by, status in ((None, 401), (person(), 404), (first, 404)):
        assert (await reviews.call("POST", path, text, by=by)).status == status
    assert await queued(reviews, review_id) is None
    assert (await reviews.call("POST", path, text, by=hirer)).data["decision"]["canAppeal"] is False
    again = await reviews.call("POST", path, text, by=worker)
    assert (again.status, again.data["code"]) == (409, "review.nothing_to_appeal")
    waiting = await queued(reviews, review_id)
    assert waiting is not None
    assert waiting["appeal"] == text["text"]
    own = await decide(reviews, review_id, "remove", first)
    assert (own.status, own.data["code"]) == (409, "review.own_decision")
    assert (await decide(reviews, review_id, "publish", second)).data["status"] == "revealed"
    row = await reviews.context.mongo.collection(events.EVENTS).find_one(
        {"subject": f"review:{review_id}"}, sort=[("sequence", -1)]
    )
    last = decode(from_document(row))
    assert isinstance(last, ReviewModerated)
    assert (last.moderator_id, last.decision, last.is_appeal) == (second.user_id, "revealed", True)
    stored = await ReviewDocument.get_pymongo_collection().find_one({"_id": review_id})
    assert "word by word" not in str(stored)


@pytest.mark.parametrize(("days", "status"), [(29, 200), (31, 409)])
async def test_an_appeal_has_thirty_days(
    reviews: Service, contracts: Contracts, hirer: Principal, worker: Principal, days: int, status: int
) -> None:
    review_id = await exchange(reviews, contracts, hirer, worker, INSULT)
    await decide(reviews, review_id, "remove", person(Role.MODERATOR))
    await ReviewDocument.get_pymongo_collection().update_one(
        {"_id": review_id}, {"$set": {"decision.decided_at": clock.now() - timedelta(days=days)}}
    )
    reply = await reviews.call("POST", f"{REVIEWS}/{review_id}/appeal", {"text": "Please look again."}, by=hirer)
    assert reply.status == status


@pytest.mark.parametrize("text", ["too short", "x" * 2001, "look\x00again, please"])
async def test_a_bad_appeal_names_its_field(
    reviews: Service, contracts: Contracts, hirer: Principal, worker: Principal, text: str
) -> None:
    review_id = await exchange(reviews, contracts, hirer, worker, INSULT)
    await decide(reviews, review_id, "remove", person(Role.MODERATOR))
    reply = await reviews.call("POST", f"{REVIEWS}/{review_id}/appeal", {"text": text}, by=hirer)
    assert (reply.status, reply.data["errors"][0]["field"]) == (400, "text")
    assert await queued(reviews, review_id) is None


async def test_a_reply_that_would_be_held_is_refused_and_can_be_written_anew(
    reviews: Service, contracts: Contracts, hirer: Principal, worker: Principal
) -> None:
    review_id = await exchange(reviews, contracts, hirer, worker, "Careless work.")
    path = f"{REVIEWS}/{review_id}/reply"
    refused = await reviews.call("POST", path, {"text": "You are the idiot."}, by=worker)
    assert (refused.status, refused.data["code"]) == (400, "review.text_refused")
    assert "insult" in refused.data["detail"]
    assert (await reviews.call("POST", path, {"text": "I am sorry."}, by=worker)).status == 201


async def test_the_platforms_figures_are_for_moderators(
    reviews: Service, contracts: Contracts, hirer: Principal, worker: Principal
) -> None:
    path = "/api/v1/analytics/reviews/platform"
    for by in (None, hirer, worker, person(Role.SUPPORT)):
        assert (await reviews.call("GET", path, by=by)).status in (401, 403)
    before = (await reviews.call("GET", path, by=person(Role.ADMIN))).data
    await exchange(reviews, contracts, hirer, worker, INSULT)
    after = (await reviews.call("GET", path, by=person(Role.MODERATOR))).data
    assert after["byStatus"]["held"] == before["byStatus"].get("held", 0) + 1
    assert after["byLabel"]["insult"] == before["byLabel"].get("insult", 0) + 1
    assert after["queueLength"] == before["queueLength"] + 1
    assert after["months"][-1]["count"] == (before["months"] or [{"count": 0}])[-1]["count"] + 1
