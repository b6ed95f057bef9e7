"""Notices of Stripe's: only genuine ones count, in any order and any number of times."""

import asyncio
import itertools
import json
import time

import pytest
import stripe

from kelmah.kit.ids import new_id
from kelmah.services.payment import service
from kelmah.services.payment.providers.base import Charge, ChargeState, ProviderUnsureError
from tests.fakes.cards import NEEDS_ACTION
from tests.fixtures.service import Reply, person
from tests.integration.payment.conftest import WEBHOOK_SECRETS, Payments

PATH = "/api/v1/payments/webhooks/stripe"


def notice(kind: str, ref: str, *, event_id: str | None = None) -> bytes:
    event = {
        "id": event_id or f"evt_{new_id()}",
        "object": "event",
        "type": kind,
        "data": {"object": {"id": ref, "object": "payment_intent", "amount": 99_999_999, "status": "succeeded"}},
    }
    return json.dumps(event).encode()


def sign(body: bytes, *, secret: str = WEBHOOK_SECRETS[0], age_s: int = 0) -> str:
    return str(
        stripe.WebhookSignature.generate_signature_header(body.decode(), secret, timestamp=int(time.time()) - age_s)
    )


async def deliver(payments: Payments, body: bytes, signature: str | None = None) -> Reply:
    headers = {"Stripe-Signature": sign(body) if signature is None else signature}
    return await payments.service.call("POST", PATH, raw=body, headers=headers)


async def handle_all(payments: Payments) -> None:
    """Run the timers that notices have set, as the workers do."""
    timers = payments.context.mongo.collection("timers")
    async for row in timers.find({"actor": "payment.handle_webhook"}):
        await service.handle_webhook(payments.context, *row["args"])
        await timers.delete_one({"_id": row["_id"]})


async def count(payments: Payments) -> int:
    found: int = await payments.context.mongo.collection("webhooks").count_documents({})
    return found


async def waiting_deposit(payments: Payments) -> tuple[str, str]:
    """A deposit of 500 whose payer is at 3-D Secure: its id, and the provider's name for it."""
    deposit_id = (await payments.deposit(person(), 500, method=NEEDS_ACTION)).data["id"]
    return deposit_id, f"pi_{deposit_id}"


async def status_of(payments: Payments, deposit_id: str) -> str:
    row = await payments.context.mongo.collection("deposits").find_one({"_id": deposit_id})
    return str(row["status"])


@pytest.mark.parametrize("secret", WEBHOOK_SECRETS)
async def test_a_genuine_notice_settles_a_deposit(payments: Payments, secret: str) -> None:
    deposit_id, ref = await waiting_deposit(payments)
    payments.cards.pass_action(ref)
    body = notice("payment_intent.succeeded", ref)
    reply = await deliver(payments, body, sign(body, secret=secret))
    assert (reply.status, reply.data) == (200, {"received": True})
    assert await status_of(payments, deposit_id) == "requires_action"  # answered before it is handled
    await handle_all(payments)
    assert await status_of(payments, deposit_id) == "succeeded"
    assert len(await payments.events("payment_processed", transactionId=deposit_id)) == 1


async def test_forged_stale_and_broken_notices_leave_nothing(payments: Payments) -> None:
    _, ref = await waiting_deposit(payments)
    payments.cards.pass_action(ref)
    body = notice("payment_intent.succeeded", ref)
    before = await count(payments)
    bad = [
        (body, ""),
        (body, "t=,v1="),
        (body, "t=1,v1=" + "0" * 64),
        (body, sign(body, secret="whsec_foreign")),
        (body, sign(body, age_s=301)),
        (body, sign(body).replace("v1=", "v0=")),
        (body, sign(body) + "é"),
        (body + b" ", sign(body)),
        (b"\xff" + body, sign(body)),
        (b"[]", sign(b"[]")),
        (b"{}", sign(b"{}")),
        (b"not json", sign(b"not json")),
    ]
    for content, signature in bad:
        reply = await deliver(payments, content, signature)
        assert (reply.status, reply.data["code"]) == (400, "payment.webhook_refused")
    assert await count(payments) == before
    assert (await deliver(payments, body, sign(body, age_s=290))).status == 200


async def test_a_notice_is_stored_and_handled_once(payments: Payments) -> None:
    deposit_id, ref = await waiting_deposit(payments)
    payments.cards.pass_action(ref)
    body = notice("payment_intent.succeeded", ref)
    before = await count(payments)
    replies = await asyncio.gather(*(deliver(payments, body) for _ in range(6)))
    assert [reply.status for reply in replies] == [200] * 6
    await handle_all(payments)
    await deliver(payments, body)
    await handle_all(payments)
    assert await count(payments) == before + 1
    assert len(await payments.events("payment_processed", transactionId=deposit_id)) == 1


