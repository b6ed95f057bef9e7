"""Whatever is done, in whatever order, at once or through crashes: no minor unit is made, lost or moved twice."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kelmah.contracts.common import Role
from kelmah.contracts.payment import EscrowStatus
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.kit.mongo import Mongo, in_transaction, session
from kelmah.services.payment import service
from kelmah.services.payment.documents import ledger
from kelmah.services.payment.documents.ledger import Entry, Posting
from kelmah.services.payment.errors import AlreadyPosted, LedgerError
from kelmah.services.payment.service import verify_ledger
from tests.fakes.cards import DECLINED, NEEDS_ACTION
from tests.fixtures.service import Reply, person
from tests.integration.payment.conftest import Payments

ResultT = TypeVar("ResultT")

# --- Concurrency ---


async def test_a_hundred_fundings_at_once_end_at_the_exact_balance(payments: Payments) -> None:
    hirer, worker = await payments.hirer_with(10_000), person(Role.WORKER)
    contract = payments.jobs.make_contract(hirer.user_id, worker.user_id, *[150] * 100)
    replies = await asyncio.gather(*(payments.fund(contract, index, by=hirer) for index in range(100)))
    assert sorted(reply.status for reply in replies) == [201] * 66 + [402] * 34
    assert await payments.available(hirer) == 100
    funded = [reply.data["id"] for reply in replies if reply.status == 201]
    released = await asyncio.gather(*(payments.post(f"/escrows/{one}/release", by=hirer) for one in funded))
    assert [reply.status for reply in released] == [200] * 66
    assert await payments.available(worker) == 66 * 135


async def test_first_deposits_at_once_make_one_wallet(payments: Payments) -> None:
    hirer = person()
    replies = await asyncio.gather(*(payments.deposit(hirer, 100 + index) for index in range(30)))
    assert [reply.status for reply in replies] == [201] * 30
    assert await payments.available(hirer) == sum(range(100, 130))


# --- Random operations ---


class Step(NamedTuple):
    what: str
    amount: int
    which: int


STEPS = st.lists(
    st.builds(
        Step,
        what=st.sampled_from(
            [
                "deposit",
                "declined",
                "lost",
                "dropped",
                "action",
                "settle",
                "fund",
                "release",
                "refund",
                "dispute",
                "rule",
            ]
        ),
        amount=st.integers(100, 20_000),
        which=st.integers(0, 9),
    ),
    max_size=25,
)


class Model:
    """What the service should hold, worked out beside it in the plainest way."""

    def __init__(self, payments: Payments) -> None:
        self.payments = payments
        self.hirer, self.worker, self.support = person(), person(Role.WORKER), person(Role.SUPPORT)
        self.hirer_has = self.worker_has = self.fees = 0
        self.open_deposits: dict[str, int] = {}
        self.escrows: dict[str, tuple[int, EscrowStatus]] = {}
        self.disputes: dict[str, str] = {}

    async def run(self, step: Step) -> None:
        await getattr(self, step.what)(step)
        assert await self.payments.available(self.hirer) == self.hirer_has
        assert await self.payments.available(self.worker) == self.worker_has

    async def deposit(self, step: Step) -> None:
        assert (await self.payments.deposit(self.hirer, step.amount)).status == 201
        self.hirer_has += step.amount

    async def declined(self, step: Step) -> None:
        assert (await self.payments.deposit(self.hirer, step.amount, method=DECLINED)).status == 402

    async def lost(self, step: Step) -> None:
        self.payments.cards.lose("confirm:after")
        reply = await self.payments.deposit(self.hirer, step.amount)
        assert (reply.status, reply.data["status"]) == (202, "unknown")
        self.open_deposits[reply.data["id"]] = step.amount

    async def dropped(self, step: Step) -> None:
        self.payments.cards.lose("confirm:before")
        reply = await self.payments.deposit(self.hirer, step.amount)
        assert (reply.status, reply.data["status"]) == (202, "unknown")
        self.open_deposits[reply.data["id"]] = 0

    async def action(self, step: Step) -> None:
        reply = await self.payments.deposit(self.hirer, step.amount, method=NEEDS_ACTION)
        assert (reply.status, reply.data["status"]) == (202, "requires_action")
        self.payments.cards.pass_action(f"pi_{reply.data['id']}")
        self.open_deposits[reply.data["id"]] = step.amount

    async def settle(self, step: Step) -> None:
        for deposit_id, amount in self.open_deposits.items():
            await asyncio.gather(*(service.requery_deposit(self.payments.context, deposit_id) for _ in range(2)))
            self.hirer_has += amount
        self.open_deposits.clear()

    async def fund(self, step: Step) -> None:
        contract = self.payments.jobs.make_contract(self.hirer.user_id, self.worker.user_id, step.amount)
        reply = await self.payments.fund(contract, by=self.hirer)
        if step.amount > self.hirer_has:
            assert reply.status == 402
            return
        assert reply.status == 201
        self.hirer_has -= step.amount
        self.escrows[reply.data["id"]] = (step.amount, EscrowStatus.FUNDED)

    async def release(self, step: Step) -> None:
        amount = await self._leave(step, "release", self.hirer, EscrowStatus.RELEASED)
        self._pay(amount)

    async def refund(self, step: Step) -> None:
        self.hirer_has += await self._leave(step, "refund", self.worker, EscrowStatus.REFUNDED)

    async def dispute(self, step: Step) -> None:
        if (escrow_id := self._pick(step)) is None:
            return
        amount, status = self.escrows[escrow_id]
        body = {"escrowId": escrow_id, "reason": "r"}
        reply = await self.payments.post("/disputes", body, by=self.worker)
        if status is not EscrowStatus.FUNDED:
            assert reply.status == 409
            return
        self.escrows[escrow_id] = (amount, EscrowStatus.DISPUTED)
        self.disputes[reply.data["id"]] = escrow_id

    async def rule(self, step: Step) -> None:
        if not self.disputes:
            return
        dispute_id = sorted(self.disputes)[step.which % len(self.disputes)]
        escrow_id = self.disputes[dispute_id]
        amount, status = self.escrows[escrow_id]
        part = step.amount % (amount + 1)
        body = {"workerAmount": part, "hirerAmount": amount - part, "note": "n"}
        reply = await self.payments.post(f"/disputes/{dispute_id}/resolve", body, by=self.support)
        if status is not EscrowStatus.DISPUTED:
            assert reply.status == 409
            return
        assert reply.status == 200
        self.escrows[escrow_id] = (amount, EscrowStatus.SETTLED)
        self.hirer_has += amount - part
        self._pay(part)

    def _pick(self, step: Step) -> str | None:
        return sorted(self.escrows)[step.which % len(self.escrows)] if self.escrows else None

    def _pay(self, gross: int) -> None:
        self.worker_has += gross - gross // 10
        self.fees += gross // 10

    async def _leave(self, step: Step, way: str, by: Principal, to: EscrowStatus) -> int:
        if (escrow_id := self._pick(step)) is None:
            return 0
        amount, status = self.escrows[escrow_id]
        reply = await self.payments.post(f"/escrows/{escrow_id}/{way}", by=by)
        if status is not EscrowStatus.FUNDED:
            assert reply.status == 409
            return 0
        assert reply.status == 200
        self.escrows[escrow_id] = (amount, to)
        return amount


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_any_sequence_keeps_every_invariant(payments: Payments, steps: list[Step]) -> None:
    fees_before = await ledger.balance("fees:GHS")
    model = Model(payments)
    for step in steps:
        await model.run(step)
    assert await ledger.balance("fees:GHS") - fees_before == model.fees
    assert (await verify_ledger(payments.context)).faults == []
    assert set(payments.cards.taken.values()) <= {1}


# --- Crashes ---


class Crash(BaseException):
    """The process dies here."""


class Crashing(Mongo):
    """A database whose process dies at the n-th step: before, inside or after a transaction."""

    def __init__(self, mongo: Mongo, step: Callable[[str], None]) -> None:
        super().__init__(mongo.client, mongo.database.name)
        self._step = step

    async def transact(self, body: Callable[[], Awaitable[ResultT]]) -> ResultT:
        if in_transaction():
            return await super().transact(body)

        async def inside() -> ResultT:
            result = await body()
            self._step("transaction:inside")
            return result

        self._step("transaction:before")
        result = await super().transact(inside)
        self._step("transaction:after")
        return result


class CrashAt:
    """Dies at the n-th step, once."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.died = ""

    def __call__(self, step: str) -> None:
        self.left -= 1
        if self.left == 0:
            self.died = step
            raise Crash(step)


