"""What a bank was told and has told us: files read, lines booked, payouts ordered and the files that order them."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from kelmah.kit import clock, mongo
from kelmah.kit.ids import new_id
from kelmah.kit.mongo import session

#: Payouts that one file orders at most.
MAX_PAYOUTS = 1000
#: How the outcome of a line begins whose money went to suspense.
SUSPENSE = "suspense:"
QUEUED, ORDERED, PAID, FAILED, RETURNED = "queued", "ordered", "paid", "failed", "returned"


class BankStatementDocument(Document):
    """A statement that was read; `id` is `<account>:<its name>`. Not `is_done` while its lines are being booked."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    digest: str
    currency: str
    opening: int
    closing: int
    lines: int
    is_done: bool = False
    read_at: datetime

    class Settings:
        name = "bank_statements"


class BankLineDocument(Document):
    """A booked payment; `id` is the bank's name for it. `outcome` says what it did here."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    statement_id: str
    amount: int
    currency: str
    text: str
    outcome: str
    subject_id: str | None = None
    booked_at: datetime

    class Settings:
        name = "bank_lines"
        indexes: ClassVar[list[IndexModel]] = [IndexModel([("booked_at", ASCENDING)], name="booked")]


class BankPayoutDocument(Document):
    """A payment to be ordered, or ordered by the file `export_id`; `id` is the withdrawal's. Shard key: `_id`."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    amount: int
    currency: str
    destination: bytes
    status: str = QUEUED
    export_id: str | None = None
    failure_code: str | None = None
    is_booked: bool = False
    created_at: datetime

    class Settings:
        name = "bank_payouts"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("status", ASCENDING), ("currency", ASCENDING), ("_id", ASCENDING)], name="queue"),
            IndexModel([("export_id", ASCENDING)], name="export"),
        ]


class BankExportDocument(Document):
    """A file that orders payments. Not `is_written` until it lies where the bank takes it from."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    currency: str
    is_written: bool = False
    made_at: datetime

    class Settings:
        name = "bank_exports"
        indexes: ClassVar[list[IndexModel]] = [IndexModel([("is_written", ASCENDING)], name="written")]


async def begin_statement(statement: BankStatementDocument) -> BankStatementDocument:
    """Note that a statement is being read; the one that was noted before, if it was."""
    try:
        await statement.insert(session=session())
    except DuplicateKeyError:
        known = await BankStatementDocument.get(statement.id)
        return known or statement
    return statement


async def finish_statement(statement_id: str) -> None:
    await BankStatementDocument.get_pymongo_collection().update_one(
        {"_id": statement_id}, {"$set": {"is_done": True}}, session=session()
    )


async def find_line(line_id: str) -> BankLineDocument | None:
    """A line that was booked before."""
    return await BankLineDocument.get(line_id, session=session())


async def insert_line(line: BankLineDocument) -> None:
    """Keep a line, in the transaction of what it does; a twin raises DuplicateKeyError."""
    await line.insert(session=session())


async def lines_between(since: datetime, until: datetime) -> AsyncIterator[BankLineDocument]:
    """Lines that were booked here between two instants, the earliest first."""
    query = {"booked_at": {"$gte": since, "$lt": until}}
    async for line in BankLineDocument.find(query, session=session()).sort("booked_at"):
        yield line


async def queue_payout(payout: BankPayoutDocument) -> BankPayoutDocument:
    """Have a payment ordered by the next file; the one that is there, if it is."""
    try:
        await payout.insert(session=session())
    except DuplicateKeyError:
        return await find_payout(payout.id) or payout
    return payout


async def find_payout(payout_id: str) -> BankPayoutDocument | None:
    """A payment of ours."""
    return await BankPayoutDocument.get(payout_id, session=session())


async def mark_booked(payout_id: str) -> bool:
    """Note that a statement shows the payment going out. False when one did before, or it was not to go out."""
    row = await mongo.change(
        BankPayoutDocument,
        {"_id": payout_id, "status": {"$in": [ORDERED, PAID]}, "is_booked": False},
        {"$set": {"is_booked": True}},
    )
    return row is not None


async def end_payout(payout_id: str, status: str, code: str | None = None) -> BankPayoutDocument | None:
    """Note how a payment that was ordered ended; money that was paid may still come back."""
    sources = [ORDERED, PAID] if status == RETURNED else [ORDERED]
    return await mongo.change(
        BankPayoutDocument,
        {"_id": payout_id, "status": {"$in": sources}},
        {"$set": {"status": status, "failure_code": code}},
    )


async def queued_currencies() -> list[str]:
    """Currencies in which payments wait to be ordered."""
    found: list[str] = await BankPayoutDocument.get_pymongo_collection().distinct(
        "currency", {"status": QUEUED}, session=session()
    )
    return sorted(found)


async def begin_export(currency: str) -> BankExportDocument | None:
    """In the open transaction, put waiting payments into a new file, each into one. None when none waits."""
    rows = BankPayoutDocument.get_pymongo_collection()
    waiting = rows.find({"status": QUEUED, "currency": currency}, {"_id": 1}, session=session()).sort("_id")
    ids = [row["_id"] async for row in waiting.limit(MAX_PAYOUTS)]
    if not ids:
        return None
    export = BankExportDocument(id=new_id(), currency=currency, made_at=clock.now())
    await rows.update_many(
        {"_id": {"$in": ids}, "status": QUEUED},
        {"$set": {"status": ORDERED, "export_id": export.id}},
        session=session(),
    )
    await export.insert(session=session())
    return export


async def unwritten_exports() -> list[BankExportDocument]:
    """Files that nobody is known to have written, the earliest first."""
    return await BankExportDocument.find({"is_written": False}, session=session()).sort("_id").to_list()


async def payouts_of(export_id: str) -> list[BankPayoutDocument]:
    """The payments that a file orders, always in the same order."""
    return await BankPayoutDocument.find({"export_id": export_id}, session=session()).sort("_id").to_list()


async def finish_export(export_id: str) -> None:
    await BankExportDocument.get_pymongo_collection().update_one(
        {"_id": export_id}, {"$set": {"is_written": True}}, session=session()
    )
