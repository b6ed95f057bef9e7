"""Reviews that may not be what they seem: they are marked, they count, and the effect is shown."""

import itertools
from datetime import timedelta
from typing import Any

import pytest

from kelmah.contracts.common import Role
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.services.review.documents import ReviewDocument
from kelmah.services.review.service.suspicion import poisson_tail
from tests.fixtures.service import Service, person
from tests.integration.review.conftest import Contracts

REVIEWS = "/api/v1/reviews"
LONG = "The wiring is neat, every socket works, and he explained the new meter to us in full."


async def exchange(
    reviews: Service,
    contracts: Contracts,
    hirer: Principal,
    worker: Principal,
    *,
    text: str = "Tidy.",
    rating: int = 5,
    **more: Any,
) -> dict[str, Any]:
    """Both sides review; returns the hirer's review as everybody sees it."""
    contract = contracts.make(hirer, worker, **more)
    body = {"contractId": contract.id, "rating": 5, "text": "Paid."}
    await reviews.call("POST", REVIEWS, body, by=worker)
    return dict((await reviews.call("POST", REVIEWS, body | {"text": text, "rating": rating}, by=hirer)).data)


async def waits(reviews: Service, review: dict[str, Any]) -> bool:
    stored = await ReviewDocument.get(review["id"])
    return stored is not None and stored.queued_at is not None


async def test_an_honest_review_is_under_no_suspicion(reviews: Service, contracts: Contracts) -> None:
    hirer = person(Role.HIRER, address="192.0.2.1", device="Firefox")
    worker = person(Role.WORKER, address="192.0.2.2", device="Firefox")
    review = await exchange(reviews, contracts, hirer, worker, text=LONG)
    assert (review["suspicions"], await waits(reviews, review)) == ([], False)


async def test_one_device_for_both_sides(reviews: Service, contracts: Contracts) -> None:
    hirer, worker = (person(role, address="192.0.2.7", device="Firefox") for role in (Role.HIRER, Role.WORKER))
    review = await exchange(reviews, contracts, hirer, worker)
    assert (review["suspicions"], await waits(reviews, review)) == (["same_device"], True)
    stored = await ReviewDocument.get_pymongo_collection().find_one({"_id": review["id"]})
    assert "192.0.2.7" not in str(stored)


@pytest.mark.parametrize(("amount", "suspicions"), [(999, ["tiny_contract"]), (1000, [])])
async def test_a_tiny_contract_is_marked_and_bothers_no_moderator(
    reviews: Service, contracts: Contracts, amount: int, suspicions: list[str]
) -> None:
    review = await exchange(reviews, contracts, person(Role.HIRER), person(Role.WORKER), amount=amount)
    assert (review["suspicions"], await waits(reviews, review)) == (suspicions, False)


async def test_copied_words(reviews: Service, contracts: Contracts) -> None:
    hirer, other, worker = person(Role.HIRER), person(Role.HIRER), person(Role.WORKER)
    first = await exchange(reviews, contracts, hirer, worker, text=LONG)
    second = await exchange(reviews, contracts, other, worker, text=LONG.upper().replace(",", " -"))
    third = await exchange(reviews, contracts, other, person(Role.WORKER), text=LONG)
    stranger = await exchange(reviews, contracts, person(Role.HIRER), person(Role.WORKER), text=LONG)
    short = [await exchange(reviews, contracts, person(Role.HIRER), worker, text="Good work.") for _ in range(2)]
    found = [one["suspicions"] for one in (first, second, third, stranger, *short)]
    assert found == [[], ["copied_text"], ["copied_text"], [], [], []]


@pytest.mark.parametrize("length", [2, 3])
async def test_people_who_hire_each_other_in_a_circle(reviews: Service, contracts: Contracts, length: int) -> None:
    people = [person(Role.WORKER) for _ in range(length)]
    found = []
    for number, hirer in enumerate(people):
        found.append((await exchange(reviews, contracts, hirer, people[(number + 1) % length]))["suspicions"])
    assert found == [[]] * (length - 1) + [["ring"]]
    # What began the ring is marked when it is closed, from both sides, and shown in everybody's reputation.
    ids = [one.user_id for one in people]
    stored = await ReviewDocument.find({"reviewer_id": {"$in": ids}}).to_list()
    assert [one.suspicions for one in stored] == [["ring"]] * 2 * length
    for user_id in ids:
        reputation = (await reviews.call("GET", f"/api/v1/users/{user_id}/reputation")).data
        assert [(one["suspicion"], one["count"]) for one in reputation["flagged"]] == [("ring", 2)]


async def test_a_chain_of_hirings_is_no_ring(reviews: Service, contracts: Contracts) -> None:
    people = [person(Role.WORKER) for _ in range(4)]
    for hirer, worker in itertools.pairwise(people):
        assert (await exchange(reviews, contracts, hirer, worker))["suspicions"] == []
    regular = [await exchange(reviews, contracts, people[0], people[1]) for _ in range(2)]
    assert [one["suspicions"] for one in regular] == [[], []]


async def test_a_burst_is_marked_as_a_whole_and_its_effect_is_shown(reviews: Service, contracts: Contracts) -> None:
    worker = person(Role.WORKER)
    old = await exchange(reviews, contracts, person(Role.HIRER), worker, rating=2)
    await ReviewDocument.get_pymongo_collection().update_one(
        {"_id": old["id"]}, {"$set": {"revealed_at": clock.now() - timedelta(days=2)}}
    )
    burst = [await exchange(reviews, contracts, person(Role.HIRER), worker) for _ in range(5)]
    assert [one["suspicions"] for one in burst] == [[]] * 4 + [["burst"]]
    stored = await ReviewDocument.find({"subject_id": worker.user_id}).to_list()
    assert sorted(len(one.suspicions) for one in stored) == [0, 1, 1, 1, 1, 1]
    reputation = (await reviews.call("GET", f"/api/v1/users/{worker.user_id}/reputation")).data
    assert reputation["reviewCount"] == 6
    (effect,) = reputation["flagged"]
    # (5 x 4 + 2) / 6 without them
    assert effect == {"suspicion": "burst", "count": 5, "ratingMilliWithout": 3667}


def test_the_tail_of_poisson_by_hand() -> None:
    assert poisson_tail(0, 3.0) == 1.0
    assert round(poisson_tail(1, 1.0), 6) == 0.632121  # 1 - 1/e
    assert round(poisson_tail(2, 1.0), 6) == 0.264241  # 1 - 2/e
    assert poisson_tail(200, 1.0) == 0.0  # more in a day than a factorial fits into a float
