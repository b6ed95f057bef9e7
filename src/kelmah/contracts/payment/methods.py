"""Saved payment methods."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from kelmah.contracts.common import Request, Response
from kelmah.contracts.payment.wallets import BankAccount, Provider

#: A provider's name for a card (`pm_…`), for an account to be paid to (`acct_…`) or for a PayPal payer.
MethodToken = Annotated[
    str,
    Meta(
        pattern=r"^((pm|acct)_[A-Za-z0-9_]{1,250}|[A-Z0-9]{13})\Z",
        description="A card (pm_…) or an account to be paid to (acct_…) at Stripe, or a PayPal payer id.",
        examples=["pm_card_visa"],
    ),
]


class MethodKind(StrEnum):
    """What a saved method is for: a card pays in, accounts and mobile-money wallets are paid out to."""

    CARD = "card"
    ACCOUNT = "account"
    MOBILE_MONEY = "mobile_money"


class SaveMethod(Request, frozen=True, kw_only=True):
    """Keep a card for later deposits, or an account for withdrawals.

    Cards and the accounts of card providers come as a `token`; with the provider `bank`, `account` is given instead.
    """

    token: MethodToken | None = None
    account: BankAccount | None = None
    provider: Provider = Provider.STRIPE


class MethodView(Response, frozen=True, kw_only=True):
    """A saved payment method, as its owner recognises it."""

    id: str
    provider: Provider
    kind: MethodKind
    brand: str
    last4: str
    created_at: datetime
    expires_month: int | None = None
    expires_year: int | None = None
