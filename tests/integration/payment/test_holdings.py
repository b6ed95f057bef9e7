"""The steps of an escrow on a bare database: money, row, event and answer of each, to the last field."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from kelmah.contracts.common import Money, Role
from kelmah.contracts.job import ContractCancelled, MilestoneApproved
from kelmah.contracts.payment import EscrowStatus, ReleaseEscrow
from kelmah.kit import clock, idempotency
from kelmah.kit.context import Principal
from kelmah.kit.crypto import KeyRing
from kelmah.kit.errors import BadInput, Forbidden, Unavailable
from kelmah.kit.events import EventStore
from kelmah.kit.idempotency import IdempotencyKeys, Reservation
from kelmah.kit.mongo import Mongo
from kelmah.kit.people import PersonKeys
from kelmah.kit.timers import Timers
from kelmah.services.payment.documents import EscrowDocument, ledger
from kelmah.services.payment.documents import escrows as documents
from kelmah.services.payment.documents.entries import AccountDocument, Entry, EntryDocument, Posting
from kelmah.services.payment.documents.ledger import Halt
from kelmah.services.payment.errors import EscrowDisputed, EscrowNotFound, EscrowNotFunded
from kelmah.services.payment.mapping import escrow_facts, escrow_view
from kelmah.services.payment.service import escrows, holdings
from kelmah.services.payment.service.context import Context
from tests.fakes.jobs import FakeJobClient
from tests.fixtures.events import envelope
from tests.integration.payment.bare import bare

DOCUMENTS = (EntryDocument, AccountDocument, Halt, EscrowDocument)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
RING = KeyRing([bytes(32)])
S = EscrowStatus
HIRER = Principal(user_id="hana", role=Role.HIRER, session_id="s")
WORKER = Principal(user_id="wale", role=Role.WORKER, session_id="s")
STRANGER = Principal(user_id="x", role=Role.HIRER, session_id="s")
SUPPORT = Principal(user_id="sara", role=Role.SUPPORT, session_id="s")
ADMIN = Principal(user_id="ada", role=Role.ADMIN, session_id="s")


@pytest.fixture(scope="module")
async def database(mongo_url: str, mongo_prefix: str) -> AsyncIterator[Mongo]:
    async with bare(mongo_url, f"{mongo_prefix}holdings", DOCUMENTS) as mongo:
        yield mongo


@pytest.fixture
async def context(database: Mongo) -> AsyncIterator[Any]:
    """The service's context as far as escrows need it: nothing happened yet, and the clock stands still."""
    for name in await database.database.list_collection_names():
        await database.collection(name).delete_many({})
    clock.stop(START)
    resources: dict[str, Any] = {
        "mongo": database, "redis": None, "events": EventStore(database, "payment", PersonKeys(database, RING)),
        "timers": Timers(database), "idempotency": IdempotencyKeys(database, RING), "ring": RING, "callers": {},
    }  # fmt: skip
    settings: Any = None
    job: Any = FakeJobClient()
    yield Context(**resources, settings=settings, job=job, providers={})
    clock.reset()


async def held(context: Any, name: str = "e1", *, status: EscrowStatus = S.FUNDED, **more: Any) -> EscrowDocument:
    """An escrow whose hirer had just what it takes; the money is inside unless it is pending."""
    values: dict[str, Any] = {
        "id": name, "contract_id": "c1", "milestone_id": f"m-{name}", "hirer_id": "hana", "worker_id": "wale",
        "amount": 1_005, "currency": "GHS", "status": status, "fee_basis_points": 1_000, "tax_basis_points": 750,
        "created_at": START, "updated_at": START,
    }  # fmt: skip
    escrow = EscrowDocument(**values | more)
    paid = (Posting("wallet:hana:GHS", escrow.amount), Posting("clearing:stripe:GHS", -escrow.amount))

    async def body() -> None:
        await ledger.post(Entry(reference=f"deposit:{name}", kind="deposit", facts={}, postings=paid))
        await documents.insert_escrow(escrow)
        if status is not S.PENDING:
            await holdings.hold(context, escrow)

    await context.mongo.transact(body)
    return escrow


async def told(context: Any) -> list[tuple[str, str, dict[str, Any]]]:
    """Subject, type and data of all events but those that funding tells, and forget them."""
    rows = context.mongo.collection("events")
    found = [(row["subject"], row["type"], json.loads(row["data"])) async for row in rows.find().sort("_id")]
    await rows.delete_many({})
    return found


