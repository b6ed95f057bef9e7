"""The ledger as it is stored: append-only entries, and the balance of each account kept in step with them.

An entry's postings are signed minor units that sum to zero per currency. Wallets and escrows may not go below
zero; what stands against the outside world (clearing) or waits (suspense) may. The platform's own accounts take
part in almost every entry, so each is kept as `SLOTS` documents that are added up: two releases meet in one of
them by chance only. Each posting carries the account's next sequence and the balance it left, which makes gaps
visible and gives a balance at any instant; entries are never updated.

Each entry carries a hash of itself and of the entry before it on every account that it touches, so that one that
was changed, removed or put between others shows. A single chain would let one transaction run at a time; these run
through the documents that a transaction writes anyway.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from beanie import Document
from pymongo import ReplaceOne, ReturnDocument
from pymongo.errors import DuplicateKeyError

from kelmah.kit import clock
from kelmah.kit.ids import new_id
from kelmah.kit.mongo import add_all, in_transaction, session
from kelmah.services.payment.documents.entries import (
    BOUNDED,
    AccountDocument,
    Entry,
    EntryDocument,
    Posting,
    PostingRow,
    account_key,
    digest,
)
from kelmah.services.payment.errors import AlreadyPosted, Halted, InsufficientFunds, LedgerError


class Halt(Document):
    """Why no money moves; there is one while none does."""

    id: str = "halt"  # type: ignore[assignment]  # ours, not an ObjectId
    reason: str
    since: datetime

    class Settings:
        name = "ledger_halt"


async def halt(reason: str) -> None:
    """Stop every movement of money, from the next on."""
    await Halt.get_pymongo_collection().update_one(
        {"_id": "halt"}, {"$setOnInsert": {"reason": reason, "since": clock.now()}}, upsert=True, session=session()
    )


async def resume() -> bool:
    """Let money move again. Whether it was stopped."""
    done = await Halt.get_pymongo_collection().delete_one({"_id": "halt"}, session=session())
    return bool(done.deleted_count)


async def refuse_if_halted() -> None:
    """Raises Halted while no money moves."""
    if await halted() is not None:
        raise Halted(retry_after_s=60)


async def halted() -> Halt | None:
    """Why no money moves, if so."""
    return await Halt.find_one({"_id": "halt"}, session=session())


async def post(entry: Entry) -> EntryDocument:
    """Move the money of one entry, in the open transaction.

    Raises:
        AlreadyPosted: an entry with this reference exists.
        InsufficientFunds: a wallet holds less than is taken from it.
        LedgerError: an escrow holds less than is taken from it.
        Halted: a fault in the ledger was found, and nobody has looked into it yet.
    """
    if not in_transaction():
        raise RuntimeError("money moves in the transaction of the change that calls for it")
    await refuse_if_halted()
    document = EntryDocument(
        id=new_id(),
        reference=entry.reference,
        kind=entry.kind,
        # In one order everywhere, so that transactions over the same accounts meet at the first of them.
        postings=[await _apply(posting, entry.reference) for posting in sorted(entry.postings)],
        facts=entry.facts,
        at=clock.now(),
    )
    document.hash = digest(document)
    try:
        await document.insert(session=session())
    except DuplicateKeyError as error:
        raise AlreadyPosted from error
    await AccountDocument.get_pymongo_collection().update_many(
        {"_id": {"$in": [row.key for row in document.postings]}}, {"$set": {"head": document.hash}}, session=session()
    )
    return document


async def post_all(entries: Sequence[Entry]) -> None:
    """Move the money of many entries in the open transaction, as `post` would one after the other.

    Accounts are read and written once, so two of these that meet wait for each other: for moves of old books only.

    Raises:
        AlreadyPosted: an entry with one of the references exists.
        InsufficientFunds: a wallet holds less than is taken from it.
        LedgerError: an escrow holds less than is taken from it.
        Halted: a fault in the ledger was found, and nobody has looked into it yet.
    """
    if not in_transaction():
        raise RuntimeError("money moves in the transaction of the change that calls for it")
    await refuse_if_halted()
    collection = AccountDocument.get_pymongo_collection()
    keys = {account_key(posting, entry.reference) for entry in entries for posting in entry.postings}
    accounts = {row["_id"]: row async for row in collection.find({"_id": {"$in": list(keys)}}, session=session())}
    documents = [_chained(entry, accounts) for entry in entries]
    try:
        await add_all(documents)
    except DuplicateKeyError as error:
        raise AlreadyPosted from error
    if accounts:
        # What another transaction changed since it was read makes this one begin anew.
        changes = [ReplaceOne({"_id": key}, row, upsert=True) for key, row in accounts.items()]
        await collection.bulk_write(changes, ordered=False, session=session())


def _chained(entry: Entry, accounts: dict[str, dict[str, Any]]) -> EntryDocument:
    """The document of an entry; `accounts` are brought to where it leaves them."""
    rows = []
    for posting in sorted(entry.postings):
        key = account_key(posting, entry.reference)
        fresh = {"_id": key, "account": posting.account, "kind": posting.kind, "currency": posting.currency}
        account = accounts.setdefault(key, fresh | {"balance": 0, "sequence": 0, "head": ""})
        account["balance"] += posting.amount
        account["sequence"] += 1
        if posting.kind in BOUNDED and account["balance"] < 0:
            raise _overdrawn(posting)
        rows.append(_row(posting, account))
    document = EntryDocument(
        id=new_id(), reference=entry.reference, kind=entry.kind, postings=rows, facts=entry.facts, at=clock.now()
    )
    document.hash = digest(document)
    for row in rows:
        accounts[row.key]["head"] = document.hash
    return document


async def _apply(posting: Posting, reference: str) -> PostingRow:
    query: dict[str, Any] = {"_id": account_key(posting, reference)}
    is_bounded_debit = posting.amount < 0 and posting.kind in BOUNDED
    if is_bounded_debit:
        query["balance"] = {"$gte": -posting.amount}
    row = await AccountDocument.get_pymongo_collection().find_one_and_update(
        query,
        {
            "$inc": {"balance": posting.amount, "sequence": 1},
            "$setOnInsert": {"account": posting.account, "kind": posting.kind, "currency": posting.currency},
        },
        upsert=not is_bounded_debit,
        return_document=ReturnDocument.AFTER,
        session=session(),
    )
    if row is None:
        raise _overdrawn(posting)
    return _row(posting, row)


def _overdrawn(posting: Posting) -> Exception:
    if posting.kind == "wallet":
        return InsufficientFunds()
    return LedgerError("an escrow holds less than is taken from it", account=posting.account)


def _row(posting: Posting, account: dict[str, Any]) -> PostingRow:
    """A posting as it is stored, given its account after it and the account's head before it."""
    return PostingRow(
        account=posting.account,
        key=account["_id"],
        amount=posting.amount,
        currency=posting.currency,
        sequence=account["sequence"],
        balance=account["balance"],
        previous=account.get("head", ""),
    )


