"""What the payment service should hold after random operations, worked out beside it in the plainest way."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import msgspec

from kelmah.contracts.common import Role
from kelmah.contracts.payment import EscrowStatus
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.payment import service
from kelmah.services.payment.documents import ledger
from kelmah.services.payment.providers.base import ChargebackState
from kelmah.services.payment.service import verify_ledger
from tests.fakes.cards import DECLINED, FROZEN, NEEDS_ACTION
from tests.fixtures.service import Reply, person
from tests.integration.payment.conftest import Payments
from tests.integration.payment.test_crashes import crash
from tests.integration.payment.test_webhooks import deliver, handle_all, notice

#: The smallest withdrawal.
LEAST = 500
FUNDED, DISPUTED = EscrowStatus.FUNDED, EscrowStatus.DISPUTED
#: How often each operation comes; what brings money in makes the others possible.
WEIGHTS = {
    "deposit": 4,
    "declined": 1,
    "lost": 1,
    "dropped": 1,
    "action": 1,
    "settle": 1,
    "fund": 3,
    "release": 3,
    "part": 3,
    "refund": 2,
    "dispute": 2,
    "rule": 2,
    "settle_dispute": 2,
    "take_back": 2,
    "withdraw": 3,
    "give_back": 2,
    "charge_back": 2,
    "race": 3,
    "crowd": 3,
}


class Step(NamedTuple):
    """One operation. `dies_at` is the step of the service at which its process dies the first time."""

    what: str
    amount: int
    which: int
    dies_at: int


def steps_of(seed: int) -> list[Step]:
    """The operations of one run; the same seed makes the same."""
    rng = random.Random(seed)
    return [
        Step(
            what=rng.choices([*WEIGHTS], [*WEIGHTS.values()])[0],
            amount=rng.choice((100, 101, rng.randint(100, 999), rng.randint(100, 20_000))),
            which=rng.randrange(60),
            dies_at=rng.choice((0, 0, rng.randint(1, 10))),
        )
        for _ in range(rng.randint(3, 8))
    ]


class Model:
    """Two people, their money and their escrows. Whatever one asks for is asked once, twice at once, or by one whose
    process dies on the way and who comes back."""

    def __init__(self, payments: Payments) -> None:
        self.payments = payments
        self.hirer, self.worker, self.support = person(), person(Role.WORKER), person(Role.SUPPORT)
        self.hirer_has = self.worker_has = self.fees = 0
        self.open_deposits: dict[str, int] = {}
        #: Amounts that may have been paid: nobody is charged for them again.
        self.unknown: set[int] = set()
        self.paid_deposits: dict[str, int] = {}
        self.charged_back: set[str] = set()
        #: What the payers' banks kept.
        self.kept_by_banks = 0
        self.escrows: dict[str, tuple[int, EscrowStatus]] = {}
        self.released: Counter[str] = Counter()
        #: Disputes that were not withdrawn, with their escrows, and who raised them.
        self.disputes: dict[str, str] = {}
        self.raised_by: dict[str, str] = {}
        #: What the platform lost by a chargeback; which of them froze an escrow; what they alone froze.
        self.losses: Counter[str] = Counter()
        self.about: defaultdict[str, list[str]] = defaultdict(list)
        self.by_bank: set[str] = set()
        self.deaths = 0

    async def run(self, step: Step) -> None:
        """Take a step, and look at every invariant and every balance."""
        await getattr(self, step.what)(step)
        await self._check()

    async def end(self) -> None:
        """Ask about all that is unknown, and compare everybody's books: ours, the people's, and the provider's own."""
        await self.settle(Step("settle", 0, 0, 0))
        await self._check()
        for who, has in ((self.hirer, self.hirer_has), (self.worker, self.worker_has)):
            balances = (await self.payments.get("/wallet", by=who)).data["balances"]
            assert [(one["available"]["amount"], one["held"]["amount"]) for one in balances] == [(has, 0)] * len(
                balances
            )
        cards = self.payments.cards
        assert set(cards.taken.values()) | set(cards.sent.values()) <= {1}
        at_provider = sum(one.amount for one in cards.moved) - self.kept_by_banks
        assert (await ledger.balance_of_kind("clearing")).get("GHS", 0) == -at_provider

    async def _check(self) -> None:
        found: Counter[str] = Counter()
        for account in await ledger.accounts():
            of = account.account if account.kind in ("wallet", "fees") else account.kind
            found[of] += account.balance
        assert (found[f"wallet:{self.hirer.user_id}:GHS"], found[f"wallet:{self.worker.user_id}:GHS"]) == (
            self.hirer_has,
            self.worker_has,
        )
        inside = sum(left for left, status in self.escrows.values() if status in (FUNDED, DISPUTED))
        assert (found["fees:GHS"], found["escrow"]) == (self.fees, inside)
        assert (found["transit"], found["chargebacks"], found["suspense"]) == (0, 0, 0)
        assert (await verify_ledger(self.payments.context)).faults == []

    # How one asks

    async def _ask(self, step: Step, path: str, body: Any = None, *, by: Principal) -> Reply:
        key = new_id()

        async def call() -> Reply:
            return await self.payments.post(path, body, by=by, key=key)

        twins: tuple[Reply, ...] = ()
        if step.dies_at:
            self.deaths += bool(await crash(self.payments, step.dies_at, call))
        elif step.which % 3 == 0:
            twins = await asyncio.gather(call(), call())
        reply = await call()
        assert {one.status for one in twins} <= {reply.status, 409}
        return reply

    async def _act(self, step: Step, act: Callable[[], Awaitable[None]]) -> None:
        """Run an actor, which may die; its message is delivered again, twice at once."""

        async def call() -> Reply:
            await act()
            return Reply(200, {}, b"")

        if step.dies_at:
            self.deaths += bool(await crash(self.payments, step.dies_at, call))
        await asyncio.gather(act(), act())

    async def _deposit(self, step: Step, amount: int, method: str = "pm_card_visa") -> Reply:
        body = {"amount": {"amount": amount, "currency": "GHS"}, "paymentMethod": method}
        return await self._ask(step, "/wallet/deposits", body, by=self.hirer)

    # Money in

    async def deposit(self, step: Step) -> None:
        reply = await self._deposit(step, step.amount)
        if step.amount in self.unknown:
            assert reply.status == 409
            return
        assert reply.status == 201
        self.hirer_has += step.amount
        self.paid_deposits[reply.data["id"]] = step.amount

    async def declined(self, step: Step) -> None:
        reply = await self._deposit(step, step.amount, DECLINED)
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
        reply = await self._deposit(step, step.amount, NEEDS_ACTION)
        if step.amount in self.unknown:
            assert reply.status == 409
            return
        assert (reply.status, reply.data["status"]) == (202, "requires_action")
        self.payments.cards.pass_action(f"pi_{reply.data['id']}")
        self.open_deposits[reply.data["id"]] = step.amount

    async def settle(self, step: Step) -> None:
        for deposit_id, amount in self.open_deposits.items():
            await self._act(step, partial(self._requery, deposit_id))
            self.hirer_has += amount
        self.open_deposits.clear()
        self.unknown.clear()

    async def _requery(self, deposit_id: str) -> None:
        await service.requery_deposit(self.payments.context, deposit_id)

    # Money out

    async def withdraw(self, step: Step) -> None:
        """The worker takes money out; what becomes of it depends on the account and on the line to the provider."""
        ending = step.which % 5
        amount = self.worker_has + ending // 4 if step.which % 2 and self.worker_has else step.amount
        worker, method_id = await self._with_account(FROZEN if ending == 0 else "acct_mine")
        body = {"amount": {"amount": amount, "currency": "GHS"}, "methodId": method_id}
        reply = await self._ask(step, "/wallet/withdrawals", body, by=worker)
        if amount < LEAST or amount > self.worker_has:
            assert reply.status == (400 if amount < LEAST else 402)
            return
        assert reply.status == 201
        withdrawal_id = reply.data["id"]
        if ending in (1, 2):
            self.payments.cards.lose("send:before" if ending == 1 else "send:after")
            await self._send(step._replace(dies_at=0), withdrawal_id)
            self.payments.cards.fault = lambda step: None
        else:
            await self._send(step, withdrawal_id)
        await self._act(step, lambda: service.requery_withdrawal(self.payments.context, withdrawal_id))
        assert self.payments.cards.sent[f"po_{withdrawal_id}"] == (ending != 0)
        self.worker_has -= amount if ending else 0

    async def _with_account(self, account: str) -> tuple[Principal, str]:
        """The worker, who signed in just now and whose money has been there for long, and an account of theirs."""
        clock.shift(timedelta(hours=25))
        now = int(clock.now().timestamp())
        worker = msgspec.structs.replace(self.worker, authenticated_at=now)
        return worker, await self.payments.account_of(worker, f"{account}_{new_id()}" if account != FROZEN else FROZEN)

    async def _send(self, step: Step, withdrawal_id: str) -> None:
        await self._act(step, lambda: service.send_withdrawal(self.payments.context, withdrawal_id))

    async def give_back(self, step: Step) -> None:
        """Support refunds part of a deposit, or all of it, to the hirer's card."""
        if not self.paid_deposits:
            await self.deposit(step)
        if not self.paid_deposits:
            return
        deposit_id = self._one_of(self.paid_deposits, step)
        left = self.paid_deposits[deposit_id]
        amount = max(1, left + step.which % 2) if step.which % 3 else step.amount
        support = person(Role.SUPPORT, authenticated_at=int(clock.now().timestamp()))
        body = {"amount": {"amount": amount, "currency": "GHS"}}
        reply = await self._ask(step, f"/wallet/deposits/{deposit_id}/refund", body, by=support)
        if amount > left:
            assert reply.status == 409
            return
        if amount > self.hirer_has:
            assert reply.status == 402
            return
        assert reply.status == 201
        await self._send(step, reply.data["id"])
        self.paid_deposits[deposit_id] -= amount
        self.hirer_has -= amount

    async def charge_back(self, step: Step) -> None:
        """The hirer's bank takes a deposit back, and rules; its notices come twice and in any order."""
        left = sorted(self.paid_deposits.keys() - self.charged_back)
        if not left:
            return
        deposit_id = self._one_of(left, step)
        self.charged_back.add(deposit_id)
        state = ChargebackState.WON if step.which % 2 else ChargebackState.LOST
        amount = self.payments.cards.charges[f"pi_{deposit_id}"].amount
        ref = self.payments.cards.charge_back(f"pi_{deposit_id}")
        await self._hear(step, "charge.dispute.created", ref)
        held = min(amount, self.hirer_has)
        assert await self.payments.available(self.hirer) == self.hirer_has - held
        await self._freeze(deposit_id, amount - held)
        self.payments.cards.charge_back(f"pi_{deposit_id}", state)
        for kind in ("charge.dispute.closed", "charge.dispute.created"):
            await self._hear(step, kind, ref)
        if state is ChargebackState.WON:
            self._thaw(deposit_id)
            return
        self.hirer_has -= held
        self.kept_by_banks += amount

    async def _hear(self, step: Step, kind: str, ref: str) -> None:
        await deliver(self.payments, notice(kind, ref))
        await self._act(step, lambda: handle_all(self.payments))

    async def _freeze(self, deposit_id: str, lost: int) -> None:
        """The latest escrows are disputed, as far as the platform would lose money."""
        self.losses[deposit_id] = lost
        for escrow_id, (left, status) in sorted(self.escrows.items(), reverse=True):
            if lost > 0 and status in (FUNDED, DISPUTED):
                lost -= left
                self.about[escrow_id].append(deposit_id)
                if status is FUNDED:
                    self.by_bank.add(escrow_id)
                    self.escrows[escrow_id] = (left, DISPUTED)
        for one in (await self.payments.get("/disputes?limit=100", by=self.hirer)).data["items"]:
            if one["status"] != "withdrawn":
                self._note_dispute(one, one["escrowId"])

    def _thaw(self, deposit_id: str) -> None:
        """The bank gave the money back: what was frozen for nothing else is free again."""
        for escrow_id, deposits in self.about.items():
            if deposit_id in deposits:
                deposits.remove(deposit_id)
                _, status = self.escrows[escrow_id]
                if not deposits and escrow_id in self.by_bank and status is DISPUTED:
                    self._withdrawn(escrow_id)

    # Escrows

    async def fund(self, step: Step) -> None:
        amount = self.hirer_has + step.which % 2 if step.which % 5 == 0 and self.hirer_has else step.amount
        contract = self.payments.jobs.make_contract(self.hirer.user_id, self.worker.user_id, amount)
        body = {"contractId": contract.id, "milestoneId": contract.milestones[0].id}
        reply = await self._ask(step, "/escrows", body, by=self.hirer)
        if amount > self.hirer_has:
            assert reply.status == 402
            return
        self._note_funding(reply, amount)

    async def release(self, step: Step) -> None:
        if (escrow_id := await self._some_escrow(step)) is not None:
            self._pay(escrow_id, await self._leave(step, escrow_id, "release"))

    async def refund(self, step: Step) -> None:
        if (escrow_id := await self._some_escrow(step)) is not None:
            self.hirer_has += await self._leave(step, escrow_id, "refund")

    async def part(self, step: Step) -> None:
        """A part of an escrow is paid out; the model keeps what is left and what was released."""
        if (escrow_id := await self._some_escrow(step)) is None:
            return
        left, status = self.escrows[escrow_id]
        amount = 1 + step.amount % left if step.which % 4 and left else step.amount
        body = {"amount": {"amount": amount, "currency": "GHS"}}
        reply = await self._ask(step, f"/escrows/{escrow_id}/release", body, by=self.hirer)
        if status is not FUNDED or amount > left:
            assert reply.status == (400 if status is FUNDED else 409)
            return
        assert reply.status == 200
        self.escrows[escrow_id] = (left - amount, EscrowStatus.RELEASED if amount == left else status)
        self._pay(escrow_id, amount)

    async def race(self, step: Step) -> None:
        """The hirer releases while the worker gives back and both dispute: one of the four comes first."""
        if (escrow_id := await self._some_escrow(step)) is None:
            return
        amount, status = self.escrows[escrow_id]
        quarrel = {"escrowId": escrow_id, "reason": "r"}
        released, refunded, *disputed = await asyncio.gather(
            self.payments.post(f"/escrows/{escrow_id}/release", by=self.hirer),
            self.payments.post(f"/escrows/{escrow_id}/refund", by=self.worker),
            *(self.payments.post("/disputes", quarrel, by=side) for side in (self.hirer, self.worker)),
        )
        done = [one for one in (released, refunded, *disputed) if one.status != 409]
        assert [one.status < 300 for one in done] == ([True] if status is FUNDED else [])
        if released in done:
            self._pay(escrow_id, amount)
            self.escrows[escrow_id] = (amount, EscrowStatus.RELEASED)
        elif refunded in done:
            self.hirer_has += amount
            self.escrows[escrow_id] = (amount, EscrowStatus.REFUNDED)
        elif done:
            self.escrows[escrow_id] = (amount, DISPUTED)
            self._note_dispute(done[0].data, escrow_id)

    async def crowd(self, step: Step) -> None:
        """Three withdrawals of half of what there is, three fundings of half of what there is, and a release."""
        escrow_id = await self._some_escrow(step)
        worker, method_id = await self._with_account("acct_crowd")
        half = max(LEAST, self.worker_has // 2)
        price = max(1, self.hirer_has // 2)
        contract = self.payments.jobs.make_contract(self.hirer.user_id, self.worker.user_id, *[price] * 3)
        taken, funded, paid = await asyncio.gather(
            asyncio.gather(*(self.payments.withdraw(worker, half, method_id) for _ in range(3))),
            asyncio.gather(*(self.payments.fund(contract, index, by=self.hirer) for index in range(3))),
            asyncio.gather(*([self._leave(step._replace(dies_at=0), escrow_id, "release")] if escrow_id else [])),
        )
        for gross in paid:
            self._pay(str(escrow_id), gross)
        # What was just released may not leave yet: a third withdrawal meets the holding period, or an empty wallet.
        sure = min(3, (self.worker_has - sum(self._net(str(escrow_id), gross) for gross in paid)) // half)
        assert sorted(one.status for one in taken)[:sure] == [201] * sure
        assert {one.status for one in taken} <= {201, 402, 409}
        assert sum(one.status == 201 for one in taken) == sure
        self.worker_has -= sure * half
        can = min(3, self.hirer_has // price)
        assert sorted(one.status for one in funded) == [201] * can + [402] * (3 - can)
        for one in funded:
            if one.status == 201:
                self._note_funding(one, price)
        for one in taken:
            if one.status == 201:
                await self._send(step, one.data["id"])

    # Disputes

    async def dispute(self, step: Step) -> None:
        if (escrow_id := await self._some_escrow(step)) is None:
            return
        by = self.worker if step.which % 2 else self.hirer
        left, status = self.escrows[escrow_id]
        reply = await self._ask(step, "/disputes", {"escrowId": escrow_id, "reason": "r"}, by=by)
        if status is not FUNDED:
            assert reply.status == 409
            return
        assert reply.status == 201
        self.escrows[escrow_id] = (left, DISPUTED)
        self._note_dispute(reply.data, escrow_id)

    async def take_back(self, step: Step) -> None:
        """Who raised a dispute withdraws it, sometimes while support rules; the other side may not."""
        if (dispute_id := await self._some_dispute(step)) is None:
            return
        escrow_id = self.disputes[dispute_id]
        amount, status = self.escrows[escrow_id]
        is_hirers = self.raised_by[dispute_id] == self.hirer.user_id
        raiser, other = (self.hirer, self.worker) if is_hirers else (self.worker, self.hirer)
        path = f"/disputes/{dispute_id}/withdraw"
        assert (await self._ask(step, path, by=other)).status == 403
        if status is not DISPUTED or self.about[escrow_id]:
            assert (await self._ask(step, path, by=raiser)).status == 409
            return
        if step.which % 2:
            assert (await self._ask(step, path, by=raiser)).status == 200
            self._withdrawn(escrow_id)
            return
        withdrawn, ruled = await asyncio.gather(
            self.payments.post(path, by=raiser), self.payments.rule(dispute_id, amount, 0)
        )
        assert sorted((withdrawn.status, ruled.status)) == [200, 409]
        if withdrawn.status == 200:
            self._withdrawn(escrow_id)
            return
        await self.payments.let_pass(dispute_id)
        self._share(escrow_id, amount)

    async def rule(self, step: Step) -> None:
        """Support rules; the ruling stands, or is appealed and ruled over by another."""
        if (dispute_id := await self._some_dispute(step)) is None:
            return
        escrow_id = self.disputes[dispute_id]
        amount, status = self.escrows[escrow_id]
        part = step.amount % (amount + 1)
        path = f"/disputes/{dispute_id}"
        body = {"workerAmount": part, "hirerAmount": amount - part, "note": "n"}
        reply = await self._ask(step, f"{path}/resolve", body, by=self.support)
        if status is not DISPUTED:
            assert reply.status == 409
            return
        assert (reply.status, reply.data["status"]) == (200, "ruled")
        if step.which % 2:
            assert (await self._ask(step, f"{path}/appeal", {"reason": "r"}, by=self.worker)).status == 200
            part = amount - part
            body = {"workerAmount": part, "hirerAmount": amount - part, "note": "n"}
            assert (await self._ask(step, f"{path}/resolve", body, by=person(Role.SUPPORT))).status == 200
        else:
            timer = await self.payments.timer(f"dispute:{dispute_id}")
            assert timer is not None
            self.payments.shift_to(timer["due"])
            await self._act(step, lambda: service.end_step(self.payments.context, dispute_id))
        self._share(escrow_id, part)

    async def settle_dispute(self, step: Step) -> None:
        """The hirer offers, and the worker accepts; sometimes twice at once, while support rules the same."""
        if (dispute_id := await self._some_dispute(step)) is None:
            return
        escrow_id = self.disputes[dispute_id]
        amount, status = self.escrows[escrow_id]
        part = step.amount % (amount + 1)
        body = {"workerAmount": part, "hirerAmount": amount - part}
        reply = await self._ask(step, f"/disputes/{dispute_id}/offers", body, by=self.hirer)
        if status is not DISPUTED or self.about[escrow_id]:
            assert reply.status == 409
            return
        accept = {"offerId": reply.data["offers"][0]["id"]}
        if step.which % 2:
            assert (await self._ask(step, f"/disputes/{dispute_id}/accept", accept, by=self.worker)).status == 200
        else:
            *accepted, ruled = await asyncio.gather(
                *(self.payments.post(f"/disputes/{dispute_id}/accept", accept, by=self.worker) for _ in range(2)),
                self.payments.rule(dispute_id, part, amount - part),
            )
            assert sorted(one.status for one in (*accepted, ruled)) == [200, 409, 409]
            if ruled.status == 200:
                await self.payments.let_pass(dispute_id)
        self._share(escrow_id, part)

    # What is there, and what becomes of it

    async def _some_escrow(self, step: Step) -> str | None:
        """An escrow: mostly one that is funded, for which one is made if there is none; sometimes any."""
        if step.which % 7 == 0 and self.escrows:
            return self._one_of(self.escrows, step)
        if not any(status is FUNDED for _, status in self.escrows.values()):
            if self.hirer_has < step.amount:
                await self.deposit(step._replace(dies_at=0))
            await self.fund(step._replace(which=1, dies_at=0))
        funded = [one for one, (_, status) in self.escrows.items() if status is FUNDED]
        return self._one_of(funded, step) if funded else None

    async def _some_dispute(self, step: Step) -> str | None:
        if step.which % 7 == 0 and self.disputes:
            return self._one_of(self.disputes, step)
        if not (opened := self._open_disputes()):
            await self.dispute(step._replace(which=1, dies_at=0))
            opened = self._open_disputes()
        return self._one_of(opened, step) if opened else None

    def _open_disputes(self) -> list[str]:
        return [one for one, escrow_id in self.disputes.items() if self.escrows[escrow_id][1] is DISPUTED]

    @staticmethod
    def _one_of(ids: Any, step: Step) -> str:
        return str(sorted(ids)[step.which % len(ids)])

    def _note_funding(self, reply: Reply, amount: int) -> None:
        assert reply.status == 201
        self.hirer_has -= amount
        self.escrows[reply.data["id"]] = (amount, FUNDED)

    def _note_dispute(self, dispute: dict[str, str], escrow_id: str) -> None:
        self.disputes[dispute["id"]] = escrow_id
        self.raised_by[dispute["id"]] = dispute["raisedBy"]

    def _withdrawn(self, escrow_id: str) -> None:
        self.escrows[escrow_id] = (self.escrows[escrow_id][0], FUNDED)
        self.by_bank.discard(escrow_id)
        self.disputes = {one: by for one, by in self.disputes.items() if by != escrow_id}

    def _share(self, escrow_id: str, part: int) -> None:
        """An escrow is shared out; the hirer's part pays what the platform lost first."""
        amount, _ = self.escrows[escrow_id]
        self.escrows[escrow_id] = (amount, EscrowStatus.SETTLED)
        left = amount - part
        for deposit_id in self.about[escrow_id]:
            paid = min(self.losses[deposit_id], left)
            self.losses[deposit_id] -= paid
            left -= paid
        self.hirer_has += left
        self._pay(escrow_id, part)

    def _pay(self, escrow_id: str, gross: int) -> None:
        """The fee of all parts together is that of the whole."""
        self.released[escrow_id] += gross
        net = self._net(escrow_id, gross)
        self.worker_has += net
        self.fees += gross - net

    def _net(self, escrow_id: str, gross: int) -> int:
        """What the worker had of the part that was released last."""
        after = self.released[escrow_id]
        return gross - (after // 10 - (after - gross) // 10)

    async def _leave(self, step: Step, escrow_id: str, way: str) -> int:
        """All that an escrow holds leaves it. How much."""
        amount, status = self.escrows[escrow_id]
        by = self.hirer if way == "release" else self.worker
        reply = await self._ask(step, f"/escrows/{escrow_id}/{way}", by=by)
        if status is not FUNDED:
            assert reply.status == 409
            return 0
        assert reply.status == 200
        self.escrows[escrow_id] = (amount, EscrowStatus.RELEASED if way == "release" else EscrowStatus.REFUNDED)
        return amount
