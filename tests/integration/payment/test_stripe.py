"""The Stripe adapter and the whole deposit against a local server that speaks Stripe's API."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import stripe as sdk
from aiohttp import web

from kelmah.cli.backends.stripe import register_webhook
from kelmah.contracts.common import Money
from kelmah.contracts.payment import Provider
from kelmah.kit.ids import new_id
from kelmah.services.payment import service
from kelmah.services.payment.providers import stripe
from kelmah.services.payment.providers.base import ChargeState, ProviderRefusedError, ProviderUnsureError
from kelmah.services.payment.providers.stripe import StripeCards
from kelmah.services.payment.settings import PaymentSettings
from tests.fakes.stripe_server import StripeServer
from tests.fixtures.service import person
from tests.integration.payment.conftest import WEBHOOK_SECRETS, Payments

AMOUNT = Money(amount=500)


def settings(base_url: str) -> PaymentSettings:
    return PaymentSettings.model_validate(
        {
            "redis_url": "redis://unused",
            "mongo_url": "mongodb://unused",
            "incoming_keys": {},
            "outgoing_keys": {},
            "field_keys": ["unused"],
            "stripe_api_key": "sk_test_local",
            "stripe_base_url": base_url,
            "stripe_webhook_secrets": WEBHOOK_SECRETS,
            "stripe_timeout_s": 5,
        }
    )


@pytest.fixture
async def server() -> AsyncIterator[StripeServer]:
    fake = StripeServer(WEBHOOK_SECRETS[0])
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture(params=["fake", "localstripe"])
async def cards(request: pytest.FixtureRequest, server: StripeServer, stripe_url: str) -> AsyncIterator[StripeCards]:
    """The adapter on our own stand-in and on somebody else's: the same contract."""
    async with stripe.connect(settings(server.url if request.param == "fake" else stripe_url)) as made:
        yield made


@pytest.fixture
async def faked(server: StripeServer) -> AsyncIterator[StripeCards]:
    """The adapter on our own stand-in, for what the other one cannot do."""
    async with stripe.connect(settings(server.url)) as made:
        yield made


@pytest.fixture
async def local(stripe_url: str) -> AsyncIterator[StripeCards]:
    async with stripe.connect(settings(stripe_url)) as made:
        yield made


async def card_token(cards: StripeCards, number: str) -> str:
    card: Any = {"number": number, "exp_month": 12, "exp_year": 2030, "cvc": "123"}
    method = await cards._client.v1.payment_methods.create_async({"type": "card", "card": card})
    return str(method.id)


async def test_a_charge_is_named_then_taken_once(cards: StripeCards) -> None:
    deposit_id = new_id()
    named = [
        await cards.create(deposit_id=deposit_id, amount=AMOUNT, method="pm_card_visa", customer=None) for _ in range(2)
    ]
    assert named[0] == named[1]
    assert named[0]._replace(ref="") == ("", "created", 500, "GHS", deposit_id, None, None)
    taken = await cards.confirm(named[0].ref, deposit_id=deposit_id)
    assert taken == named[0]._replace(state=ChargeState.SUCCEEDED)
    assert await cards.confirm(named[0].ref, deposit_id=new_id()) == taken
    assert await cards.retrieve(named[0].ref) == taken
    assert await cards.cancel(named[0].ref) == taken


async def test_a_declined_charge_says_so(cards: StripeCards) -> None:
    charge = await cards.create(deposit_id=new_id(), amount=AMOUNT, method="pm_card_chargeCustomerFail", customer=None)
    declined = await cards.confirm(charge.ref, deposit_id=new_id())
    assert (declined.state, declined.failure_code) == (ChargeState.DECLINED, "card_declined")


async def test_three_d_secure_gives_a_client_secret(cards: StripeCards) -> None:
    token = await card_token(cards, "4000002500003155")
    charge = await cards.create(deposit_id=new_id(), amount=AMOUNT, method=token, customer=None)
    asked = await cards.confirm(charge.ref, deposit_id=new_id())
    assert asked.state is ChargeState.ACTION
    assert asked.client_secret is not None
    assert asked.client_secret.startswith(charge.ref)
    assert (await cards.cancel(charge.ref)).state is ChargeState.CANCELED


