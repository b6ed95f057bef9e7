"""The PayPal adapter, and deposits, refunds, payouts and disputes by it, through the real SDK."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from kelmah.contracts.common import Money, Role
from kelmah.contracts.payment import MethodKind, Provider
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.payment import service
from kelmah.services.payment.errors import ProviderUnavailable, WebhookRefused
from kelmah.services.payment.providers import paypal
from kelmah.services.payment.providers.base import (
    About,
    Charge,
    ChargeState,
    Notice,
    Payout,
    PayoutOrder,
    PayoutState,
    ProviderRefusedError,
    ProviderUnsureError,
    SavedMethod,
)
from kelmah.services.payment.providers.paypal import PayPal
from kelmah.services.payment.providers.paypal_notices import MAX_CERTIFICATES
from kelmah.services.payment.settings import PaymentSettings
from tests.fakes.paypal_server import BLOCKED, CLIENT_ID, CLIENT_SECRET, PAYOUTS, SLOW, WEBHOOK_ID, PayPalServer
from tests.fixtures.service import Reply, person
from tests.integration.payment.conftest import Payments
from tests.integration.payment.test_webhooks import handle_all

AMOUNT = Money(amount=1_050, currency="USD")
PAYER = "PAYERID000001"
WEBHOOKS = "/api/v1/payments/webhooks/paypal"


def settings(base_url: str | None, secret: str = CLIENT_SECRET) -> PaymentSettings:
    return PaymentSettings.model_validate(
        {
            "redis_url": "redis://unused",
            "mongo_url": "mongodb://unused",
            "incoming_keys": {},
            "outgoing_keys": {},
            "field_keys": ["unused"],
            "stripe_api_key": "sk_test_unused",
            "paypal_client_id": CLIENT_ID if base_url else None,
            "paypal_client_secret": secret,
            "paypal_base_url": base_url,
            "paypal_webhook_ids": ["WH-OLD", WEBHOOK_ID],
            "paypal_timeout_s": 5,
        }
    )


@pytest.fixture
async def server() -> AsyncIterator[PayPalServer]:
    fake = PayPalServer(new_id()[-8:])
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture
async def adapter(server: PayPalServer) -> AsyncIterator[PayPal]:
    async with paypal.connect(settings(server.url)) as made:
        assert made is not None
        yield made


@pytest.fixture
async def paying(payments: Payments, adapter: PayPal) -> Payments:
    """The service with PayPal beside the cards."""
    providers = dict(payments.context.providers)
    payments.service.replace(providers={**providers, Provider.PAYPAL: adapter})
    return payments


async def order(adapter: PayPal, deposit_id: str | None = None) -> Charge:
    return await adapter.create(deposit_id=deposit_id or new_id(), amount=AMOUNT, method="", customer=None)


async def captured(adapter: PayPal, server: PayPalServer) -> Charge:
    charge = await order(adapter)
    server.approve(charge.ref)
    return await adapter.confirm(charge.ref, deposit_id=new_id())


# --- The adapter ---


async def test_an_order_is_made_approved_and_captured_once(adapter: PayPal, server: PayPalServer) -> None:
    deposit_id = new_id()
    made = await order(adapter, deposit_id)
    url = f"{server.url}/checkoutnow?token={made.ref}"
    assert made == Charge(made.ref, ChargeState.ACTION, 1_050, "USD", deposit_id, action_url=url)
    assert await order(adapter, deposit_id) == made == await adapter.retrieve(made.ref)
    assert server.objects[made.ref]["purchase_units"][0]["amount"] == {"currency_code": "USD", "value": "10.50"}
    assert (await adapter.confirm(made.ref, deposit_id=deposit_id)).state is ChargeState.ACTION
    server.approve(made.ref)
    assert (await adapter.retrieve(made.ref)).state is ChargeState.APPROVED
    paid = Charge(made.ref, ChargeState.SUCCEEDED, 1_050, "USD", deposit_id)
    assert await adapter.confirm(made.ref, deposit_id=new_id()) == paid
    assert await adapter.confirm(made.ref, deposit_id=new_id()) == paid == await adapter.cancel(made.ref)
    assert server.effects["POST /v2/checkout/orders"] == server.effects["POST /v2/checkout/orders/{id}/capture"] == 1


async def test_a_declined_capture_says_so(adapter: PayPal, server: PayPalServer) -> None:
    charge = await order(adapter)
    server.approve(charge.ref)
    server.objects[charge.ref]["declines"] = True
    declined = await adapter.confirm(charge.ref, deposit_id=new_id())
    assert (declined.state, declined.failure_code) == (ChargeState.DECLINED, "instrument_declined")


async def test_an_order_is_left_by_never_capturing_it(adapter: PayPal) -> None:
    charge = await order(adapter)
    assert (await adapter.cancel(charge.ref)).state is ChargeState.CANCELED
    with pytest.raises(ProviderRefusedError):
        await adapter.retrieve("ORDER-NOWHERE")


async def test_an_old_token_is_renewed_once(adapter: PayPal, server: PayPalServer) -> None:
    charge = await order(adapter)
    server.expire_tokens()
    assert await adapter.retrieve(charge.ref) == charge
    assert server.calls["POST /v1/oauth2/token"] == 2


async def test_a_refused_client_ends_after_one_more_try(server: PayPalServer) -> None:
    async with paypal.connect(settings(server.url, secret="wrong")) as adapter:
        assert adapter is not None
        with pytest.raises(ProviderUnavailable):
            await adapter.retrieve("ORDER-1")
    assert server.calls["POST /v1/oauth2/token"] == 1


async def test_tokens_that_are_always_refused_do_not_loop(adapter: PayPal, server: PayPalServer) -> None:
    server.forgetful = True
    with pytest.raises(ProviderUnavailable):
        await adapter.retrieve("ORDER-1")
    assert server.calls["GET /v2/checkout/orders/{id}"] == 2


@pytest.mark.parametrize("how", ["drop", "500", "429"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_faults_leave_it_open_and_repeat_no_effect(
    adapter: PayPal, server: PayPalServer, when: str, how: str
) -> None:
    charge = await order(adapter)
    server.approve(charge.ref)
    server.fail("POST", "/v2/checkout/orders/{id}/capture", when=when, how=how)
    with pytest.raises(ProviderUnsureError):
        await adapter.confirm(charge.ref, deposit_id="one")
    assert (await adapter.retrieve(charge.ref)).state is (
        ChargeState.SUCCEEDED if when == "after" else ChargeState.APPROVED
    )
    assert (await adapter.confirm(charge.ref, deposit_id="one")).state is ChargeState.SUCCEEDED
    assert server.effects["POST /v2/checkout/orders/{id}/capture"] == 1


async def test_a_refund_is_made_once_and_found(adapter: PayPal, server: PayPalServer) -> None:
    charge = await captured(adapter, server)
    wanted = PayoutOrder(new_id(), Money(amount=1_000, currency="USD"), charge_ref=charge.ref)
    assert await adapter.find_payout(wanted) is None
    made = await adapter.send(wanted)
    assert made._replace(ref="") == Payout("", PayoutState.PAID, 1_000, "USD", wanted.withdrawal_id)
    assert await adapter.send(wanted) == made == await adapter.find_payout(wanted)
    assert await adapter.retrieve_payout(made.ref) == made
    for too_much in (wanted._replace(withdrawal_id=new_id()), wanted._replace(charge_ref=(await order(adapter)).ref)):
        with pytest.raises(ProviderRefusedError):
            await adapter.send(too_much)


async def test_a_payout_is_made_once_even_if_the_answer_is_lost(adapter: PayPal, server: PayPalServer) -> None:
    wanted = PayoutOrder(new_id(), AMOUNT, destination=PAYER)
    server.fail("POST", PAYOUTS, when="after")
    with pytest.raises(ProviderUnsureError):
        await adapter.send(wanted)
    assert await adapter.find_payout(wanted) is None  # there is no search by our name
    made = await adapter.send(wanted)
    assert made._replace(ref="") == Payout("", PayoutState.PAID, 1_050, "USD", wanted.withdrawal_id)
    assert await adapter.send(wanted) == made == await adapter.retrieve_payout(made.ref)
    server._answers.clear()  # PayPal forgets request ids long before it forgets batches
    assert await adapter.send(wanted) == made
    assert server.effects[f"POST {PAYOUTS}"] == 1
    with pytest.raises(ProviderRefusedError):
        await adapter.send(PayoutOrder(new_id(), AMOUNT, destination=BLOCKED))


async def test_accounts_are_payer_ids(adapter: PayPal) -> None:
    saved = await adapter.save_method(user_id=new_id(), method_id=new_id(), token=PAYER)
    assert saved == SavedMethod(MethodKind.ACCOUNT, PAYER, "paypal", "0001")
    await adapter.forget_method(PAYER)
    with pytest.raises(ProviderRefusedError):
        await adapter.save_method(user_id=new_id(), method_id=new_id(), token="pm_card_visa")


async def test_paypal_is_off_without_a_client() -> None:
    async with paypal.connect(settings(None)) as adapter:
        assert adapter is None


async def test_an_answer_that_is_not_paypals_refuses_nothing(adapter: PayPal, server: PayPalServer) -> None:
    with pytest.raises(ProviderUnsureError):
        await adapter._get("v2/nowhere")  # aiohttp's own 404, in plain text


async def test_calls_in_a_transaction_are_refused(payments: Payments, adapter: PayPal, server: PayPalServer) -> None:
    with pytest.raises(RuntimeError):
        await payments.context.mongo.transact(lambda: adapter.retrieve("ORDER-1"))
    assert server.calls.total() == 0


# --- Notices ---


async def read(adapter: PayPal, body: bytes, headers: dict[str, str]) -> Notice | None:
    return await adapter.read_webhook(body, {name.lower(): value for name, value in headers.items()})


def event(kind: str = "CHECKOUT.ORDER.APPROVED", **resource: object) -> bytes:
    return json.dumps({"id": f"WH-EVENT-{new_id()}", "event_type": kind, "resource": resource}).encode()


async def test_forged_stale_and_foreign_notices_are_refused(adapter: PayPal, server: PayPalServer) -> None:
    body = event(id="ORDER1")
    good = server.sign(body)
    assert (await read(adapter, *good) or ("",))[2:] == (About.CHARGE, "ORDER1")
    other = PayPalServer()
    foreign = other.sign(body).headers | {"PayPal-Cert-Url": good.headers["PayPal-Cert-Url"]}
    bad = [
        (body, {}),
        (body + b" ", good.headers),
        (body, foreign),
        (body, server.sign(body, webhook_id="WH-FOREIGN").headers),
        (body, server.sign(body, age_s=301).headers),
        (body, server.sign(body, age_s=-400).headers),
        (body, good.headers | {"PayPal-Auth-Algo": "SHA1withRSA"}),
        (body, good.headers | {"PayPal-Transmission-Time": "now"}),
        (body, good.headers | {"PayPal-Transmission-Time": "2026-01-01T00:00:00"}),
        (body, good.headers | {"PayPal-Transmission-Sig": "%"}),
        (b"[]", server.sign(b"[]").headers),
    ]
    urls = [
        "https://evil.example/v1/notifications/certs/one",
        "https://api.paypal.com.evil.example/v1/notifications/certs/one",
        "https://api.paypal.com@evil.example/v1/notifications/certs/one",
        "http://api.paypal.com/v1/notifications/certs/one",
        "file:///etc/passwd",
        "https://[",
        f"{server.url}/v2/checkout/orders",
        f"{server.url}/v1/notifications/certs/one?x=1",
        f"{server.url}/v1/notifications/certs/a/b",
        f"{server.url}/v1/notifications/certs/broken",
    ]
    bad += [(body, good.headers | {"PayPal-Cert-Url": url}) for url in urls]
    for content, headers in bad:
        with pytest.raises(WebhookRefused):
            await read(adapter, content, headers)
    assert await read(adapter, *server.sign(body, webhook_id="WH-OLD")) is not None
    clock.shift(timedelta(days=401))  # its certificate, fetched before, is too old
    with pytest.raises(WebhookRefused):
        await read(adapter, *server.sign(body))


async def test_a_certificate_is_fetched_once_and_a_few_are_kept(adapter: PayPal, server: PayPalServer) -> None:
    body, known = event(id="ORDER1"), adapter._certificates._known

    async def take(name: str) -> None:
        headers = {"PayPal-Cert-Url": f"{server.url}/v1/notifications/certs/{name}"}
        assert await read(adapter, body, server.sign(body).headers | headers) is not None

    for number in range(MAX_CERTIFICATES):
        await take(str(number))
    kept = dict(known)
    await take("0")
    assert known == kept
    assert len(known) == MAX_CERTIFICATES
    await take("another")
    assert list(known) == [f"{server.url}/v1/notifications/certs/another"]


@pytest.mark.parametrize(
    ("kind", "resource", "about"),
    [
        (
            "PAYMENT.CAPTURE.COMPLETED",
            {"supplementary_data": {"related_ids": {"order_id": "O1"}}},
            (About.CHARGE, "O1"),
        ),
        ("PAYMENT.CAPTURE.REFUNDED", {"id": "R1"}, (About.PAYOUT, "refund:R1")),
        ("PAYMENT.PAYOUTS-ITEM.SUCCEEDED", {"payout_batch_id": "B1"}, (About.PAYOUT, "batch:B1")),
        ("CUSTOMER.DISPUTE.CREATED", {"dispute_id": "D1"}, (About.CHARGEBACK, "D1")),
        ("BILLING.PLAN.CREATED", {"id": "P1"}, (About.NOTHING, "")),
    ],
)
async def test_notices_say_what_they_are_about(
    adapter: PayPal, server: PayPalServer, kind: str, resource: dict[str, object], about: tuple[About, str]
) -> None:
    found = await read(adapter, *server.sign(event(kind, **resource)))
    assert found is not None
    assert (found.about, found.ref) == about


# --- The whole way ---


async def deposit(payments: Payments, by: Principal, amount: int = 1_050, key: str | None = None) -> Reply:
    body = {"amount": {"amount": amount, "currency": "USD"}, "provider": "paypal"}
    return await payments.post("/wallet/deposits", body, by=by, key=key)


async def deliver(payments: Payments, server: PayPalServer, *, seed: int = 1) -> None:
    """Everything that PayPal has to tell, twice and in another order."""
    for one in server.notices(double=True, shuffle=seed):
        sent = await payments.service.call("POST", WEBHOOKS, raw=one.body, headers=one.headers)
        assert sent.status == 200
    await handle_all(payments)


async def approved_deposit(payments: Payments, server: PayPalServer) -> tuple[Principal, str, str]:
    hirer = person()
    reply = await deposit(payments, hirer)
    assert (reply.status, reply.data["status"]) == (202, "requires_action")
    ref = reply.data["actionUrl"].rpartition("=")[2]
    server.approve(ref)
    await deliver(payments, server)
    assert await payments.available(hirer, "USD") == 1_050
    return hirer, reply.data["id"], ref


async def test_a_deposit_is_approved_and_captured_once(paying: Payments, server: PayPalServer) -> None:
    hirer, deposit_id, _ = await approved_deposit(paying, server)
    await deliver(paying, server, seed=2)
    assert server.effects["POST /v2/checkout/orders/{id}/capture"] == 1
    assert await paying.available(hirer, "USD") == 1_050
    assert len(await paying.events("payment_processed", transactionId=deposit_id)) == 1


async def test_an_approval_whose_notice_was_lost_is_found_by_asking(paying: Payments, server: PayPalServer) -> None:
    hirer = person()
    reply = await deposit(paying, hirer)
    server.approve(reply.data["actionUrl"].rpartition("=")[2])
    server.fail("POST", "/v2/checkout/orders/{id}/capture", when="after")
    await service.requery_deposit(paying.context, reply.data["id"])
    assert await paying.available(hirer, "USD") == 0
    await service.requery_deposit(paying.context, reply.data["id"])
    assert await paying.available(hirer, "USD") == 1_050
    assert server.effects["POST /v2/checkout/orders/{id}/capture"] == 1


async def test_what_paypal_does_not_take_is_refused(paying: Payments) -> None:
    hirer = person()
    for body, field in (
        ({"amount": {"amount": 500, "currency": "GHS"}, "provider": "paypal"}, "amount.currency"),
        (
            {"amount": {"amount": 500, "currency": "USD"}, "provider": "paypal", "paymentMethod": "pm_card_visa"},
            "paymentMethod",
        ),
    ):
        reply = await paying.post("/wallet/deposits", body, by=hirer)
        assert (reply.status, reply.data["errors"][0]["field"]) == (400, field)
    assert await paying.context.mongo.collection("deposits").count_documents({"user_id": hirer.user_id}) == 0


async def test_paypal_that_is_off_is_not_offered(payments: Payments) -> None:
    reply = await deposit(payments, person())
    assert (reply.status, reply.data["errors"][0]["field"]) == (400, "provider")
    off = await payments.service.call("POST", WEBHOOKS, raw=b"{}")
    assert (off.status, off.data["code"]) == (404, "payment.webhook_off")


async def test_a_deposit_goes_back(paying: Payments, server: PayPalServer) -> None:
    hirer, deposit_id, _ = await approved_deposit(paying, server)
    support = person(Role.SUPPORT, authenticated_at=int(clock.now().timestamp()))
    body = {"amount": {"amount": 1_000, "currency": "USD"}}
    reply = await paying.post(f"/wallet/deposits/{deposit_id}/refund", body, by=support)
    server.fail("POST", "/v2/payments/captures/{id}/refund", when="after")
    await service.send_withdrawal(paying.context, reply.data["id"])
    assert await paying.held(hirer, "USD") == 1_000
    await service.requery_withdrawal(paying.context, reply.data["id"])
    assert (await paying.available(hirer, "USD"), await paying.held(hirer, "USD")) == (50, 0)
    assert server.effects["POST /v2/payments/captures/{id}/refund"] == 1


async def rich_in_usd(payments: Payments, server: PayPalServer) -> Principal:
    hirer, _, _ = await approved_deposit(payments, server)
    clock.shift(timedelta(hours=25))
    now = int(clock.now().timestamp())
    return Principal(user_id=hirer.user_id, role=hirer.role, session_id=hirer.session_id, authenticated_at=now)


@pytest.mark.parametrize(("end", "has"), [("SUCCESS", 50), ("RETURNED", 1_050), ("FAILED", 1_050)])
async def test_a_payout_ends_as_paypal_says(paying: Payments, server: PayPalServer, end: str, has: int) -> None:
    who = await rich_in_usd(paying, server)
    saved = await paying.post("/methods", {"token": SLOW, "provider": "paypal"}, by=who)
    assert (saved.status, saved.data["kind"]) == (201, "account")
    reply = await paying.withdraw(who, 1_000, saved.data["id"], currency="USD")
    server.fail("POST", PAYOUTS, when="after")
    await service.send_withdrawal(paying.context, reply.data["id"])
    assert await paying.held(who, "USD") == 1_000
    await service.requery_withdrawal(paying.context, reply.data["id"])
    assert server.effects[f"POST {PAYOUTS}"] == 1
    (batch_id,) = [one for one in server.objects if one.startswith("BATCH")]
    server.turn_payout(batch_id, end)
    await deliver(paying, server)
    assert (await paying.available(who, "USD"), await paying.held(who, "USD")) == (has, 0)


@pytest.mark.parametrize("won", [True, False])
async def test_a_payer_who_complains_is_followed(paying: Payments, server: PayPalServer, won: bool) -> None:
    hirer, _, ref = await approved_deposit(paying, server)
    capture_id = server.objects[ref]["purchase_units"][0]["payments"]["captures"][0]["id"]
    dispute_id = server.dispute(capture_id)
    await deliver(paying, server)
    assert await paying.available(hirer, "USD") == 0
    server.rule(dispute_id, won=won)
    await deliver(paying, server)
    assert await paying.available(hirer, "USD") == (1_050 if won else 0)


# --- Its report ---


async def test_its_report_agrees_with_the_ledger(paying: Payments, server: PayPalServer, adapter: PayPal) -> None:
    server.fee = "0.45"
    who = person()
    body = {"amount": {"amount": 1_050, "currency": "USD"}, "provider": "paypal"}
    reply = await paying.post("/wallet/deposits", body, by=who)
    charge_ref = next(one for one in server.objects if one.startswith("ORDER"))
    server.approve(charge_ref)
    await service.requery_deposit(paying.context, reply.data["id"])
    assert await paying.available(who, "USD") == 1_050
    now = clock.now()
    found = [one async for one in adapter.movements(now - timedelta(days=40), now + timedelta(minutes=1))]
    assert [(one.ours, one.amount, one.fee, one.currency) for one in found] == [(reply.data["id"], 1_050, 45, "USD")]
    clock.shift(timedelta(hours=25))
    await service.reconcile(paying.context)
    rows = paying.context.mongo.collection("exceptions")
    assert await rows.find_one({"reference": reply.data["id"]}) is None
    server.booked[0]["transaction_amount"]["value"] = "10.49"
    await service.reconcile(paying.context)
    assert (await rows.find_one({"reference": reply.data["id"]}))["amount"] == -1
    await rows.delete_many({"reference": reply.data["id"]})
