"""A bank that keeps one account: it books payments, and tells of them as ISO 20022 files."""

import base64
import hashlib
import hmac
from typing import NamedTuple
from xml.sax.saxutils import escape

from kelmah.kit import clock
from tests.fakes.provider_server import Notice

ACCOUNT = "0123456789012"


class Booked(NamedTuple):
    """A payment: `amount` minor units in, or out when negative."""

    ref: str
    amount: int
    currency: str
    text: str = ""
    end_to_end_id: str = ""
    is_return: bool = False


class FakeBank:
    """Statements follow one another: each opens with the balance that the one before closed with."""

    def __init__(self, secret: str = "", world: str = "", currency: str = "GHS") -> None:
        self._secret = secret
        self._world = world
        self._currency = currency
        self._count = 0
        self._statements = 0
        self.balance = 0
        self.booked: list[Booked] = []

    def pay(self, amount: int, text: str, *, currency: str | None = None, end_to_end_id: str = "") -> Booked:
        """Somebody pays in; with a negative amount, something goes out."""
        return self._book(Booked(self._ref(), amount, currency or self._currency, text, end_to_end_id))

    def pay_back(self, amount: int, end_to_end_id: str) -> Booked:
        """A payment that went out comes back."""
        return self._book(Booked(self._ref(), amount, self._currency, "", end_to_end_id, is_return=True))

    def statement(self, *, version: str = "02", name: str | None = None, account: str = ACCOUNT) -> bytes:
        """What was booked since the last statement."""
        rows, self.booked = self.booked, []
        self._statements += 1
        opening, self.balance = self.balance, self.balance + sum(row.amount for row in rows)
        name = name or f"ST{self._world}{self._statements}"
        lines = "".join(self._entry(row, version) for row in rows)
        total = decimal(sum(abs(row.amount) for row in rows))
        return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}"><BkToCstmrStmt>
<GrpHdr><MsgId>M{name}</MsgId><CreDtTm>2026-11-24T06:00:00</CreDtTm></GrpHdr>
<Stmt><Id>{name}</Id><Acct><Id><Othr><Id>{account}</Id></Othr></Id><Ccy>{self._currency}</Ccy></Acct>
{self._balance("OPBD", opening)}{self._balance("CLBD", self.balance)}
<TxsSummry><TtlNtries><NbOfNtries>{len(rows)}</NbOfNtries><Sum>{total}</Sum></TtlNtries></TxsSummry>
{lines}</Stmt></BkToCstmrStmt></Document>""".encode()

    def report(self, message_id: str, *, status: str, only: str | None = None, reason: str = "AC04") -> bytes:
        """What became of a file of orders, or of one of them."""
        one = ""
        if only is not None:
            cause = f"<StsRsnInf><Rsn><Cd>{reason}</Cd></Rsn></StsRsnInf>" if status == "RJCT" else ""
            one = (
                f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{message_id}</OrgnlPmtInfId><TxInfAndSts><OrgnlEndToEndId>{only}"
                f"</OrgnlEndToEndId><TxSts>{status}</TxSts>{cause}</TxInfAndSts></OrgnlPmtInfAndSts>"
            )
        whole = "PART" if only else status
        return f"""<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.03"><CstmrPmtStsRpt>
<OrgnlGrpInfAndSts><OrgnlMsgId>{message_id}</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>
<GrpSts>{whole}</GrpSts></OrgnlGrpInfAndSts>{one}</CstmrPmtStsRpt></Document>""".encode()

    def sign(self, body: bytes, *, name: str | None = None, age_s: int = 0, secret: str | None = None) -> Notice:
        """A notice that carries a file."""
        sent = str(int(clock.now().timestamp()) - age_s)
        name = name or f"msg_{self._ref()}"
        key = self._secret if secret is None else secret
        signature = hmac.digest(key.encode(), f"{name}.{sent}.".encode() + body, hashlib.sha256)
        return Notice(
            body,
            {
                "Webhook-Id": name,
                "Webhook-Timestamp": sent,
                "Webhook-Signature": f"v1,{base64.b64encode(signature).decode()}",
            },
        )

    def _book(self, row: Booked) -> Booked:
        self.booked.append(row)
        return row

    def _ref(self) -> str:
        self._count += 1
        return f"B{self._world}{self._count}"

    def _entry(self, row: Booked, version: str) -> str:
        way = "CRDT" if row.amount > 0 else "DBIT"
        amount = f'<Amt Ccy="{row.currency}">{decimal(abs(row.amount))}</Amt><CdtDbtInd>{way}</CdtDbtInd>'
        status = "BOOK" if version == "02" else "<Cd>BOOK</Cd>"
        text = f"<RmtInf><Ustrd>{escape(row.text)}</Ustrd></RmtInf>" if row.text else ""
        name = f"<Refs><EndToEndId>{row.end_to_end_id}</EndToEndId></Refs>" if row.end_to_end_id else ""
        back = "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>" if row.is_return else ""
        return (
            f"<Ntry>{amount}<Sts>{status}</Sts><AcctSvcrRef>{row.ref}</AcctSvcrRef>"
            f"<NtryDtls><TxDtls>{name}{amount}{text}{back}</TxDtls></NtryDtls></Ntry>"
        )

    def _balance(self, kind: str, amount: int) -> str:
        way = "CRDT" if amount >= 0 else "DBIT"
        value = f'<Amt Ccy="{self._currency}">{decimal(abs(amount))}</Amt><CdtDbtInd>{way}</CdtDbtInd>'
        return f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>{value}</Bal>"


def decimal(amount: int) -> str:
    return f"{amount // 100}.{amount % 100:02d}"
