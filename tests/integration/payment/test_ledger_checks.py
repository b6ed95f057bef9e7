"""A ledger that was tampered with shows it; money stands still until somebody has looked, and the site does not."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kelmah.contracts.common import Role
from kelmah.kit import clock
from kelmah.kit.ids import new_id
from kelmah.services.payment import service
from kelmah.services.payment.documents import ledger
from kelmah.services.payment.documents.entries import wallet
from tests.fakes.bank import ACCOUNT, FakeBank
from tests.fixtures.service import person
from tests.integration.payment.conftest import Payments, clear
from tests.integration.payment.test_bank import bank, ordered

__all__ = ["bank"]


@asynccontextmanager
async def tampered(payments: Payments, collection: str, query: dict[str, Any], update: Any) -> AsyncIterator[None]:
    """Change one document behind the ledger's back, and put it back."""
    rows = payments.context.mongo.collection(collection)
    before = await rows.find_one(query)
    assert before is not None
    if update is None:
        await rows.delete_one({"_id": before["_id"]})
    else:
        await rows.update_one({"_id": before["_id"]}, update)
    try:
        yield
    finally:
        await rows.replace_one({"_id": before["_id"]}, before, upsert=True)
        await service.resume_ledger(payments.context)


CHANGES = [
    ({"$inc": {"postings.0.amount": 1}}, "entry_sums_to_zero"),
    ({"$inc": {"postings.0.balance": 1}}, "chain_is_whole"),
    ({"$inc": {"postings.0.amount": 1, "postings.1.amount": -1}}, "balance_is_replay"),
    ({"$set": {"facts.deposit_id": "another"}}, "chain_is_whole"),
    ({"$set": {"reference": "another"}}, "chain_is_whole"),
    ({"$set": {"hash": "0" * 64}}, "chain_is_whole"),
    ({"$set": {"postings.0.previous": "0" * 64}}, "chain_is_whole"),
    (None, "sequence_is_whole"),
]


@pytest.mark.parametrize(("update", "check"), CHANGES)
async def test_a_changed_entry_shows(payments: Payments, update: Any, check: str) -> None:
    hirer = await payments.hirer_with(5_000)
    account = wallet(hirer.user_id, "GHS")
    async with tampered(payments, "ledger_entries", {"postings.account": account}, update):
        report = await service.verify_ledger(payments.context)
        assert check in {fault.check for fault in report.faults}
    assert (await service.verify_ledger(payments.context)).is_sound


async def test_a_changed_balance_stops_money_and_not_the_site(payments: Payments) -> None:
    hirer, worker, escrow_id = await payments.funded(5_000)
    account = {"_id": wallet(hirer.user_id, "GHS")}
    async with tampered(payments, "ledger_accounts", account, {"$inc": {"balance": 1_000}}):
        assert not (await service.check_ledger(payments.context)).is_sound
        taken = dict(payments.cards.taken)
        for reply in (
            await payments.deposit(hirer, 500),
            await payments.post(f"/escrows/{escrow_id}/release", by=hirer),
            await payments.post(f"/escrows/{escrow_id}/refund", by=worker),
        ):
            assert (reply.status, reply.data["code"]) == (503, "payment.halted")
        assert dict(payments.cards.taken) == taken
        assert (await payments.get("/wallet", by=hirer)).status == 200
        assert (await payments.get(f"/escrows/{escrow_id}", by=hirer)).data["status"] == "funded"
        timer = await payments.timer("ledger:check")
        assert timer is not None
        assert timer["due"] > clock.now()
    assert (await service.check_ledger(payments.context)).is_sound
    assert (await payments.post(f"/escrows/{escrow_id}/release", by=hirer)).status == 200


async def test_a_statement_of_books_that_do_not_add_up_is_not_made(payments: Payments) -> None:
    hirer = await payments.hirer_with(5_000)
    account, today = wallet(hirer.user_id, "GHS"), clock.now().date().isoformat()
    path = f"/wallet/statement?from={today}&to={today}"
    assert (await payments.get(path, by=hirer)).status == 200
    entry = await payments.context.mongo.collection("ledger_entries").find_one({"postings.account": account})
    twice = {"$push": {"postings": entry["postings"][1]}}
    async with tampered(payments, "ledger_entries", {"_id": entry["_id"]}, twice):
        assert (await payments.get(path, by=hirer)).status == 500
    assert (await payments.get(path, by=hirer)).status == 200


async def test_nobody_is_charged_while_money_stands_still(payments: Payments) -> None:
    hirer, key = person(), new_id()
    await ledger.halt("a test")
    assert (await payments.deposit(hirer, 700, key=key)).status == 503
    assert payments.cards.taken.total() == 0
    assert await service.resume_ledger(payments.context)
    assert not await service.resume_ledger(payments.context)
    assert (await payments.deposit(hirer, 700, key=key)).status == 201
    assert await payments.available(hirer) == 700


