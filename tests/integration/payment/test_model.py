"""Random operations with faults, beside a plain model: every invariant holds after each step."""

import asyncio
import os
from collections import Counter
from datetime import timedelta
from typing import NamedTuple, TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kelmah.contracts.common import Role
from kelmah.contracts.payment import EscrowStatus
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.services.payment import service
from kelmah.services.payment.documents import DOCUMENTS, ledger
from kelmah.services.payment.providers.base import ChargebackState
from kelmah.services.payment.service import verify_ledger
from tests.fakes.cards import DECLINED, FROZEN, NEEDS_ACTION
from tests.fixtures.service import person
from tests.integration.payment.conftest import Payments
from tests.integration.payment.test_webhooks import deliver, handle_all, notice

ResultT = TypeVar("ResultT")


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
                "part",
                "refund",
                "dispute",
                "rule",
                "settle_dispute",
                "withdraw",
                "give_back",
                "charge_back",
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
        #: Amounts that may have been paid: nobody is charged for them again.
        self.unknown: set[int] = set()
        self.paid_deposits: dict[str, int] = {}
        self.charged_back: set[str] = set()
        self.escrows: dict[str, tuple[int, EscrowStatus]] = {}
        self.released: Counter[str] = Counter()
        self.disputes: dict[str, str] = {}
        #: What the platform lost by a chargeback, and which one a dispute is about, by escrow.
        self.losses: Counter[str] = Counter()
        self.about: dict[str, str] = {}

    async def run(self, step: Step) -> None:
        await getattr(self, step.what)(step)
        assert await self.payments.available(self.hirer) == self.hirer_has
        assert await self.payments.available(self.worker) == self.worker_has
        assert (await verify_ledger(self.payments.context)).faults == []

    async def deposit(self, step: Step) -> None:
        reply = await self.payments.deposit(self.hirer, step.amount)
        if step.amount in self.unknown:
            assert reply.status == 409
            return
        assert reply.status == 201
        self.hirer_has += step.amount
        self.paid_deposits[reply.data["id"]] = step.amount

    async def withdraw(self, step: Step) -> None:
        """The worker takes money out; what becomes of it depends on the account and on the line to the provider."""
        clock.shift(timedelta(hours=25))
        now = int(clock.now().timestamp())
        worker = Principal(
            user_id=self.worker.user_id, role=Role.WORKER, session_id=self.worker.session_id, authenticated_at=now
        )
        ending = step.which % 5
        method_id = await self.payments.account_of(worker, FROZEN if ending == 0 else "acct_mine")
        try:
            reply = await self.payments.withdraw(worker, step.amount, method_id)
        finally:
            await self.payments.service.call("DELETE", f"/api/v1/payments/methods/{method_id}", by=worker)
        if step.amount < 500 or step.amount > self.worker_has:
            assert reply.status == (400 if step.amount < 500 else 402)
            return
        assert reply.status == 201
        if ending in (1, 2):
            self.payments.cards.lose("send:before" if ending == 1 else "send:after")
        context, withdrawal_id = self.payments.context, reply.data["id"]
        await asyncio.gather(*(service.send_withdrawal(context, withdrawal_id) for _ in range(2)))
        await asyncio.gather(*(service.requery_withdrawal(context, withdrawal_id) for _ in range(2)))
        self.payments.cards.fault = lambda step: None
        assert self.payments.cards.sent[f"po_{withdrawal_id}"] == (ending != 0)
        assert await self.payments.held(worker) == 0
        self.worker_has -= step.amount if ending else 0

    async def give_back(self, step: Step) -> None:
        """Support refunds part of a deposit to the hirer's card."""
        if not self.paid_deposits:
            return
        deposit_id = sorted(self.paid_deposits)[step.which % len(self.paid_deposits)]
        support = person(Role.SUPPORT, authenticated_at=int(clock.now().timestamp()))
        body = {"amount": {"amount": step.amount, "currency": "GHS"}}
        reply = await self.payments.post(f"/wallet/deposits/{deposit_id}/refund", body, by=support)
        if step.amount > self.paid_deposits[deposit_id]:
            assert reply.status == 409
            return
        if step.amount > self.hirer_has:
            assert reply.status == 402
            return
        assert reply.status == 201
        await service.send_withdrawal(self.payments.context, reply.data["id"])
        self.paid_deposits[deposit_id] -= step.amount
        self.hirer_has -= step.amount

    async def charge_back(self, step: Step) -> None:
        """The hirer's bank takes a deposit back, and rules; its notices come twice and in any order."""
        left = sorted(self.paid_deposits.keys() - self.charged_back)
        if not left:
            return
        deposit_id = left[step.which % len(left)]
        self.charged_back.add(deposit_id)
        state = ChargebackState.WON if step.amount % 2 else ChargebackState.LOST
        amount = self.payments.cards.charges[f"pi_{deposit_id}"].amount
        ref = self.payments.cards.charge_back(f"pi_{deposit_id}")
        await deliver(self.payments, notice("charge.dispute.created", ref))
        await handle_all(self.payments)
        held = min(amount, self.hirer_has)
        assert await self.payments.available(self.hirer) == self.hirer_has - held
        await self._freeze(deposit_id, amount - held)
        self.payments.cards.charge_back(f"pi_{deposit_id}", state)
        for kind in ("charge.dispute.closed", "charge.dispute.created"):
            await deliver(self.payments, notice(kind, ref))
            await handle_all(self.payments)
        if state is ChargebackState.WON:
            self.about = {escrow_id: by for escrow_id, by in self.about.items() if by != deposit_id}
            return
        self.hirer_has -= held

    async def _freeze(self, deposit_id: str, lost: int) -> None:
        """The latest escrows are disputed, as far as the platform would lose money."""
        self.losses[deposit_id] = lost
        for escrow_id, (left, status) in sorted(self.escrows.items(), reverse=True):
            if lost > 0 and status in (EscrowStatus.FUNDED, EscrowStatus.DISPUTED):
                lost -= left
                self.escrows[escrow_id] = (left, EscrowStatus.DISPUTED)
                self.about.setdefault(escrow_id, deposit_id)
        listed = (await self.payments.get("/disputes?limit=100", by=self.hirer)).data["items"]
        self.disputes |= {one["id"]: one["escrowId"] for one in listed}

    async def declined(self, step: Step) -> None:
        reply = await self.payments.deposit(self.hirer, step.amount, method=DECLINED)
        assert reply.status == (409 if step.amount in self.unknown else 402)

    async def lost(self, step: Step) -> None:
        await self._lose("confirm:after", step.amount, paid=step.amount)

    async def dropped(self, step: Step) -> None:
        await self._lose("confirm:before", step.amount, paid=0)

    async def _lose(self, at: str, amount: int, *, paid: int) -> None:
        self.payments.cards.lose(at)
        reply = await self.payments.deposit(self.hirer, amount)
        self.payments.cards.fault = lambda step: None
        if amount in self.unknown:
            assert reply.status == 409
            return
        assert (reply.status, reply.data["status"]) == (202, "unknown")
        self.open_deposits[reply.data["id"]] = paid
        self.unknown.add(amount)

    async def action(self, step: Step) -> None:
        reply = await self.payments.deposit(self.hirer, step.amount, method=NEEDS_ACTION)
        if step.amount in self.unknown:
            assert reply.status == 409
            return
        assert (reply.status, reply.data["status"]) == (202, "requires_action")
        self.payments.cards.pass_action(f"pi_{reply.data['id']}")
        self.open_deposits[reply.data["id"]] = step.amount

    async def settle(self, step: Step) -> None:
        for deposit_id, amount in self.open_deposits.items():
            await asyncio.gather(*(service.requery_deposit(self.payments.context, deposit_id) for _ in range(2)))
            self.hirer_has += amount
        self.open_deposits.clear()
        self.unknown.clear()

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
        escrow_id = self._pick(step)
        amount = await self._leave(step, "release", self.hirer, EscrowStatus.RELEASED)
        if escrow_id is not None:
            self._pay(escrow_id, amount)

    async def part(self, step: Step) -> None:
        """A part of an escrow is paid out; the model keeps what is left and what was released."""
        if (escrow_id := self._pick(step)) is None:
            return
        left, status = self.escrows[escrow_id]
        body = {"amount": {"amount": step.amount, "currency": "GHS"}}
        reply = await self.payments.post(f"/escrows/{escrow_id}/release", body, by=self.hirer)
        if status is not EscrowStatus.FUNDED or step.amount > left:
            assert reply.status == (400 if status is EscrowStatus.FUNDED else 409)
            return
        assert reply.status == 200
        ending = EscrowStatus.RELEASED if step.amount == left else status
        self.escrows[escrow_id] = (left - step.amount, ending)
        self._pay(escrow_id, step.amount)

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
        path = f"/disputes/{dispute_id}"
        reply = await self.payments.post(f"{path}/resolve", body, by=self.support)
        if status is not EscrowStatus.DISPUTED:
            assert reply.status == 409
            return
        assert (reply.status, reply.data["status"]) == (200, "ruled")
        if step.which % 2:
            assert (await self.payments.post(f"{path}/appeal", {"reason": "r"}, by=self.worker)).status == 200
            part = amount - part
            assert (await self.payments.rule(dispute_id, part, amount - part)).status == 200
        else:
            await self.payments.let_pass(dispute_id)
        self._share(escrow_id, part)

    async def settle_dispute(self, step: Step) -> None:
        """The hirer offers, and the worker accepts, twice at once."""
        if not self.disputes:
            return
        dispute_id = sorted(self.disputes)[step.which % len(self.disputes)]
        escrow_id = self.disputes[dispute_id]
        amount, status = self.escrows[escrow_id]
        part = step.amount % (amount + 1)
        body = {"workerAmount": part, "hirerAmount": amount - part}
        reply = await self.payments.post(f"/disputes/{dispute_id}/offers", body, by=self.hirer)
        if status is not EscrowStatus.DISPUTED or escrow_id in self.about:
            assert reply.status == 409
            return
        accept = {"offerId": reply.data["offers"][0]["id"]}
        replies = await asyncio.gather(
            *(self.payments.post(f"/disputes/{dispute_id}/accept", accept, by=self.worker) for _ in range(2))
        )
        assert sorted(one.status for one in replies) == [200, 409]
        self._share(escrow_id, part)

    def _share(self, escrow_id: str, part: int) -> None:
        """An escrow is shared out; the hirer's part pays what the platform lost first."""
        amount, _ = self.escrows[escrow_id]
        self.escrows[escrow_id] = (amount, EscrowStatus.SETTLED)
        about = self.about.get(escrow_id, "")
        paid = min(self.losses[about], amount - part)
        self.losses[about] -= paid
        self.hirer_has += amount - part - paid
        self._pay(escrow_id, part)

    def _pick(self, step: Step) -> str | None:
        return sorted(self.escrows)[step.which % len(self.escrows)] if self.escrows else None

    def _pay(self, escrow_id: str, gross: int) -> None:
        """The fee of all parts together is that of the whole."""
        before = self.released[escrow_id]
        self.released[escrow_id] += gross
        fee = self.released[escrow_id] // 10 - before // 10
        self.worker_has += gross - fee
        self.fees += fee

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


#: How many random sequences are run; each ends with an empty ledger, so that many do not slow each other down.
RUNS = int(os.environ.get("KELMAH_TEST_MODEL_RUNS", "25"))


async def clear(payments: Payments) -> None:
    for document in DOCUMENTS:
        await document.get_pymongo_collection().delete_many({})


@settings(max_examples=RUNS, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_any_sequence_keeps_every_invariant(payments: Payments, steps: list[Step]) -> None:
    await clear(payments)
    model = Model(payments)
    for step in steps:
        await model.run(step)
    assert await ledger.balance("fees:GHS") == model.fees
    assert set(payments.cards.taken.values()) | set(payments.cards.sent.values()) <= {1}
