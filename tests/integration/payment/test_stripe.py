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
from kelmah.contracts.payment import MethodKind, Provider
from kelmah.kit.ids import new_id
from kelmah.services.payment import service
from kelmah.services.payment.errors import ProviderUnavailable
from kelmah.services.payment.providers import stripe
from kelmah.services.payment.providers.base import (
    Charge,
    ChargeState,
    Payout,
    PayoutOrder,
    PayoutState,
    ProviderRefusedError,
    ProviderUnsureError,
    SavedMethod,
)
from kelmah.services.payment.providers.stripe import StripeCards
from kelmah.services.payment.settings import PaymentSettings
from tests.fakes.stripe_server import StripeServer
from tests.fixtures.service import person
from tests.integration.payment.conftest import WEBHOOK_SECRETS, Payments
from tests.integration.payment.test_webhooks import handle_all

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
    fake = StripeServer(WEBHOOK_SECRETS[0], new_id()[-8:])
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
    assert named[0]._replace(ref="") == Charge("", ChargeState.CREATED, 500, "GHS", deposit_id)
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


def order_of(amount: int = 500, **where: str) -> PayoutOrder:
    return PayoutOrder(new_id(), Money(amount=amount), **where)


async def test_a_key_with_another_request_is_refused(faked: StripeCards, server: StripeServer) -> None:
    deposit_id = new_id()
    await faked.create(deposit_id=deposit_id, amount=AMOUNT, method="pm_card_visa", customer=None)
    with pytest.raises(ProviderUnsureError):
        await faked.create(deposit_id=deposit_id, amount=Money(amount=501), method="pm_card_visa", customer=None)
    assert server.effects["POST /v1/payment_intents"] == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("how", ["drop", "500"])
async def test_faults_leave_it_open_and_repeat_no_effect(
    faked: StripeCards, server: StripeServer, when: str, how: str
) -> None:
    operation = ("POST", "/v1/payment_intents/{id}/confirm")
    charge = await faked.create(deposit_id="one", amount=AMOUNT, method="pm_card_visa", customer=None)
    server.fail(*operation, when=when, how=how)  # the SDK itself tries once more
    assert (await faked.confirm(charge.ref, deposit_id="one")).state is ChargeState.SUCCEEDED
    other = await faked.create(deposit_id="two", amount=AMOUNT, method="pm_card_visa", customer=None)
    server.fail(*operation, when=when, how=how, times=2)
    with pytest.raises(ProviderUnsureError):
        await faked.confirm(other.ref, deposit_id="two")
    assert (await faked.retrieve(other.ref)).state is (
        ChargeState.SUCCEEDED if when == "after" else ChargeState.CREATED
    )
    assert (await faked.confirm(other.ref, deposit_id="two")).state is ChargeState.SUCCEEDED
    assert server.effects["POST /v1/payment_intents/{id}/confirm"] == 2


async def test_a_refund_is_made_once_and_found(cards: StripeCards) -> None:
    charge = await cards.create(deposit_id=new_id(), amount=AMOUNT, method="pm_card_visa", customer=None)
    await cards.confirm(charge.ref, deposit_id=new_id())
    order = order_of(300, charge_ref=charge.ref)
    assert await cards.find_payout(order) is None
    made = await cards.send(order)
    assert made._replace(ref="") == Payout("", PayoutState.PAID, 300, "GHS", order.withdrawal_id)
    assert await cards.send(order) == made == await cards.find_payout(order) == await cards.retrieve_payout(made.ref)


async def test_no_more_is_refunded_than_was_paid(faked: StripeCards) -> None:
    charge = await faked.create(deposit_id=new_id(), amount=AMOUNT, method="pm_card_visa", customer=None)
    await faked.confirm(charge.ref, deposit_id=new_id())
    await faked.send(order_of(300, charge_ref=charge.ref))
    with pytest.raises(ProviderRefusedError):
        await faked.send(order_of(201, charge_ref=charge.ref))


async def test_a_transfer_is_made_once_found_and_reversed(faked: StripeCards, server: StripeServer) -> None:
    order = order_of(700, destination="acct_mine")
    assert await faked.find_payout(order) is None
    server.fail("POST", "/v1/transfers", when="after", times=2)
    with pytest.raises(ProviderUnsureError):
        await faked.send(order)
    made = await faked.find_payout(order)
    assert made is not None
    assert made._replace(ref="") == Payout("", PayoutState.PAID, 700, "GHS", order.withdrawal_id)
    assert await faked.send(order) == made
    assert server.effects["POST /v1/transfers"] == 1
    server.reverse_transfer(made.ref)
    assert (await faked.retrieve_payout(made.ref)).state is PayoutState.RETURNED
    for destination in ("acct_missing", "acct_frozen", "nowhere"):
        with pytest.raises(ProviderRefusedError):
            await faked.send(order_of(destination=destination))


async def test_accounts_are_saved_only_if_they_can_be_paid(faked: StripeCards) -> None:
    account = await faked.save_method(user_id=new_id(), method_id=new_id(), token="acct_mine")
    assert account == SavedMethod(MethodKind.ACCOUNT, "acct_mine", "stripe", "mine")
    for token in ("acct_new", "ABCDEFGHIJKLM", "pm_usBankAccount"):
        with pytest.raises(ProviderRefusedError):
            await faked.save_method(user_id=new_id(), method_id=new_id(), token=token)
    with pytest.raises(ProviderUnavailable):
        await faked.save_method(user_id=new_id(), method_id=new_id(), token="acct_missing")
    await faked.forget_method("acct_mine")


@pytest.mark.parametrize("won", [True, False])
async def test_a_dispute_at_the_bank_is_followed_from_notices(
    payments: Payments, faked: StripeCards, server: StripeServer, won: bool
) -> None:
    payments.service.replace(providers={Provider.STRIPE: faked})
    hirer = person()
    reply = await payments.deposit(hirer, 500, method="pm_card_createDispute")
    assert reply.status == 201
    (dispute_id,) = [one for one in server.objects if one.startswith("dp_")]
    server.close_dispute(dispute_id, won=won)
    for one in server.notices(double=True, shuffle=7):
        sent = await payments.service.call(
            "POST", "/api/v1/payments/webhooks/stripe", raw=one.body, headers=one.headers
        )
        assert sent.status == 200
    await handle_all(payments)
    assert await payments.available(hirer) == (500 if won else 0)
    assert server.effects["POST /v1/payment_intents/{id}/confirm"] == 1


async def test_a_withdrawal_and_its_reversal_through_the_real_sdk(
    payments: Payments, faked: StripeCards, server: StripeServer
) -> None:
    payments.service.replace(providers={Provider.STRIPE: faked})
    worker = await payments.rich(10_000)
    withdrawal_id = (await payments.withdraw(worker, 4_000, await payments.account_of(worker))).data["id"]
    await service.send_withdrawal(payments.context, withdrawal_id)
    (transfer_id,) = [one for one in server.objects if one.startswith("tr_")]
    assert (await payments.available(worker), await payments.held(worker)) == (6_000, 0)
    server.reverse_transfer(transfer_id)
    for one in server.notices(double=True, shuffle=3):
        await payments.service.call("POST", "/api/v1/payments/webhooks/stripe", raw=one.body, headers=one.headers)
    await handle_all(payments)
    assert (await payments.available(worker), await payments.held(worker)) == (10_000, 0)
    assert server.effects["POST /v1/transfers"] == 1


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
            notice = await local.read_webhook(body, {"stripe-signature": signature})
            assert notice is not None
            await service.handle_webhook(payments.context, f"stripe:{notice.id}")
            if notice.ref == ref:
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
