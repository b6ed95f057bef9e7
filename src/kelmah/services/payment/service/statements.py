"""Statements of a wallet: what it held, every movement, and what it holds, as CSV or PDF."""

import asyncio
import csv
import io
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import NamedTuple

from fpdf import FPDF

from kelmah.contracts.common import MINOR_UNIT_EXPONENTS
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput
from kelmah.services.payment.documents import ledger
from kelmah.services.payment.documents.entries import wallet
from kelmah.services.payment.errors import LedgerError
from kelmah.services.payment.service.context import Context

#: The longest period, and the movements that one statement lists.
MAX_DAYS = 366
MAX_ROWS = 5000
COLUMNS = ("Date (UTC)", "Movement", "Reference", "In", "Out", "Balance")
#: Widths in the PDF, in millimetres of an A4 page.
_WIDTHS = (34, 42, 52, 20, 20, 22)


class Row(NamedTuple):
    """One movement, and the balance that it left; amounts are signed minor units."""

    at: datetime
    kind: str
    id: str
    amount: int
    balance: int


class Statement(NamedTuple):
    """A wallet in one currency from one day to another, both included."""

    user_id: str
    currency: str
    first: date
    last: date
    opening: int
    closing: int
    rows: list[Row]


async def read_statement(context: Context, *, by: Principal, currency: str, first: date, last: date) -> Statement:
    """One's own wallet over some days, from one snapshot.

    Raises:
        BadInput: the period ends before it begins, or has too many days or movements.
    """
    if first.year < 2000:
        raise BadInput.of("from", "there was nothing then")
    if last > clock.now().date() + timedelta(days=MAX_DAYS):
        raise BadInput.of("to", f"at most {MAX_DAYS} days from now")
    if last < first:
        raise BadInput.of("to", "must not be before from")
    if (last - first).days >= MAX_DAYS:
        raise BadInput.of("to", f"at most {MAX_DAYS} days after from")
    account = wallet(by.user_id, currency)
    since = datetime.combine(first, time(), UTC)
    until = datetime.combine(last, time(), UTC) + timedelta(days=1)
    moment = timedelta(milliseconds=1)  # what the database tells apart

    async def read() -> Statement:
        entries = await ledger.postings_between(account, since, until, limit=MAX_ROWS + 1)
        if len(entries) > MAX_ROWS:
            raise BadInput.of("to", f"there are more than {MAX_ROWS} movements; choose fewer days")
        opening = balance = await ledger.balance_at(account, since - moment)
        rows = []
        for entry in entries:
            amount = next(row.amount for row in entry.postings if row.account == account)
            balance += amount
            rows.append(Row(entry.at, entry.kind, entry.id, amount, balance))
        closing = await ledger.balance_at(account, until - moment)
        if balance != closing:
            raise LedgerError("a statement does not add up", account=account)
        return Statement(by.user_id, currency, first, last, opening, closing, rows)

    return await context.mongo.transact(read)


def as_csv(statement: Statement) -> bytes:
    """RFC 4180. No field begins with a character that a spreadsheet takes for a formula."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow((*COLUMNS, "Currency"))
    writer.writerows([safe(field) for field in (*line, statement.currency)] for line in _lines(statement))
    return out.getvalue().encode()


async def as_pdf(statement: Statement) -> bytes:
    """On pages of A4; laid out in a thread, since thousands of lines take a while."""
    return await asyncio.to_thread(_lay_out, statement, clock.now())


def safe(field: str) -> str:
    """A field as text, whatever it begins with."""
    return f"'{field}" if field[:1] in ("=", "+", "-", "@", "\t", "\r") else field


def _lines(statement: Statement) -> list[tuple[str, ...]]:
    def money(amount: int) -> str:
        return f"{Decimal(amount).scaleb(-MINOR_UNIT_EXPONENTS.get(statement.currency, 2)):f}"

    return [
        (statement.first.isoformat(), "Opening balance", "", "", "", money(statement.opening)),
        *(
            (
                row.at.strftime("%Y-%m-%d %H:%M:%S"),
                row.kind.replace("_", " ").capitalize(),
                row.id,
                money(row.amount) if row.amount > 0 else "",
                money(-row.amount) if row.amount < 0 else "",
                money(row.balance),
            )
            for row in statement.rows
        ),
        (statement.last.isoformat(), "Closing balance", "", "", "", money(statement.closing)),
    ]


def _lay_out(statement: Statement, made_at: datetime) -> bytes:
    pdf = FPDF(format="A4")
    pdf.set_creation_date(made_at)
    pdf.set_title(f"Kelmah wallet {statement.currency} {statement.first} to {statement.last}")
    pdf.add_page()
    pdf.set_font("Helvetica", "B", 14)
    pdf.cell(0, 8, f"Kelmah: wallet in {statement.currency}", new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("Helvetica", "", 8)
    pdf.cell(0, 6, f"{statement.first} to {statement.last}, account {statement.user_id}", new_x="LMARGIN", new_y="NEXT")
    for number, line in enumerate([COLUMNS, *_lines(statement)]):
        pdf.set_font("Helvetica", "B" if number == 0 else "", 7)
        for place, (width, text) in enumerate(zip(_WIDTHS, line, strict=True)):
            pdf.cell(width, 5, text, border="B", align="R" if place > 2 else "L")
        pdf.ln()
    return bytes(pdf.output())