async def credited_since(account: str, instant: datetime, kinds: list[str]) -> int:
    """What entries of these kinds have put into an account since an instant."""
    pipeline: list[dict[str, Any]] = [
        {"$match": {"postings.account": account, "at": {"$gt": instant}, "kind": {"$in": kinds}}},
        {"$unwind": "$postings"},
        {"$match": {"postings.account": account, "postings.amount": {"$gt": 0}}},
        {"$group": {"_id": None, "sum": {"$sum": "$postings.amount"}}},
    ]
    found = await _aggregate(pipeline)
    return int(found[0]["sum"]) if found else 0


async def balance_of_kind(kind: str) -> dict[str, int]:
    """What all accounts of a kind hold together, by currency."""
    cursor = await AccountDocument.get_pymongo_collection().aggregate(
        [{"$match": {"kind": kind}}, {"$group": {"_id": "$currency", "sum": {"$sum": "$balance"}}}], session=session()
    )
    return {row["_id"]: row["sum"] for row in await cursor.to_list()}


async def find_entry(reference: str) -> EntryDocument | None:
    """The entry of an effect."""
    return await EntryDocument.find_one({"reference": reference}, session=session())


async def wallet_balances(user_id: str) -> dict[str, int]:
    """What a person has, by currency."""
    rows = AccountDocument.get_pymongo_collection().find(
        # The end of the range is the character after the colon.
        {"_id": {"$gte": f"wallet:{user_id}:", "$lt": f"wallet:{user_id};"}},
        session=session(),
    )
    return {row["currency"]: row["balance"] async for row in rows}


async def wallet_entries(accounts: list[str], *, before: str | None, limit: int) -> list[EntryDocument]:
    """Entries that touch any of these accounts, the latest first."""
    query: dict[str, Any] = {"postings.account": {"$in": accounts}}
    if before is not None:
        query["_id"] = {"$lt": before}
    return await EntryDocument.find(query).sort("-_id").limit(limit).to_list()


