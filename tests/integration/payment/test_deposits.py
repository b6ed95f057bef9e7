"""Deposits: one request, one charge, one credit, whatever the provider does."""

import asyncio
from datetime import timedelta

import pytest

from kelmah.contracts.common import Role
from kelmah.contracts.payment import DepositStatus
from kelmah.kit import clock
from kelmah.services.payment import service
from kelmah.services.payment.documents.deposits import find_by_provider_ref
from tests.fakes.cards import DECLINED, MISSING, NEEDS_ACTION
from tests.fixtures.service import person
from tests.integration.payment.conftest import Payments


async def test_a_deposit_credits_the_wallet_and_says_so(payments: Payments) -> None:
    hirer = person()
    reply = await payments.deposit(hirer, 50_000)
    assert reply.status == 201
    assert reply.data["status"] == "succeeded"
    assert reply.data["amount"] == {"amount": 50_000, "currency": "GHS"}
    assert await payments.available(hirer) == 50_000
    assert await payments.events("payment_processed", userId=hirer.user_id) == [
        {
            "transactionId": reply.data["id"],
            "userId": hirer.user_id,
            "purpose": "deposit",
            "amount": {"amount": 50_000, "currency": "GHS"},
        }
    ]
    assert await payments.timer(f"deposit:{reply.data['id']}:requery") is None
    found = await payments.get(f"/wallet/deposits/{reply.data['id']}", by=hirer)
    assert found.data == reply.data


async def test_currencies_are_kept_apart(payments: Payments) -> None:
    hirer = person()
    await payments.deposit(hirer, 700)
    await payments.deposit(hirer, 300, currency="USD")
    wallet = (await payments.get("/wallet", by=hirer)).data
    assert wallet["balances"] == [
        {
            "currency": currency,
            "available": {"amount": amount, "currency": currency},
            "pending": {"amount": 0, "currency": currency},
            "held": {"amount": 0, "currency": currency},
        }
        for currency, amount in (("GHS", 700), ("USD", 300))
    ]


async def test_a_new_wallet_is_empty(payments: Payments) -> None:
    wallet = (await payments.get("/wallet", by=person(Role.WORKER))).data
    assert [one["available"]["amount"] for one in wallet["balances"]] == [0]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": {"amount": 0, "currency": "GHS"}}, "amount.amount"),
        ({"amount": {"amount": -500, "currency": "GHS"}}, "amount.amount"),
        ({"amount": {"amount": 10.5, "currency": "GHS"}}, "amount.amount"),
        ({"amount": {"amount": 99, "currency": "GHS"}}, "amount.amount"),
        ({"amount": {"amount": 100_000_000, "currency": "GHS"}}, "amount.amount"),
        ({"amount": {"amount": 2**60, "currency": "GHS"}}, "amount.amount"),
        ({"amount": {"amount": 500, "currency": "ghs"}}, "amount.currency"),
        ({"amount": {"amount": 500, "currency": "XXX"}}, "amount.currency"),
        ({"paymentMethod": "4242424242424242"}, "paymentMethod"),
        ({"paymentMethod": None}, "paymentMethod"),
        ({"methodId": "m1"}, "paymentMethod"),
        ({"provider": "pigeon"}, "provider"),
        ({"status": "succeeded"}, "status"),
    ],
)
async def test_bad_input_is_refused_by_field(payments: Payments, change: dict[str, object], field: str) -> None:
    hirer = person()
    body = {"amount": {"amount": 500, "currency": "GHS"}, "paymentMethod": "pm_card_visa"} | change
    reply = await payments.post("/wallet/deposits", body, by=hirer)
    assert (reply.status, [one["field"] for one in reply.data["errors"]]) == (400, [field])
    assert payments.cards.charges == {}


async def test_a_key_is_needed(payments: Payments) -> None:
    body = {"amount": {"amount": 500, "currency": "GHS"}, "paymentMethod": "pm_card_visa"}
    reply = await payments.service.call("POST", "/api/v1/payments/wallet/deposits", body, by=person())
    assert (reply.status, reply.data["code"]) == (400, "idempotency_key_missing")
    assert payments.cards.charges == {}


