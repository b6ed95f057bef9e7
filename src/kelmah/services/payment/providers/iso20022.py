"""ISO 20022 messages of a bank: statements (camt.053) and status reports (pain.002) in, payments (pain.001) out.

A file is read as a whole or refused as a whole: every check runs before the first line is used. XML is read without
entities, external files or document types.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from kelmah.contracts.common import MAX_SAFE_INTEGER, MINOR_UNIT_EXPONENTS
from kelmah.contracts.payment import BankAccount
from kelmah.services.payment.errors import BankFileRefused

#: Bytes that a file may have, and lines.
MAX_BYTES = 8_388_608
MAX_LINES = 20_000
_NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:"
STATEMENTS = ("camt.053.001.02", "camt.053.001.08")
REPORTS = ("pain.002.001.03", "pain.002.001.10")
PAYMENTS = "pain.001.001.09"
_AMOUNT = re.compile(r"\d{1,15}(\.\d{1,5})?")


class Line(NamedTuple):
    """One booked payment of a statement: `amount` minor units came in, or went out when negative."""

    key: str
    amount: int
    currency: str
    end_to_end_id: str
    text: str
    is_return: bool


class Statement(NamedTuple):
    """An account's booked payments between two balances that they add up to."""

    id: str
    account: str
    currency: str
    opening: int
    closing: int
    lines: list[Line]


class Status(NamedTuple):
    """What became of a payment that was ordered; without `end_to_end_id`, of the whole message."""

    message_id: str
    end_to_end_id: str | None
    status: str
    reason: str | None


class Transfer(NamedTuple):
    """A payment to be ordered."""

    id: str
    amount: int
    currency: str
    to: BankAccount


def read_file(content: bytes) -> list[Statement] | list[Status]:
    """A bank's file: statements, or the status of payments.

    Raises:
        BankFileRefused: it is too large, no such message, or its numbers do not add up.
    """
    if len(content) > MAX_BYTES:
        raise BankFileRefused(f"A file has at most {MAX_BYTES} bytes.")
    try:
        root = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise BankFileRefused("This is not XML of a bank.") from error
    kind = root.tag.removeprefix(f"{{{_NAMESPACE}").removesuffix("}Document")
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if kind in REPORTS:
        return _statuses(root)
    if kind not in STATEMENTS:
        raise BankFileRefused(f"One of {', '.join(STATEMENTS + REPORTS)} is read.")
    found = [_statement(one) for one in root.iterfind("BkToCstmrStmt/Stmt")]
    if not found:
        raise BankFileRefused("The file has no statement.")
    if sum(len(one.lines) for one in found) > MAX_LINES:
        raise BankFileRefused(f"A file has at most {MAX_LINES} lines.")
    return found


def write_payments(message_id: str, at: datetime, payer: BankAccount, transfers: Sequence[Transfer]) -> bytes:
    """Payments out of one account in its currency, as the same bytes each time."""
    root = Element("Document", xmlns=_NAMESPACE + PAYMENTS)
    message = SubElement(root, "CstmrCdtTrfInitn")
    totals = (("NbOfTxs", str(len(transfers))), ("CtrlSum", _decimal(sum(one.amount for one in transfers), transfers)))
    header = SubElement(message, "GrpHdr")
    _put(header, ("MsgId", message_id), ("CreDtTm", at.strftime("%Y-%m-%dT%H:%M:%SZ")), *totals)
    _put(SubElement(header, "InitgPty"), ("Nm", payer.holder))
    batch = SubElement(message, "PmtInf")
    # Each payment is booked by itself, so that the statement tells of each.
    _put(batch, ("PmtInfId", message_id), ("PmtMtd", "TRF"), ("BtchBookg", "false"), *totals)
    _put(SubElement(batch, "ReqdExctnDt"), ("Dt", at.strftime("%Y-%m-%d")))
    _party(batch, "Dbtr", payer, agent_first=False)
    for one in transfers:
        payment = SubElement(batch, "CdtTrfTxInf")
        _put(SubElement(payment, "PmtId"), ("EndToEndId", one.id))
        amount = SubElement(SubElement(payment, "Amt"), "InstdAmt", Ccy=one.currency)
        amount.text = _decimal(one.amount, transfers)
        _party(payment, "Cdtr", one.to, agent_first=True)
        _put(SubElement(payment, "RmtInf"), ("Ustrd", f"Kelmah {one.id}"))
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode").encode()


def _statement(stmt: Element) -> Statement:
    name, currency = _text(stmt, "Id"), _text(stmt, "Acct/Ccy")
    account = _text(stmt, "Acct/Id/IBAN") or _text(stmt, "Acct/Id/Othr/Id")
    if not (name and account and re.fullmatch("[A-Z]{3}", currency)):
        raise BankFileRefused("A statement names itself, its account and its currency.")
    balances = {_text(one, "Tp/CdOrPrtry/Cd"): _signed(one, currency) for one in stmt.iterfind("Bal")}
    if not {"OPBD", "CLBD"} <= balances.keys():
        raise BankFileRefused("A statement has an opening and a closing balance.")
    entries = [one for one in stmt.iterfind("Ntry") if (_text(one, "Sts/Cd") or _text(one, "Sts")) == "BOOK"]
    sums = [_signed(one, currency) for one in entries]
    if balances["OPBD"] + sum(sums) != balances["CLBD"]:
        raise BankFileRefused("The lines of a statement do not lead from its opening to its closing balance.")
    for path, chosen in (
        ("TtlNtries", sums),
        ("TtlCdtNtries", [one for one in sums if one > 0]),
        ("TtlDbtNtries", [one for one in sums if one < 0]),
    ):
        _check_total(stmt.find(f"TxsSummry/{path}"), chosen, currency)
    lines = [line for place, one in enumerate(entries) for line in _lines(one, name, account, currency, place)]
    return Statement(name, account, currency, balances["OPBD"], balances["CLBD"], lines)