async def postings_between(account: str, since: datetime, until: datetime, *, limit: int) -> list[EntryDocument]:
    """Entries that touch an account from an instant on and before another, the earliest first."""
    query = {"postings.account": account, "at": {"$gte": since, "$lt": until}}
    return await EntryDocument.find(query, session=session()).sort("at", "_id").limit(limit).to_list()


async def balance(account: str) -> int:
    """What an account holds now."""
    rows = AccountDocument.get_pymongo_collection().find({"account": account}, session=session())
    return sum([row["balance"] async for row in rows])


async def balance_at(account: str, instant: datetime) -> int:
    """What an account held at an instant, by adding up its postings until then."""
    pipeline: list[dict[str, Any]] = [
        {"$match": {"postings.account": account, "at": {"$lte": instant}}},
        {"$unwind": "$postings"},
        {"$match": {"postings.account": account}},
        {"$group": {"_id": None, "sum": {"$sum": "$postings.amount"}}},
    ]
    found = await _aggregate(pipeline)
    return int(found[0]["sum"]) if found else 0


class Replayed(NamedTuple):
    """An account's document as its postings alone would make it."""

    balance: int
    postings: int
    highest_sequence: int


async def replay() -> dict[str, Replayed]:
    """Every account document made anew from the entries, by its id."""
    pipeline: list[dict[str, Any]] = [
        {"$unwind": "$postings"},
        {
            "$group": {
                "_id": "$postings.key",
                "sum": {"$sum": "$postings.amount"},
                "count": {"$sum": 1},
                "highest": {"$max": "$postings.sequence"},
            }
        },
    ]
    return {row["_id"]: Replayed(row["sum"], row["count"], row["highest"]) for row in await _aggregate(pipeline)}


async def made_anew() -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Every account document as its entries alone would make it, by its id."""
    pipeline: list[dict[str, Any]] = [
        {"$unwind": "$postings"},
        {
            "$group": {
                "_id": "$postings.key",
                "account": {"$first": "$postings.account"},
                "currency": {"$first": "$postings.currency"},
                "balance": {"$sum": "$postings.amount"},
                # The greatest of pairs is the one with the greatest sequence, which no other has.
                "last": {"$max": {"sequence": "$postings.sequence", "hash": "$hash"}},
            }
        },
    ]
    async for row in await EntryDocument.get_pymongo_collection().aggregate(pipeline, allowDiskUse=True):
        yield (
            row["_id"],
            {
                "account": row["account"],
                "kind": row["account"].partition(":")[0],
                "currency": row["currency"],
                "balance": row["balance"],
                "sequence": row["last"]["sequence"],
                "head": row["last"]["hash"],
            },
        )


async def unbalanced(limit: int = 100) -> list[str]:
    """References of entries whose postings do not sum to zero in some currency."""
    pipeline: list[dict[str, Any]] = [
        {"$unwind": "$postings"},
        {
            "$group": {
                "_id": {"reference": "$reference", "currency": "$postings.currency"},
                "sum": {"$sum": "$postings.amount"},
            }
        },
        {"$match": {"sum": {"$ne": 0}}},
        {"$limit": limit},
    ]
    return [row["_id"]["reference"] for row in await _aggregate(pipeline)]


async def every_entry() -> AsyncIterator[EntryDocument]:
    """All entries, the earliest first."""
    async for entry in EntryDocument.find_all(session=session()).sort("_id"):
        yield entry


async def clearing_between(provider: str, since: datetime, until: datetime) -> AsyncIterator[EntryDocument]:
    """Entries between two instants that touch what a provider owes us or took back, the earliest first."""
    query = {
        "at": {"$gte": since, "$lt": until},
        "postings.account": {"$regex": f"^(clearing|chargebacks):{provider}:"},
    }
    async for entry in EntryDocument.find(query, session=session()).sort("_id"):
        yield entry


async def accounts() -> list[AccountDocument]:
    """Every account document."""
    return await AccountDocument.find_all(session=session()).to_list()


async def count_entries() -> int:
    """How many entries there are."""
    return await EntryDocument.get_pymongo_collection().count_documents({}, session=session())


async def _aggregate(pipeline: list[dict[str, Any]]) -> list[dict[str, Any]]:
    cursor = await EntryDocument.get_pymongo_collection().aggregate(pipeline, allowDiskUse=True, session=session())
    return await cursor.to_list()
