"""What providers and staff say."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from kelmah.contracts.common import Currency, Id, Request, Response
from kelmah.contracts.payment.disputes import Text


class WebhookReceived(Response, frozen=True, kw_only=True):
    """A provider's notice was stored; it is handled after this answer."""

    received: bool = True


class ExceptionKind(StrEnum):
    """How what we, a provider and the bank hold true differs."""

    UNKNOWN_REFERENCE = "unknown_reference"
    WRONG_AMOUNT = "wrong_amount"
    WRONG_CURRENCY = "wrong_currency"
    NOT_EXPECTED = "not_expected"
    MISSING_AT_PROVIDER = "missing_at_provider"
    MISSING_IN_LEDGER = "missing_in_ledger"
    AMOUNT_DIFFERS = "amount_differs"
    MISSING_AT_BANK = "missing_at_bank"
    FEE_TOO_HIGH = "fee_too_high"


class ExceptionView(Response, frozen=True, kw_only=True):
    """A difference that somebody must look into. `amount` is signed minor units: negative ones went out."""

    id: str
    kind: ExceptionKind
    provider: str
    reference: str
    amount: int
    currency: Currency
    status: str
    created_at: datetime
    age_hours: int
    reason: str | None = None
    resolved_by: str | None = None
    resolved_at: datetime | None = None


class ResolveException(Request, frozen=True, kw_only=True):
    """Take a difference out of the queue, saying why.

    Money that lies in suspense goes to the wallet of `creditUserId`, if one is named, and otherwise stays there.
    """

    reason: Text
    credit_user_id: Annotated[Id | None, Meta(description="Whose wallet gets what lies in suspense.")] = None
