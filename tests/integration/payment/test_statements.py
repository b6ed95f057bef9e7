"""A statement adds up, is one's own, and is safe to open."""

import csv
import io
import re
import zlib
from datetime import date, timedelta

import pytest

from kelmah.kit import clock
from kelmah.services.payment.service import statements
from tests.fixtures.service import person
from tests.integration.payment.conftest import Payments

PATH = "/wallet/statement"


def days(first: date, last: date) -> str:
    return f"from={first.isoformat()}&to={last.isoformat()}"


async def test_opening_and_movements_make_the_closing_balance(payments: Payments) -> None:
    hirer = await payments.hirer_with(10_000)
    clock.shift(timedelta(days=2))
    today = clock.now().date()
    await payments.deposit(hirer, 2_505)
    await payments.fund(payments.jobs.make_contract(hirer.user_id, "worker", 4_000), by=hirer)
    clock.shift(timedelta(days=2))
    await payments.deposit(hirer, 900)
    reply = await payments.get(f"{PATH}?{days(today, today)}", by=hirer)
    assert (reply.status, reply.headers["content-type"].partition(";")[0]) == (200, "text/csv")
    assert reply.headers["content-disposition"] == f'attachment; filename="kelmah-GHS-{today}-{today}.csv"'
    assert reply.body.endswith(b"\r\n")
    header, opening, paid_in, funded, closing = csv.reader(io.StringIO(reply.body.decode(), newline=""))
    assert header == [*statements.COLUMNS, "Currency"]
    assert opening == [today.isoformat(), "Opening balance", "", "", "", "100.00", "GHS"]
    assert [paid_in[1], *paid_in[3:]] == ["Deposit", "25.05", "", "125.05", "GHS"]
    assert [funded[1], *funded[3:]] == ["Escrow funding", "", "40.00", "85.05", "GHS"]
    assert closing[1:] == ["Closing balance", "", "", "", "85.05", "GHS"]
    other = await payments.get(f"{PATH}?{days(today, today)}", by=person())
    assert other.body.decode().splitlines()[1:] == [
        f"{today},Opening balance,,,,0.00,GHS",
        f"{today},Closing balance,,,,0.00,GHS",
    ]
    whole = await payments.get(f"{PATH}?{days(today - timedelta(days=9), today + timedelta(days=9))}", by=hirer)
    assert len(whole.body.splitlines()) == 3 + 4


async def test_a_pdf_says_the_same(payments: Payments) -> None:
    hirer = await payments.hirer_with(12_345)
    today = clock.now().date()
    reply = await payments.get(f"{PATH}?{days(today, today)}&format=pdf", by=hirer)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/pdf")
    assert reply.body.startswith(b"%PDF-")
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", reply.body, re.DOTALL)
    text = b"".join(zlib.decompress(one) for one in streams if one[:1] == b"x")
    assert text.count(b"123.45") == 3
    assert b"Closing balance" in text


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=2026-01-02&to=2026-01-01", "to"),
        ("from=2026-01-01&to=2027-01-02", "to"),
        ("from=2026-01-01", "to"),
        ("from=yesterday&to=2026-01-01", "from"),
        ("from=2026-01-01&to=2026-01-01&currency=gh", "currency"),
        ("from=2026-01-01&to=2026-01-01&format=xls", "format"),
        ("from=9999-12-31&to=9999-12-31", "to"),
        ("from=0001-01-01&to=0001-01-01", "from"),
    ],
)
async def test_bad_periods_are_refused(payments: Payments, query: str, field: str) -> None:
    reply = await payments.get(f"{PATH}?{query}", by=person())
    assert (reply.status, reply.data["errors"][0]["field"]) == (400, field)


async def test_too_many_movements_are_refused(payments: Payments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "MAX_ROWS", 2)
    hirer, today = await payments.hirer_with(500), clock.now().date()
    await payments.deposit(hirer, 500)
    assert (await payments.get(f"{PATH}?{days(today, today)}", by=hirer)).status == 200
    await payments.deposit(hirer, 500)
    assert (await payments.get(f"{PATH}?{days(today, today)}", by=hirer)).status == 400


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_field_is_a_formula(start: str) -> None:
    assert statements.safe(f"{start}1+1") == f"'{start}1+1"
    assert statements.safe("1+1") == "1+1"
