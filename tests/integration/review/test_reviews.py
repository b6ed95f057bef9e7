"""Reviews: sealed, opened together, and counted."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from kelmah.contracts.auth import AccountDeleted
from kelmah.contracts.common import Role
from kelmah.contracts.events import decode
from kelmah.contracts.job import ContractFacts, MilestoneStatus
from kelmah.contracts.review import ReviewSubmitted
from kelmah.kit import clock, events, timers
from kelmah.kit.context import Principal
from kelmah.kit.events import from_document
from kelmah.kit.ids import new_id
from kelmah.services.review import service
from kelmah.services.review.documents import ReviewDocument
from tests.fixtures.events import envelope
from tests.fixtures.service import Reply, Service, person
from tests.integration.review.conftest import Contracts

REVIEWS = "/api/v1/reviews"


def body(contract: ContractFacts, **more: Any) -> dict[str, Any]:
    return {"contractId": contract.id, "rating": 5, "text": "Tidy work."} | more


@pytest.fixture
def hirer() -> Principal:
    return person(Role.HIRER)


@pytest.fixture
def worker() -> Principal:
    return person(Role.WORKER)


@pytest.fixture
def contract(contracts: Contracts, hirer: Principal, worker: Principal) -> ContractFacts:
    return contracts.make(hirer, worker)


async def both_review(reviews: Service, contract: ContractFacts, hirer: Principal, worker: Principal) -> Reply:
    await reviews.call("POST", REVIEWS, body(contract, rating=4), by=worker)
    return await reviews.call("POST", REVIEWS, body(contract, wouldWorkAgain=True), by=hirer)


async def test_the_first_review_is_sealed_from_everybody_but_its_author(
    reviews: Service, contract: ContractFacts, hirer: Principal, worker: Principal
) -> None:
    reply = await reviews.call("POST", REVIEWS, body(contract), by=hirer)
    assert (reply.status, reply.data["status"], reply.data["subjectId"]) == (201, "sealed", worker.user_id)
    path = f"{REVIEWS}/{reply.data['id']}"
    for role in Role:
        stranger = await reviews.call("GET", path, by=person(role))
        assert (stranger.status, stranger.data["code"]) == (404, "review.not_found")
    for by in (None, worker):
        assert (await reviews.call("GET", path, by=by)).status == 404
    assert (await reviews.call("GET", path, by=hirer)).data["text"] == "Tidy work."
    listed = await reviews.call("GET", f"{REVIEWS}?subjectId={worker.user_id}")
    assert listed.data == {"items": [], "nextCursor": None}
    assert (await reviews.call("GET", f"/api/v1/users/{worker.user_id}/reputation")).data["reviewCount"] == 0


async def test_a_sealed_review_is_unreadable_in_the_database_and_its_digest_is_published(
    reviews: Service, contract: ContractFacts, hirer: Principal
) -> None:
    reply = await reviews.call("POST", REVIEWS, body(contract, privateNote="Came late."), by=hirer)
    stored = await ReviewDocument.get_pymongo_collection().find_one({"_id": reply.data["id"]})
    assert stored is not None
    assert "Tidy" not in str(stored)
    assert "late" not in str(stored)
    row = await reviews.context.mongo.collection(events.EVENTS).find_one({"subject": f"review:{reply.data['id']}"})
    event = decode(from_document(row))
    assert isinstance(event, ReviewSubmitted)
    assert event.digest == reply.data["digest"] == service.commitment(stored["salt"], 5, "Tidy work.")


async def test_both_appear_together_and_move_the_reputation(
    reviews: Service, contract: ContractFacts, hirer: Principal, worker: Principal
) -> None:
    second = await both_review(reviews, contract, hirer, worker)
    assert second.data["status"] == "revealed"
    listed = await reviews.call("GET", f"{REVIEWS}?subjectId={worker.user_id}")
    assert [review["rating"] for review in listed.data["items"]] == [5]
    of_worker = (await reviews.call("GET", f"/api/v1/users/{worker.user_id}/reputation")).data
    assert (of_worker["ratingMilli"], of_worker["reviewCount"], of_worker["histogram"]["5"]) == (4167, 1, 1)
    assert (of_worker["wouldWorkAgainYes"], of_worker["wouldWorkAgainLowerBound"]) == (1, 0.2065)
    of_hirer = (await reviews.call("GET", f"/api/v1/users/{hirer.user_id}/reputation")).data
    assert (of_hirer["ratingMilli"], of_hirer["nextFiveStarsMilli"]) == (4000, 4143)
    assert await reviews.context.mongo.collection(timers.TIMERS).find_one({"_id": f"reveal:{contract.id}"}) is None


async def test_both_at_once_are_revealed_all_the_same(reviews: Service, contracts: Contracts) -> None:
    for _ in range(10):
        hirer, worker = person(Role.HIRER), person(Role.WORKER)
        contract = contracts.make(hirer, worker)
        replies = await asyncio.gather(
            reviews.call("POST", REVIEWS, body(contract), by=hirer),
            reviews.call("POST", REVIEWS, body(contract), by=worker),
        )
        assert sorted(reply.data["status"] for reply in replies) == ["revealed", "sealed"]
        statuses = [review.status for review in await ReviewDocument.find({"contract_id": contract.id}).to_list()]
        assert statuses == ["revealed", "revealed"]


async def test_a_silent_side_does_not_hide_a_review_for_ever(
    reviews: Service, contract: ContractFacts, hirer: Principal, worker: Principal
) -> None:
    first = await reviews.call("POST", REVIEWS, body(contract), by=hirer)
    timer = await reviews.context.mongo.collection(timers.TIMERS).find_one({"_id": f"reveal:{contract.id}"})
    assert (timer["actor"], timer["args"]) == ("review.reveal", [contract.id])
    assert timer["due"] - clock.now() <= timedelta(days=14)
    await service.reveal(reviews.context, contract.id)
    await service.reveal(reviews.context, contract.id)
    assert (await reviews.call("GET", f"{REVIEWS}/{first.data['id']}")).data["status"] == "revealed"
    late = await reviews.call("POST", REVIEWS, body(contract), by=worker)
    assert (late.status, late.data["code"]) == (409, "review.window_closed")
    revealed = {"subject": f"review:{first.data['id']}", "type": "review.review_revealed.v1"}
    assert await reviews.context.mongo.collection(events.EVENTS).count_documents(revealed) == 1


async def test_one_review_a_side(reviews: Service, contract: ContractFacts, hirer: Principal) -> None:
    replies = await asyncio.gather(*(reviews.call("POST", REVIEWS, body(contract), by=hirer) for _ in range(10)))
    assert sorted(reply.status for reply in replies) == [201] + [409] * 9
    assert {reply.data["code"] for reply in replies if reply.status == 409} <= {"review.already_reviewed", "conflict"}
    assert await ReviewDocument.find({"contract_id": contract.id}).count() == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [(status, "review.nothing_released") for status in MilestoneStatus if status is not MilestoneStatus.RELEASED],
)
async def test_nothing_released_nothing_to_review(
    reviews: Service, contracts: Contracts, hirer: Principal, worker: Principal, status: MilestoneStatus, code: str
) -> None:
    contract = contracts.make(hirer, worker, status)
    reply = await reviews.call("POST", REVIEWS, body(contract), by=hirer)
    assert (reply.status, reply.data["code"]) == (409, code)
    assert await ReviewDocument.find({"contract_id": contract.id}).count() == 0


async def test_strangers_and_the_nameless_write_nothing(reviews: Service, contract: ContractFacts) -> None:
    for by, status, code in (
        (None, 401, "unauthenticated"),
        (person(Role.HIRER), 403, "review.contract_not_yours"),
        (person(Role.ADMIN), 403, "forbidden"),
    ):
        reply = await reviews.call("POST", REVIEWS, body(contract), by=by)
        assert (reply.status, reply.data["code"]) == (status, code)
    unknown = await reviews.call("POST", REVIEWS, body(contract, contractId=new_id()), by=person())
    assert unknown.data["code"] == "review.contract_not_yours"
    assert await ReviewDocument.find({"contract_id": contract.id}).count() == 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rating": 0}, "rating"),
        ({"rating": 6}, "rating"),
        ({"rating": 4.5}, "rating"),
        ({"text": ""}, "text"),
        ({"text": "x" * 4001}, "text"),
        ({"text": "a\u202eb"}, "text"),
        ({"text": "a\x00b"}, "text"),
        ({"text": "Good.<script>alert(1)</script>"}, "text"),
        ({"text": "<img src=x onerror=alert(1)"}, "text"),
        ({"text": "see JavaScript:alert(1)"}, "text"),
        ({"privateNote": "</p>"}, "privateNote"),
        ({"criteria": {"quality": 5}}, "criteria.communication"),
        ({"privateNote": "x" * 2001}, "privateNote"),
        ({"contractId": {"$ne": ""}}, "contractId"),
    ],
)
async def test_bad_input_names_its_field(
    reviews: Service, contract: ContractFacts, hirer: Principal, change: dict[str, Any], field: str
) -> None:
    reply = await reviews.call("POST", REVIEWS, body(contract, **change), by=hirer)
    assert (reply.status, reply.data["errors"][0]["field"]) == (400, field)
    assert await ReviewDocument.find({"contract_id": contract.id}).count() == 0


async def test_nobody_reviews_themselves(reviews: Service, contracts: Contracts, worker: Principal) -> None:
    own = contracts.make(worker, worker)
    reply = await reviews.call("POST", REVIEWS, body(own), by=worker)
    assert (reply.status, reply.data["code"]) == (403, "review.contract_not_yours")
    assert await ReviewDocument.find({"contract_id": own.id}).count() == 0


async def test_signs_that_are_no_markup_are_taken(reviews: Service, contract: ContractFacts, hirer: Principal) -> None:
    text = "I <3 his work: 3 < 4 days > expected."
    assert (await reviews.call("POST", REVIEWS, body(contract, text=text), by=hirer)).data["text"] == text


async def test_the_longest_text_is_taken(reviews: Service, contract: ContractFacts, hirer: Principal) -> None:
    assert (await reviews.call("POST", REVIEWS, body(contract, text="x" * 4000), by=hirer)).status == 201


async def test_the_reviewed_person_replies_once(
    reviews: Service, contract: ContractFacts, hirer: Principal, worker: Principal
) -> None:
    review = (await both_review(reviews, contract, hirer, worker)).data
    path = f"{REVIEWS}/{review['id']}/reply"
    assert (await reviews.call("POST", path, {"text": "no"}, by=hirer)).status == 404
    first = await reviews.call("POST", path, {"text": "Thank you."}, by=worker)
    assert (first.status, first.data["reply"]["text"]) == (201, "Thank you.")
    again = await reviews.call("POST", path, {"text": "Thanks."}, by=worker)
    assert (again.status, again.data["code"]) == (409, "review.already_replied")
    assert (await reviews.call("GET", f"{REVIEWS}/{review['id']}")).data["reply"]["text"] == "Thank you."


async def test_helpful_counts_a_person_once_and_never_the_author(
    reviews: Service, contract: ContractFacts, hirer: Principal, worker: Principal
) -> None:
    review = (await both_review(reviews, contract, hirer, worker)).data
    path, reader = f"{REVIEWS}/{review['id']}/helpful", person()
    await asyncio.gather(*(reviews.call("POST", path, by=reader) for _ in range(5)))
    assert (await reviews.call("POST", path, by=reader)).data["helpfulCount"] == 1
    own = await reviews.call("POST", path, by=hirer)
    assert (own.status, own.data["code"]) == (409, "review.own_review")


async def test_reports_reach_the_moderators_and_a_removed_review_no_longer_counts(
    reviews: Service, contract: ContractFacts, hirer: Principal, worker: Principal
) -> None:
    review = (await both_review(reviews, contract, hirer, worker)).data
    path, moderator = f"{REVIEWS}/{review['id']}", person(Role.MODERATOR)
    for number in range(3):
        queue = await reviews.call("GET", "/api/v1/moderation/reviews?limit=100", by=moderator)
        assert review["id"] not in [one["review"]["id"] for one in queue.data["items"]]
        reporter = person()
        assert (await reviews.call("POST", f"{path}/report", {"reason": "spam"}, by=reporter)).status == 204
        again = await reviews.call("POST", f"{path}/report", {"reason": "spam"}, by=reporter)
        assert (again.status, again.data["code"], number) == (409, "review.already_reported", number)
    queue = await reviews.call("GET", "/api/v1/moderation/reviews?limit=100", by=moderator)
    (queued,) = [one for one in queue.data["items"] if one["review"]["id"] == review["id"]]
    assert (queued["reportCount"], queued["reasons"]) == (3, ["spam"])
    decision = {"decision": "remove", "reason": "An advertisement."}
    decide = f"/api/v1/moderation/reviews/{review['id']}/decision"
    for by in (None, hirer, worker, person(Role.SUPPORT)):
        assert (await reviews.call("POST", decide, decision, by=by)).status in (401, 403)
    assert (await reviews.call("POST", decide, decision, by=moderator)).data["status"] == "removed"
    assert (await reviews.call("POST", decide, decision, by=moderator)).status == 404
    assert (await reviews.call("GET", path)).status == 404
    assert (await reviews.call("GET", f"/api/v1/users/{worker.user_id}/reputation")).data["reviewCount"] == 0


async def test_lists_go_on_after_their_cursor(reviews: Service, contracts: Contracts, worker: Principal) -> None:
    for rating in (1, 2, 3):
        hirer = person(Role.HIRER)
        contract = contracts.make(hirer, worker)
        await reviews.call("POST", REVIEWS, body(contract, rating=rating), by=hirer)
        await reviews.call("POST", REVIEWS, body(contract), by=worker)
    seen, cursor = [], ""
    while cursor is not None:
        after = f"&cursor={cursor}" if cursor else ""
        page = (await reviews.call("GET", f"{REVIEWS}?subjectId={worker.user_id}&limit=1{after}")).data
        seen += [review["rating"] for review in page["items"]]
        cursor = page["nextCursor"]
    assert seen == [3, 2, 1]
    mine = await reviews.call("GET", f"{REVIEWS}?mine=true", by=worker)
    assert len(mine.data["items"]) == 3
    assert (await reviews.call("GET", f"{REVIEWS}?mine=true")).status == 401
    bad = await reviews.call("GET", f"{REVIEWS}?subjectId=x&cursor=nonsense")
    assert (bad.status, bad.data["errors"][0]["field"]) == (400, "cursor")
    for limit in (0, 101):
        assert (await reviews.call("GET", f"{REVIEWS}?subjectId=x&limit={limit}")).status == 400
    own = (await reviews.call("GET", "/api/v1/analytics/reviews", by=worker)).data
    assert (own["received"], own["written"], own["months"][0]["meanMilli"]) == (3, 3, 2000)


async def test_reviews_of_a_deleted_person_stay_without_the_private_note(
    reviews: Service, contract: ContractFacts, hirer: Principal, worker: Principal
) -> None:
    made = await reviews.call("POST", REVIEWS, body(contract, privateNote="Came late."), by=hirer)
    event = AccountDeleted(user_id=hirer.user_id)
    for _ in range(2):
        await service.on_account_deleted(reviews.context, envelope(event), event)
    row = await reviews.context.mongo.collection("reviews").find_one({"_id": made.data["id"]})
    assert (row["private_note"], row["reviewer_id"], row["rating"]) == (None, hirer.user_id, 5)
    assert (await reviews.call("POST", REVIEWS, body(contract, rating=4), by=worker)).status == 201
    public = await reviews.call("GET", f"{REVIEWS}/{made.data['id']}")
    assert (public.status, public.data["text"]) == (200, "Tidy work.")