async def crash(payments: Payments, number: int, call: Callable[[], Awaitable[Reply]]) -> str:
    """Make a call whose process dies at the n-th step, and come back a minute later. The step, or '' if it lived."""
    at = CrashAt(number)
    whole = payments.service.context
    idempotency = payments.service.app.state.idempotency
    payments.service.replace(mongo=Crashing(whole.mongo, at))
    payments.cards.fault = at

    async def lost(*_: Any) -> None:
        """A dead process gives nothing back."""

    idempotency.release, released = lost, idempotency.release
    try:
        await call()
    except Crash:
        pass
    finally:
        idempotency.release = released
        payments.service.replace(mongo=whole.mongo)
        payments.cards.fault = lambda step: None
    clock.shift(timedelta(seconds=61))
    return at.died


async def walk(payments: Payments, prepare: Callable[[], Awaitable[Callable[[], Awaitable[Reply]]]]) -> list[str]:
    """Crash at every step in turn; each time the retry must answer as if nothing had happened."""
    steps: list[str] = []
    for number in range(1, 40):
        call = await prepare()
        died = await crash(payments, number, call)
        if not died:
            return steps
        steps.append(died)
        reply, again = await call(), await call()
        assert reply.status in (200, 201), (died, reply.data)
        assert again.data == reply.data
    raise AssertionError("the operation never came to its end")


