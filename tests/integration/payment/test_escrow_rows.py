"""Escrows as they are stored, on a bare database: which step is legal, who sees what, and what is inside."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.errors import DuplicateKeyError

from kelmah.contracts.payment import EscrowStatus
from kelmah.kit import clock
from kelmah.kit.mongo import Mongo
from kelmah.services.payment.documents import EscrowDocument
from kelmah.services.payment.documents import escrows as documents
from kelmah.services.payment.documents.escrows import FREE, HOLDING, STARTED, TRANSITIONS, WHOLE
from kelmah.services.payment.errors import EscrowExists
from tests.integration.payment.bare import bare, undone

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
S = EscrowStatus
#: The steps that there are, written down a second time.
LEGAL = {
    (S.PENDING, S.FUNDED), (S.PENDING, S.VOIDED), (S.PENDING, S.EXPIRED),
    (S.FUNDED, S.RELEASED), (S.FUNDED, S.REFUNDED), (S.FUNDED, S.DISPUTED), (S.FUNDED, S.SETTLED),
    (S.DISPUTED, S.SETTLED), (S.DISPUTED, S.FUNDED),
}  # fmt: skip


@pytest.fixture(scope="module")
async def database(mongo_url: str, mongo_prefix: str) -> AsyncIterator[Mongo]:
    async with bare(mongo_url, f"{mongo_prefix}escrow_rows", (EscrowDocument,)) as mongo:
        yield mongo


@pytest.fixture
async def escrows(database: Mongo) -> AsyncIterator[Mongo]:
    """No escrow yet, and a clock that stands still."""
    await database.collection("escrows").delete_many({})
    clock.stop(START)
    yield database
    clock.reset()


def escrow(name: str = "e1", **more: Any) -> EscrowDocument:
    values: dict[str, Any] = {
        "id": name, "contract_id": "c1", "milestone_id": f"m-{name}", "hirer_id": "hana", "worker_id": "wale",
        "amount": 1_000, "currency": "GHS", "status": S.FUNDED, "fee_basis_points": 1_000, "created_at": START,
        "updated_at": START,
    }  # fmt: skip
    return EscrowDocument(**values | more)


async def put(*many: EscrowDocument) -> None:
    for one in many:
        await documents.insert_escrow(one)


async def row(mongo: Mongo, name: str = "e1") -> dict[str, Any]:
    found = await mongo.collection("escrows").find_one({"_id": name})
    return dict(found or {})


def ids(found: list[EscrowDocument]) -> list[str]:
    return [one.id for one in found]


@pytest.mark.parametrize("source", list(EscrowStatus))
async def test_only_legal_steps_are_taken(escrows: Mongo, source: EscrowStatus) -> None:
    later = START + timedelta(minutes=1)
    for to in EscrowStatus:
        await escrows.collection("escrows").delete_many({})
        clock.stop(START)
        await put(escrow(status=source), escrow("other", status=source))
        before = await row(escrows)
        clock.stop(later)
        moved = await documents.move_escrow("e1", to)
        if (source, to) in LEGAL:
            is_free = to in (S.REFUNDED, S.VOIDED, S.EXPIRED)
            after = before | {"status": to.value, "updated_at": later, "claims_milestone": not is_free}
            assert await row(escrows) == after
            assert moved is not None
            assert (moved.status, moved.updated_at, moved.claims_milestone) == (to, later, not is_free)
        else:
            assert (moved, await row(escrows)) == (None, before)
        assert (await row(escrows, "other"))["status"] == source
    assert TRANSITIONS.keys() == set(EscrowStatus)
    assert (set(HOLDING), set(FREE)) == ({S.FUNDED, S.DISPUTED}, {S.REFUNDED, S.VOIDED, S.EXPIRED})


async def test_a_step_is_taken_where_the_condition_holds(escrows: Mongo) -> None:
    await put(escrow(), escrow("begun", released=1), escrow("quarrel", released=1, status=S.DISPUTED))
    assert await documents.move_escrow("e1", S.RELEASED, where={"hirer_id": "wale"}) is None
    assert await documents.move_escrow("none", S.RELEASED) is None
    assert await documents.move_escrow("begun", S.REFUNDED, where=WHOLE) is None
    assert await documents.move_escrow("e1", S.SETTLED, where=STARTED) is None
    assert await documents.move_escrow("quarrel", S.SETTLED, where=STARTED) is None
    assert await documents.move_escrow("e1", S.REFUNDED, where=WHOLE) is not None
    assert await documents.move_escrow("begun", S.SETTLED, where=STARTED) is not None


async def test_an_escrow_is_held_until_it_ends(escrows: Mongo) -> None:
    for status in EscrowStatus:
        assert escrow(status=status, released=300).held == (700 if status in (S.FUNDED, S.DISPUTED) else 0)
    await put(
        escrow("a"),
        escrow("b", released=300, status=S.DISPUTED, currency="USD"),
        escrow("c", status=S.PENDING),
        escrow("d", status=S.RELEASED),
    )
    # As it was stored before there were parts.
    await escrows.collection("escrows").update_one({"_id": "a"}, {"$unset": {"released": 1}})
    assert await documents.held_by_escrow() == {"escrow:a:GHS": 1_000, "escrow:b:USD": 700}

    async def more() -> None:
        await put(escrow("e", amount=5))
        assert (await documents.held_by_escrow())["escrow:e:GHS"] == 5

    await undone(escrows, more)
    assert "escrow:e:GHS" not in await documents.held_by_escrow()


async def test_a_milestone_is_claimed_once(escrows: Mongo) -> None:
    await put(escrow())
    with pytest.raises(EscrowExists) as twin:
        await put(escrow("e2", milestone_id="m-e1"))
    assert isinstance(twin.value.__cause__, DuplicateKeyError)
    await put(escrow("e3", milestone_id="m-e1", contract_id="c2"))
    assert await documents.move_escrow("e1", S.REFUNDED) is not None
    await put(escrow("e2", milestone_id="m-e1"))
    found = await documents.find_for_milestone("c1", "m-e1")
    assert found is not None
    assert found.id == "e2"
    assert await documents.find_for_milestone("c1", "m-e3") is None

    async def third() -> None:
        assert await documents.move_escrow("e2", S.REFUNDED) is not None
        await put(escrow("e4", milestone_id="m-e1"))
        latest = await documents.find_for_milestone("c1", "m-e1")
        assert latest is not None
        assert latest.id == "e4"

    await undone(escrows, third)
    assert (await row(escrows, "e4"), (await row(escrows, "e2"))["status"]) == ({}, "funded")


async def test_each_sees_their_own(escrows: Mongo) -> None:
    await put(
        escrow("a"),
        escrow("b", hirer_id="wale", worker_id="ama"),
        escrow("c", contract_id="c2"),
        escrow("d", hirer_id="x", worker_id="y"),
    )
    assert [(await documents.find_escrow("a", seen_by=one)) is not None for one in ("hana", "wale", "ama", None)] == [
        True,
        True,
        False,
        True,
    ]
    assert await documents.find_escrow("none", seen_by=None) is None

    async def listed(seen_by: str | None, contract_id: str | None = None, before: str | None = None) -> list[str]:
        return ids(await documents.list_escrows(seen_by, contract_id=contract_id, before=before, limit=3))

    assert await listed("wale") == ["c", "b", "a"]
    assert await listed("hana") == ["c", "a"]
    assert await listed("ama") == ["b"]
    assert await listed(None) == ["d", "c", "b"]
    assert await listed(None, before="b") == ["a"]
    assert await listed("wale", contract_id="c1") == ["b", "a"]
    assert await listed("wale", contract_id="c1", before="b") == ["a"]
    assert (await documents.has_worked("ama"), await documents.has_worked("hana")) == (True, False)


async def test_what_holds_money_is_found(escrows: Mongo) -> None:
    await put(*(escrow(status.value, status=status) for status in EscrowStatus))
    await put(escrow("x", currency="USD"), escrow("y", hirer_id="other", contract_id="c2"))
    assert ids(await documents.list_funded_by("hana", "GHS", limit=9)) == ["funded", "disputed"]
    assert ids(await documents.list_funded_by("hana", "GHS", limit=1)) == ["funded"]
    assert sorted(ids(await documents.list_undisputed("c1"))) == ["funded", "pending", "x"]

    async def inside() -> None:
        await put(escrow("z", worker_id="new"))
        assert ids(await documents.list_funded_by("hana", "GHS", limit=1)) == ["z"]
        assert "z" in ids(await documents.list_undisputed("c1"))
        assert await documents.has_worked("new")
        assert await documents.find_escrow("z", seen_by="new") is not None

    await undone(escrows, inside)
    assert not await documents.has_worked("new")


@pytest.mark.parametrize("released", [0, 400])
async def test_a_part_leaves_a_rest(escrows: Mongo, released: int) -> None:
    await put(escrow(released=released), escrow("quarrel", status=S.DISPUTED))
    rest, later = 1_000 - released, START + timedelta(minutes=1)
    if not released:
        await escrows.collection("escrows").update_one({"_id": "e1"}, {"$unset": {"released": 1}})
    before = await row(escrows)
    clock.stop(later)
    for amount, where in ((rest, {}), (rest + 1, {}), (1, {"hirer_id": "wale"})):
        assert await documents.take_part("e1", amount, where=where) is None
    assert await documents.take_part("quarrel", 1, where={}) is None
    assert await row(escrows) == before
    taken = await documents.take_part("e1", rest - 1, where={"hirer_id": "hana"})
    assert taken is not None
    assert (taken.id, taken.updated_at, await row(escrows)) == ("e1", later, before | {"updated_at": later})
    for other in (rest - 1, rest + 1):
        assert await documents.move_escrow("e1", S.RELEASED, where=documents.holding_exactly(other)) is None
    assert await documents.move_escrow("e1", S.RELEASED, where=documents.holding_exactly(rest)) is not None


async def test_who_got_what_adds_up(escrows: Mongo) -> None:
    await put(escrow(released=100, releases=1, worker_amount=80, fee_amount=15, tax_amount=5, refunded_amount=0))
    before = await row(escrows)
    found = await documents.find_escrow("e1", seen_by=None)
    assert found is not None
    paid = await documents.note_parts(found, worker=70, fee=20, tax=10, hirer=0)
    after = before | {"released": 200, "releases": 2, "worker_amount": 150, "fee_amount": 35, "tax_amount": 15}
    assert await row(escrows) == after
    assert paid.model_dump(by_alias=True) == EscrowDocument.model_validate(after).model_dump(by_alias=True)
    given = await documents.note_parts(paid, worker=0, fee=0, tax=0, hirer=800)
    assert await row(escrows) == after | {"refunded_amount": 800}
    assert (given.releases, given.refunded_amount, given.released) == (2, 800, 200)

    async def inside() -> None:
        await documents.note_parts(given, worker=1, fee=0, tax=0, hirer=0)
        assert await documents.take_part("e1", 1, where={}) is not None

    await undone(escrows, inside)
    assert await row(escrows) == after | {"refunded_amount": 800}
