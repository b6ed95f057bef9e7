"""What an entry of the ledger is, and an account: the rules that each one holds by itself, before any is stored."""

import hashlib
import json
import zlib
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, NamedTuple

from beanie import Document
from pydantic import BaseModel
from pymongo import ASCENDING, DESCENDING, IndexModel

from kelmah.services.payment.errors import LedgerError

#: Kinds of accounts that belong to one person or one escrow and may not be overdrawn.
BOUNDED = frozenset({"wallet", "escrow"})
#: Kinds of accounts of the platform itself.
SYSTEM = frozenset({"fees", "clearing", "suspense", "transit", "chargebacks", "losses", "tax", "costs"})
SLOTS = 16


class Posting(NamedTuple):
    """`amount` minor units (never zero) into the account, or out of it when negative."""

    account: str
    amount: int

    @property
    def kind(self) -> str:
        return self.account.partition(":")[0]

    @property
    def currency(self) -> str:
        return self.account.rpartition(":")[2]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A movement of money. `reference` names the effect: the same one cannot be posted twice."""

    reference: str
    kind: str
    postings: tuple[Posting, ...]
    facts: dict[str, str]

    def __post_init__(self) -> None:
        """Raises LedgerError unless the postings are whole, distinct and sum to zero per currency."""
        sums: defaultdict[str, int] = defaultdict(int)
        for posting in self.postings:
            if type(posting.amount) is not int or posting.amount == 0:
                raise LedgerError("a posting moves a whole number of minor units, not none")
            if posting.kind not in BOUNDED | SYSTEM:
                raise LedgerError("a posting names a known kind of account")
            sums[posting.currency] += posting.amount
        if len({posting.account for posting in self.postings}) != len(self.postings):
            raise LedgerError("an entry touches an account once")
        if len(self.postings) < 2 or any(sums.values()):
            raise LedgerError("the postings of an entry sum to zero per currency")


class PostingRow(BaseModel):
    """A stored posting: `key` is the account's document, `sequence` counts its postings from 1 without gaps."""

    account: str
    key: str
    amount: int
    currency: str
    sequence: int
    balance: int
    previous: str = ""


class EntryDocument(Document):
    """One movement of money, for ever."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    reference: str
    kind: str
    postings: list[PostingRow]
    facts: dict[str, str]
    at: datetime
    hash: str = ""

    class Settings:
        name = "ledger_entries"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("reference", ASCENDING)], unique=True, name="reference"),
            IndexModel([("postings.account", ASCENDING), ("_id", DESCENDING)], name="account"),
            IndexModel([("postings.account", ASCENDING), ("at", ASCENDING)], name="account_at"),
            IndexModel([("at", ASCENDING)], name="at"),
        ]


class AccountDocument(Document):
    """What one account holds: always the sum of its postings."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    account: str
    kind: str
    currency: str
    balance: int
    sequence: int
    head: str = ""

    class Settings:
        name = "ledger_accounts"
        indexes: ClassVar[list[IndexModel]] = [IndexModel([("account", ASCENDING)], name="account")]


def wallet(user_id: str, currency: str) -> str:
    """The account of a person's money in one currency."""
    return f"wallet:{user_id}:{currency}"


def digest(entry: EntryDocument) -> str:
    """The hash of an entry and, through `previous`, of all that went before it on its accounts."""
    rows = [
        [row.account, row.key, row.amount, row.currency, row.sequence, row.balance, row.previous]
        for row in entry.postings
    ]
    facts = sorted(entry.facts.items())
    content = [entry.id, entry.reference, str(entry.kind), rows, facts, entry.at.isoformat(timespec="milliseconds")]
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def account_key(posting: Posting, reference: str) -> str:
    """The account's document that a posting of this entry goes into."""
    slot = f"#{zlib.crc32(reference.encode()) % SLOTS:02d}" if posting.kind in SYSTEM else ""
    return posting.account + slot