DEPOSIT_STEPS = [
    *("transaction:before", "transaction:inside", "transaction:after"),
    *("create:before", "create:after", "confirm:before", "confirm:after"),
    *("transaction:before", "transaction:inside", "transaction:after"),
]
ONE_TRANSACTION = ["transaction:before", "transaction:inside", "transaction:after"]


async def test_a_deposit_that_crashed_anywhere_is_made_once(payments: Payments) -> None:
    hirers: list[Principal] = []

    async def prepare() -> Callable[[], Awaitable[Reply]]:
        hirer, key = person(), new_id()
        hirers.append(hirer)
        return lambda: payments.deposit(hirer, 500, key=key)

    assert await walk(payments, prepare) == DEPOSIT_STEPS
    assert [await payments.available(hirer) for hirer in hirers] == [500] * len(hirers)
    assert set(payments.cards.taken.values()) == {1}


async def test_a_deposit_that_crashed_and_is_never_retried_is_settled_or_closed(payments: Payments) -> None:
    for number, _ in enumerate(DEPOSIT_STEPS, start=1):
        hirer = person()

        async def call(by: Principal = hirer) -> Reply:
            return await payments.deposit(by, 500)

        await crash(payments, number, call)
        row = await payments.context.mongo.collection("deposits").find_one({"user_id": hirer.user_id})
        if row is not None:
            await service.requery_deposit(payments.context, row["_id"])
            row = await payments.context.mongo.collection("deposits").find_one({"user_id": hirer.user_id})
            assert row["status"] in ("succeeded", "canceled")
        taken = payments.cards.taken[f"pi_{row['_id']}"] if row else 0
        assert await payments.available(hirer) == 500 * taken


async def test_a_funding_that_crashed_anywhere_is_made_once(payments: Payments) -> None:
    hirers: list[Principal] = []

    async def prepare() -> Callable[[], Awaitable[Reply]]:
        hirer, key = await payments.hirer_with(800), new_id()
        hirers.append(hirer)
        contract = payments.jobs.make_contract(hirer.user_id, new_id(), 300)
        return lambda: payments.fund(contract, by=hirer, key=key)

    assert await walk(payments, prepare) == ONE_TRANSACTION
    assert [await payments.available(hirer) for hirer in hirers] == [500] * len(hirers)


@pytest.mark.parametrize(("way", "hirer_has", "worker_has"), [("release", 0, 900), ("refund", 1_000, 0)])
async def test_money_that_leaves_through_a_crash_leaves_once(
    payments: Payments, way: str, hirer_has: int, worker_has: int
) -> None:
    sides: list[tuple[Principal, Principal]] = []

    async def prepare() -> Callable[[], Awaitable[Reply]]:
        hirer, worker, escrow_id = await payments.funded(1_000)
        sides.append((hirer, worker))
        by, key = hirer if way == "release" else worker, new_id()
        return lambda: payments.post(f"/escrows/{escrow_id}/{way}", by=by, key=key)

    assert await walk(payments, prepare) == ONE_TRANSACTION
    for hirer, worker in sides:
        assert (await payments.available(hirer), await payments.available(worker)) == (hirer_has, worker_has)