async def test_the_same_key_charges_once(payments: Payments) -> None:
    hirer = person()
    first = await payments.deposit(hirer, 500, key="k1")
    again = await payments.deposit(hirer, 500, key="k1")
    assert (again.status, again.data) == (201, first.data)
    assert again.headers["idempotent-replayed"] == "true"
    other = await payments.deposit(hirer, 600, key="k1")
    assert (other.status, other.data["code"]) == (422, "idempotency_key_reused")
    assert list(payments.cards.taken.values()) == [1]
    assert await payments.available(hirer) == 500


async def test_a_decline_is_said_and_posts_nothing(payments: Payments) -> None:
    hirer = person()
    for _ in range(2):  # a retry of the same request meets the same answer, not another charge
        reply = await payments.deposit(hirer, 500, method=DECLINED, key="k")
        assert (reply.status, reply.data["code"]) == (402, "payment.declined")
    assert len(payments.cards.charges) == 1
    mended = await payments.deposit(hirer, 500, key="k")
    assert (mended.status, mended.data["code"]) == (422, "idempotency_key_reused")
    assert await payments.available(hirer) == 0
    assert await payments.events("payment_processed", userId=hirer.user_id) == []


async def test_an_unknown_token_is_a_decline(payments: Payments) -> None:
    hirer = person()
    reply = await payments.deposit(hirer, 500, method=MISSING)
    assert (reply.status, reply.data["code"]) == (402, "payment.declined")
    assert await payments.available(hirer) == 0


async def test_three_d_secure_waits_for_the_payer(payments: Payments) -> None:
    hirer = person()
    reply = await payments.deposit(hirer, 500, method=NEEDS_ACTION)
    assert (reply.status, reply.data["status"]) == (202, "requires_action")
    (ref,) = payments.cards.charges
    assert reply.data["clientSecret"] == f"{ref}_secret"
    wallet = (await payments.get("/wallet", by=hirer)).data["balances"][0]
    assert (wallet["available"]["amount"], wallet["pending"]["amount"]) == (0, 500)

    payments.cards.pass_action(ref)
    await service.requery_deposit(payments.context, reply.data["id"])
    await service.requery_deposit(payments.context, reply.data["id"])
    assert await payments.available(hirer) == 500
    assert len(await payments.events("payment_processed", userId=hirer.user_id)) == 1


async def test_three_d_secure_that_nobody_finishes_is_canceled_at_last(payments: Payments) -> None:
    hirer = person()
    deposit_id = (await payments.deposit(hirer, 500, method=NEEDS_ACTION)).data["id"]
    due = []
    for _ in range(7):
        timer = await payments.timer(f"deposit:{deposit_id}:requery")
        assert timer is not None
        due.append(timer["due"])
        await service.requery_deposit(payments.context, deposit_id)
    view = (await payments.get(f"/wallet/deposits/{deposit_id}", by=hirer)).data
    assert view["status"] == "canceled"
    steps = [later - due[0] for later in due]
    assert steps[1] == timedelta(minutes=55)
    assert [step + timedelta(minutes=5) for step in steps[2:]] == [timedelta(days=day) for day in range(1, 6)]


async def test_an_answer_that_was_lost_is_unknown_until_asked_again(payments: Payments) -> None:
    hirer = person()
    payments.cards.lose("confirm:after")
    reply = await payments.deposit(hirer, 500, key="k")
    assert (reply.status, reply.data["status"]) == (202, "unknown")
    assert await payments.available(hirer) == 0
    again = await payments.deposit(hirer, 500, key="k")
    assert (again.status, again.data) == (202, reply.data)
    await service.requery_deposit(payments.context, reply.data["id"])
    assert await payments.available(hirer) == 500
    assert list(payments.cards.taken.values()) == [1]


async def test_a_charge_that_never_happened_is_canceled_and_cannot_happen_later(payments: Payments) -> None:
    hirer = person()
    payments.cards.lose("confirm:before")
    deposit_id = (await payments.deposit(hirer, 500)).data["id"]
    await service.requery_deposit(payments.context, deposit_id)
    assert (await payments.get(f"/wallet/deposits/{deposit_id}", by=hirer)).data["status"] == "canceled"
    (charge,) = payments.cards.charges.values()
    assert (await payments.cards.confirm(charge.ref, deposit_id=deposit_id)).state == "canceled"
    assert await payments.available(hirer) == 0


