"""What the payment service asks of a card provider, and what may come of it.

A charge is made in two steps: `create` names it and moves nothing, `confirm` takes the money. Between them the name
is stored, so that whatever happens during `confirm` can be asked about by name and is never tried under another.
"""

from enum import StrEnum
from typing import NamedTuple, Protocol

from kelmah.contracts.common import Money


class ChargeState(StrEnum):
    """Where a provider's charge stands, in our words."""

    CREATED = "created"
    ACTION = "action"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    CANCELED = "canceled"


class Charge(NamedTuple):
    """A provider's charge: `amount` minor units of `currency`, received if it succeeded."""

    ref: str
    state: ChargeState
    amount: int
    currency: str
    deposit_id: str | None = None
    client_secret: str | None = None
    failure_code: str | None = None


class SavedCard(NamedTuple):
    """A method that the provider keeps for a customer."""

    token: str
    customer: str
    brand: str
    last4: str
    expires_month: int
    expires_year: int


class Notice(NamedTuple):
    """A verified webhook: what happened to which of the provider's objects. `charge_ref` if it is a charge."""

    id: str
    type: str
    charge_ref: str | None


class ProviderRefusedError(Exception):
    """The provider says no, for good; nothing moved. `code` is its own word for why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ProviderUnsureError(Exception):
    """No usable answer: the request may have had its effect, or may not."""


class CardProvider(Protocol):
    """A provider that charges cards. Every method may raise `ProviderUnsureError`.

    None may be called in a transaction. Each carries a key of our own, so that a repetition is no second effect.
    """

    async def create(self, *, deposit_id: str, amount: Money, method: str, customer: str | None) -> Charge:
        """Name a charge without taking money. Raises `ProviderRefusedError`."""

    async def confirm(self, ref: str, *, deposit_id: str) -> Charge:
        """Take the money of a created charge. Of any other, tell where it stands."""

    async def retrieve(self, ref: str) -> Charge:
        """Where a charge stands now. Raises `ProviderRefusedError`: there is no such charge."""

    async def cancel(self, ref: str) -> Charge:
        """Make sure that a charge that took no money never will; tell where it stands if it is too late."""

    async def save_method(self, *, user_id: str, method_id: str, token: str) -> SavedCard:
        """Keep a method for a person. Raises `ProviderRefusedError`."""

    async def forget_method(self, token: str) -> None:
        """Keep a method no more. Not there: nothing to do."""

    def read_webhook(self, body: bytes, signature: str) -> Notice | None:
        """Verify a notice on its raw body, at most 300 seconds old. None when notices are not taken.

        Raises:
            WebhookRefused: the signature is missing, wrong or stale, or the body is not a notice.
        """
