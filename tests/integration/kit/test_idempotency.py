"""`Idempotency-Key`: one key, one effect, one answer, whatever dies in between."""

import asyncio
import hashlib
from datetime import timedelta

import msgspec
import pytest

from kelmah.kit import clock, events
from kelmah.kit.idempotency import IDEMPOTENCY_KEYS, KEPT, LEASE
from kelmah.kit.ids import new_id
from tests.fixtures.service import Service, person
from tests.integration.kit import thing
from tests.integration.kit.thing import ThingDocument

GOOD = {"name": "abc", "price": {"amount": 1}}
OTHER = {"name": "abd", "price": {"amount": 1}}


async def test_a_repeated_request_gets_the_same_answer_and_one_effect(things: Service) -> None:
    somebody, key = person(), {"Idempotency-Key": new_id()}
    first = await things.call("POST", "/api/v1/things", GOOD, by=somebody, headers=key)
    second = await things.call("POST", "/api/v1/things", GOOD, by=somebody, headers=key)
    assert (first.status, second.status, first.body) == (201, 201, second.body)
    assert ("idempotent-replayed" in first.headers, second.headers["idempotent-replayed"]) == (False, "true")
    assert await ThingDocument.find(ThingDocument.owner_id == somebody.user_id).count() == 1


async def test_the_key_is_required_where_money_moves(things: Service) -> None:
    reply = await things.call("POST", "/api/v1/things", GOOD, by=person())
    assert (reply.status, reply.data["code"]) == (400, "idempotency_key_missing")


async def test_a_key_with_another_body_is_refused(things: Service) -> None:
    somebody, key = person(), {"Idempotency-Key": new_id()}
    await things.call("POST", "/api/v1/things", GOOD, by=somebody, headers=key)
    reply = await things.call("POST", "/api/v1/things", OTHER, by=somebody, headers=key)
    assert (reply.status, reply.data["code"]) == (422, "idempotency_key_reused")
    assert await ThingDocument.find(ThingDocument.owner_id == somebody.user_id).count() == 1


async def test_two_people_may_use_the_same_key(things: Service) -> None:
    key = {"Idempotency-Key": new_id()}
    one = await things.call("POST", "/api/v1/things", GOOD, by=person(), headers=key)
    two = await things.call("POST", "/api/v1/things", GOOD, by=person(), headers=key)
    assert one.data["id"] != two.data["id"]


async def test_twenty_at_once_have_one_effect(things: Service) -> None:
    somebody, key = person(), {"Idempotency-Key": new_id()}
    replies = await asyncio.gather(
        *(things.call("POST", "/api/v1/things", GOOD, by=somebody, headers=key) for _ in range(20))
    )
    assert {reply.status for reply in replies} <= {201, 409}
    assert len({reply.data["id"] for reply in replies if reply.status == 201}) == 1
    assert {reply.data["code"] for reply in replies if reply.status == 409} <= {"idempotency_key_in_flight"}
    assert await ThingDocument.find(ThingDocument.owner_id == somebody.user_id).count() == 1


async def test_a_refused_request_gives_its_key_back(things: Service) -> None:
    somebody, key = person(), {"Idempotency-Key": new_id()}
    assert (await things.call("POST", "/api/v1/things", {}, by=somebody, headers=key)).status == 400
    assert (await things.call("POST", "/api/v1/things", GOOD, by=somebody, headers=key)).status == 201


@pytest.mark.parametrize(("where", "replayed"), [("before", False), ("after", True)])
async def test_dying_on_either_side_of_the_commit_leaves_one_effect(
    things: Service, where: str, replayed: bool
) -> None:
    somebody, key = person(), {"Idempotency-Key": new_id()}
    thing.die.add(where)
    assert (await things.call("POST", "/api/v1/things", GOOD, by=somebody, headers=key)).status == 500
    assert await ThingDocument.find(ThingDocument.owner_id == somebody.user_id).count() == int(replayed)
    thing.die.clear()
    reply = await things.call("POST", "/api/v1/things", GOOD, by=somebody, headers=key)
    assert (reply.status, "idempotent-replayed" in reply.headers) == (201, replayed)
    (stored,) = await ThingDocument.find(ThingDocument.owner_id == somebody.user_id).to_list()
    assert reply.data == {"id": stored.id, "ownerId": somebody.user_id}
    told = things.context.mongo.collection(events.EVENTS)
    assert await told.count_documents({"subject": f"job:{stored.id}"}) == 1


async def test_a_key_whose_request_died_is_taken_over_after_its_lease(things: Service) -> None:
    keys = things.context.idempotency
    name = new_id()
    assert await keys.reserve(name, "f", "lease-1") is None
    with pytest.raises(Exception, match="still running"):
        await keys.reserve(name, "f", "lease-2")
    clock.shift(LEASE + timedelta(seconds=1))
    try:
        assert await keys.reserve(name, "f", "lease-3") is None
        with pytest.raises(Exception, match="still running"):
            await keys.reserve(name, "f", "lease-4")
    finally:
        clock.reset()


async def test_answers_are_kept_sealed_and_for_a_day(things: Service) -> None:
    rows = things.context.mongo.collection(IDEMPOTENCY_KEYS)
    await rows.delete_many({})
    somebody, key = person(), {"Idempotency-Key": new_id()}
    before = clock.now()
    await things.call("POST", "/api/v1/things", GOOD, by=somebody, headers=key)
    row = await rows.find_one({})
    assert somebody.user_id.encode() not in row["answer"]
    assert before + KEPT <= row["expires_at"] <= clock.now() + KEPT


async def test_the_kept_fingerprint_lets_nobody_guess_the_body(things: Service) -> None:
    key = {"Idempotency-Key": new_id()}
    await things.call("POST", "/api/v1/things", GOOD, by=person(), headers=key)
    row = await things.context.mongo.collection(IDEMPOTENCY_KEYS).find_one({}, sort=[("expires_at", -1)])
    operation = b"POST /api/v1/things"
    bare = hashlib.sha256(operation + b"\n" + b"\n" + msgspec.json.encode(GOOD)).hexdigest()
    assert row["fingerprint"] != bare
    assert row["fingerprint"] == things.context.ring.blind_index(bare, context=b"kit.idempotency.fingerprint")


@pytest.mark.parametrize(("key", "status"), [("x" * 255, 201), ("x" * 256, 400), ("ключ", 400), ("a\tb", 400)])
async def test_a_key_is_printable_and_bounded(things: Service, key: str, status: int) -> None:
    headers = {"Idempotency-Key": key.encode().decode("latin-1")}
    reply = await things.call("POST", "/api/v1/things", GOOD, by=person(), headers=headers)
    assert reply.status == status
