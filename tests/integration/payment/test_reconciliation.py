"""Each kind of difference between the ledger, a provider and the bank is found, stays, and goes when it is none."""

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from kelmah.contracts.common import Role
from kelmah.contracts.payment import Provider
from kelmah.kit import clock
from kelmah.kit.errors import BadInput
from kelmah.services.payment import service
from kelmah.services.payment.documents import ledger
from kelmah.services.payment.errors import AlreadyPosted, EntryNotReversible, InsufficientFunds
from kelmah.services.payment.providers import stripe
from kelmah.services.payment.providers.base import ChargebackState, Movement
from tests.fakes.bank import FakeBank
from tests.fakes.cards import SLOW
from tests.fakes.stripe_server import StripeServer
from tests.fixtures.service import person
from tests.integration.payment.conftest import Payments, clear
from tests.integration.payment.test_bank import bank, ordered, queue
from tests.integration.payment.test_stripe import server, settings
from tests.integration.payment.test_webhooks import deliver, handle_all, notice

__all__ = ["bank", "server"]


@pytest.fixture(autouse=True)
async def empty(payments: Payments) -> None:
    """What other tests did is no difference of this one."""
    await clear(payments)


async def kinds(payments: Payments) -> Counter[str]:
    return Counter(one["kind"] for one in await queue(payments))


async def later(payments: Payments, hours: int = 25) -> Counter[str]:
    """Compare after the time in which one side may know before the other."""
    clock.shift(timedelta(hours=hours))
    return (await service.reconcile(payments.context)).new


