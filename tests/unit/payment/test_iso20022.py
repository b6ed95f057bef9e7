"""A bank's file is read to the last minor unit, or refused as a whole."""

from datetime import UTC, datetime

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from kelmah.contracts.payment import BankAccount
from kelmah.services.payment.errors import BankFileRefused
from kelmah.services.payment.providers import iso20022
from kelmah.services.payment.providers.iso20022 import Statement, Status, Transfer, read_file, write_payments
from kelmah.services.payment.providers.references import find_reference, is_checked, make_reference
from tests.fakes.bank import ACCOUNT, FakeBank

LINES = st.lists(st.integers(-(10**9), 10**9).filter(bool), max_size=10)


def made(*amounts: int, version: str = "02") -> bytes:
    bank = FakeBank()
    for amount in amounts:
        bank.pay(amount, "a wall & a roof")
    return bank.statement(version=version)


@given(LINES, st.sampled_from(["02", "08"]))
def test_both_versions_are_read_to_the_last_minor_unit(amounts: list[int], version: str) -> None:
    (found,) = read_file(made(*amounts, version=version))
    assert isinstance(found, Statement)
    assert (found.account, found.currency, found.opening, found.closing) == (ACCOUNT, "GHS", 0, sum(amounts))
    assert [line.amount for line in found.lines] == amounts
    assert len({line.key for line in found.lines}) == len(amounts)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<NbOfNtries>2</NbOfNtries>", b"<NbOfNtries>3</NbOfNtries>"),
        (b"<Sum>7.00</Sum>", b"<Sum>7.01</Sum>"),
        (b'<Amt Ccy="GHS">5.00', b'<Amt Ccy="GHS">5.01'),
        (b'<Amt Ccy="GHS">5.00', b'<Amt Ccy="USD">5.00'),
        (b'<Amt Ccy="GHS">5.00', b'<Amt Ccy="GHS">-5.00'),
        (b'<Amt Ccy="GHS">5.00', b'<Amt Ccy="GHS">5.001'),
        (b'<Amt Ccy="GHS">5.00', b'<Amt Ccy="GHS">5e2'),
        (b'<Amt Ccy="GHS">5.00', b'<Amt Ccy="GHS">NaN'),
        (b'<Amt Ccy="GHS">5.00', b'<Amt Ccy="GHS">99999999999999999'),
        (b"<CdtDbtInd>CRDT</CdtDbtInd><Sts>", b"<CdtDbtInd>DBIT</CdtDbtInd><Sts>"),
        (b"<Cd>CLBD</Cd>", b"<Cd>ITBD</Cd>"),
        (b"<Ccy>GHS</Ccy>", b""),
        (b"camt.053.001.02", b"camt.053.001.01"),
        (b"camt.053.001.02", b"camt.054.001.02"),
        (b"BkToCstmrStmt", b"Other"),
        (b"</Document>", b""),
        (b'<?xml version="1.0" encoding="UTF-8"?>', b'<!DOCTYPE x [<!ENTITY a "5">]>'),
        (b'<?xml version="1.0" encoding="UTF-8"?>', b'<!DOCTYPE x SYSTEM "file:///etc/passwd">'),
    ],
)
def test_what_does_not_add_up_is_refused(old: bytes, new: bytes) -> None:
    content = made(500, -200)
    assert old in content
    with pytest.raises(BankFileRefused):
        read_file(content.replace(old, new))


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"<a/>", b"x" * (iso20022.MAX_BYTES + 1)])
def test_what_is_no_file_of_a_bank_is_refused(content: bytes) -> None:
    with pytest.raises(BankFileRefused):
        read_file(content)


def batch(*parts: str) -> bytes:
    """A statement whose one line is a batch of these parts."""
    content = made(500)
    start, end = content.index(b"<TxDtls>"), content.index(b"</NtryDtls>")
    return content[:start] + "".join(parts).encode() + content[end:]