async def test_unknown_tokens_and_charges_are_refused(cards: StripeCards) -> None:
    with pytest.raises(ProviderRefusedError):
        await cards.create(deposit_id=new_id(), amount=AMOUNT, method="pm_nowhere", customer=None)
    with pytest.raises(ProviderRefusedError):
        await cards.retrieve("pi_nowhere")


async def test_a_saved_card_is_charged_and_forgotten(cards: StripeCards) -> None:
    card = await cards.save_method(user_id=new_id(), method_id=new_id(), token="pm_card_visa")
    assert (card.brand, card.last4, card.expires_month, card.expires_year) == ("visa", "4242", 12, 2030)
    charge = await cards.create(deposit_id=new_id(), amount=AMOUNT, method=card.token, customer=card.customer)
    assert (await cards.confirm(charge.ref, deposit_id=new_id())).state is ChargeState.SUCCEEDED
    await cards.forget_method(card.token)
    await cards.forget_method("pm_nowhere")


async def test_a_server_that_is_not_there_leaves_it_open(stripe_url: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with stripe.connect(settings(f"http://127.0.0.1:{taken.getsockname()[1]}")) as cards:
            with pytest.raises(ProviderUnsureError):
                await cards.retrieve("pi_any")


async def test_a_deposit_through_the_real_sdk(payments: Payments, cards: StripeCards) -> None:
    payments.service.replace(providers={Provider.STRIPE: cards})
    hirer = person()
    reply = await payments.deposit(hirer, 50_000)
    assert (reply.status, reply.data["status"]) == (201, "succeeded")
    declined = await payments.deposit(hirer, 500, method="pm_card_chargeCustomerFail")
    assert (declined.status, declined.data["code"]) == (402, "payment.declined")
    assert await payments.available(hirer) == 50_000


async def test_a_real_notice_settles_a_deposit_after_3ds(
    payments: Payments, local: StripeCards, stripe_url: str
) -> None:
    """The stand-in's own webhook, over HTTP, signed by it."""
    payments.service.replace(providers={Provider.STRIPE: local})
    arrived: asyncio.Queue[tuple[bytes, str]] = asyncio.Queue()

    async def listen(request: web.Request) -> web.Response:
        await arrived.put((await request.read(), request.headers["Stripe-Signature"]))
        return web.Response()

    app = web.Application()
    app.router.add_post("/", listen)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        await register_webhook(
            stripe_url,
            name="test",
            target=f"http://127.0.0.1:{port}/",
            secret=WEBHOOK_SECRETS[0],
            events=["payment_intent.succeeded"],
        )
        hirer = person()
        reply = await payments.deposit(hirer, 900, method=await card_token(local, "4000002500003155"))
        assert (reply.status, reply.data["status"]) == (202, "requires_action")
        secret = reply.data["clientSecret"]
        ref = secret.partition("_secret_")[0]
        await local._client.raw_request_async(
            "post", f"/v1/payment_intents/{ref}/_authenticate", client_secret=secret, success="true"
        )
        while True:  # earlier tests' notices may still be on their way
            body, signature = await asyncio.wait_for(arrived.get(), 20)
            sent = await payments.service.call(
                "POST", "/api/v1/payments/webhooks/stripe", raw=body, headers={"Stripe-Signature": signature}
            )
            assert sent.status == 200
            notice = local.read_webhook(body, signature)
            assert notice is not None
            await service.handle_webhook(payments.context, f"stripe:{notice.id}")
            if notice.charge_ref == ref:
                break
        assert await payments.available(hirer) == 900
    finally:
        await runner.cleanup()


async def test_calls_in_a_transaction_are_refused(payments: Payments, cards: StripeCards) -> None:
    async def body() -> None:
        await cards.retrieve("pi_any")

    with pytest.raises(RuntimeError):
        await payments.context.mongo.transact(body)


def test_the_sdk_is_never_configured_globally() -> None:
    assert sdk.api_key is None
    assert sdk.api_base == "https://api.stripe.com"
