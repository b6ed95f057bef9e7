"""A card provider in memory: deterministic, with keys that repeat no effect, refusals, 3-D Secure and faults."""

from collections import Counter
from collections.abc import Callable

from kelmah.contracts.common import Money
from kelmah.kit.mongo import in_transaction
from kelmah.services.payment.providers.base import (
    Charge,
    ChargeState,
    Notice,
    ProviderRefusedError,
    ProviderUnsureError,
    SavedCard,
)

DECLINED = "pm_card_chargeDeclined"
NEEDS_ACTION = "pm_card_threeDSecureRequired"
MISSING = "pm_missing"


class FakeCards:
    """A `CardProvider`. `fault(step)` is called before and after each effect and may raise.

    Notices are read by `read_webhook`, which is the real provider's.
    """

    def __init__(self, read_webhook: Callable[[bytes, str], Notice | None]) -> None:
        self._read_webhook = read_webhook
        self.charges: dict[str, Charge] = {}
        self.methods: dict[str, str] = {}
        self.taken: Counter[str] = Counter()
        self.forgotten: list[str] = []
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

    async def save_method(self, *, user_id: str, method_id: str, token: str) -> SavedCard:
        self._step("save_method")
        if token == MISSING:
            raise ProviderRefusedError("resource_missing")
        return SavedCard(f"{token}_kept", f"cus_{user_id}", "visa", "4242", 12, 2030)

    async def forget_method(self, token: str) -> None:
        self._step("forget_method")
        self.forgotten.append(token)

    def read_webhook(self, body: bytes, signature: str) -> Notice | None:
        return self._read_webhook(body, signature)

    def _take(self, ref: str) -> None:
        self.taken[ref] += 1
        self.charges[ref] = self.charges[ref]._replace(state=ChargeState.SUCCEEDED, client_secret=None)

    def _step(self, step: str) -> None:
        assert not in_transaction(), "a provider is called outside transactions"
        self.fault(step)
