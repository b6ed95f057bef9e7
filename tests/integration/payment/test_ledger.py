"""What the ledger and the check of it refuse."""

import asyncio
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from kelmah.contracts.common import Role
from kelmah.kit import clock
from kelmah.kit.ids import new_id
from kelmah.kit.mongo import session
from kelmah.services.payment import service
from kelmah.services.payment.documents import ledger
from kelmah.services.payment.documents.entries import Entry, Posting, wallet
from kelmah.services.payment.errors import AlreadyPosted, InsufficientFunds, LedgerError
from kelmah.services.payment.service import verify_ledger
from tests.fixtures.service import person
from tests.integration.payment.bare import Undo
from tests.integration.payment.conftest import Payments

ResultT = TypeVar("ResultT")

# --- The checks themselves ---


async def test_an_effect_is_posted_once(payments: Payments) -> None:
    account = f"wallet:{new_id()}:GHS"
    entry = Entry(
        reference=new_id(),
        kind="deposit",
        facts={},
        postings=(Posting("clearing:stripe:GHS", -5), Posting(account, 5)),
    )

    async def body() -> None:
        await ledger.post(entry)

    await payments.context.mongo.transact(body)
    with pytest.raises(AlreadyPosted):
        await payments.context.mongo.transact(body)
    assert await ledger.balance(account) == 5
    with pytest.raises(RuntimeError):
        await ledger.post(entry)


async def test_an_escrow_cannot_be_overdrawn(payments: Payments) -> None:
    entry = Entry(
        reference=new_id(),
        kind="escrow_release",
        facts={},
        postings=(Posting(f"escrow:{new_id()}:GHS", -5), Posting("fees:GHS", 5)),
    )

    async def body() -> None:
        await ledger.post(entry)

    before = await ledger.balance("fees:GHS")
    with pytest.raises(LedgerError):
        await payments.context.mongo.transact(body)
    assert await ledger.balance("fees:GHS") == before


async def test_many_entries_are_as_one_after_the_other(payments: Payments) -> None:
    wallet, other = f"wallet:{new_id()}:GHS", f"wallet:{new_id()}:GHS"

    def moves(source: str, target: str, amount: int) -> Entry:
        postings = (Posting(source, -amount), Posting(target, amount))
        return Entry(reference=new_id(), kind="deposit", facts={}, postings=postings)

    async def post_all(*entries: Entry) -> None:
        await payments.context.mongo.transact(lambda: ledger.post_all(entries))

    async def post(entry: Entry) -> None:
        await payments.context.mongo.transact(lambda: ledger.post(entry))

    outside = "clearing:legacy:GHS"
    first = moves(outside, wallet, 10)
    await post_all(first, moves(wallet, other, 4), moves(outside, wallet, 1))
    # Beside others that touch the same accounts.
    await asyncio.gather(
        post_all(*(moves(outside, wallet, 1) for _ in range(20))),
        *(post(moves(outside, wallet, 100)) for _ in range(3)),
        post_all(moves(outside, other, 2), moves(other, wallet, 5)),
    )
    assert (await ledger.balance(wallet), await ledger.balance(other)) == (332, 1)

    # One that is refused takes the others with it.
    with pytest.raises(AlreadyPosted):
        await post_all(moves(outside, other, 1), first)
    with pytest.raises(InsufficientFunds):
        await post_all(moves(outside, other, 1), moves(other, wallet, 3))
    assert (await ledger.balance(wallet), await ledger.balance(other)) == (332, 1)
    with pytest.raises(RuntimeError):
        await ledger.post_all([first])
    async with payments.untouched():
        await post_all()
    assert (await verify_ledger(payments.context)).faults == []


async def test_balances_of_the_past_are_replayed(payments: Payments) -> None:
    hirer = person()
    instants = []
    for amount in (100, 200, 300):
        await payments.deposit(hirer, amount)
        instants.append(clock.now())
        clock.shift(timedelta(hours=1))
    account = wallet(hirer.user_id, "GHS")
    at = [await service.balance_at(payments.context, account, instant) for instant in instants]
    assert at == [100, 300, 600]
    assert await service.balance_at(payments.context, account, instants[0] - timedelta(minutes=1)) == 0


async def test_an_account_is_shown_with_its_latest_postings(payments: Payments) -> None:
    hirer, worker = await payments.hirer_with(1_000), person(Role.WORKER)
    reply = await payments.fund(payments.jobs.make_contract(hirer.user_id, worker.user_id, 400), by=hirer)
    account = wallet(hirer.user_id, "GHS")
    held, (funding,) = await service.show_account(payments.context, account, limit=1)
    assert (held, funding[1:]) == (600, ("escrow_funding", f"escrow:{reply.data['id']}:fund", -400, 600))
    held, rows = await service.show_account(payments.context, account, limit=9)
    assert (held, [(row.kind, row.amount, row.balance) for row in rows]) == (
        600,
        [("escrow_funding", -400, 600), ("deposit", 1_000, 1_000)],
    )


@pytest.mark.parametrize(
    ("collection", "query", "change", "checks"),
    [
        (
            "ledger_accounts",
            {"kind": "wallet"},
            {"$inc": {"balance": 1}},
            {"balance_is_replay", "balances_sum_to_zero"},
        ),
        (
            "ledger_accounts",
            {"kind": "wallet"},
            {"$set": {"balance": -1}},
            {"balance_is_replay", "balances_sum_to_zero", "not_negative"},
        ),
        ("ledger_accounts", {"kind": "wallet"}, {"$inc": {"sequence": 1}}, {"sequence_is_whole", "chain_is_whole"}),
        (
            "ledger_entries",
            {},
            {"$inc": {"postings.0.amount": 1}},
            {"balance_is_replay", "entry_sums_to_zero", "chain_is_whole"},
        ),
        ("escrows", {"status": "funded"}, {"$inc": {"amount": 1}}, {"escrow_is_open"}),
        ("escrows", {"status": "funded"}, {"$set": {"status": "released"}}, {"escrow_is_open"}),
    ],
)
async def test_every_broken_invariant_is_found(
    payments: Payments, collection: str, query: dict[str, Any], change: dict[str, Any], checks: set[str]
) -> None:
    await payments.funded(1_000)
    found: set[str] = set()

    async def body() -> None:
        rows = payments.context.mongo.collection(collection)
        done = await rows.update_one(query, change, session=session())
        assert done.modified_count == 1
        found.update(fault.check for fault in (await verify_ledger(payments.context)).faults)
        raise Undo

    with pytest.raises(Undo):
        await payments.context.mongo.transact(body)
    assert found == checks
    assert (await verify_ledger(payments.context)).is_sound


async def test_a_lost_account_or_entry_is_found(payments: Payments) -> None:
    await payments.funded(1_000)
    for collection, check in (("ledger_accounts", "account_exists"), ("ledger_entries", "sequence_is_whole")):
        found: set[str] = set()

        async def body(rows: Any, into: set[str]) -> None:
            await rows.delete_one({}, session=session())
            into.update(fault.check for fault in (await verify_ledger(payments.context)).faults)
            raise Undo

        rows = payments.context.mongo.collection(collection)
        with pytest.raises(Undo):
            await payments.context.mongo.transact(lambda rows=rows, into=found: body(rows, into))
        assert check in found