def part_of(amount: str, name: str) -> str:
    return (
        f"<TxDtls><Refs><EndToEndId>{name}</EndToEndId></Refs><AmtDtls><TxAmt><Amt Ccy='GHS'>{amount}</Amt></TxAmt>"
        "</AmtDtls><CdtDbtInd>CRDT</CdtDbtInd></TxDtls>"
    )


def test_a_batch_is_its_parts_to_the_last_minor_unit() -> None:
    (found,) = read_file(batch(part_of("3.01", "one"), part_of("1.99", "two")))
    assert isinstance(found, Statement)
    (key, _) = found.lines[0].key.split("/")
    assert [(line.key, line.amount, line.end_to_end_id) for line in found.lines] == [
        (f"{key}/0", 301, "one"),
        (f"{key}/1", 199, "two"),
    ]
    with pytest.raises(BankFileRefused):
        read_file(batch(part_of("3.01", "one"), part_of("1.98", "two")))


def test_reports_name_their_message_and_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    report = FakeBank().report("m1", status="RJCT", only="w1")
    assert read_file(report) == [Status("m1", None, "PART", None), Status("m1", "w1", "RJCT", "AC04")]
    for bad in (report.replace(b"OrgnlMsgId", b"MsgId"), report.replace(b"OrgnlGrpInfAndSts", b"Grp")):
        with pytest.raises(BankFileRefused):
            read_file(bad)
    monkeypatch.setattr(iso20022, "MAX_LINES", 0)
    with pytest.raises(BankFileRefused):
        read_file(report)


def test_too_many_lines_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iso20022, "MAX_LINES", 2)
    assert read_file(made(1, 2))
    with pytest.raises(BankFileRefused):
        read_file(made(1, 2, 3))


@given(st.text(max_size=30))
def test_a_reference_is_found_among_other_words_and_spaces(around: str) -> None:
    reference = make_reference("a deposit")
    assert is_checked(reference)
    spaced = " ".join(reference[place : place + 4] for place in range(0, len(reference), 4))
    assert find_reference(f"{around} / {spaced.lower()}") == reference


@given(st.integers(0, 19), st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"))
def test_one_wrong_character_is_noticed(place: int, other: str) -> None:
    reference = make_reference("a deposit")
    wrong = reference[:place] + other + reference[place + 1 :]
    assert wrong == reference or find_reference(wrong) is None


def test_known_check_digits() -> None:
    assert is_checked("RF18539007547034")  # the example of ISO 11649
    assert is_checked("GB82WEST12345698765432")
    assert not is_checked("GB82WEST12345698765433")


def test_payments_carry_their_count_and_sum_and_are_the_same_bytes_each_time() -> None:
    payer = BankAccount(holder="Kelmah", bank="GHCBGHAC", number=ACCOUNT)
    transfers = [
        Transfer("w1", 1_005, "GHS", BankAccount(holder="Ama", bank="SCBLGHAC", number="0987654321098")),
        Transfer("w2", 20, "GHS", BankAccount(holder="Kofi", bank="MTN", number="233241234567")),
        Transfer("w3", 5, "GHS", BankAccount(holder="Esi", bank="DEUTDEFF", number="DE89370400440532013000")),
    ]
    at = datetime(2026, 11, 25, 4, tzinfo=UTC)
    content = write_payments("m1", at, payer, transfers)
    assert content == write_payments("m1", at, payer, transfers)
    root = fromstring(content)
    space = {"p": "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"}
    assert [one.text for one in root.iterfind(".//p:CtrlSum", space)] == ["10.30"] * 2
    assert [one.text for one in root.iterfind(".//p:NbOfTxs", space)] == ["3"] * 2
    assert [one.text for one in root.iterfind(".//p:EndToEndId", space)] == ["w1", "w2", "w3"]
    assert [one.text for one in root.iterfind(".//p:InstdAmt", space)] == ["10.05", "0.20", "0.05"]
    assert [one.text for one in root.iterfind(".//p:MmbId", space)] == ["MTN"]
    assert [one.text for one in root.iterfind(".//p:IBAN", space)] == ["DE89370400440532013000"]
