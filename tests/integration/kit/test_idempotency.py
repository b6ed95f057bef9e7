"""`Idempotency-Key`: one key, one effect, one answer, whatever dies in between."""

import asyncio
import hashlib
from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest

from kelmah.kit import clock, events
from kelmah.kit.context import Principal
from kelmah.kit.idempotency import IDEMPOTENCY_KEYS, KEPT, LEASE, IdempotencyKeys
from kelmah.kit.ids import new_id
from tests.fixtures.service import Reply, Service, person
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


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is written after the last commit, as when the process is killed there; and the dead one's lease ends."""

    async def nothing(*_: object) -> None: ...

    with monkeypatch.context() as patch:
        patch.setattr(IdempotencyKeys, "keep", nothing)
        patch.setattr(IdempotencyKeys, "release", nothing)
        yield


async def retry(things: Service, path: str, somebody: Principal, key: dict[str, str]) -> Reply:
    """The same request, after the lease of one that died."""
    clock.shift(LEASE + timedelta(seconds=1))
    try:
        return await things.call("POST", path, by=somebody, headers=key)
    finally:
        clock.reset()


@pytest.mark.usefixtures("killed")
async def test_an_answer_that_its_transaction_returns_is_kept_with_the_effect(things: Service) -> None:
    somebody, key = person(), {"Idempotency-Key": new_id()}
    first = await things.call("POST", "/api/v1/things/plain", by=somebody, headers=key)
    second = await retry(things, "/api/v1/things/plain", somebody, key)
    assert (first.status, second.status, second.headers["idempotent-replayed"]) == (201, 201, "true")
    assert first.body == second.body
    assert await ThingDocument.find(ThingDocument.owner_id == somebody.user_id).count() == 1


@pytest.mark.usefixtures("killed")
@pytest.mark.parametrize(("where", "effects"), [("nowhere", 2), ("between", 1)])
async def test_what_has_had_an_effect_has_no_second_though_its_answer_is_lost(
    things: Service, where: str, effects: int
) -> None:
    somebody, key = person(), {"Idempotency-Key": new_id()}
    thing.die.add(where)
    first = await things.call("POST", "/api/v1/things/pair", by=somebody, headers=key)
    thing.die.clear()
    early = await things.call("POST", "/api/v1/things/pair", by=somebody, headers=key)
    late = await retry(things, "/api/v1/things/pair", somebody, key)
    assert (first.status, early.data["code"]) == (500 if effects == 1 else 200, "idempotency_key_in_flight")
    assert (late.status, late.data["code"]) == (409, "idempotency_answer_lost")
    assert await ThingDocument.find(ThingDocument.owner_id == somebody.user_id).count() == effects


async def test_a_fault_after_a_commit_keeps_the_key_and_a_refusal_gives_it_back(things: Service) -> None:
    somebody, key = person(), {"Idempotency-Key": new_id()}
    statuses = []
    for where in ("refused", "between", "nowhere"):
        thing.die.add(where)
        statuses.append((await things.call("POST", "/api/v1/things/pair", by=somebody, headers=key)).status)
        thing.die.clear()
    assert statuses == [409, 500, 409]
    assert await ThingDocument.find(ThingDocument.owner_id == somebody.user_id).count() == 2
    assert (await retry(things, "/api/v1/things/pair", somebody, key)).data["code"] == "idempotency_answer_lost"


async def test_what_the_client_saw_is_what_is_replayed(things: Service) -> None:
    somebody, key = person(), {"Idempotency-Key": new_id()}
    first = await things.call("POST", "/api/v1/things/pair", by=somebody, headers=key)
    second = await things.call("POST", "/api/v1/things/pair", by=somebody, headers=key)
    assert (first.status, second.status, second.body) == (200, 200, first.body)


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
