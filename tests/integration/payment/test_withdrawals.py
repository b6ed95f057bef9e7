"""Withdrawals: held at once, sent once, over once; only for somebody who has just signed in."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from kelmah.contracts.common import Role
from kelmah.contracts.payment import Provider
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.payment import service
from kelmah.services.payment.documents import ledger
from kelmah.services.payment.providers.base import Chargeback, ChargebackState, PayoutState
from kelmah.services.payment.service.deposits import REQUERY_AFTER
from tests.fakes.cards import FROZEN, SLOW
from tests.fixtures.service import person
from tests.integration.payment.conftest import Payments
from tests.integration.payment.test_webhooks import deliver, handle_all, notice


async def status_of(payments: Payments, by: Principal, withdrawal_id: str) -> str:
    return str((await payments.get(f"/wallet/withdrawals/{withdrawal_id}", by=by)).data["status"])


async def money(payments: Payments, by: Principal) -> tuple[int, int]:
    return await payments.available(by), await payments.held(by)


async def entries_of(payments: Payments, withdrawal_id: str) -> list[str]:
    rows = payments.context.mongo.collection("ledger_entries").find({"facts.withdrawal_id": withdrawal_id})
    return [row["kind"] async for row in rows.sort("_id")]


async def test_money_is_held_then_sent(payments: Payments) -> None:
    worker = await payments.rich(10_000)
    method_id = await payments.account_of(worker)
    reply = await payments.withdraw(worker, 4_000, method_id)
    assert (reply.status, reply.data["status"], reply.data["methodId"]) == (201, "pending", method_id)
    assert await money(payments, worker) == (6_000, 4_000)
    withdrawal_id = reply.data["id"]
    assert (await payments.timer(f"withdrawal:{withdrawal_id}:send") or {})["actor"] == "payment.send_withdrawal"
    await service.send_withdrawal(payments.context, withdrawal_id)
    assert await status_of(payments, worker, withdrawal_id) == "paid"
    assert await money(payments, worker) == (6_000, 0)
    assert await entries_of(payments, withdrawal_id) == ["withdrawal_hold", "withdrawal_paid"]
    assert await payments.timer(f"withdrawal:{withdrawal_id}:requery") is None
    (event,) = await payments.events("payment_processed", transactionId=withdrawal_id)
    assert (event["purpose"], event["amount"]) == ("withdrawal", {"amount": 4_000, "currency": "GHS"})
    listed = (await payments.get("/wallet/withdrawals", by=worker)).data
    assert [one["id"] for one in listed["items"]] == [withdrawal_id]
    moves = (await payments.get("/transactions", by=worker)).data["items"]
    assert [(one["kind"], one["direction"], one.get("withdrawalId")) for one in moves] == [
        ("withdrawal_hold", "out", withdrawal_id),
        ("deposit", "in", None),
    ]


@pytest.mark.parametrize("since_s", [601, 86_400])
async def test_who_signed_in_long_ago_is_refused(payments: Payments, since_s: int) -> None:
    worker = await payments.rich(10_000)
    method_id = await payments.account_of(worker)
    clock.shift(timedelta(seconds=since_s))
    reply = await payments.withdraw(worker, 4_000, method_id)
    assert (reply.status, reply.data["code"]) == (403, "payment.step_up_needed")
    never = Principal(user_id=worker.user_id, role=worker.role, session_id=worker.session_id)
    assert (await payments.withdraw(never, 4_000, method_id)).status == 403
    assert await money(payments, worker) == (10_000, 0)


async def test_ten_minutes_is_not_too_long(payments: Payments) -> None:
    worker = await payments.rich(10_000)
    method_id = await payments.account_of(worker)
    clock.shift(timedelta(seconds=595))
    assert (await payments.withdraw(worker, 4_000, method_id)).status == 201


@pytest.mark.parametrize(
    ("amount", "field"),
    [
        ({"amount": 0}, "amount.amount"),
        ({"amount": -5_000}, "amount.amount"),
        ({"amount": 12.5}, "amount.amount"),
        ({"amount": 499}, "amount.amount"),
        ({"amount": 5_000_001}, "amount.amount"),
        ({"amount": 2**53}, "amount.amount"),
        ({"amount": 5_000, "currency": "XXX"}, "amount.currency"),
    ],
)
async def test_bad_amounts_are_refused(payments: Payments, amount: dict[str, Any], field: str) -> None:
    worker = await payments.rich(10_000)
    method_id = await payments.account_of(worker)
    reply = await payments.post("/wallet/withdrawals", {"amount": amount, "methodId": method_id}, by=worker)
    assert (reply.status, reply.data["errors"][0]["field"]) == (400, field)
    assert await money(payments, worker) == (10_000, 0)


async def test_more_than_there_is_is_refused(payments: Payments) -> None:
    worker = await payments.rich(10_000)
    method_id = await payments.account_of(worker)
    reply = await payments.withdraw(worker, 10_001, method_id)
    assert (reply.status, reply.data["code"]) == (402, "payment.insufficient_funds")
    reply = await payments.withdraw(worker, 10_000, method_id, currency="USD")
    assert (reply.status, reply.data["code"]) == (402, "payment.insufficient_funds")
    assert await money(payments, worker) == (10_000, 0)
    assert (await payments.get("/wallet/withdrawals", by=worker)).data["items"] == []


async def test_other_peoples_methods_and_cards_are_refused(payments: Payments) -> None:
    worker, other = await payments.rich(10_000), await payments.rich(10_000)
    card = (await payments.post("/methods", {"token": "pm_card_visa"}, by=worker)).data["id"]
    for method_id in (await payments.account_of(other), card, new_id()):
        reply = await payments.withdraw(
            Principal(
                user_id=worker.user_id,
                role=worker.role,
                session_id=worker.session_id,
                authenticated_at=int(clock.now().timestamp()),
            ),
            1_000,
            method_id,
        )
        assert (reply.status, reply.data["code"]) == (404, "payment.method_not_found")
    assert await money(payments, worker) == (10_000, 0)


async def test_strangers_see_and_cancel_nothing(payments: Payments) -> None:
    worker, other = await payments.rich(10_000), person(Role.WORKER)
    reply = await payments.withdraw(worker, 1_000, await payments.account_of(worker))
    path = f"/wallet/withdrawals/{reply.data['id']}"
    assert (await payments.get(path, by=other)).status == 404
    assert (await payments.post(path + "/cancel", by=other)).status == 404
    assert await money(payments, worker) == (9_000, 1_000)


async def test_money_that_just_came_in_stays(payments: Payments) -> None:
    worker = await payments.rich(10_000)
    method_id = await payments.account_of(worker)
    assert (await payments.deposit(worker, 3_000)).status == 201
    reply = await payments.withdraw(worker, 10_001, method_id)
    assert (reply.status, reply.data["code"]) == (409, "payment.holding_period")
    assert await money(payments, worker) == (13_000, 0)
    assert (await payments.withdraw(worker, 10_000, method_id)).status == 201


async def test_the_days_limit_counts_what_is_on_its_way(payments: Payments) -> None:
    worker = await payments.rich(20_000_000)
    method_id = await payments.account_of(worker)
    replies = await asyncio.gather(*(payments.withdraw(worker, 4_000_000, method_id) for _ in range(4)))
    assert sorted(reply.status for reply in replies) == [201, 201, 409, 409]
    refused = next(reply for reply in replies if reply.status == 409)
    assert refused.data["code"] == "payment.withdrawal_limit"
    assert await money(payments, worker) == (12_000_000, 8_000_000)


async def test_the_same_request_twice_holds_once(payments: Payments) -> None:
    worker = await payments.rich(10_000)
    method_id, key = await payments.account_of(worker), new_id()
    first = await payments.withdraw(worker, 4_000, method_id, key=key)
    again = await payments.withdraw(worker, 4_000, method_id, key=key)
    assert first.data == again.data
    assert (await payments.withdraw(worker, 4_001, method_id, key=key)).status == 422
    assert await money(payments, worker) == (6_000, 4_000)


async def test_a_refusal_gives_the_money_back(payments: Payments) -> None:
    worker = await payments.rich(10_000)
    reply = await payments.withdraw(worker, 4_000, await payments.account_of(worker, FROZEN))
    await service.send_withdrawal(payments.context, reply.data["id"])
    await service.send_withdrawal(payments.context, reply.data["id"])
    assert await status_of(payments, worker, reply.data["id"]) == "failed"
    assert await money(payments, worker) == (10_000, 0)
    assert await entries_of(payments, reply.data["id"]) == ["withdrawal_hold", "withdrawal_void"]
    (event,) = await payments.events("withdrawal_failed", withdrawalId=reply.data["id"])
    assert event["failureCode"] == "account_frozen"


async def test_a_withdrawal_is_canceled_only_before_it_is_sent(payments: Payments) -> None:
    worker = await payments.rich(10_000)
    method_id = await payments.account_of(worker, SLOW)
    one, two = [(await payments.withdraw(worker, 1_000, method_id)).data["id"] for _ in range(2)]
    canceled = await payments.post(f"/wallet/withdrawals/{one}/cancel", by=worker)
    assert (canceled.status, canceled.data["status"]) == (200, "canceled")
    await service.send_withdrawal(payments.context, one)
    await service.send_withdrawal(payments.context, two)
    refused = await payments.post(f"/wallet/withdrawals/{two}/cancel", by=worker)
    assert (refused.status, refused.data["code"]) == (409, "payment.withdrawal_not_cancelable")
    assert await money(payments, worker) == (9_000, 1_000)
    assert list(payments.cards.sent) == [f"po_{two}"]


async def test_a_cancel_and_a_send_at_once_have_one_end(payments: Payments) -> None:
    worker = await payments.rich(10_000)
    method_id = await payments.account_of(worker)
    for _ in range(5):
        one = (await payments.withdraw(worker, 1_000, method_id)).data["id"]
        canceling = asyncio.create_task(payments.post(f"/wallet/withdrawals/{one}/cancel", by=worker))
        await asyncio.gather(*(service.send_withdrawal(payments.context, one) for _ in range(3)))
        canceled = await canceling
        status = await status_of(payments, worker, one)
        assert (canceled.status, status, payments.cards.sent[f"po_{one}"]) in [(200, "canceled", 0), (409, "paid", 1)]


@pytest.mark.parametrize(("step", "sent_by_then"), [("send:before", 0), ("send:after", 1)])
async def test_an_unknown_end_is_found_out_and_never_sent_twice(
    payments: Payments, step: str, sent_by_then: int
) -> None:
    worker = await payments.rich(10_000)
    withdrawal_id = (await payments.withdraw(worker, 4_000, await payments.account_of(worker))).data["id"]
    payments.cards.lose(step)
    await service.send_withdrawal(payments.context, withdrawal_id)
    assert await status_of(payments, worker, withdrawal_id) == "unknown"
    assert payments.cards.sent[f"po_{withdrawal_id}"] == sent_by_then
    await service.send_withdrawal(payments.context, withdrawal_id)  # only the sweeper goes on
    assert await status_of(payments, worker, withdrawal_id) == "unknown"
    await asyncio.gather(*(service.requery_withdrawal(payments.context, withdrawal_id) for _ in range(3)))
    assert await status_of(payments, worker, withdrawal_id) == "paid"
    assert payments.cards.sent[f"po_{withdrawal_id}"] == 1
    assert await money(payments, worker) == (6_000, 0)


async def test_the_sweeper_asks_on_schedule_and_then_calls_for_help(payments: Payments) -> None:
    worker = await payments.rich(10_000)
    withdrawal_id = (await payments.withdraw(worker, 4_000, await payments.account_of(worker, SLOW))).data["id"]
    await service.send_withdrawal(payments.context, withdrawal_id)
    row = await payments.context.mongo.collection("withdrawals").find_one({"_id": withdrawal_id})
    for after in REQUERY_AFTER:
        timer = await payments.timer(f"withdrawal:{withdrawal_id}:requery")
        assert timer is not None
        assert timer["due"] == row["created_at"] + after
        await payments.context.mongo.collection("timers").delete_one({"_id": timer["_id"]})
        payments.cards.lose("retrieve_payout")
        await service.requery_withdrawal(payments.context, withdrawal_id)
    assert await payments.timer(f"withdrawal:{withdrawal_id}:requery") is None
    assert await status_of(payments, worker, withdrawal_id) == "in_transit"
    assert await money(payments, worker) == (6_000, 4_000)


async def test_a_notice_ends_it_once_in_any_order(payments: Payments) -> None:
    worker = await payments.rich(10_000)
    withdrawal_id = (await payments.withdraw(worker, 4_000, await payments.account_of(worker, SLOW))).data["id"]
    await service.send_withdrawal(payments.context, withdrawal_id)
    assert await status_of(payments, worker, withdrawal_id) == "in_transit"
    ref = payments.cards.turn_payout(withdrawal_id, PayoutState.PAID)
    for _ in range(2):
        await deliver(payments, notice("transfer.updated", ref))
        await deliver(payments, notice("transfer.created", ref))
        await handle_all(payments)
    assert await status_of(payments, worker, withdrawal_id) == "paid"
    assert await entries_of(payments, withdrawal_id) == ["withdrawal_hold", "withdrawal_paid"]
    payments.cards.turn_payout(withdrawal_id, PayoutState.RETURNED)
    for _ in range(2):
        await deliver(payments, notice("transfer.reversed", ref))
        await handle_all(payments)
    assert await status_of(payments, worker, withdrawal_id) == "returned"
    assert await money(payments, worker) == (10_000, 0)
    assert len(await payments.events("withdrawal_failed", withdrawalId=withdrawal_id)) == 1


async def test_a_payout_of_another_amount_settles_nothing(payments: Payments) -> None:
    worker = await payments.rich(10_000)
    withdrawal_id = (await payments.withdraw(worker, 4_000, await payments.account_of(worker, SLOW))).data["id"]
    await service.send_withdrawal(payments.context, withdrawal_id)
    ref = payments.cards.turn_payout(withdrawal_id, PayoutState.PAID)
    payments.cards.payouts[ref] = payments.cards.payouts[ref]._replace(amount=3_999)
    await deliver(payments, notice("transfer.updated", ref))
    await handle_all(payments)
    assert await money(payments, worker) == (6_000, 4_000)
    assert await entries_of(payments, withdrawal_id) == ["withdrawal_hold"]


# --- Refunds of deposits ---


async def paid_deposit(payments: Payments, amount: int = 10_000) -> tuple[Principal, Principal, str]:
    hirer = person()
    deposit_id = (await payments.deposit(hirer, amount)).data["id"]
    return hirer, person(Role.SUPPORT, authenticated_at=int(clock.now().timestamp())), deposit_id


async def refund(payments: Payments, deposit_id: str, amount: int, *, by: Principal, currency: str = "GHS") -> Any:
    body = {"amount": {"amount": amount, "currency": currency}}
    return await payments.post(f"/wallet/deposits/{deposit_id}/refund", body, by=by)


async def test_a_deposit_goes_back_in_parts_to_its_last_unit(payments: Payments) -> None:
    hirer, support, deposit_id = await paid_deposit(payments)
    replies = await asyncio.gather(*(refund(payments, deposit_id, 3_000, by=support) for _ in range(5)))
    assert sorted(reply.status for reply in replies) == [201] * 3 + [409] * 2
    for reply in replies:
        if reply.status == 201:
            await service.send_withdrawal(payments.context, reply.data["id"])
    assert await money(payments, hirer) == (1_000, 0)
    assert (await refund(payments, deposit_id, 1_001, by=support)).status == 409
    last = await refund(payments, deposit_id, 1_000, by=support)
    await service.send_withdrawal(payments.context, last.data["id"])
    assert await money(payments, hirer) == (0, 0)
    assert sum(payments.cards.sent.values()) == 4


async def test_only_support_that_just_signed_in_refunds(payments: Payments) -> None:
    hirer, _, deposit_id = await paid_deposit(payments)
    assert (await refund(payments, deposit_id, 1_000, by=hirer)).status == 403
    stale = await refund(payments, deposit_id, 1_000, by=person(Role.SUPPORT))
    assert (stale.status, stale.data["code"]) == (403, "payment.step_up_needed")
    assert await money(payments, hirer) == (10_000, 0)


async def test_money_that_was_spent_is_not_refunded(payments: Payments) -> None:
    hirer, support, deposit_id = await paid_deposit(payments)
    contract = payments.jobs.make_contract(hirer.user_id, new_id(), 8_000)
    await payments.fund(contract, by=hirer)
    spent = await refund(payments, deposit_id, 3_000, by=support)
    assert (spent.status, spent.data["code"]) == (402, "payment.insufficient_funds")
    foreign = await refund(payments, deposit_id, 1_000, by=support, currency="USD")
    assert (foreign.status, foreign.data["code"]) == (409, "payment.deposit_not_refundable")
    assert (await refund(payments, new_id(), 1_000, by=support)).status == 409
    assert await money(payments, hirer) == (2_000, 0)
    assert (await refund(payments, deposit_id, 2_000, by=support)).status == 201


# --- Chargebacks ---


async def charged_back(payments: Payments, *, spent: int = 0) -> tuple[Principal, str]:
    hirer = person()
    deposit_id = (await payments.deposit(hirer, 10_000)).data["id"]
    if spent:
        await payments.fund(payments.jobs.make_contract(hirer.user_id, new_id(), spent), by=hirer)
    ref = payments.cards.charge_back(f"pi_{deposit_id}")
    for _ in range(2):
        await deliver(payments, notice("charge.dispute.created", ref))
        await handle_all(payments)
    return hirer, deposit_id


@pytest.mark.parametrize("spent", [0, 7_000, 10_000])
@pytest.mark.parametrize("outcome", ["won", "lost"])
async def test_a_chargeback_holds_what_is_there_until_the_bank_rules(
    payments: Payments, spent: int, outcome: str
) -> None:
    losses = await ledger.balance("losses:GHS")
    hirer, deposit_id = await charged_back(payments, spent=spent)
    assert await payments.available(hirer) == 0
    assert await ledger.balance("losses:GHS") == losses - spent
    ref = payments.cards.charge_back(f"pi_{deposit_id}", ChargebackState(outcome))
    for kind in ("charge.dispute.closed", "charge.dispute.created", "charge.dispute.closed"):
        await deliver(payments, notice(kind, ref))
        await handle_all(payments)
    assert await payments.available(hirer) == (10_000 - spent if outcome == "won" else 0)
    assert await ledger.balance("losses:GHS") == (losses if outcome == "won" else losses - spent)
    events = await payments.events("chargeback_changed", depositId=deposit_id)
    assert [one["status"] for one in events] == ["open", outcome]


async def test_a_chargeback_of_something_else_moves_nothing(payments: Payments) -> None:
    payments.cards.chargebacks["dp_x"] = Chargeback("dp_x", ChargebackState.OPEN, "pi_other", 500, "GHS")
    before = await payments.context.mongo.collection("ledger_entries").count_documents({})
    for ref in ("dp_x", "dp_nowhere"):
        await deliver(payments, notice("charge.dispute.created", ref, event_id=f"evt_{ref}"))
    await handle_all(payments)
    assert await payments.context.mongo.collection("ledger_entries").count_documents({}) == before
    row = await payments.context.mongo.collection("webhooks").find_one({"_id": "stripe:evt_dp_x"})
    assert row["outcome"] == "foreign"


async def test_a_withdrawal_from_a_provider_that_is_off_is_refused(payments: Payments) -> None:
    worker = await payments.rich(10_000)
    method_id = await payments.account_of(worker)
    cards = payments.context.providers[Provider.STRIPE]
    payments.service.replace(providers={})
    reply = await payments.withdraw(worker, 4_000, method_id)
    assert (reply.status, reply.data["errors"][0]["field"]) == (400, "methodId")
    payments.service.replace(providers={Provider.STRIPE: cards})
