"""A secret of a provider's notices counts from its first day to its last, and not one notice longer."""

from contextlib import AsyncExitStack
from typing import Any

import pytest
from pydantic import SecretStr

from kelmah.contracts.payment import Provider
from kelmah.kit.ids import new_id
from kelmah.services.payment.providers import paypal, stripe
from kelmah.services.payment.providers.bank import Bank
from tests.fakes.bank import FakeBank
from tests.fakes.paypal_server import PayPalServer
from tests.integration.payment.conftest import API, Payments
from tests.integration.payment.test_bank import OURS, bank
from tests.integration.payment.test_paypal import event, server
from tests.integration.payment.test_paypal import settings as paypal_settings
from tests.integration.payment.test_stripe import settings as stripe_settings
from tests.integration.payment.test_webhooks import notice, sign

__all__ = ["bank", "server"]

OFF = (404, "payment.webhook_off")
REFUSED = (400, "payment.webhook_refused")
TAKEN = (200, None)
#: The secrets of each day, and what becomes of a notice signed with the old one, the new one, and one of nobody's.
DAYS: tuple[tuple[list[str], tuple[tuple[int, str | None], ...]], ...] = (
    (["old"], (TAKEN, REFUSED, REFUSED)),
    (["new", "old"], (TAKEN, TAKEN, REFUSED)),
    (["new"], (REFUSED, TAKEN, REFUSED)),
    ([], (OFF, OFF, OFF)),
)


async def connected(stack: AsyncExitStack, payments: Payments, name: str, secrets: list[str], url: str) -> Any:
    """The real provider as it is after a start with these secrets."""
    if name == "stripe":
        given = stripe_settings("http://127.0.0.1:9").model_copy(
            update={"stripe_webhook_secrets": [SecretStr(one) for one in secrets]}
        )
        return await stack.enter_async_context(stripe.connect(given))
    if name == "paypal":
        given = paypal_settings(url).model_copy(update={"paypal_webhook_ids": secrets})
        return await stack.enter_async_context(paypal.connect(given))
    return Bank(OURS, payments.context.ring, webhook_secrets=secrets)


def signed(
    name: str, secret: str, server: PayPalServer, bank: FakeBank, *, age_s: int = 0
) -> tuple[bytes, dict[str, str]]:
    if name == "stripe":
        body = notice("customer.created", f"cus_{new_id()}")
        return body, {"Stripe-Signature": sign(body, secret=secret, age_s=age_s)}
    if name == "paypal":
        return server.sign(event("BILLING.PLAN.CREATED"), webhook_id=secret, age_s=age_s)
    return bank.sign(bank.statement(), secret=secret, age_s=age_s)


@pytest.mark.parametrize("name", ["stripe", "paypal", "bank"])
async def test_an_old_secret_is_refused_once_it_was_removed(
    payments: Payments, server: PayPalServer, bank: FakeBank, name: str
) -> None:
    stored = payments.context.mongo.collection("webhooks")
    async with AsyncExitStack() as stack, payments.untouched():
        for secrets, outcomes in DAYS:
            provider = await connected(stack, payments, name, secrets, server.url)
            payments.service.replace(providers={Provider(name): provider})
            for secret, (status, code) in zip(("old", "new", "foreign"), outcomes, strict=True):
                before = await stored.count_documents({})
                body, headers = signed(name, secret, server, bank)
                reply = await payments.service.call("POST", f"{API}/webhooks/{name}", raw=body, headers=headers)
                assert (reply.status, reply.data.get("code")) == (status, code), (secrets, secret)
                assert await stored.count_documents({}) == before + (status == 200)


@pytest.mark.parametrize("name", ["stripe", "paypal", "bank"])
async def test_a_notice_that_is_old_or_was_changed_leaves_nothing(
    payments: Payments, server: PayPalServer, bank: FakeBank, name: str
) -> None:
    stored = payments.context.mongo.collection("webhooks")
    before = await stored.count_documents({})
    async with AsyncExitStack() as stack, payments.untouched():
        provider = await connected(stack, payments, name, ["new"], server.url)
        payments.service.replace(providers={Provider(name): provider})
        other, _ = signed(name, "new", server, bank)
        body, headers = signed(name, "new", server, bank)
        for content, given in (
            signed(name, "new", server, bank, age_s=301),
            (body + b" ", headers),
            (other, headers),  # another genuine one's signature
            (body, {}),
        ):
            reply = await payments.service.call("POST", f"{API}/webhooks/{name}", raw=content, headers=given)
            assert (reply.status, reply.data["code"]) == REFUSED
        assert await stored.count_documents({}) == before
        reply = await payments.service.call("POST", f"{API}/webhooks/{name}", raw=body, headers=headers)
        assert reply.status == 200
