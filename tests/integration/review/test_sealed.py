"""Sealed reviews against every role and every operation: two that say the opposite cannot be told apart."""

import json
import re
from collections.abc import Iterator
from typing import Any

from litestar.routes import HTTPRoute

from kelmah.contracts.common import Role
from kelmah.contracts.review import ReviewSubmitted
from kelmah.kit.context import Principal
from kelmah.services.messaging.service.audience import NOTICES
from kelmah.services.review.service.exports import PARTS
from tests.fixtures.service import Service, person
from tests.integration.review.conftest import Contracts

WORST: dict[str, Any] = {
    "rating": 1, "text": "A fool and a thief! Ring 0244 123 456, says Quartzwillow.", "wouldWorkAgain": False,
    "privateNote": "Quartzwillow drank.",
    "criteria": {"quality": 1, "communication": 1, "timeliness": 1, "professionalism": 1, "value": 1},
}  # fmt: skip
BEST = {"rating": 5, "text": "Tidy work, on time; Quartzwillow is glad."}
BODIES: dict[str, dict[str, Any]] = {
    "reply": {"text": "Thank you."},
    "report": {"reason": "false"},
    "decision": {"decision": "publish", "reason": "It is fine."},
    "appeal": {"text": "This was decided wrongly."},
}
#: Ids, digests, times and how long others wait differ between any two looks, and say nothing of a review.
ANY = re.compile(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{32}\b|\d{4}-\d\d-\d\dT[\d:.]+Z|(?<=aitingS\": )\d+")


def operations(reviews: Service, review_id: str, people: list[Principal]) -> Iterator[tuple[str, str, Any]]:
    """Every operation of the service, about this review and these people."""
    for route in reviews.app.routes:
        if not isinstance(route, HTTPRoute) or not route.path.startswith("/api/v1/"):
            continue
        for method in route.methods & {"GET", "POST", "PUT", "PATCH", "DELETE"}:
            if method == "POST" and route.path == "/api/v1/reviews":
                continue  # the other side's opens both; strangers' are refused elsewhere
            body = BODIES[route.path.rpartition("/")[2]] if method == "POST" and "/helpful" not in route.path else None
            for who in people if "user_id" in route.path else people[:1]:
                path = route.path.replace("{review_id:str}", review_id).replace("{user_id:str}", who.user_id)
                yield method, path, body
                if path == "/api/v1/reviews":
                    yield method, f"{path}?mine=true", body
                    yield from ((method, f"{path}?subjectId={one.user_id}", body) for one in people)


async def seen_of(reviews: Service, contracts: Contracts, said: dict[str, Any]) -> dict[tuple[Any, ...], str]:
    """What everybody but the author is told while one review is sealed, without what differs anyway."""
    hirer, worker = person(Role.HIRER), person(Role.WORKER)
    contract = contracts.make(hirer, worker)
    written = await reviews.call("POST", "/api/v1/reviews", {"contractId": contract.id} | said, by=hirer)
    assert (written.status, written.data["status"]) == (201, "sealed")
    review_id = written.data["id"]
    callers = {"nobody": None, "its subject": worker, **{role.value: person(role) for role in Role}}
    seen: dict[tuple[Any, ...], str] = {}
    for number, (method, path, body) in enumerate(operations(reviews, review_id, [hirer, worker])):
        for name, by in callers.items():
            reply = await reviews.call(method, path, body, by=by)
            assert b"Quartzwillow" not in reply.body, (method, path, name)
            answer = reply.data
            if isinstance(answer, dict):
                answer.pop("requestId", None)
                answer.get("byStatus", {}).pop("sealed", None)  # how many are sealed is no secret
            seen[number, method, ANY.sub("…", path), name] = f"{reply.status} {ANY.sub('…', json.dumps(answer))}"
    for part in PARTS:  # the archive of what the platform keeps of its subject
        exported = await reviews.call("GET", f"/internal/exports/{worker.user_id}/{part}", caller="auth")
        assert exported.status == 200
        assert b"Quartzwillow" not in exported.body
        seen[0, "export", part, ""] = ANY.sub("…", exported.body.decode())
    still = await reviews.call("GET", f"/api/v1/reviews/{review_id}", by=hirer)
    assert (still.data["status"], still.data["text"]) == ("sealed", said["text"])
    rows = await reviews.context.mongo.collection("events").find({"subject": f"review:{review_id}"}).to_list()
    seen[0, "events", "", ""] = json.dumps([(row["type"], ANY.sub("…", str(row["data"]))) for row in rows])
    assert "Quartzwillow" not in str(rows)
    return seen


async def test_nobody_learns_what_a_sealed_review_says(reviews: Service, contracts: Contracts) -> None:
    best, worst = await seen_of(reviews, contracts, BEST), await seen_of(reviews, contracts, WORST)
    assert len(worst) > 100
    assert worst == best


def test_nobody_is_notified_of_what_is_sealed() -> None:
    assert ReviewSubmitted not in NOTICES
    assert set(ReviewSubmitted.__struct_fields__) == {"review_id", "contract_id", "reviewer_id", "subject_id", "digest"}
