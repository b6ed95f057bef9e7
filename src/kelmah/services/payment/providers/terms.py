"""What each provider takes, in one table: currencies, least amounts in minor units, and the most that it may charge.

A currency that a provider lacks here is refused for it before anybody is charged. Banks take the currencies of our
own accounts there, from one minor unit on, and charge nothing that a statement does not list.
"""

from kelmah.contracts.payment import Provider
from kelmah.services.payment.providers.base import Terms

TERMS = {
    # https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts; transfers have no least amount of their
    # own. The fee is the dearest that its price list has for a card from abroad with a change of currency.
    Provider.STRIPE: Terms(
        pay_in={"GHS": 100, "USD": 50, "EUR": 50, "GBP": 30, "NGN": 50_000},
        pay_out={"GHS": 1, "USD": 1, "EUR": 1, "GBP": 1, "NGN": 1},
        fee_basis_points=600,
        fee_fixed=500,
    ),
    # https://developer.paypal.com/reference/currency-codes/, those of ours that are among them.
    Provider.PAYPAL: Terms(
        pay_in={"USD": 1, "EUR": 1, "GBP": 1},
        pay_out={"USD": 1, "EUR": 1, "GBP": 1},
        fee_basis_points=800,
        fee_fixed=50,
    ),
}