async def test_what_agrees_is_no_difference(payments: Payments, bank: FakeBank, tmp_path: Path) -> None:
    who = await payments.rich(9_000)
    method = await payments.account_of(who)
    reply = await payments.withdraw(who, 600, method)
    await service.send_withdrawal(payments.context, reply.data["id"])
    withdrawal_id = await ordered(payments, who)
    await service.export_payouts(payments.context, tmp_path)
    bank.pay(-600, "payout", end_to_end_id=withdrawal_id)
    bank.pay(55, "unknown")
    await service.import_file(payments.context, bank.statement())
    lost, won = await payments.hirer_with(500), await payments.hirer_with(700)
    for loser, state in ((lost, ChargebackState.LOST), (won, ChargebackState.WON)):
        row = await payments.context.mongo.collection("deposits").find_one({"user_id": loser.user_id})
        ref = payments.cards.charge_back(row["provider_ref"])
        amount = payments.cards.charges[row["provider_ref"]].amount
        payments.cards._book(ref, -amount, "GHS")
        await deliver(payments, notice("charge.dispute.created", ref))
        await handle_all(payments)
        assert (await service.reconcile(payments.context)).new == Counter()
        payments.cards.charge_back(row["provider_ref"], state)
        if state is ChargebackState.WON:
            payments.cards._book(ref, amount, "GHS")
        await deliver(payments, notice("charge.dispute.closed", ref))
        await handle_all(payments)
    seen: list[tuple[str, int]] = []
    clock.shift(timedelta(hours=25))
    found = await service.reconcile(payments.context, on_progress=lambda name, done: seen.append((name, done)))
    assert (found.new, found.movements, found.matched) == (Counter(), 9, 8)
    assert seen[-1] == ("bank", 2)
    assert await kinds(payments) == Counter({"unknown_reference": 1})
    ((amount, age_s),) = (await service.unreconciled(payments.context)).values()
    assert (amount, age_s // 3600) == (55, 25)


async def test_each_difference_is_found_and_goes(payments: Payments) -> None:
    missing, differs = await payments.hirer_with(500), await payments.hirer_with(600)
    mine, other = payments.cards.moved
    payments.cards.moved = [
        other._replace(amount=601),
        Movement("txn_x", "pi_of_nobody", 70, "GHS", clock.now()),
    ]
    assert (await service.reconcile(payments.context)).new == Counter(), "it is too early to say"
    new = await later(payments)
    assert new == Counter(missing_at_provider=1, missing_in_ledger=1, amount_differs=1)
    assert await later(payments, 0) == Counter(), "the same differences are not new ones"
    amounts = {one["kind"]: one["amount"] for one in await queue(payments)}
    assert amounts == {"missing_at_provider": -500, "missing_in_ledger": 70, "amount_differs": 1}
    assert (await service.unreconciled(payments.context))["GHS"][0] == 571
    payments.cards.moved = [mine, other]
    found = await service.reconcile(payments.context)
    assert found.closed == 2
    assert await kinds(payments) == Counter(missing_in_ledger=1)
    assert await payments.available(missing) == 500
    assert await payments.available(differs) == 600


async def test_a_payout_that_a_provider_denies_is_found(payments: Payments) -> None:
    who = await payments.rich(5_000)
    reply = await payments.withdraw(who, 600, await payments.account_of(who))
    await service.send_withdrawal(payments.context, reply.data["id"])
    payments.cards.moved = [one for one in payments.cards.moved if one.amount > 0]
    slow = await payments.withdraw(who, 700, await payments.account_of(who, SLOW))
    await service.send_withdrawal(payments.context, slow.data["id"])
    assert await later(payments) == Counter(missing_at_provider=1), "what is on its way is no difference"


async def test_fees_and_settlements_are_booked_once(payments: Payments, bank: FakeBank, server: StripeServer) -> None:
    context = payments.context
    async with stripe.connect(settings(server.url)) as cards:
        payments.service.replace(providers={**context.providers, Provider.STRIPE: cards})
        server.fee = 45
        hirer = await payments.hirer_with(1_000)
        server.fee = 2_000
        await payments.hirer_with(10_000)
        payout, lost = server.pay_out(955), server.pay_out(100)
        bank.pay(955, f"STRIPE {payout}")
        bank.pay(99, f"STRIPE {lost}")
        await service.import_file(context, bank.statement())
        clock.shift(timedelta(seconds=2))  # a report ends before the second that it is asked for
        results = [await service.reconcile(payments.context) for _ in range(2)]
        assert [one.new for one in results] == [Counter(fee_too_high=1), Counter()]
        assert await ledger.balance("costs:GHS") == -2_045
        assert await ledger.balance("suspense:bank:GHS") == 99
        assert await ledger.balance("clearing:bank:GHS") == -1_054
        # What Stripe says that it holds for us is what the ledger says, but for the payout that did not arrive.
        assert await ledger.balance("clearing:stripe:GHS") == -(11_000 - 2_045 - 955)
        assert await kinds(payments) == Counter(fee_too_high=1, unknown_reference=1)
        assert await later(payments, 24 * 6) == Counter(missing_at_bank=1)
        assert await payments.available(hirer) == 1_000


async def test_stripe_reports_page_by_page(payments: Payments, server: StripeServer) -> None:
    async with stripe.connect(settings(server.url)) as cards:
        payments.service.replace(providers={Provider.STRIPE: cards})
        who = person()
        for _ in range(3):
            assert (await payments.deposit(who, 500)).status == 201
        for count in range(101):
            server._book("adjustment", 1, "ghs", f"dp_{count}")
        now = clock.now()
        found = [one async for one in cards.movements(now - timedelta(hours=1), now + timedelta(hours=1))]
        assert len(found) == 104
        assert {one.amount for one in found if one.ref.startswith("pi_")} == {500}
        assert [one async for one in cards.movements(now - timedelta(hours=2), now - timedelta(hours=1))] == []


async def test_wrong_entries_are_reversed_once(payments: Payments, bank: FakeBank) -> None:
    who, support = person(), person(Role.SUPPORT, authenticated_at=int(clock.now().timestamp()))
    bank.pay(321, "no reference")
    await service.import_file(payments.context, bank.statement())
    (exception,) = await queue(payments)
    body = {"reason": "a letter", "creditUserId": who.user_id}
    await payments.post(f"/exceptions/{exception['id']}/resolve", body, by=support)
    reference = f"exception:{exception['id']}:cleared"
    results = await asyncio.gather(
        *(service.reverse_entry(payments.context, reference, reason="not theirs") for _ in range(3)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, AlreadyPosted | InsufficientFunds) for one in results) == 2
    assert (await payments.available(who), await ledger.balance("suspense:bank:GHS")) == (0, 321)
    entry = await ledger.find_entry(f"reversal:{reference}")
    assert entry is not None
    assert (entry.facts["reverses"], entry.facts["reason"]) == (reference, "not theirs")
    assert await ledger.find_entry(reference) is not None
    await payments.deposit(who, 500)
    deposit = await payments.context.mongo.collection("deposits").find_one({"user_id": who.user_id})
    for wrong in (f"deposit:{deposit['_id']}", "none", f"reversal:{reference}"):
        with pytest.raises(EntryNotReversible):
            await service.reverse_entry(payments.context, wrong, reason="r")
    with pytest.raises(BadInput):
        await service.reverse_entry(payments.context, reference, reason=" ")
    movements = await payments.get("/transactions", by=who)
    assert [one["kind"] for one in movements.data["items"]] == ["deposit", "reversal", "suspense_cleared"]


async def test_a_settlement_is_the_line_that_names_it(payments: Payments, bank: FakeBank) -> None:
    """Lines of the same amount that name another, or were looked into before, are left where they are."""
    for text in ("STRIPE po_1", "STRIPE po_2", "STRIPE po_1"):
        bank.pay(955, text)
    await service.import_file(payments.context, bank.statement())
    first = min(await queue(payments), key=lambda one: str(one["reference"]))
    support = person(Role.SUPPORT, authenticated_at=int(clock.now().timestamp()))
    path = f"/exceptions/{first['id']}/resolve"
    assert (await payments.post(path, {"reason": "a letter"}, by=support)).status == 200
    payments.cards.moved.append(
        Movement("txn_1", "po_1", -955, "GHS", clock.now() - timedelta(seconds=1), is_settlement=True)
    )
    before = await ledger.balance("suspense:bank:GHS")
    found = await service.reconcile(payments.context, since=clock.now() - timedelta(days=1))
    assert (found.new, found.matched) == (Counter(), 3 + 1)  # the lines by the bank, and the settlement
    assert await ledger.balance("suspense:bank:GHS") == before - 955
    (left,) = await queue(payments)
    rows = payments.context.mongo.collection("bank_lines")
    line = await rows.find_one({"_id": left["reference"]})
    assert payments.context.ring.open(line["text"], context=line["_id"].encode()) == "STRIPE po_2"


async def test_a_provider_that_is_away_does_not_hide_the_others(payments: Payments, bank: FakeBank) -> None:
    bank.pay(5, "unknown")
    await service.import_file(payments.context, bank.statement())
    payments.cards.lose("movements")
    found = await service.reconcile(payments.context)
    assert (found.unreached, found.movements) == (["stripe"], 1)
    assert (await service.reconcile(payments.context)).unreached == []


async def test_it_goes_on_by_itself(payments: Payments) -> None:
    await service.schedule_reconciliation(payments.context)
    payments.cards.moved.append(Movement("txn_x", "pi_of_nobody", 70, "GHS", clock.now()))
    clock.shift(timedelta(hours=25))
    assert (await service.reconcile_daily(payments.context)).new == Counter(missing_in_ledger=1)
    assert (await service.reconcile_daily(payments.context)).new == Counter()
    timer = await payments.timer("ledger:reconcile")
    assert timer is not None
    assert timer["due"] > clock.now() + timedelta(hours=23)