async def test_checks_go_on_by_themselves(payments: Payments) -> None:
    timers = payments.context.mongo.collection("timers")
    await timers.delete_one({"_id": "ledger:check"})
    await service.schedule_check(payments.context)
    first = await payments.timer("ledger:check")
    await service.schedule_check(payments.context)
    assert await payments.timer("ledger:check") == first
    assert first is not None
    assert (first["actor"], first["args"]) == ("payment.check_ledger", [])


async def test_the_command_line_shows_the_ledger(payments: Payments) -> None:
    hirer = await payments.hirer_with(5_000)
    command = Command(payments)

    async def run(*arguments: str) -> tuple[int | None, str]:
        return await command("ledger", *arguments)

    account = wallet(hirer.user_id, "GHS")
    code, out = await run("verify")
    assert (code, ", 0 faults" in out) == (0, True), out
    code, out = await run("show", account)
    assert (code, f"{account}: 5000" in out.replace("\n", "")) == (0, True), out
    code, out = await run("at", account, clock.now().isoformat())
    assert (code, out.strip().splitlines()[-1]) == (0, "5000")
    code, out = await run("at", account, "2020-01-01")
    assert (code, out.strip().splitlines()[-1]) == (0, "0")
    await ledger.halt("a test")
    code, out = await run("resume")
    assert (code, "money moves again" in out) == (0, True)
    async with tampered(payments, "ledger_accounts", {"_id": account}, {"$inc": {"balance": 1}}):
        code, out = await run("verify")
        assert (code, account in out.replace("\n", "")) == (1, True), out
        assert (await run("resume"))[0] == 1
    assert (await payments.deposit(person(Role.WORKER), 500)).status == 201


class Command:
    """`kelmah` as a process, on the test's database."""

    def __init__(self, payments: Payments, **more: str) -> None:
        settings = payments.context.settings
        self._environ = {
            **os.environ,
            "KELMAH_MONGO_URL": settings.mongo_url,
            "KELMAH_PAYMENT_MONGO_DATABASE": settings.mongo_database,
            "KELMAH_REDIS_URL": settings.redis_url,
            "KELMAH_INCOMING_KEYS": "{}",
            "KELMAH_OUTGOING_KEYS": '{"job": ["a key that only tests use"]}',
            "KELMAH_FIELD_KEYS": json.dumps([key.get_secret_value() for key in settings.field_keys]),
            "KELMAH_PAYMENT_STRIPE_API_KEY": "sk_test_unused",
            "KELMAH_PAYMENT_STRIPE_BASE_URL": "http://127.0.0.1:9",
            **more,
        }

    async def __call__(self, *arguments: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "kelmah.cli", *arguments),
            env=self._environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        return process.returncode, out.decode()


@pytest.mark.slow  # starts a process for each command; test_reconciliation.py and test_bank.py hold the rules
async def test_the_command_line_reads_files_and_shows_differences(
    payments: Payments, bank: FakeBank, tmp_path: Path
) -> None:
    """Every command once, one after the other."""
    accounts = {"GHS": {"holder": "Kelmah", "bank": "GHCBGHAC", "number": ACCOUNT}}
    run = Command(payments, KELMAH_PAYMENT_BANK_ACCOUNTS=json.dumps(accounts))
    await clear(payments)
    who = await payments.rich(5_000)
    await ordered(payments, who)
    bank.pay(77, "nobody's")
    (tmp_path / "statement.xml").write_bytes(bank.statement())
    code, out = await run("bank", "import", str(tmp_path / "statement.xml"))
    assert (code, "suspense:unknown_reference\t1" in out) == (0, True), out
    code, out = await run("bank", "import", str(tmp_path / "statement.xml"))
    assert (code, "payment.bank_file_known" in out) == (1, True), out
    code, out = await run("bank", "export", str(tmp_path))
    assert (code, out.strip().startswith(str(tmp_path / "pain.001-GHS-"))) == (0, True), out
    code, out = await run("ledger", "reconcile")
    assert (code, "not reached: stripe" in out) == (1, True), out
    code, out = await run("ledger", "exceptions")
    (row,) = [line.split("\t") for line in out.splitlines() if "unknown_reference" in line]
    assert (code, row[4]) == (0, "77")
    code, out = await run("ledger", "resolve", row[0], "--reason", "found", "--credit-user-id", who.user_id)
    assert (code, "resolved" in out) == (0, True), out
    assert await payments.available(who) == 5_000 - 600 + 77
    code, out = await run("ledger", "reverse", f"exception:{row[0]}:cleared", "--reason", "not theirs")
    assert (code, out.strip().startswith("reversal:")) == (0, True), out
    assert (await run("webhooks", "list"))[0] == 0
    assert (await run("webhooks", "replay", "stripe:none"))[0] == 1
