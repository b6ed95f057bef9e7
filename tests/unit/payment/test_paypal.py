"""What PayPal says is read to the last minor unit, or not believed."""

import msgspec
import pytest
from paypalrestsdk import exceptions
from requests import Response

from kelmah.contracts.common import Money
from kelmah.services.payment.providers.base import ProviderRefusedError, ProviderUnsureError
from kelmah.services.payment.providers.paypal import _BatchExists, _refused
from kelmah.services.payment.providers.paypal_rows import Row, money_of, value_of


@pytest.mark.parametrize(
    ("money", "value"),
    [
        (Money(amount=1, currency="USD"), "0.01"),
        (Money(amount=1_050, currency="USD"), "10.50"),
        (Money(amount=7, currency="JPY"), "7"),
        (Money(amount=1_005, currency="KWD"), "1.005"),
    ],
)
def test_amounts_are_written_and_read_whole(money: Money, value: str) -> None:
    assert value_of(money) == {"currency_code": money.currency, "value": value}
    assert money_of(value_of(money)) == money


@pytest.mark.parametrize(("value", "currency"), [("10.505", "USD"), ("0.5", "JPY"), ("1.0005", "KWD")])
def test_fractions_of_a_minor_unit_are_not_believed(value: str, currency: str) -> None:
    with pytest.raises(ProviderUnsureError):
        money_of({"currency_code": currency, "value": value})


LINK = {"rel": "self", "href": "https://api.paypal.com/v1/payments/payouts/BATCH1"}


def refused(body: Row) -> ProviderRefusedError | ProviderUnsureError:
    return _refused(exceptions.BadRequest(Response(), msgspec.json.encode(body).decode()))


def test_a_twin_of_a_payout_is_told_by_the_field_and_the_link() -> None:
    twin = refused({"details": [{"field": "SENDER_BATCH_ID", "link": [{"rel": "up"}, LINK]}]})
    assert isinstance(twin, _BatchExists)
    assert twin.batch_id == "BATCH1"
    for body, code in (
        ({"details": [{"field": "ITEMS", "issue": "BAD_ITEM", "link": [LINK]}]}, "BAD_ITEM"),
        ({"details": [{"field": "SENDER_BATCH_ID", "link": [{"rel": "up"}]}], "name": "USER_ERROR"}, "USER_ERROR"),
        ({"details": []}, "refused"),
    ):
        refusal = refused(body)
        assert isinstance(refusal, ProviderRefusedError)
        assert (type(refusal), refusal.code) == (ProviderRefusedError, code)