@pytest.mark.parametrize("step", ["create:before", "create:after"])
async def test_a_fault_before_any_charge_is_503_and_the_retry_goes_on(payments: Payments, step: str) -> None:
    hirer = person()
    payments.cards.lose(step)
    reply = await payments.deposit(hirer, 500, key="k")
    assert (reply.status, reply.data["code"]) == (503, "payment.provider_unavailable")
    assert (await payments.deposit(hirer, 500, key="k")).status == 201
    assert list(payments.cards.taken.values()) == [1]
    assert await payments.available(hirer) == 500


async def test_a_deposit_that_was_left_is_closed_without_asking(payments: Payments) -> None:
    hirer = person()
    payments.cards.lose("create:before")
    await payments.deposit(hirer, 500, key="k")
    row = await payments.context.mongo.collection("deposits").find_one({"user_id": hirer.user_id})
    await service.requery_deposit(payments.context, row["_id"])
    assert (await payments.get(f"/wallet/deposits/{row['_id']}", by=hirer)).data["status"] == "canceled"
    reply = await payments.deposit(hirer, 500, key="k")
    assert (reply.status, reply.data["code"]) == (409, "payment.deposit_closed")
    assert payments.cards.charges == {}


async def test_a_provider_that_stays_silent_leaves_the_deposit_unknown(payments: Payments) -> None:
    hirer = person()
    payments.cards.lose("confirm:after")
    deposit_id = (await payments.deposit(hirer, 500)).data["id"]
    payments.cards.lose("retrieve", times=100)
    for _ in range(9):
        await service.requery_deposit(payments.context, deposit_id)
    assert (await payments.get(f"/wallet/deposits/{deposit_id}", by=hirer)).data["status"] == "unknown"
    payments.cards.lose("", times=0)
    await service.requery_deposit(payments.context, deposit_id)
    assert await payments.available(hirer) == 500


@pytest.mark.parametrize("change", [{"amount": 499}, {"amount": 5_000_000}, {"currency": "USD"}])
async def test_what_does_not_match_funds_nothing(payments: Payments, change: dict[str, object]) -> None:
    hirer = person()
    payments.cards.lose("confirm:after")
    deposit_id = (await payments.deposit(hirer, 500)).data["id"]
    (ref,) = payments.cards.charges
    payments.cards.alter(ref, **change)  # type: ignore[arg-type]  # one of its two arguments
    for _ in range(2):
        await service.requery_deposit(payments.context, deposit_id)
    assert (await payments.get(f"/wallet/deposits/{deposit_id}", by=hirer)).data["status"] == "mismatched"
    assert await payments.available(hirer) == 0
    assert await payments.available(hirer, "USD") == 0
    charge = payments.cards.charges[ref]
    entry = await payments.context.mongo.collection("ledger_entries").find_one({"reference": f"suspense:stripe:{ref}"})
    assert [(one["account"], one["amount"]) for one in entry["postings"]] == [
        (f"clearing:stripe:{charge.currency}", -charge.amount),
        (f"suspense:stripe:{charge.currency}", charge.amount),
    ]


async def test_a_late_success_after_a_decline_is_credited_once(payments: Payments) -> None:
    hirer = person()
    assert (await payments.deposit(hirer, 500, method=DECLINED)).status == 402
    (ref,) = payments.cards.charges
    payments.cards.pass_action(ref)
    deposit = await find_by_provider_ref("stripe", ref)
    assert deposit is not None
    for _ in range(2):
        settled = await service.settle(payments.context, deposit.id, payments.cards.charges[ref])
        assert settled.status is DepositStatus.SUCCEEDED
    assert await payments.available(hirer) == 500


async def test_deposits_of_others_are_not_there(payments: Payments) -> None:
    deposit_id = (await payments.deposit(person(), 500)).data["id"]
    assert (await payments.get(f"/wallet/deposits/{deposit_id}", by=person())).status == 404
    assert (await payments.deposit(person(Role.SUPPORT), 500)).status == 403