def _lines(entry: Element, statement: str, account: str, currency: str, place: int) -> list[Line]:
    """An entry is one payment, or a batch whose parts add up to it."""
    whole = _signed(entry, currency)
    own = _text(entry, "AcctSvcrRef")
    key = f"{account}:{currency}:{own}" if own else f"{account}:{currency}:{statement}#{place}"
    details = entry.findall("NtryDtls/TxDtls") or [entry]
    is_reversal = _text(entry, "RvslInd") == "true"
    parts = [whole] if len(details) == 1 else [_signed(one, currency) for one in details]
    if sum(parts) != whole:
        raise BankFileRefused("The parts of a batch do not add up to it.")
    return [
        Line(
            key=f"{key}/{number}",
            amount=amount,
            currency=currency,
            end_to_end_id=_text(one, "Refs/EndToEndId"),
            text=" ".join(
                found.text or ""
                for path in ("RmtInf/Strd/CdtrRefInf/Ref", "RmtInf/Ustrd", "AddtlTxInf")
                for found in one.iterfind(path)
            )[:1000],
            is_return=is_reversal or one.find("RtrInf") is not None,
        )
        for number, (one, amount) in enumerate(zip(details, parts, strict=True))
    ]


def _statuses(root: Element) -> list[Status]:
    group = root.find("CstmrPmtStsRpt/OrgnlGrpInfAndSts")
    message_id = _text(group, "OrgnlMsgId") if group is not None else ""
    if group is None or not message_id:
        raise BankFileRefused("A status report names the message that it is about.")
    found = [
        Status(message_id, _text(one, "OrgnlEndToEndId"), _text(one, "TxSts"), _text(one, "StsRsnInf/Rsn/Cd") or None)
        for one in root.iterfind("CstmrPmtStsRpt/OrgnlPmtInfAndSts/TxInfAndSts")
    ]
    if len(found) > MAX_LINES:
        raise BankFileRefused(f"A file has at most {MAX_LINES} lines.")
    whole = Status(message_id, None, _text(group, "GrpSts"), _text(group, "StsRsnInf/Rsn/Cd") or None)
    return [whole, *found]


def _check_total(total: Element | None, amounts: list[int], currency: str) -> None:
    if total is None:
        return
    count, control = _text(total, "NbOfNtries"), _text(total, "Sum")
    if count and count != str(len(amounts)):
        raise BankFileRefused("A statement has not as many lines as it says.")
    if control and _minor(control, currency) != sum(abs(one) for one in amounts):
        raise BankFileRefused("The control sum of a statement does not fit.")


def _signed(element: Element, currency: str) -> int:
    amount = element.find("Amt")
    amount = amount if amount is not None else element.find("AmtDtls/TxAmt/Amt")
    sign = {"CRDT": 1, "DBIT": -1}.get(_text(element, "CdtDbtInd"))
    if amount is None or sign is None or amount.get("Ccy") != currency:
        raise BankFileRefused("An amount has a direction and the currency of its account.")
    return sign * _minor(amount.text or "", currency)


def _minor(text: str, currency: str) -> int:
    text = text.strip()
    if not (text.isascii() and _AMOUNT.fullmatch(text)):
        raise BankFileRefused("An amount is a decimal number without a sign.")
    minor = Decimal(text).scaleb(MINOR_UNIT_EXPONENTS.get(currency, 2))
    if minor != minor.to_integral_value() or minor > MAX_SAFE_INTEGER:
        raise BankFileRefused("An amount is a whole number of minor units.")
    return int(minor)


def _decimal(amount: int, transfers: Sequence[Transfer]) -> str:
    return f"{Decimal(amount).scaleb(-MINOR_UNIT_EXPONENTS.get(transfers[0].currency, 2)):f}"


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _put(parent: Element, *pairs: tuple[str, str]) -> None:
    for name, text in pairs:
        SubElement(parent, name).text = text


def _party(parent: Element, name: str, account: BankAccount, *, agent_first: bool) -> None:
    """A side of a payment; the standard has the bank of the payer after the account, and that of the payee before."""

    def agent() -> None:
        institution = SubElement(SubElement(parent, f"{name}Agt"), "FinInstnId")
        if account.is_bic:
            _put(institution, ("BICFI", account.bank))
        else:
            _put(SubElement(institution, "ClrSysMmbId"), ("MmbId", account.bank))

    if agent_first:
        agent()
    _put(SubElement(parent, name), ("Nm", account.holder))
    numbered = SubElement(SubElement(parent, f"{name}Acct"), "Id")
    if account.number[0].isalpha():
        _put(numbered, ("IBAN", account.number))
    else:
        _put(SubElement(numbered, "Othr"), ("Id", account.number))
    if not agent_first:
        agent()