def event(way: str, amount: int, name: str = "e1", **more: int) -> tuple[str, str, dict[str, Any]]:
    ids = {"escrowId": name, "contractId": "c1", "milestoneId": f"m-{name}", "hirerId": "hana", "workerId": "wale"}
    data = ids | {"amount": {"amount": amount, "currency": "GHS"}} | more
    return f"escrow:{name}", f"payment.escrow_{way}.v1", data


async def money() -> tuple[int, ...]:
    """What hirer, worker, escrow, fees and tax have."""
    names = ("wallet:hana:GHS", "wallet:wale:GHS", "escrow:e1:GHS", "fees:GHS", "tax:GHS")
    return tuple([await ledger.balance(one) for one in names])


async def stored(context: Any, name: str = "e1") -> dict[str, Any]:
    row = await context.mongo.collection("escrows").find_one({"_id": name})
    names = ("status", "released", "releases", "worker_amount", "fee_amount", "tax_amount", "refunded_amount")
    return {key: row[key] for key in names if row[key] != 0}


def ask(amount: int | None, currency: str = "GHS") -> ReleaseEscrow:
    return ReleaseEscrow(amount=None if amount is None else Money(amount=amount, currency=currency))


async def test_parts_and_the_rest_are_paid_and_told(context: Any) -> None:
    await held(context)
    assert await told(context) == [event("funded", 1_005)]
    assert await money() == (0, 0, 1_005, 0, 0)
    first = await escrows.release_escrow(context, "e1", ask(405), by=HIRER)
    # 10 % of 405 is 40.5, 7.5 % of the 365 left is 27.375: both rounded down.
    assert await told(context) == [event("released", 405, feeAmount=40, taxAmount=27, heldAmount=600)]
    assert await money() == (0, 338, 600, 40, 27)
    part = {"released": 405, "releases": 1, "worker_amount": 338, "fee_amount": 40, "tax_amount": 27}
    assert await stored(context) == {"status": "funded"} | part
    assert (first.status, first.held.amount, context.job.told) == (S.FUNDED, 600, [])
    last = await escrows.release_escrow(context, "e1", ask(None), by=HIRER)
    assert await told(context) == [event("released", 600, feeAmount=60, taxAmount=40, heldAmount=0)]
    assert await money() == (0, 838, 0, 100, 67)
    whole = {"released": 1_005, "releases": 2, "worker_amount": 838, "fee_amount": 100, "tax_amount": 67}
    assert await stored(context) == {"status": "released"} | whole
    assert (last.status, last.held.amount) == (S.RELEASED, 0)
    assert (context.job.told, context.job.told_of) == ([("m-e1", "released", "e1")], ["c1"])
    seen = await documents.find_escrow("e1", seen_by=None)
    assert seen is not None
    assert last == escrow_view(seen) == await escrows.get_escrow(context, "e1", by=WORKER)


async def test_exactly_what_is_left_ends_it(context: Any) -> None:
    await held(context)
    done = await escrows.release_escrow(context, "e1", ask(1_005), by=HIRER)
    assert (done.status, await money()) == (S.RELEASED, (0, 838, 0, 100, 67))
    assert (await told(context))[1:] == [event("released", 1_005, feeAmount=100, taxAmount=67, heldAmount=0)]


@pytest.mark.parametrize(("by", "part"), [(WORKER, 0), (SUPPORT, 0), (ADMIN, 0), (WORKER, 405), (SUPPORT, 405)])
async def test_what_is_left_goes_back(context: Any, by: Principal, part: int) -> None:
    await held(context)
    if part:
        await escrows.release_escrow(context, "e1", ask(part), by=HIRER)
    await told(context)
    back = await escrows.refund_escrow(context, "e1", by=by)
    assert await told(context) == [event("refunded", 1_005 - part, releasedAmount=part)]
    assert await money() == ((600, 338, 0, 40, 27) if part else (1_005, 0, 0, 0, 0))
    ended = "settled" if part else "refunded"
    row = await stored(context)
    assert (row["status"], row["refunded_amount"], row.get("releases", 0)) == (ended, 1_005 - part, 1 if part else 0)
    assert (back.status, back.refunded) == (S(ended), escrow_view_money(1_005 - part))
    assert context.job.told == [("m-e1", "released" if part else "refunded", "e1")]


