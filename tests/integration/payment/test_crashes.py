"""A process that dies at any step moves no money twice, and the client's retry gets the same answer."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from kelmah.contracts.common import Role
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.kit.mongo import Mongo, in_transaction
from kelmah.services.payment import service
from tests.fixtures.service import Reply, person
from tests.integration.payment.conftest import Payments

ResultT = TypeVar("ResultT")


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


async def test_a_withdrawal_that_crashed_anywhere_is_held_once(payments: Payments) -> None:
    workers: list[Principal] = []

    async def prepare() -> Callable[[], Awaitable[Reply]]:
        worker, key = await payments.rich(1_000), new_id()
        workers.append(worker)
        method_id = await payments.account_of(worker)
        return lambda: payments.withdraw(worker, 600, method_id, key=key)

    assert await walk(payments, prepare) == ONE_TRANSACTION
    for worker in workers:
        assert (await payments.available(worker), await payments.held(worker)) == (400, 600)


async def test_a_payout_that_crashed_anywhere_is_sent_once(payments: Payments) -> None:
    """The actor dies at every step in turn; its message is delivered again, and the sweeper comes."""
    died = []
    for number in range(1, 20):
        worker = await payments.rich(1_000)
        reply = await payments.withdraw(worker, 600, await payments.account_of(worker))
        withdrawal_id = reply.data["id"]

        async def send(withdrawal_id: str = withdrawal_id) -> Reply:
            await service.send_withdrawal(payments.context, withdrawal_id)
            return Reply(200, {}, b"")

        step = await crash(payments, number, send)
        await send()
        await service.requery_withdrawal(payments.context, withdrawal_id)
        assert payments.cards.sent[f"po_{withdrawal_id}"] == 1
        assert (await payments.available(worker), await payments.held(worker)) == (400, 0)
        if not step:
            break
        died.append(step)
    assert died == ["send:before", "send:after", *ONE_TRANSACTION]


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


@pytest.mark.parametrize("way", ["accept", "resolve", "deadline"])
async def test_a_dispute_whose_end_crashed_anywhere_ends_once(payments: Payments, way: str) -> None:
    sides: list[tuple[Principal, Principal]] = []

    async def prepare() -> Callable[[], Awaitable[Reply]]:
        hirer, worker, escrow_id = await payments.funded(1_000)
        sides.append((hirer, worker))
        dispute = await payments.post("/disputes", {"escrowId": escrow_id, "reason": "r"}, by=hirer)
        support, key = person(Role.SUPPORT), new_id()
        body = {"workerAmount": 500, "hirerAmount": 500, "note": "n"}
        path = f"/disputes/{dispute.data['id']}"
        if way == "accept":
            offered = await payments.post(f"{path}/offers", {"workerAmount": 500, "hirerAmount": 500}, by=worker)
            accepted = {"offerId": offered.data["offers"][0]["id"]}
            return lambda: payments.post(f"{path}/accept", accepted, by=hirer, key=key)
        if way == "resolve":
            await payments.rule(dispute.data["id"], 0, 1_000)
            await payments.post(f"{path}/appeal", {"reason": "r"}, by=worker)
            return lambda: payments.post(f"{path}/resolve", body, by=support, key=key)
        await payments.rule(dispute.data["id"], 500, 500)
        timer = await payments.timer(f"dispute:{dispute.data['id']}")
        assert timer is not None
        payments.shift_to(timer["due"])

        async def end_step() -> Reply:
            await service.end_step(payments.context, dispute.data["id"])
            return await payments.get(path, by=hirer)

        return end_step

    assert await walk(payments, prepare) == ONE_TRANSACTION
    for hirer, worker in sides:
        assert (await payments.available(hirer), await payments.available(worker)) == (500, 450)
