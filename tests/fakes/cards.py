"""A card provider in memory: deterministic, with keys that repeat no effect, refusals, 3-D Secure and faults."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime

from kelmah.contracts.common import Money
from kelmah.contracts.payment import MethodKind
from kelmah.kit import clock
from kelmah.kit.mongo import in_transaction
from kelmah.services.payment.providers.base import (
    Charge,
    Chargeback,
    ChargebackState,
    ChargeState,
    Movement,
    Notice,
    Payout,
    PayoutOrder,
    PayoutState,
    ProviderRefusedError,
    ProviderUnsureError,
    SavedMethod,
    Terms,
)

DECLINED = "pm_card_chargeDeclined"
NEEDS_ACTION = "pm_card_threeDSecureRequired"
MISSING = "pm_missing"
#: Accounts that money cannot be sent to, or arrives at later.
FROZEN = "acct_frozen"
SLOW = "acct_slow"


class FakeCards:
    """A `PaymentProvider`. `fault(step)` is called before and after each effect and may raise.

    Notices are read by `read_webhook`, which is the real provider's.
    """

    needs_method = True
    terms = Terms(
        pay_in=dict.fromkeys(("GHS", "USD", "EUR", "GBP", "NGN"), 1),
        pay_out=dict.fromkeys(("GHS", "USD", "EUR", "GBP", "NGN"), 1),
    )

    def __init__(self, read_webhook: Callable[[bytes, Mapping[str, str]], Awaitable[Notice | None]]) -> None:
        self._read_webhook = read_webhook
        self.charges: dict[str, Charge] = {}
        self.methods: dict[str, str] = {}
        self.taken: Counter[str] = Counter()
        self.forgotten: list[str] = []
        self.payouts: dict[str, Payout] = {}
        self.chargebacks: dict[str, Chargeback] = {}
        self.sent: Counter[str] = Counter()
        #: Its own book of our money there.
        self.moved: list[Movement] = []
        self.fault: Callable[[str], None] = lambda step: None

    def lose(self, step: str, times: int = 1) -> None:
        """Have `step` (for instance `confirm:after`) end without an answer, this many times."""
        left = times

        def fault(at: str) -> None:
            nonlocal left
            if at == step and left:
                left -= 1
                raise ProviderUnsureError

        self.fault = fault

    def pass_action(self, ref: str) -> None:
        """The payer finishes 3-D Secure."""
        self._take(ref)

    def alter(self, ref: str, *, amount: int | None = None, currency: str | None = None) -> None:
        """Make a charge one that was not asked for."""
        charge = self.charges[ref]
        self.charges[ref] = charge._replace(amount=amount or charge.amount, currency=currency or charge.currency)

    async def create(self, *, deposit_id: str, amount: Money, method: str, customer: str | None) -> Charge:
        self._step("create:before")
        if method == MISSING:
            raise ProviderRefusedError("resource_missing")
        ref = f"pi_{deposit_id}"
        if ref not in self.charges:
            self.charges[ref] = Charge(ref, ChargeState.CREATED, amount.amount, amount.currency, deposit_id)
            self.methods[ref] = method
        charge = self.charges[ref]._replace(state=ChargeState.CREATED)  # a repeated key repeats the first answer
        self._step("create:after")
        return charge

    async def confirm(self, ref: str, *, deposit_id: str) -> Charge:
        self._step("confirm:before")
        if self.charges[ref].state is ChargeState.CREATED:
            if self.methods[ref] == DECLINED:
                self.charges[ref] = self.charges[ref]._replace(state=ChargeState.DECLINED, failure_code="card_declined")
            elif self.methods[ref] == NEEDS_ACTION:
                self.charges[ref] = self.charges[ref]._replace(state=ChargeState.ACTION, client_secret=f"{ref}_secret")
            else:
                self._take(ref)
        self._step("confirm:after")
        return self.charges[ref]

    async def retrieve(self, ref: str) -> Charge:
        self._step("retrieve")
        if ref not in self.charges:
            raise ProviderRefusedError("resource_missing")
        return self.charges[ref]

    async def cancel(self, ref: str) -> Charge:
        self._step("cancel")
        if self.charges[ref].state in (ChargeState.CREATED, ChargeState.ACTION):
            self.charges[ref] = self.charges[ref]._replace(state=ChargeState.CANCELED)
        return self.charges[ref]

    async def send(self, order: PayoutOrder) -> Payout:
        self._step("send:before")
        if order.destination == FROZEN:
            raise ProviderRefusedError("account_frozen")
        ref = f"po_{order.withdrawal_id}"
        if ref not in self.payouts:
            self.sent[ref] += 1
            state = PayoutState.IN_TRANSIT if order.destination == SLOW else PayoutState.PAID
            amount = order.amount
            self.payouts[ref] = Payout(ref, state, amount.amount, amount.currency, order.withdrawal_id)
            self._book(ref, -amount.amount, amount.currency)
        self._step("send:after")
        return self.payouts[ref]

    async def find_payout(self, order: PayoutOrder) -> Payout | None:
        self._step("find_payout")
        return self.payouts.get(f"po_{order.withdrawal_id}")

    async def retrieve_payout(self, ref: str) -> Payout:
        self._step("retrieve_payout")
        if ref not in self.payouts:
            raise ProviderRefusedError("resource_missing")
        return self.payouts[ref]

    async def retrieve_chargeback(self, ref: str) -> Chargeback:
        self._step("retrieve_chargeback")
        if ref not in self.chargebacks:
            raise ProviderRefusedError("resource_missing")
        return self.chargebacks[ref]

    async def movements(self, since: datetime, until: datetime) -> AsyncIterator[Movement]:
        self._step("movements")
        for one in self.moved:
            if since <= one.at < until:
                yield one

    def turn_payout(self, withdrawal_id: str, state: PayoutState) -> str:
        """What the provider decides later. The payout's name."""
        ref = f"po_{withdrawal_id}"
        self.payouts[ref] = self.payouts[ref]._replace(state=state)
        return ref

    def charge_back(self, charge_ref: str, state: ChargebackState = ChargebackState.OPEN) -> str:
        """The payer's bank takes a payment back, or rules about it. The chargeback's name."""
        charge, ref = self.charges[charge_ref], f"dp_{charge_ref}"
        self.chargebacks[ref] = Chargeback(ref, state, charge_ref, charge.amount, charge.currency)
        return ref

    async def save_method(self, *, user_id: str, method_id: str, token: str) -> SavedMethod:
        self._step("save_method")
        if token == MISSING:
            raise ProviderRefusedError("resource_missing")
        if token.startswith("acct_"):
            return SavedMethod(MethodKind.ACCOUNT, token, "bank", token[-4:])
        return SavedMethod(MethodKind.CARD, f"{token}_kept", "visa", "4242", f"cus_{user_id}", 12, 2030)

    async def forget_method(self, token: str) -> None:
        self._step("forget_method")
        self.forgotten.append(token)

    async def read_webhook(self, body: bytes, headers: Mapping[str, str]) -> Notice | None:
        return await self._read_webhook(body, headers)

    def _take(self, ref: str) -> None:
        self.taken[ref] += 1
        self._book(ref, self.charges[ref].amount, self.charges[ref].currency)
        self.charges[ref] = self.charges[ref]._replace(state=ChargeState.SUCCEEDED, client_secret=None)

    def _book(self, ref: str, amount: int, currency: str) -> None:
        self.moved.append(Movement(f"txn_{len(self.moved)}_{ref}", ref, amount, currency, clock.now()))

    def _step(self, step: str) -> None:
        assert not in_transaction(), "a provider is called outside transactions"
        self.fault(step)