def escrow_view_money(amount: int) -> Any:
    return escrow_view(EscrowDocument.model_construct(
        id="", contract_id="", milestone_id="", hirer_id="", worker_id="", status=S.REFUNDED, amount=1, currency="GHS",
        created_at=START, updated_at=START, released=0, refunded_amount=amount,
    )).refunded  # fmt: skip


@pytest.mark.parametrize("status", [S.FUNDED, S.DISPUTED, S.RELEASED, S.REFUNDED, S.PENDING])
async def test_who_may_not_is_told_why_and_nothing_moves(context: Any, status: EscrowStatus) -> None:
    await held(context)
    if status is not S.FUNDED:
        await context.mongo.collection("escrows").update_one({"_id": "e1"}, {"$set": {"status": status.value}})
    await told(context)
    before = await money(), await stored(context)
    closed: type[Exception] = EscrowDisputed if status is S.DISPUTED else EscrowNotFunded
    for amount in (None, 5):
        for by, why in ((STRANGER, EscrowNotFound), (WORKER, Forbidden), (SUPPORT, Forbidden)):
            with pytest.raises(why):
                await escrows.release_escrow(context, "e1", ask(amount), by=by)
        with pytest.raises(EscrowNotFound):
            await escrows.release_escrow(context, "none", ask(amount), by=HIRER)
        if status is not S.FUNDED:
            with pytest.raises(closed):
                await escrows.release_escrow(context, "e1", ask(amount), by=HIRER)
    for by, why in ((STRANGER, EscrowNotFound), (HIRER, Forbidden)):
        with pytest.raises(why):
            await escrows.refund_escrow(context, "e1", by=by)
    with pytest.raises(EscrowNotFound):
        await escrows.refund_escrow(context, "none", by=SUPPORT)
    if status is not S.FUNDED:
        for by in (WORKER, SUPPORT):
            with pytest.raises(closed):
                await escrows.refund_escrow(context, "e1", by=by)
    else:
        for amount, currency, field, message in (
            (1_006, "GHS", "amount.amount", "1 to 1005, which is what this escrow holds"),
            (5, "USD", "amount.currency", "this escrow is in GHS"),
        ):
            with pytest.raises(BadInput) as bad:
                await escrows.release_escrow(context, "e1", ask(amount, currency), by=HIRER)
            assert [(one.field, one.message) for one in bad.value.errors or []] == [(field, message)]
    assert (await money(), await stored(context)) == before
    assert (await told(context), context.job.told) == ([], [])


async def test_money_that_came_in_funds_what_waits_for_it_once(context: Any) -> None:
    await held(context, status=S.PENDING)
    assert await money() == (1_005, 0, 0, 0, 0)
    for _ in range(2):
        await context.mongo.transact(lambda: holdings.fund_pending(context, "e1"))
    await context.mongo.transact(lambda: holdings.fund_pending(context, "none"))
    assert (await money(), (await stored(context))["status"]) == ((0, 0, 1_005, 0, 0), "funded")
    assert await told(context) == [event("funded", 1_005)]


async def test_answers_are_kept_with_their_effect(context: Any) -> None:
    keys = context.mongo.collection("idempotency_keys")
    for name, call in (
        ("e1", partial(escrows.release_escrow, context, "e1", ask(5), by=HIRER)),
        ("e2", partial(escrows.refund_escrow, context, "e2", by=WORKER)),
    ):
        await held(context, name)
        await keys.insert_one({"_id": name, "lease": "l"})
        token = idempotency._current.set(Reservation(name, "l"))
        try:
            view = await call()
        finally:
            idempotency._current.reset(token)
        row = await keys.find_one({"_id": name})
        assert (row["status"], RING.decrypt(row["answer"], context=name.encode())) == (200, msgspec.json.encode(view))


async def test_the_job_service_has_an_approved_milestone_paid_once(context: Any) -> None:
    await held(context)
    facts = [await escrows.release_milestone(context, contract_id="c1", milestone_id="m-e1") for _ in range(2)]
    seen = await documents.find_escrow("e1", seen_by=None)
    assert seen is not None
    assert facts == [escrow_facts(seen)] * 2
    assert (facts[0].status, await money()) == (S.RELEASED, (0, 838, 0, 100, 67))
    for contract_id, milestone_id in (("c2", "m-e1"), ("c1", "m-e2")):
        with pytest.raises(EscrowNotFound):
            await escrows.release_milestone(context, contract_id=contract_id, milestone_id=milestone_id)
    for name, status, why in (("e2", S.DISPUTED, EscrowDisputed), ("e3", S.REFUNDED, EscrowNotFunded)):
        await held(context, name)
        await context.mongo.collection("escrows").update_one({"_id": name}, {"$set": {"status": status.value}})
        with pytest.raises(why):
            await escrows.release_milestone(context, contract_id="c1", milestone_id=f"m-{name}")