async def test_any_order_with_doubles_ends_in_one_state(payments: Payments) -> None:
    kinds = ("payment_intent.requires_action", "payment_intent.processing", "payment_intent.succeeded")
    for order in itertools.permutations(kinds):
        deposit_id, ref = await waiting_deposit(payments)
        payments.cards.pass_action(ref)
        for kind in (*order, *order):
            await deliver(payments, notice(kind, ref))
            await handle_all(payments)
        assert await status_of(payments, deposit_id) == "succeeded"
        assert len(await payments.events("payment_processed", transactionId=deposit_id)) == 1


async def test_a_notice_and_a_requery_at_once_credit_once(payments: Payments) -> None:
    deposit_id, ref = await waiting_deposit(payments)
    payments.cards.pass_action(ref)
    body = notice("payment_intent.succeeded", ref, event_id="evt_race")
    await deliver(payments, body)
    await asyncio.gather(
        *(service.handle_webhook(payments.context, "stripe:evt_race") for _ in range(3)),
        *(service.requery_deposit(payments.context, deposit_id) for _ in range(3)),
    )
    await handle_all(payments)
    assert await status_of(payments, deposit_id) == "succeeded"
    assert len(await payments.events("payment_processed", transactionId=deposit_id)) == 1


async def test_what_a_notice_claims_is_not_believed(payments: Payments) -> None:
    """It says that it succeeded; the provider, when asked, says that it did not."""
    deposit_id, ref = await waiting_deposit(payments)
    await deliver(payments, notice("payment_intent.succeeded", ref))
    await handle_all(payments)
    assert await status_of(payments, deposit_id) == "requires_action"


async def test_foreign_charges_fund_nothing(payments: Payments) -> None:
    payments.cards.charges["pi_other"] = Charge("pi_other", ChargeState.SUCCEEDED, 500, "GHS")
    entries = await payments.context.mongo.collection("ledger_entries").count_documents({})
    for ref in ("pi_other", "pi_nowhere"):
        body = notice("payment_intent.succeeded", ref, event_id=f"evt_{ref}")
        assert (await deliver(payments, body)).status == 200
    await handle_all(payments)
    assert await payments.context.mongo.collection("ledger_entries").count_documents({}) == entries
    row = await payments.context.mongo.collection("webhooks").find_one({"_id": "stripe:evt_pi_other"})
    assert row["outcome"] == "foreign"


async def test_a_second_charge_for_one_deposit_goes_to_suspense(payments: Payments) -> None:
    hirer = person()
    deposit_id = (await payments.deposit(hirer, 500)).data["id"]
    payments.cards.charges["pi_twin"] = Charge("pi_twin", ChargeState.SUCCEEDED, 500, "GHS", deposit_id)
    for _ in range(2):
        await deliver(payments, notice("payment_intent.succeeded", "pi_twin"))
        await handle_all(payments)
    assert await payments.available(hirer) == 500
    assert await status_of(payments, deposit_id) == "succeeded"
    found = payments.context.mongo.collection("ledger_entries").find({"facts.deposit_id": deposit_id})
    assert sorted([row["kind"] async for row in found]) == ["deposit", "suspense"]


async def test_other_notices_are_kept_and_left_alone(payments: Payments) -> None:
    body = notice("customer.created", "cus_1", event_id="evt_customer")
    assert (await deliver(payments, body)).status == 200
    await handle_all(payments)
    row = await payments.context.mongo.collection("webhooks").find_one({"_id": "stripe:evt_customer"})
    assert row["outcome"] == "ignored"
    assert b"customer.created" not in row["body"]
    opened = payments.context.ring.decrypt(row["body"], context=b"stripe:evt_customer")
    assert opened == body


async def test_a_notice_waits_for_a_provider_that_is_away(payments: Payments) -> None:
    deposit_id, ref = await waiting_deposit(payments)
    payments.cards.pass_action(ref)
    await deliver(payments, notice("payment_intent.succeeded", ref, event_id="evt_away"))
    payments.cards.lose("retrieve")
    with pytest.raises(ProviderUnsureError):
        await service.handle_webhook(payments.context, "stripe:evt_away")
    await handle_all(payments)
    assert await status_of(payments, deposit_id) == "succeeded"


async def test_notices_are_listed_and_replayed(payments: Payments) -> None:
    deposit_id, ref = await waiting_deposit(payments)
    event_id = f"evt_{new_id()}"
    await deliver(payments, notice("payment_intent.succeeded", ref, event_id=event_id))
    await handle_all(payments)
    assert await status_of(payments, deposit_id) == "requires_action"
    webhook_id = f"stripe:{event_id}"
    (listed,) = [one for one in await service.list_webhooks(payments.context, is_handled=True) if one.id == webhook_id]
    assert (listed.type, listed.ref, listed.outcome) == ("payment_intent.succeeded", ref, "requires_action")
    payments.cards.pass_action(ref)
    for _ in range(2):
        assert await service.replay_webhooks(payments.context, [webhook_id, "stripe:none"]) == [webhook_id]
        waiting = await service.list_webhooks(payments.context, is_handled=False)
        assert webhook_id in {one.id for one in waiting}
        await handle_all(payments)
        assert await status_of(payments, deposit_id) == "succeeded"
    assert payments.cards.taken[ref] == 1
