"""The bank as a provider, which is asked like any other and answers from our own books."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from kelmah.contracts.common import Money, Role
from kelmah.contracts.payment import BankAccount, Provider
from kelmah.kit.ids import new_id
from kelmah.services.payment import service
from kelmah.services.payment.documents import ledger
from kelmah.services.payment.errors import WebhookRefused
from kelmah.services.payment.providers.bank import Bank
from kelmah.services.payment.providers.base import (
    Charge,
    ChargeState,
    Payout,
    PayoutOrder,
    PayoutState,
    ProviderRefusedError,
)
from kelmah.services.payment.providers.references import make_reference
from tests.fakes.bank import FakeBank
from tests.fixtures.service import person
from tests.integration.payment.conftest import Payments
from tests.integration.payment.test_bank import OURS, bank, deposit, ordered, queue, status_of, suspense

__all__ = ["bank"]


def provider_of(payments: Payments) -> Bank:
    provider = payments.context.providers[Provider.BANK]
    assert isinstance(provider, Bank)
    return provider


async def test_a_charge_is_what_its_deposit_is(payments: Payments, bank: FakeBank) -> None:
    provider, who = provider_of(payments), person()
    reply = await deposit(payments, who, 500)
    ref = reply.data["reference"]
    waiting = Charge(ref, ChargeState.ACTION, 500, "GHS", reply.data["id"], pay_to=OURS["GHS"])
    assert await provider.retrieve(ref) == waiting == await provider.confirm(ref, deposit_id=new_id())
    assert await provider.cancel(ref) == waiting._replace(state=ChargeState.CANCELED)
    bank.pay(500, ref)
    await service.import_file(payments.context, bank.statement())
    paid = waiting._replace(state=ChargeState.SUCCEEDED)
    assert await provider.retrieve(ref) == paid == await provider.cancel(ref)


async def test_a_deposit_that_nobody_pays_is_given_up_and_money_that_comes_late_is_nobodys(
    payments: Payments, bank: FakeBank
) -> None:
    who, before = person(), await suspense()
    reply = await deposit(payments, who, 500)
    for _ in range(7):
        await service.requery_deposit(payments.context, reply.data["id"])
    assert (await payments.get(f"/wallet/deposits/{reply.data['id']}", by=who)).data["status"] == "canceled"
    bank.pay(500, reply.data["reference"])
    assert await service.import_file(payments.context, bank.statement()) == Counter({"suspense:not_expected": 1})
    assert (await payments.available(who), await suspense()) == (0, before + 500)


async def test_a_payout_is_queued_once_and_found(payments: Payments, bank: FakeBank) -> None:
    provider = provider_of(payments)
    account = '{"holder": "Ama", "bank": "SCBLGHAC", "number": "0987654321098"}'
    order = PayoutOrder(new_id(), Money(amount=600), destination=account)
    assert await provider.find_payout(order) is None
    made = await provider.send(order)
    name = order.withdrawal_id
    assert made == Payout(name, PayoutState.IN_TRANSIT, 600, "GHS", name)
    twins = await asyncio.gather(*(provider.send(order) for _ in range(3)))
    assert [*twins, await provider.find_payout(order), await provider.retrieve_payout(name)] == [made] * 5
    rows = payments.context.mongo.collection("bank_payouts")
    assert await rows.count_documents({"_id": name}) == 1
    await rows.delete_one({"_id": name})


async def test_what_a_bank_cannot_do_is_refused(payments: Payments, bank: FakeBank) -> None:
    provider = provider_of(payments)
    good = BankAccount(holder="Ama", bank="SCBLGHAC", number="0987654321098")

    async def save(number: str, at: str) -> None:
        token = f'{{"holder": "{good.holder}", "bank": "{at}", "number": "{number}"}}'
        await provider.save_method(user_id=new_id(), method_id=new_id(), token=token)

    refusals = []
    for call in (
        provider.retrieve("RF00NOBODYS"),
        provider.send(PayoutOrder(new_id(), Money(amount=600))),
        provider.retrieve_payout("none"),
        provider.retrieve_chargeback("none"),
        save("GB82WEST12345698765433", "BARCGB22"),
        save("GB82WEST12345698765432", "MTN"),
    ):
        with pytest.raises(ProviderRefusedError) as refusal:
            await call
        refusals.append(refusal.value.code)
    assert refusals == [
        "unknown_reference",
        "banks_pay_to_accounts_only",
        "unknown_payout",
        "banks_take_nothing_back",
        "iban_check_digits",
        "not_a_phone_number",
    ]
    with pytest.raises(RuntimeError):
        await payments.context.mongo.transact(lambda: provider.retrieve("RF00NOBODYS"))


async def test_a_withdrawal_by_bank_is_asked_about(payments: Payments, bank: FakeBank, tmp_path: Path) -> None:
    """What the bank's report says reaches the withdrawal also when the crash was between the two."""
    who = await payments.rich(5_000)
    withdrawal_id = await ordered(payments, who)
    await service.export_payouts(payments.context, tmp_path)
    await service.requery_withdrawal(payments.context, withdrawal_id)
    assert await status_of(payments, who, withdrawal_id) == "in_transit"
    rows = payments.context.mongo.collection("bank_payouts")
    await rows.update_one({"_id": withdrawal_id}, {"$set": {"status": "failed", "failure_code": "ac04"}})
    await service.requery_withdrawal(payments.context, withdrawal_id)
    view = (await payments.get(f"/wallet/withdrawals/{withdrawal_id}", by=who)).data
    assert (view["status"], view["failureCode"], await payments.available(who)) == ("failed", "ac04", 5_000)