async def test_a_retry_after_the_key_was_forgotten_still_charges_once(payments: Payments) -> None:
    hirer = person()
    first = await payments.deposit(hirer, 500, key="k")
    await payments.context.mongo.collection("idempotency_keys").delete_many({})
    clock.shift(timedelta(days=2))
    again = await payments.deposit(hirer, 500, key="k")
    assert (again.status, again.data) == (201, first.data)
    assert list(payments.cards.taken.values()) == [1]
    assert await payments.available(hirer) == 500


async def test_transactions_tell_every_movement(payments: Payments) -> None:
    hirer, worker = await payments.hirer_with(1_000), person(Role.WORKER)
    contract = payments.jobs.make_contract(hirer.user_id, worker.user_id, 605)
    escrow_id = (await payments.fund(contract, by=hirer)).data["id"]
    await payments.post(f"/escrows/{escrow_id}/release", by=hirer)
    first = (await payments.get("/transactions?limit=1", by=hirer)).data
    rest = (await payments.get(f"/transactions?cursor={first['nextCursor']}", by=hirer)).data
    assert rest["nextCursor"] is None
    told = [
        (one["kind"], one["direction"], one["amount"]["amount"], one["balanceAfter"]["amount"])
        for one in first["items"] + rest["items"]
    ]
    assert told == [("escrow_funding", "out", 605, 395), ("deposit", "in", 1_000, 1_000)]
    (earned,) = (await payments.get("/transactions", by=worker)).data["items"]
    assert (earned["kind"], earned["amount"]["amount"], earned["escrowId"]) == ("escrow_release", 545, escrow_id)
    assert (await payments.get("/transactions", by=person())).data == {"items": [], "nextCursor": None}
    assert (await payments.get("/transactions?cursor=!", by=hirer)).status == 400
    assert (await payments.get("/transactions?limit=101", by=hirer)).status == 400


async def test_first_tries_at_once_with_other_keys_charge_once_while_nobody_knows(payments: Payments) -> None:
    hirer = person()
    payments.cards.lose("confirm:after", times=5)
    replies = await asyncio.gather(*(payments.deposit(hirer, 700) for _ in range(5)))
    assert sorted(reply.status for reply in replies) == [202] + [409] * 4
    assert {reply.data["code"] for reply in replies if reply.status == 409} == {"payment.deposit_unresolved"}
    assert payments.cards.taken.total() == 1
    (unknown,) = [reply.data["id"] for reply in replies if reply.status == 202]
    await service.requery_deposit(payments.context, unknown)
    payments.cards.lose("", times=0)
    assert await payments.available(hirer) == 700
    assert (await payments.deposit(hirer, 700)).status == 201  # now that it is known, another one is meant


async def test_a_try_that_died_before_any_charge_lets_another_one_through_once_it_is_given_up(
    payments: Payments,
) -> None:
    hirer = person()
    payments.cards.lose("create:before")
    assert (await payments.deposit(hirer, 700)).status == 503
    assert (await payments.deposit(hirer, 700)).data["code"] == "payment.deposit_unresolved"
    row = await payments.context.mongo.collection("deposits").find_one({"user_id": hirer.user_id})
    await service.requery_deposit(payments.context, row["_id"])
    assert (await payments.deposit(hirer, 700)).status == 201


@pytest.mark.parametrize("step", ["confirm:before", "confirm:after"])
async def test_somebody_who_tries_again_with_another_key_does_not_pay_twice(payments: Payments, step: str) -> None:
    hirer = person()
    payments.cards.lose(step)
    first = await payments.deposit(hirer, 700)
    assert first.data["status"] == "unknown"
    again = await payments.deposit(hirer, 700)
    assert (again.status, again.data["code"]) == (409, "payment.deposit_unresolved")
    assert (await payments.deposit(hirer, 701)).status == 201
    assert (await payments.deposit(person(), 700)).status == 201
    await service.requery_deposit(payments.context, first.data["id"])
    assert (await payments.deposit(hirer, 700)).status == 201
    assert await payments.available(hirer) == 701 + 700 * (2 if step == "confirm:after" else 1)
    assert set(payments.cards.taken.values()) == {1}