async def test_what_is_heard_is_done_once_and_what_cannot_be_is_let_go(context: Any) -> None:
    await held(context)
    await told(context)

    def approved(name: str) -> MilestoneApproved:
        return MilestoneApproved(
            contract_id="c1", milestone_id=f"m-{name}", hirer_id="hana", worker_id="wale", amount=Money(amount=1_005)
        )

    one = approved("e1")
    heard = envelope(one)
    for _ in range(2):
        await escrows.on_milestone_approved(context, heard, one)
    assert await told(context) == [event("released", 1_005, feeAmount=100, taxAmount=67, heldAmount=0)]
    assert await context.events.consumed_by(["payment.release_escrow"], heard.id) == {"payment.release_escrow": START}
    for name, status, code in (
        ("none", None, "not_found"), ("e2", S.DISPUTED, "disputed"), ("e3", S.REFUNDED, "not_funded"),
    ):  # fmt: skip
        if status is not None:
            await held(context, name)
            await context.mongo.collection("escrows").update_one({"_id": name}, {"$set": {"status": status.value}})
        await told(context)
        other = approved(name)
        heard = envelope(other)
        with capture_logs() as logs:
            await escrows.on_milestone_approved(context, heard, other)
        assert [(one["event"], one["milestone_id"], one["code"]) for one in logs] == [
            ("payment.escrow.not_released", f"m-{name}", f"payment.escrow_{code}")
        ]
        assert await told(context) == []
        assert await context.events.consumed_by(["payment.release_escrow"], heard.id) != {}


async def test_a_cancelled_contract_gives_back_what_nobody_quarrels_over(context: Any) -> None:
    for name, status in (("e1", S.FUNDED), ("e2", S.FUNDED), ("e3", S.PENDING)):
        await held(context, name, status=status)
    await held(context, "e4", contract_id="c2")
    await context.mongo.collection("escrows").update_one({"_id": "e2"}, {"$set": {"status": "disputed"}})
    await told(context)
    cancelled = ContractCancelled(contract_id="c1", job_id="j", hirer_id="hana", worker_id="wale", cancelled_by="wale")
    heard = envelope(cancelled)
    for _ in range(2):
        await escrows.on_contract_cancelled(context, heard, cancelled)
    assert await told(context) == [event("refunded", 1_005, releasedAmount=0)]
    names = ("e1", "e2", "e3", "e4")
    assert [(await stored(context, one))["status"] for one in names] == ["refunded", "disputed", "voided", "funded"]
    assert await context.events.consumed_by(["payment.refund_contract"], heard.id) == {"payment.refund_contract": START}


async def test_each_sees_their_own_and_support_all(context: Any) -> None:
    for name in ("e1", "e2", "e3"):
        await held(context, name)
    for by in (HIRER, WORKER, SUPPORT, ADMIN):
        first = await escrows.list_escrows(context, by=by, contract_id="c1", cursor=None, limit=2)
        rest = await escrows.list_escrows(context, by=by, contract_id=None, cursor=first.next_cursor, limit=2)
        assert ([one.id for one in first.items], [one.id for one in rest.items]) == (["e3", "e2"], ["e1"])
        assert rest.next_cursor is None
        assert (await escrows.get_escrow(context, "e2", by=by)).id == "e2"
    assert (await escrows.list_escrows(context, by=STRANGER, contract_id=None, cursor=None, limit=9)).items == []
    assert (await escrows.list_escrows(context, by=HIRER, contract_id="c2", cursor=None, limit=9)).items == []
    for by, name in ((STRANGER, "e1"), (SUPPORT, "none")):
        with pytest.raises(EscrowNotFound):
            await escrows.get_escrow(context, name, by=by)


async def test_money_moves_also_when_the_job_service_is_away(context: Any) -> None:
    await held(context)
    context.job.down = Unavailable()
    with capture_logs() as logs:
        assert (await escrows.release_escrow(context, "e1", ask(None), by=HIRER)).status is S.RELEASED
    what = {"escrow_id": "e1", "state": "released", "code": "unavailable"}
    assert logs == [{"event": "payment.escrow.job_not_told", "log_level": "warning"} | what]
    assert (context.job.told, await money()) == ([], (0, 838, 0, 100, 67))
