"""The ledger as it is stored, on a bare database: what is written, and what each reader makes of it, to the last unit.

Each reader is asked inside the transaction that posts, where it sees what is not committed, and after it was undone.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.errors import DuplicateKeyError

from kelmah.kit import clock
from kelmah.kit.mongo import Mongo, session
from kelmah.services.payment.documents import ledger
from kelmah.services.payment.documents.entries import (
    AccountDocument,
    Entry,
    EntryDocument,
    Posting,
    account_key,
    digest,
)
from kelmah.services.payment.documents.ledger import Halt, Replayed
from kelmah.services.payment.errors import AlreadyPosted, Halted, InsufficientFunds, LedgerError
from tests.integration.payment.bare import bare, undone

DOCUMENTS = (EntryDocument, AccountDocument, Halt)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
AMA, ESCROW = "wallet:ama:GHS", "escrow:e1:GHS"


@pytest.fixture(scope="module")
async def database(mongo_url: str, mongo_prefix: str) -> AsyncIterator[Mongo]:
    async with bare(mongo_url, f"{mongo_prefix}books", DOCUMENTS) as mongo:
        yield mongo


@pytest.fixture
async def books(database: Mongo) -> AsyncIterator[Mongo]:
    """Empty books, and a clock that stands still."""
    for one in ("ledger_entries", "ledger_accounts", "ledger_halt"):
        await database.collection(one).delete_many({})
    clock.stop(START)
    yield database
    clock.reset()


def entry(reference: str, *postings: tuple[str, int], kind: str = "deposit", **facts: str) -> Entry:
    return Entry(reference=reference, kind=kind, facts=facts, postings=tuple(Posting(*one) for one in postings))


PAID_IN = entry("deposit:d1", (AMA, 1_000), ("clearing:stripe:GHS", -1_000), deposit_id="d1")
FUNDED = entry("escrow:e1:fund", (AMA, -400), (ESCROW, 400), kind="escrow_funding", escrow_id="e1")
DOLLARS = entry("deposit:d2", ("clearing:stripe:USD", -5), ("wallet:ama:USD", 5), deposit_id="d2")
TAKEN_BACK = entry("chargeback:x:open", (AMA, -100), ("chargebacks:stripe:GHS", 100), kind="chargeback_open")


async def post(*entries: Entry) -> list[EntryDocument]:
    """One after the other, a minute apart."""
    made = []
    for one in entries:
        made.append(await ledger.post(one))
        clock.stop(clock.now() + MINUTE)
    return made


async def rows(books: Mongo, name: str, where: Any = None) -> list[dict[str, Any]]:
    return [row async for row in books.collection(name).find({}, session=where).sort("_id")]


async def test_an_entry_is_written_to_the_last_field(books: Mongo) -> None:
    made = await books.transact(lambda: post(PAID_IN, FUNDED))
    stripe = account_key(Posting("clearing:stripe:GHS", -1), "deposit:d1")
    first, second = await rows(books, "ledger_entries")
    assert [first["_id"], second["_id"]] == [one.id for one in made]
    assert [first["hash"], second["hash"]] == [one.hash for one in made] == [digest(one) for one in made]
    assert (first["reference"], first["kind"], first["facts"], first["at"]) == (
        "deposit:d1", "deposit", {"deposit_id": "d1"}, START,
    )  # fmt: skip
    assert (second["kind"], second["facts"], second["at"]) == ("escrow_funding", {"escrow_id": "e1"}, START + MINUTE)
    names = ("account", "key", "amount", "currency", "sequence", "balance", "previous")
    assert [tuple(row[name] for name in names) for row in first["postings"] + second["postings"]] == [
        ("clearing:stripe:GHS", stripe, -1_000, "GHS", 1, -1_000, ""),
        (AMA, AMA, 1_000, "GHS", 1, 1_000, ""),
        (ESCROW, ESCROW, 400, "GHS", 1, 400, ""),
        (AMA, AMA, -400, "GHS", 2, 600, first["hash"]),
    ]
    assert await rows(books, "ledger_accounts") == [
        {"_id": stripe, "account": "clearing:stripe:GHS", "kind": "clearing", "currency": "GHS", "balance": -1_000,
         "sequence": 1, "head": first["hash"]},
        {"_id": ESCROW, "account": ESCROW, "kind": "escrow", "currency": "GHS", "balance": 400, "sequence": 1,
         "head": second["hash"]},
        {"_id": AMA, "account": AMA, "kind": "wallet", "currency": "GHS", "balance": 600, "sequence": 2,
         "head": second["hash"]},
    ]  # fmt: skip


async def test_many_at_once_are_written_as_one_after_the_other(books: Mongo, database: Mongo) -> None:
    first, rest = PAID_IN, [FUNDED, TAKEN_BACK, DOLLARS]
    await books.transact(lambda: post(first))
    clock.stop(START)
    await books.transact(lambda: ledger.post_all(rest))
    many = await rows(books, "ledger_entries"), await rows(books, "ledger_accounts")
    for name in ("ledger_entries", "ledger_accounts"):
        await database.collection(name).delete_many({})

    async def one_by_one() -> None:
        for one in (first, *rest):
            await ledger.post(one)

    await books.transact(one_by_one)
    single = await rows(books, "ledger_entries"), await rows(books, "ledger_accounts")
    for entries, accounts in (many, single):
        for row in entries:
            made = EntryDocument.model_validate(row)
            assert made.hash == digest(made)
        heads = {row["hash"]: row["reference"] for row in entries}
        for row in accounts:
            row["head"] = heads[row["head"]]
        for row in entries:
            row["postings"] = [
                {name: value for name, value in one.items() if value is not None}
                | {"previous": heads.get(one["previous"], "")}
                for one in row["postings"]
            ]
            row.update(_id="", hash="")
            row.pop("revision_id", None)
        entries.sort(key=lambda row: str(row["reference"]))
    assert many == single


@pytest.mark.parametrize("post_it", [ledger.post, lambda one: ledger.post_all([one])])
async def test_what_is_refused_says_why_and_leaves_nothing(
    books: Mongo, post_it: Callable[[Entry], Awaitable[object]]
) -> None:
    await books.transact(lambda: post(PAID_IN, FUNDED))
    before = await rows(books, "ledger_entries"), await rows(books, "ledger_accounts")
    with pytest.raises(RuntimeError, match=r"^money moves in the transaction of the change that calls for it$"):
        await post_it(entry("r1", (AMA, 1), ("fees:GHS", -1)))
    with pytest.raises(AlreadyPosted) as twin:
        await books.transact(lambda: post_it(entry("deposit:d1", (AMA, 1), ("fees:GHS", -1))))
    assert isinstance(twin.value.__cause__, DuplicateKeyError)
    with pytest.raises(InsufficientFunds):
        await books.transact(lambda: post_it(entry("r2", (AMA, -601), ("fees:GHS", 601))))
    with pytest.raises(InsufficientFunds):
        await books.transact(lambda: post_it(entry("r3", ("wallet:new:GHS", -1), ("fees:GHS", 1))))
    with pytest.raises(LedgerError) as overdrawn:
        await books.transact(lambda: post_it(entry("r4", (ESCROW, -401), ("fees:GHS", 401))))
    assert not isinstance(overdrawn.value, InsufficientFunds)
    assert overdrawn.value.message == "an escrow holds less than is taken from it"
    assert overdrawn.value.facts == {"account": ESCROW}
    await ledger.halt("a test")
    with pytest.raises(Halted) as halted:
        await books.transact(lambda: post_it(entry("r5", (AMA, 1), ("fees:GHS", -1))))
    assert halted.value.retry_after_s == 60
    assert (await rows(books, "ledger_entries"), await rows(books, "ledger_accounts")) == before
    assert await ledger.resume()
    # To the last unit, and the platform's own below zero.
    await books.transact(lambda: post_it(entry("r6", (AMA, -600), (ESCROW, -400), ("fees:GHS", 1_000))))
    await books.transact(lambda: post_it(entry("r7", ("fees:GHS", -2_000), (AMA, 2_000))))
    assert [await ledger.balance(one) for one in (AMA, ESCROW, "fees:GHS")] == [2_000, 0, -1_000]


async def test_money_stands_still_from_the_first_reason_until_it_is_let_go(books: Mongo) -> None:
    assert (await ledger.halted(), await ledger.resume()) == (None, False)
    await ledger.refuse_if_halted()
    await ledger.halt("the first")
    clock.stop(START + MINUTE)
    await ledger.halt("the second")
    found = await ledger.halted()
    assert found is not None
    assert (found.id, found.reason, found.since) == ("halt", "the first", START)

    async def again() -> None:
        assert await ledger.resume()
        assert await ledger.halted() is None
        await ledger.halt("the third")
        assert (await ledger.halted() or found).reason == "the third"

    await undone(books, again)
    assert (await ledger.halted() or Halt(reason="", since=START)).reason == "the first"
    assert await rows(books, "ledger_halt") == [{"_id": "halt", "reason": "the first", "since": START}]
    assert (await ledger.resume(), await ledger.resume(), await ledger.halted()) == (True, False, None)


async def test_nothing_is_written_before_its_transaction_ends(books: Mongo) -> None:
    async def body() -> None:
        await post(PAID_IN, FUNDED)
        await ledger.post_all([DOLLARS, TAKEN_BACK])
        for name, count in (("ledger_entries", 4), ("ledger_accounts", 6)):
            assert len(await rows(books, name, session())) == count
            assert await rows(books, name) == []

    await undone(books, body)
    assert await rows(books, "ledger_entries") == await rows(books, "ledger_accounts") == []


async def readings() -> dict[str, Any]:
    """What every reader says, at once."""
    found = await ledger.find_entry("escrow:e1:fund")
    return {
        "find_entry": found and found.kind,
        "wallet_balances": await ledger.wallet_balances("ama"),
        "postings_between": [
            one.reference for one in await ledger.postings_between(AMA, START, START + 9 * MINUTE, limit=9)
        ],
        "balance": [await ledger.balance(one) for one in (AMA, ESCROW, "clearing:stripe:GHS", "none")],
        "balance_at": await ledger.balance_at(AMA, START + 9 * MINUTE),
        "replay": (await ledger.replay()).get(AMA),
        "every_entry": [one.reference async for one in ledger.every_entry()],
        "clearing": [one.reference async for one in ledger.clearing_between("stripe", START, START + 9 * MINUTE)],
        "accounts": sorted(one.id for one in await ledger.accounts()),
        "count_entries": await ledger.count_entries(),
        "balance_of_kind": await ledger.balance_of_kind("wallet"),
        "credited_since": await ledger.credited_since(AMA, START - MINUTE, ["deposit"]),
    }


async def test_every_reader_sees_its_own_transaction(books: Mongo) -> None:
    key, other = (account_key(Posting("clearing:stripe:GHS", 1), one) for one in ("deposit:d1", "deposit:d2"))
    dollars, taken = other.replace("GHS", "USD"), account_key(Posting("chargebacks:stripe:GHS", 1), "chargeback:x:open")
    empty: dict[str, Any] = {
        "find_entry": None, "wallet_balances": {}, "postings_between": [], "balance": [0, 0, 0, 0], "balance_at": 0,
        "replay": None, "every_entry": [], "clearing": [], "accounts": [], "count_entries": 0, "balance_of_kind": {},
        "credited_since": 0,
    }  # fmt: skip
    full = {
        "find_entry": "escrow_funding",
        "wallet_balances": {"GHS": 500, "USD": 5},
        "postings_between": ["deposit:d1", "escrow:e1:fund", "chargeback:x:open"],
        "balance": [500, 400, -1_000, 0],
        "balance_at": 500,
        "replay": Replayed(500, 3, 3),
        "every_entry": ["deposit:d1", "escrow:e1:fund", "deposit:d2", "chargeback:x:open"],
        "clearing": ["deposit:d1", "deposit:d2", "chargeback:x:open"],
        "accounts": sorted([key, dollars, taken, AMA, ESCROW, "wallet:ama:USD"]),
        "count_entries": 4,
        "balance_of_kind": {"GHS": 500, "USD": 5},
        "credited_since": 1_000,
    }
    entries = (PAID_IN, FUNDED, DOLLARS, TAKEN_BACK)

    async def body() -> None:
        await post(*entries)
        assert await readings() == full

    await undone(books, body)
    assert await readings() == empty
    clock.stop(START)
    await books.transact(lambda: post(*entries))
    assert await readings() == full
    assert await ledger.unbalanced() == []


async def test_a_time_ends_where_the_next_begins(books: Mongo) -> None:
    await books.transact(lambda: post(PAID_IN, FUNDED, DOLLARS, TAKEN_BACK))
    millisecond = timedelta(milliseconds=1)
    second, third, fourth = (START + number * MINUTE for number in (1, 2, 3))
    assert [
        [one.reference for one in await ledger.postings_between(AMA, since, until, limit=9)]
        for since, until in ((START, second), (START + millisecond, second), (second, second + millisecond))
    ] == [["deposit:d1"], [], ["escrow:e1:fund"]]
    assert [one.reference for one in await ledger.postings_between(AMA, START, fourth + MINUTE, limit=2)] == [
        "deposit:d1",
        "escrow:e1:fund",
    ]
    instants = (START - millisecond, START, second - millisecond, second)
    assert [await ledger.balance_at(AMA, one) for one in instants] == [0, 1_000, 1_000, 600]
    assert [
        [one.reference async for one in ledger.clearing_between("stripe", since, until)]
        for since, until in ((START, third), (START + millisecond, third + millisecond), (third, fourth))
    ] == [["deposit:d1"], ["deposit:d2"], ["deposit:d2"]]
    assert [one async for one in ledger.clearing_between("strip", START, fourth + MINUTE)] == []
    kinds = ["deposit", "escrow_release"]
    assert [await ledger.credited_since(AMA, one, kinds) for one in instants[:2]] == [1_000, 0]
    assert await ledger.credited_since(AMA, START - MINUTE, ["escrow_release"]) == 0
    assert await ledger.credited_since(AMA, START - MINUTE, ["escrow_funding", "chargeback_open"]) == 0
    assert await ledger.credited_since("clearing:stripe:GHS", START - MINUTE, ["deposit"]) == 0


async def test_entries_are_in_the_order_of_their_time_or_their_names_and_of_nothing_else(books: Mongo) -> None:
    made = [("3", START), ("1", START + MINUTE), ("2", START)]
    for name, at in made:
        postings = [
            {"account": account, "key": account, "amount": amount, "currency": "GHS", "sequence": 1, "balance": amount}
            for account, amount in ((AMA, 5), ("clearing:stripe:GHS", -5))
        ]
        row = {"_id": name, "reference": name, "kind": "deposit", "facts": {}, "at": at, "postings": postings}
        await books.collection("ledger_entries").insert_one(row)
    end = START + 9 * MINUTE
    assert [one.id for one in await ledger.postings_between(AMA, START, end, limit=9)] == ["2", "3", "1"]
    assert [one.id async for one in ledger.every_entry()] == ["1", "2", "3"]
    assert [one.id async for one in ledger.clearing_between("stripe", START, end)] == ["1", "2", "3"]
    assert [one.id for one in await ledger.wallet_entries([AMA], before=None, limit=9)] == ["3", "2", "1"]


async def test_a_wallet_is_its_owners_alone(books: Mongo) -> None:
    for number, account in enumerate(("wallet:am:GHS", AMA, "wallet:ama2:GHS", "wallet:ama9:GHS", "wallet:b:GHS")):
        one = entry(f"deposit:{number}", ("clearing:stripe:GHS", -1 - number), (account, 1 + number))
        await books.transact(lambda one=one: post(one))  # type: ignore[misc]  # it is run at once
    assert await ledger.wallet_balances("ama") == {"GHS": 2}
    assert await ledger.wallet_balances("am") == {"GHS": 1}
    assert await ledger.balance("clearing:stripe:GHS") == -15
    assert await ledger.balance_of_kind("clearing") == {"GHS": -15}


async def test_movements_of_wallets_are_listed_from_the_latest(books: Mongo) -> None:
    made = await books.transact(lambda: post(PAID_IN, FUNDED, DOLLARS, TAKEN_BACK))
    ids = [one.id for one in made]
    both = [AMA, "wallet:ama:USD"]
    assert [one.id for one in await ledger.wallet_entries(both, before=None, limit=3)] == ids[:0:-1]
    assert [one.id for one in await ledger.wallet_entries(both, before=ids[2], limit=3)] == [ids[1], ids[0]]
    assert [one.id for one in await ledger.wallet_entries([AMA], before=None, limit=9)] == [ids[3], ids[1], ids[0]]
    assert await ledger.wallet_entries([], before=None, limit=9) == []


async def test_accounts_are_made_anew_from_their_entries(books: Mongo) -> None:
    await books.transact(lambda: post(PAID_IN, FUNDED, DOLLARS, TAKEN_BACK))
    stored = {row.pop("_id"): row for row in await rows(books, "ledger_accounts")}
    assert {key: row async for key, row in ledger.made_anew()} == stored
    assert await ledger.replay() == {
        key: Replayed(row["balance"], row["sequence"], row["sequence"]) for key, row in stored.items()
    }


async def test_entries_that_were_changed_are_not_balanced(books: Mongo) -> None:
    await books.transact(lambda: post(PAID_IN, FUNDED, DOLLARS))
    entries = books.collection("ledger_entries")
    await entries.update_many({"reference": {"$ne": "deposit:d2"}}, {"$inc": {"postings.0.amount": 1}})
    assert sorted(await ledger.unbalanced()) == ["deposit:d1", "escrow:e1:fund"]
    assert len(await ledger.unbalanced(limit=1)) == 1
    # Each currency for itself.
    await entries.update_one({"reference": "deposit:d2"}, {"$set": {"postings.0.currency": "GHS"}})
    assert sorted(set(await ledger.unbalanced())) == ["deposit:d1", "deposit:d2", "escrow:e1:fund"]

    async def inside() -> None:
        await entries.delete_many({}, session=session())
        assert await ledger.unbalanced() == []

    await undone(books, inside)
