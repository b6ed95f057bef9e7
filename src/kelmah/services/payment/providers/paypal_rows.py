"""PayPal's words and ours: what its orders, refunds, payouts, reports and notices say, as values of `base`."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from kelmah.contracts.common import MINOR_UNIT_EXPONENTS, Money
from kelmah.services.payment.providers.base import (
    About,
    Charge,
    ChargeState,
    Movement,
    Payout,
    PayoutState,
    ProviderUnsureError,
)

Row = dict[str, Any]
ORDER_STATES = {
    "CREATED": ChargeState.ACTION,
    "SAVED": ChargeState.ACTION,
    "PAYER_ACTION_REQUIRED": ChargeState.ACTION,
    "APPROVED": ChargeState.APPROVED,
    "VOIDED": ChargeState.CANCELED,
}
CAPTURE_STATES = {
    "COMPLETED": ChargeState.SUCCEEDED,
    "REFUNDED": ChargeState.SUCCEEDED,
    "PARTIALLY_REFUNDED": ChargeState.SUCCEEDED,
    "DECLINED": ChargeState.DECLINED,
    "FAILED": ChargeState.DECLINED,
}
PAYOUT_STATES = {
    "SUCCESS": PayoutState.PAID,
    "COMPLETED": PayoutState.PAID,
    "FAILED": PayoutState.FAILED,
    "BLOCKED": PayoutState.FAILED,
    "DENIED": PayoutState.FAILED,
    "CANCELED": PayoutState.FAILED,
    "CANCELLED": PayoutState.FAILED,
    "RETURNED": PayoutState.RETURNED,
    "REFUNDED": PayoutState.RETURNED,
    "REVERSED": PayoutState.RETURNED,
}
#: What our names of payouts begin with: the API has a place for each kind.
BATCH, REFUND = "batch:", "refund:"


class PayPalNotice(msgspec.Struct):
    id: str
    event_type: str
    resource: Row


def charge_of(order: Row) -> Charge:
    unit = order["purchase_units"][0]
    captures = unit.get("payments", {}).get("captures", [])
    state = ORDER_STATES.get(order["status"], ChargeState.PROCESSING)
    amount, failure = money_of(unit["amount"]), None
    if captures:
        state = CAPTURE_STATES.get(captures[0]["status"], ChargeState.PROCESSING)
        amount = money_of(captures[0]["amount"])
        failure = "declined" if state is ChargeState.DECLINED else None
    links = {link["rel"]: link["href"] for link in order.get("links", [])}
    return Charge(
        ref=order["id"],
        state=state,
        amount=amount.amount,
        currency=amount.currency,
        deposit_id=unit.get("custom_id"),
        failure_code=failure,
        action_url=links.get("payer-action", links.get("approve")) if state is ChargeState.ACTION else None,
    )


def refund_of(refund: Row) -> Payout:
    amount, status = money_of(refund["amount"]), refund["status"]
    state = PAYOUT_STATES.get(status, PayoutState.IN_TRANSIT)
    failure = status.lower() if state is PayoutState.FAILED else None
    return Payout(REFUND + refund["id"], state, amount.amount, amount.currency, refund.get("custom_id"), failure)


def payout_of(batch: Row) -> Payout:
    header, item = batch["batch_header"], batch["items"][0]
    amount = item["payout_item"]["amount"]
    status = "DENIED" if header["batch_status"] == "DENIED" else item["transaction_status"]
    state = PAYOUT_STATES.get(status, PayoutState.IN_TRANSIT)
    money = money_of({"value": amount["value"], "currency_code": amount["currency"]})
    return Payout(
        ref=BATCH + header["payout_batch_id"],
        state=state,
        amount=money.amount,
        currency=money.currency,
        withdrawal_id=header["sender_batch_header"]["sender_batch_id"],
        failure_code=status.lower() if state in (PayoutState.FAILED, PayoutState.RETURNED) else None,
    )


def movement_of(row: Row) -> Movement:
    amount, fee = row["transaction_amount"], row.get("fee_amount")
    kind = row["transaction_event_code"]
    return Movement(
        id=row["transaction_id"],
        ref=row["transaction_id"],
        amount=minor_units(amount),
        currency=amount["currency_code"],
        at=datetime.fromisoformat(row["transaction_initiation_date"]),
        fee=-minor_units(fee) if fee else 0,  # PayPal writes what it keeps with a minus
        ours=row.get("custom_field") or None,
        is_settlement=kind.startswith("T04"),
    )


def subject_of(notice: PayPalNotice) -> tuple[About, str]:
    """What a notice is about; everything that is not told here is stored and left alone."""
    kind, thing = notice.event_type, notice.resource
    if kind.startswith("CHECKOUT.ORDER."):
        return About.CHARGE, str(thing.get("id", ""))
    if kind == "PAYMENT.CAPTURE.REFUNDED":
        return About.PAYOUT, REFUND + str(thing.get("id", ""))
    if kind.startswith("PAYMENT.CAPTURE."):
        related = thing.get("supplementary_data", {}).get("related_ids", {})
        return About.CHARGE, str(related.get("order_id", ""))
    if kind.startswith("PAYMENT.PAYOUTS-ITEM."):
        return About.PAYOUT, BATCH + str(thing.get("payout_batch_id", ""))
    if kind.startswith("CUSTOMER.DISPUTE."):
        return About.CHARGEBACK, str(thing.get("dispute_id", ""))
    return About.NOTHING, ""


def value_of(money: Money) -> dict[str, str]:
    value = Decimal(money.amount).scaleb(-MINOR_UNIT_EXPONENTS.get(money.currency, 2))
    return {"currency_code": money.currency, "value": f"{value:f}"}


def payout_value_of(money: Money) -> dict[str, str]:
    return {"currency": money.currency, "value": value_of(money)["value"]}


def money_of(value: Mapping[str, str]) -> Money:
    return Money(amount=minor_units(value), currency=value["currency_code"])


def minor_units(value: Mapping[str, str]) -> int:
    minor = Decimal(value["value"]).scaleb(MINOR_UNIT_EXPONENTS.get(value["currency_code"], 2))
    if minor != minor.to_integral_value():
        raise ProviderUnsureError
    return int(minor)
