"""Money by bank: references in, files out, and nothing that does not fit ever funds anything."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kelmah.contracts.common import Role
from kelmah.contracts.payment import BankAccount, Provider
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.payment import service
from kelmah.services.payment.documents import ledger
from kelmah.services.payment.errors import BankFileKnown, BankFileRefused
from kelmah.services.payment.providers.bank import Bank
from kelmah.services.payment.providers.references import make_reference
from tests.fakes.bank import ACCOUNT, FakeBank
from tests.fixtures.service import Reply, person
from tests.integration.payment.conftest import API, Payments
from tests.integration.payment.test_webhooks import handle_all

OURS = {"GHS": BankAccount(holder="Kelmah", bank="GHCBGHAC", number=ACCOUNT)}
MINE = {"holder": "Ama Mensah", "bank": "SCBLGHAC", "number": "0987654321098"}
SECRETS = ["the new one", "the old one"]


@pytest.fixture
async def bank(payments: Payments) -> FakeBank:
    context = payments.context
    provider = Bank(OURS, context.ring, webhook_secrets=SECRETS)
    settings = context.settings.model_copy(update={"bank_accounts": OURS})
    providers = {**context.providers, Provider.BANK: provider}
    payments.service.replace(providers=providers, settings=settings)
    return FakeBank(SECRETS[0], new_id()[-8:])


async def deposit(payments: Payments, by: Principal, amount: int, **more: Any) -> Reply:
    body = {"amount": {"amount": amount, "currency": "GHS"}, "provider": "bank", **more}
    return await payments.post("/wallet/deposits", body, by=by)


async def ordered(payments: Payments, by: Principal, amount: int = 600) -> str:
    """A withdrawal to a bank account that the bank was ordered to pay."""
    method = await payments.post("/methods", {"provider": "bank", "account": MINE}, by=by)
    assert method.status == 201, method.data
    reply = await payments.withdraw(by, amount, method.data["id"])
    assert reply.status == 201, reply.data
    await service.send_withdrawal(payments.context, reply.data["id"])
    return str(reply.data["id"])


async def status_of(payments: Payments, by: Principal, withdrawal_id: str) -> str:
    return str((await payments.get(f"/wallet/withdrawals/{withdrawal_id}", by=by)).data["status"])


async def suspense() -> int:
    return await ledger.balance("suspense:bank:GHS")


async def queue(payments: Payments) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = (await payments.get(f"/exceptions?limit=100{cursor}", by=person(Role.SUPPORT))).data
        found += page["items"]
        if page["nextCursor"] is None:
            return found
        cursor = f"&cursor={page['nextCursor']}"


async def test_a_payment_with_the_reference_comes_into_the_wallet(payments: Payments, bank: FakeBank) -> None:
    who = person()
    reply = await deposit(payments, who, 12_345)
    assert (reply.status, reply.data["status"]) == (202, "requires_action")
    assert reply.data["payTo"] == {"holder": "Kelmah", "bank": "GHCBGHAC", "number": ACCOUNT}
    assert reply.data["reference"] == make_reference(reply.data["id"])
    bank.pay(12_345, f"deposit {reply.data['reference'].lower()} thanks")
    content = bank.statement()
    seen: list[tuple[int, int]] = []
    done = await service.import_file(payments.context, content, on_progress=lambda one, of: seen.append((one, of)))
    assert (done, seen) == (Counter({"deposit": 1}), [(1, 1)])
    assert await payments.available(who) == 12_345
    assert (await payments.get(f"/wallet/deposits/{reply.data['id']}", by=who)).data["status"] == "succeeded"
    with pytest.raises(BankFileKnown):
        await service.import_file(payments.context, content)
    assert await payments.available(who) == 12_345


async def test_the_same_payment_in_another_file_counts_once(payments: Payments, bank: FakeBank) -> None:
    who = person()
    reply = await deposit(payments, who, 700)
    row = bank.pay(700, reply.data["reference"])
    await service.import_file(payments.context, bank.statement())
    bank.booked.append(row)
    before = await suspense()
    assert await service.import_file(payments.context, bank.statement(version="08")) == Counter({"duplicate": 1})
    assert (await payments.available(who), await suspense()) == (700, before)


async def test_a_crash_halfway_goes_on_with_the_same_file(payments: Payments, bank: FakeBank) -> None:
    people = [person() for _ in range(3)]
    for who in people:
        bank.pay(900, (await deposit(payments, who, 900)).data["reference"])
    content = bank.statement()

    class Crash(Exception):
        pass

    def crash(done: int, of: int) -> None:
        if done == 2:
            raise Crash

    with pytest.raises(Crash):
        await service.import_file(payments.context, content, on_progress=crash)
    assert [await payments.available(who) for who in people] == [900, 900, 0]
    await asyncio.gather(*(service.import_file(payments.context, content) for _ in range(3)), return_exceptions=True)
    assert [await payments.available(who) for who in people] == [900, 900, 900]


async def test_a_changed_file_or_another_account_is_refused_whole(payments: Payments, bank: FakeBank) -> None:
    who = person()
    reference = (await deposit(payments, who, 800)).data["reference"]
    bank.pay(800, reference)
    name = new_id()[:20]
    good = bank.statement(name=name)
    entries = await ledger.count_entries()
    with pytest.raises(BankFileRefused):
        await service.import_file(payments.context, good.replace(b"8.00", b"9.00", 2))
    with pytest.raises(BankFileRefused):
        await service.import_file(payments.context, good.replace(ACCOUNT.encode(), b"9999999999999"))
    assert await ledger.count_entries() == entries
    await service.import_file(payments.context, good)
    bank.pay(5, "another")
    with pytest.raises(BankFileRefused):
        await service.import_file(payments.context, bank.statement(name=name))
    assert await payments.available(who) == 800


@pytest.mark.parametrize(
    ("amount", "text", "kind"),
    [
        (499, "{}", "wrong_amount"),
        (500, "nothing", "unknown_reference"),
        (500, "RF99NOTOURS00000", "unknown_reference"),
        (-500, "a fee of the bank", "unknown_reference"),
    ],
)
async def test_what_does_not_fit_goes_to_suspense(
    payments: Payments, bank: FakeBank, amount: int, text: str, kind: str
) -> None:
    who = person()
    reference = (await deposit(payments, who, 500)).data["reference"]
    before = await suspense()
    bank.pay(amount, text.format(reference))
    assert await service.import_file(payments.context, bank.statement()) == Counter({f"suspense:{kind}": 1})
    assert (await payments.available(who), await suspense()) == (0, before + amount)
    assert [one["amount"] for one in await queue(payments) if one["kind"] == kind][-1:]
    # The payer can still pay what was asked for, once; a second time is not expected.
    bank.pay(500, reference)
    bank.pay(500, reference)
    done = await service.import_file(payments.context, bank.statement())
    assert done == Counter({"deposit": 1, "suspense:not_expected": 1})
    assert await payments.available(who) == 500


async def test_support_finds_out_whose_money_it_is(payments: Payments, bank: FakeBank) -> None:
    who, support = person(), person(Role.SUPPORT, authenticated_at=int(clock.now().timestamp()))
    known = {one["id"] for one in await queue(payments)}
    bank.pay(321, "no reference at all")
    await service.import_file(payments.context, bank.statement())
    (new,) = [one for one in await queue(payments) if one["id"] not in known]
    assert (new["amount"], new["status"], new["ageHours"]) == (321, "open", 0)
    path = f"/exceptions/{new['id']}/resolve"
    body = {"reason": "a letter", "creditUserId": who.user_id}
    for caller in (who, person(Role.WORKER), person(Role.MODERATOR)):
        assert (await payments.post(path, body, by=caller)).status == 403
    stale = msgspec.structs.replace(support, authenticated_at=int(clock.now().timestamp()) - 3600)
    assert (await payments.post(path, body, by=stale)).data["code"] == "payment.step_up_needed"
    for unclear in (" ", "a\u202eb"):
        assert (await payments.post(path, {"reason": unclear}, by=support)).data["errors"][0]["field"] == "reason"
    assert await payments.available(who) == 0
    replies = await asyncio.gather(*(payments.post(path, body, by=support) for _ in range(4)))
    assert sorted(reply.status for reply in replies) == [200] + [404] * 3
    assert await payments.available(who) == 321
    told = await payments.events("exception_resolved", exceptionId=new["id"])
    assert [(one["reason"], one["resolvedBy"], one["creditedUserId"]) for one in told] == [
        ("a letter", support.user_id, who.user_id)
    ]
    assert new["id"] not in {one["id"] for one in await queue(payments)}
    bank.pay(-20, "a fee of the bank")
    await service.import_file(payments.context, bank.statement())
    (fee,) = [one for one in await queue(payments) if one["id"] not in known]
    reply = await payments.post(f"/exceptions/{fee['id']}/resolve", body, by=support)
    assert (reply.status, reply.data["errors"][0]["field"]) == (400, "creditUserId")
    assert (await payments.post(f"/exceptions/{fee['id']}/resolve", {"reason": "fee"}, by=support)).status == 200


async def test_payouts_are_ordered_once_and_end_by_the_statement(
    payments: Payments, bank: FakeBank, tmp_path: Path
) -> None:
    who = await payments.rich(5_000)
    ids = [await ordered(payments, who, 600), await ordered(payments, who, 700)]
    paths = await service.export_payouts(payments.context, tmp_path)
    (content,) = [path.read_bytes() for path in paths if ids[0].encode() in path.read_bytes()]
    assert ids[1].encode() in content
    assert await service.export_payouts(payments.context, tmp_path) == []
    assert [await status_of(payments, who, one) for one in ids] == ["in_transit"] * 2
    bank.pay(-600, "payout", end_to_end_id=ids[0])
    bank.pay(-699, "payout", end_to_end_id=ids[1])
    done = await service.import_file(payments.context, bank.statement())
    assert done == Counter({"payout": 1, "suspense:wrong_amount": 1})
    assert [await status_of(payments, who, one) for one in ids] == ["paid", "in_transit"]
    bank.pay(-600, "payout", end_to_end_id=ids[0])
    bank.pay(-700, "payout", end_to_end_id=ids[1])
    bank.pay_back(700, ids[1])
    bank.pay_back(700, ids[1])
    done = await service.import_file(payments.context, bank.statement())
    assert done == Counter({"payout": 1, "return": 1, "suspense:not_expected": 2})
    assert [await status_of(payments, who, one) for one in ids] == ["paid", "returned"]
    assert await payments.available(who) == 5_000 - 600


async def test_a_file_that_a_crash_left_is_written_again_the_same(
    payments: Payments, bank: FakeBank, tmp_path: Path
) -> None:
    who = await payments.rich(5_000)
    await ordered(payments, who)
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with pytest.raises(FileNotFoundError):
        await service.export_payouts(payments.context, tmp_path / "missing")
    (written,) = await service.export_payouts(payments.context, first)
    exports = payments.context.mongo.collection("bank_exports")
    await exports.update_one({"_id": written.stem.rpartition("-")[2]}, {"$set": {"is_written": False}})
    (again,) = await service.export_payouts(payments.context, second)
    assert (again.name, again.read_bytes()) == (written.name, written.read_bytes())
    assert list(first.glob("*.part")) == []


@pytest.mark.parametrize(("status", "ends"), [("ACSC", "paid"), ("RJCT", "failed"), ("ACCP", "in_transit")])
@pytest.mark.parametrize("is_whole", [True, False])
async def test_a_status_report_ends_payouts(
    payments: Payments, bank: FakeBank, tmp_path: Path, status: str, ends: str, is_whole: bool
) -> None:
    if is_whole and ends == "paid":
        ends = "in_transit"  # a whole file is only ever refused; what is paid is said of each payment
    who = await payments.rich(5_000)
    withdrawal_id = await ordered(payments, who)
    (path,) = await service.export_payouts(payments.context, tmp_path)
    message_id = path.stem.rpartition("-")[2]
    report = bank.report(message_id, status=status, only=None if is_whole else withdrawal_id)
    for _ in range(2):
        await service.import_file(payments.context, report)
    assert await status_of(payments, who, withdrawal_id) == ends
    assert await payments.available(who) == (5_000 if ends == "failed" else 4_400)
    bank.pay(-600, "payout", end_to_end_id=withdrawal_id)
    (outcome,) = await service.import_file(payments.context, bank.statement())
    assert outcome == ("suspense:not_expected" if ends == "failed" else "payout")


async def test_accounts_are_checked_and_sealed(payments: Payments, bank: FakeBank) -> None:
    who = person(Role.WORKER)
    good = {"provider": "bank", "account": MINE}
    wrong = [
        {"provider": "bank"},
        {"provider": "bank", "token": "pm_card_visa"},
        {"account": MINE},
        good | {"token": "pm_card_visa"},
        good | {"account": MINE | {"number": "12 34"}},
        good | {"account": MINE | {"bank": "nobank"}},
        good | {"account": MINE | {"holder": "<Ama>"}},
    ]
    for body in wrong:
        assert (await payments.post("/methods", body, by=who)).status == 400, body
    iban = MINE | {"number": "GB82WEST12345698765433"}
    assert (await payments.post("/methods", good | {"account": iban}, by=who)).data["code"] == "payment.declined"
    phone = MINE | {"bank": "MTN", "number": "233241234567"}
    reply = await payments.post("/methods", good | {"account": phone}, by=who)
    assert (reply.data["kind"], reply.data["brand"], reply.data["last4"]) == ("mobile_money", "mtn", "4567")
    await payments.post("/methods", good, by=who)
    rows = await payments.context.mongo.collection("methods").find({"user_id": who.user_id}).to_list()
    assert len(rows) == 2
    assert all(number not in str(rows) for number in ("233241234567", MINE["number"], "Mensah"))


async def test_the_banks_notices_bring_its_files(payments: Payments, bank: FakeBank) -> None:
    who = person()
    reply = await deposit(payments, who, 777)
    bank.pay(777, reply.data["reference"])
    body = bank.statement()

    async def send(notice: Any) -> int:
        headers = dict(notice.headers)
        answer = await payments.service.call("POST", f"{API}/webhooks/bank", raw=notice.body, headers=headers)
        return answer.status

    for bad in (
        bank.sign(body, secret="another"),
        bank.sign(body, age_s=301),
        bank.sign(body, age_s=-301),
        bank.sign(body)._replace(headers={}),
        bank.sign(body)._replace(body=body + b" "),
        bank.sign(b"<no file/>"),
    ):
        assert await send(bad) == 400
    assert await payments.available(who) == 0
    notice = bank.sign(body, secret=SECRETS[1])
    assert [await send(notice) for _ in range(2)] == [200, 200]
    assert await send(bank.sign(body)) == 200
    await handle_all(payments)
    assert await payments.available(who) == 777


async def test_a_bank_deposit_goes_back_to_an_account_of_its_payers(
    payments: Payments, bank: FakeBank, tmp_path: Path
) -> None:
    who, other = person(), person()
    support = person(Role.SUPPORT, authenticated_at=int(clock.now().timestamp()))
    reply = await deposit(payments, who, 900)
    bank.pay(900, reply.data["reference"])
    await service.import_file(payments.context, bank.statement())
    path, body = f"/wallet/deposits/{reply.data['id']}/refund", {"amount": {"amount": 600, "currency": "GHS"}}
    saved = {"provider": "bank", "account": MINE}
    mine, foreign = [(await payments.post("/methods", saved, by=by)).data["id"] for by in (who, other)]
    card = (await payments.post("/methods", {"token": "pm_card_visa"}, by=who)).data["id"]
    async with payments.untouched():
        nowhere = await payments.post(path, body, by=support)
        assert (nowhere.status, nowhere.data["errors"][0]["field"]) == (400, "methodId")
        for method_id in (foreign, card, "none"):
            missing = await payments.post(path, body | {"methodId": method_id}, by=support)
            assert (missing.status, missing.data["code"]) == (404, "payment.method_not_found")
    refund = await payments.post(path, body | {"methodId": mine}, by=support)
    assert (refund.status, refund.data["depositId"]) == (201, reply.data["id"])
    await service.send_withdrawal(payments.context, refund.data["id"])
    assert await payments.available(who) == 300
    orders = [path.read_bytes() for path in await service.export_payouts(payments.context, tmp_path)]
    assert sum(MINE["number"].encode() in one and refund.data["id"].encode() in one for one in orders) == 1
    bank.pay(-600, "refund", end_to_end_id=refund.data["id"])
    assert await service.import_file(payments.context, bank.statement()) == Counter({"payout": 1})
    (told,) = await payments.events("payment_processed", transactionId=refund.data["id"])
    assert told["purpose"] == "refund"
    assert (await payments.post(path, body | {"methodId": mine}, by=support)).status == 409
    paid = (await payments.deposit(who, 700)).data["id"]
    odd = await payments.post(f"/wallet/deposits/{paid}/refund", body | {"methodId": mine}, by=support)
    assert (odd.status, odd.data["errors"][0]["field"]) == (400, "methodId")