async def test_a_ruling_that_crashed_anywhere_is_made_once(payments: Payments) -> None:
    sides: list[tuple[Principal, Principal]] = []

    async def prepare() -> Callable[[], Awaitable[Reply]]:
        hirer, worker, escrow_id = await payments.funded(1_000)
        sides.append((hirer, worker))
        dispute = await payments.post("/disputes", {"escrowId": escrow_id, "reason": "r"}, by=hirer)
        support, key = person(Role.SUPPORT), new_id()
        body = {"workerAmount": 500, "hirerAmount": 500, "note": "n"}
        return lambda: payments.post(f"/disputes/{dispute.data['id']}/resolve", body, by=support, key=key)

    assert await walk(payments, prepare) == ONE_TRANSACTION
    for hirer, worker in sides:
        assert (await payments.available(hirer), await payments.available(worker)) == (500, 450)


# --- The checks themselves ---


async def test_an_effect_is_posted_once(payments: Payments) -> None:
    account = f"wallet:{new_id()}:GHS"
    entry = Entry(
        reference=new_id(),
        kind="deposit",
        facts={},
        postings=(Posting("clearing:stripe:GHS", -5), Posting(account, 5)),
    )

    async def body() -> None:
        await ledger.post(entry)

    await payments.context.mongo.transact(body)
    with pytest.raises(AlreadyPosted):
        await payments.context.mongo.transact(body)
    assert await ledger.balance(account) == 5
    with pytest.raises(RuntimeError):
        await ledger.post(entry)


async def test_an_escrow_cannot_be_overdrawn(payments: Payments) -> None:
    entry = Entry(
        reference=new_id(),
        kind="escrow_release",
        facts={},
        postings=(Posting(f"escrow:{new_id()}:GHS", -5), Posting("fees:GHS", 5)),
    )

    async def body() -> None:
        await ledger.post(entry)

    before = await ledger.balance("fees:GHS")
    with pytest.raises(LedgerError):
        await payments.context.mongo.transact(body)
    assert await ledger.balance("fees:GHS") == before


async def test_balances_of_the_past_are_replayed(payments: Payments) -> None:
    hirer = person()
    instants = []
    for amount in (100, 200, 300):
        await payments.deposit(hirer, amount)
        instants.append(clock.now())
        clock.shift(timedelta(hours=1))
    account = ledger.wallet(hirer.user_id, "GHS")
    at = [await service.balance_at(payments.context, account, instant) for instant in instants]
    assert at == [100, 300, 600]
    assert await service.balance_at(payments.context, account, instants[0] - timedelta(minutes=1)) == 0


class Undo(Exception):
    """Ends a transaction that must leave no trace."""


@pytest.mark.parametrize(
    ("collection", "query", "change", "checks"),
    [
        (
            "ledger_accounts",
            {"kind": "wallet"},
            {"$inc": {"balance": 1}},
            {"balance_is_replay", "balances_sum_to_zero"},
        ),
        (
            "ledger_accounts",
            {"kind": "wallet"},
            {"$set": {"balance": -1}},
            {"balance_is_replay", "balances_sum_to_zero", "not_negative"},
        ),
        ("ledger_accounts", {"kind": "wallet"}, {"$inc": {"sequence": 1}}, {"sequence_is_whole"}),
        ("ledger_entries", {}, {"$inc": {"postings.0.amount": 1}}, {"balance_is_replay", "entry_sums_to_zero"}),
        ("escrows", {"status": "funded"}, {"$inc": {"amount": 1}}, {"escrow_is_open"}),
        ("escrows", {"status": "funded"}, {"$set": {"status": "released"}}, {"escrow_is_open"}),
    ],
)
async def test_every_broken_invariant_is_found(
    payments: Payments, collection: str, query: dict[str, Any], change: dict[str, Any], checks: set[str]
) -> None:
    await payments.funded(1_000)
    found: set[str] = set()

    async def body() -> None:
        rows = payments.context.mongo.collection(collection)
        done = await rows.update_one(query, change, session=session())
        assert done.modified_count == 1
        found.update(fault.check for fault in (await verify_ledger(payments.context)).faults)
        raise Undo

    with pytest.raises(Undo):
        await payments.context.mongo.transact(body)
    assert found == checks
    assert (await verify_ledger(payments.context)).is_sound


async def test_a_lost_account_or_entry_is_found(payments: Payments) -> None:
    await payments.funded(1_000)
    for collection, check in (("ledger_accounts", "account_exists"), ("ledger_entries", "sequence_is_whole")):
        found: set[str] = set()

        async def body(rows: Any, into: set[str]) -> None:
            await rows.delete_one({}, session=session())
            into.update(fault.check for fault in (await verify_ledger(payments.context)).faults)
            raise Undo

        rows = payments.context.mongo.collection(collection)
        with pytest.raises(Undo):
            await payments.context.mongo.transact(lambda rows=rows, into=found: body(rows, into))
        assert check in found