@pytest.mark.parametrize(
    ("name", "sent_at", "signature"),
    [
        ("m", "yesterday", None),
        ("m", "1" * 13, None),
        ("m", "²", None),
        ("", None, None),
        ("m" * 101, None, None),
        ("é", None, None),
        ("m", None, "v1,%%%"),
        ("m", None, "v1,é"),
        ("m", None, "v2,AAAA"),
        ("m", None, "v1,AAAA " * 8),
    ],
)
async def test_a_notice_without_a_good_signature_is_refused(
    payments: Payments, bank: FakeBank, name: str, sent_at: str | None, signature: str | None
) -> None:
    body = bank.statement()
    good = {key.lower(): value for key, value in bank.sign(body).headers.items()}
    assert await provider_of(payments).read_webhook(body, good) is not None
    given = {"webhook-id": name, "webhook-timestamp": sent_at, "webhook-signature": signature}
    headers = good | {key: value for key, value in given.items() if value is not None}
    if signature is not None and signature.startswith("v1,AAAA"):  # the right one comes too late in the list
        headers["webhook-signature"] = signature + good["webhook-signature"]
        headers["webhook-id"] = good["webhook-id"]
    with pytest.raises(WebhookRefused):
        await provider_of(payments).read_webhook(body, headers)


async def test_a_file_that_is_no_banks_is_refused_at_the_door(payments: Payments, bank: FakeBank) -> None:
    notice = bank.sign(b"<no file/>")
    headers = {key.lower(): value for key, value in notice.headers.items()}
    with pytest.raises(WebhookRefused):
        await provider_of(payments).read_webhook(notice.body, headers)
    silent = Bank(OURS, payments.context.ring, webhook_secrets=[])
    assert await silent.read_webhook(notice.body, headers) is None


async def test_lines_that_name_nothing_of_ours_go_to_suspense(
    payments: Payments, bank: FakeBank, tmp_path: Path
) -> None:
    who, before = await payments.rich(5_000), await suspense()
    withdrawal_id = await ordered(payments, who)
    await service.export_payouts(payments.context, tmp_path)
    bank.pay(70, make_reference("nobody's"))
    bank.pay(-30, "payout", end_to_end_id="nobody's")
    bank.pay_back(600, withdrawal_id)  # back before it went
    done = await service.import_file(payments.context, bank.statement())
    assert done == Counter({"suspense:unknown_reference": 2, "suspense:not_expected": 1})
    assert (await suspense(), await payments.available(who)) == (before + 70 - 30 + 600, 4_400)
    # That it came back is known now, so the sweeper gives it back, and its going out is what suspense waits for.
    await service.requery_withdrawal(payments.context, withdrawal_id)
    assert (await status_of(payments, who, withdrawal_id), await payments.available(who)) == ("failed", 5_000)
    bank.pay(-600, "payout", end_to_end_id=withdrawal_id)
    assert await service.import_file(payments.context, bank.statement()) == Counter({"suspense:not_expected": 1})
    assert (await suspense(), await payments.available(who)) == (before + 40, 5_000)
    report = bank.report("nobody's", status="RJCT", only=withdrawal_id)
    async with payments.untouched():
        assert await service.import_file(payments.context, report) == Counter({"unknown_payout": 1, "on_the_way": 1})


async def test_money_in_another_currency_than_was_asked_for_funds_nothing(payments: Payments, bank: FakeBank) -> None:
    accounts = OURS | {"USD": OURS["GHS"]}
    settings = payments.context.settings.model_copy(update={"bank_accounts": accounts})
    provider = Bank(accounts, payments.context.ring, webhook_secrets=[])
    payments.service.replace(settings=settings, providers={Provider.BANK: provider})
    who, before = person(), await ledger.balance("suspense:bank:USD")
    reply = await deposit(payments, who, 500)
    dollars = FakeBank(currency="USD", world=new_id()[-8:])
    dollars.pay(500, reply.data["reference"])
    assert await service.import_file(payments.context, dollars.statement()) == Counter({"suspense:wrong_currency": 1})
    assert await ledger.balance("suspense:bank:USD") == before + 500
    assert (await payments.available(who), await payments.available(who, "USD")) == (0, 0)
    assert (await payments.get(f"/wallet/deposits/{reply.data['id']}", by=who)).data["status"] == "requires_action"


async def test_the_queue_is_read_page_by_page(payments: Payments, bank: FakeBank) -> None:
    for amount in (11, 12):
        bank.pay(amount, "unknown")
    await service.import_file(payments.context, bank.statement())
    whole = [one["id"] for one in await queue(payments)]
    found: list[str] = []
    cursor = ""
    for _ in range(2):
        page = (await payments.get(f"/exceptions?limit=1{cursor}", by=person(Role.SUPPORT))).data
        found += [one["id"] for one in page["items"]]
        cursor = f"&cursor={page['nextCursor']}"
    assert found == whole[:2]
