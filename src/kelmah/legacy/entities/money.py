"""Wallets and escrows become opening entries of the ledger; old transactions are kept as they were."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from kelmah.contracts.payment import DisputeStatus, EscrowStatus
from kelmah.legacy.database import Row
from kelmah.legacy.entity import Entity, Group, Part, Reference, To, stays
from kelmah.legacy.reading import Old, Unmappable, major, old_uuid

BASIS_POINTS = 10_000
ESCROW_STATUSES = {
    "held": EscrowStatus.FUNDED,
    "released": EscrowStatus.RELEASED,
    "refunded": EscrowStatus.REFUNDED,
    "disputed": EscrowStatus.DISPUTED,
    "split": EscrowStatus.SETTLED,
}
OLD_ESCROW_STATUSES = {status: word for word, status in ESCROW_STATUSES.items()}
DISPUTE_STATUSES = {
    "open": DisputeStatus.OPEN,
    "under_review": DisputeStatus.IN_REVIEW,
    "resolved": DisputeStatus.RESOLVED,
    "withdrawn": DisputeStatus.WITHDRAWN,
}
CLOSED_DISPUTES = (DisputeStatus.RESOLVED, DisputeStatus.WITHDRAWN)
#: What else a dispute may be is `IN_REVIEW` there.
OLD_DISPUTE_STATUSES = {
    DisputeStatus.OPEN: "open",
    DisputeStatus.IN_REVIEW: "under_review",
    DisputeStatus.RESOLVED: "resolved",
    DisputeStatus.WITHDRAWN: "withdrawn",
}
TRANSACTION_TYPES = {
    word: word
    for word in ("deposit", "withdrawal", "escrow_hold", "escrow_release", "escrow_refund", "fee", "adjustment")
}
TRANSACTION_STATUSES = {word: word for word in ("pending", "completed", "failed", "reversed")}
_REASON_CHARS = 2_000


class OldWallet(msgspec.Struct, frozen=True, kw_only=True):
    """A person's money in one currency."""

    id: str
    user_id: str
    currency: str
    balance: int

    def compared(self) -> "OldWallet":
        return self


class OldTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """A movement of before. `amount` is signed minor units."""

    id: str
    wallet_id: str
    user_id: str
    kind: str
    amount: int
    currency: str
    status: str
    reference: str | None
    created_at: datetime

    def compared(self) -> "OldTransaction":
        return self


class OldDispute(msgspec.Struct, frozen=True, kw_only=True):
    """A quarrel over an escrow, perhaps settled."""

    id: str
    raised_by: str
    reason: str
    status: DisputeStatus
    created_at: datetime
    worker_amount: int | None = None
    hirer_amount: int | None = None
    note: str | None = None
    resolved_by: str | None = None
    resolved_at: datetime | None = None


class OldEscrow(msgspec.Struct, frozen=True, kw_only=True):
    """Money of a milestone, held or paid out."""

    id: str
    contract_id: str
    milestone_id: str
    hirer_id: str
    worker_id: str
    amount: int
    fee: int
    fee_basis_points: int
    currency: str
    status: EscrowStatus
    created_at: datetime
    updated_at: datetime | None = None
    disputes: tuple[OldDispute, ...] = ()

    @property
    def ruling(self) -> OldDispute | None:
        """The dispute that split it."""
        return next((one for one in self.disputes if one.worker_amount is not None), None)

    def compared(self) -> "OldEscrow":
        return msgspec.structs.replace(self, updated_at=None)


def make_wallet(group: Group) -> OldWallet:
    row = group.root
    currency = row.currency("currency")
    balance = row.minor("balance", currency)
    booked = row.minor_of("balance", row.raw("booked") or "0", currency, signed=True)
    if booked != balance:
        raise row.fault("balance", "its completed transactions do not add up to it")
    return OldWallet(id=row.id("id", "wallets"), user_id=row.id("user_id", "users"), currency=currency, balance=balance)


def make_transaction(group: Group) -> OldTransaction:
    row = group.root
    currency = row.currency("currency")
    return OldTransaction(
        id=row.id("id", "transactions"),
        wallet_id=row.id("wallet_id", "wallets"),
        user_id=row.id("user_id", "users"),
        kind=row.choice("type", TRANSACTION_TYPES),
        amount=row.minor("amount", currency, signed=True),
        currency=currency,
        status=row.choice("status", TRANSACTION_STATUSES),
        reference=row.optional_line("reference", 120),
        created_at=row.instant("created_at"),
    )


def make_escrow(group: Group) -> OldEscrow:
    row = group.root
    currency = row.currency("currency")
    amount, fee = row.minor("amount", currency), row.minor("fee", currency)
    if amount == 0:
        raise row.fault("amount", "nothing")
    status = row.choice("status", ESCROW_STATUSES)
    disputes = tuple(group.rows("disputes", lambda one: _dispute(one, currency)))
    escrow = OldEscrow(
        id=row.id("id", "escrows"),
        contract_id=row.id("contract_id", "contracts"),
        milestone_id=row.id("milestone_id", "milestones"),
        hirer_id=row.id("hirer_id", "users"),
        worker_id=row.id("worker_id", "users"),
        amount=amount,
        fee=fee,
        fee_basis_points=_basis_points(row, amount, fee),
        currency=currency,
        status=status,
        created_at=row.instant("created_at"),
        updated_at=row.soft(lambda: row.optional_instant("updated_at"), None),
        disputes=disputes,
    )
    _check_disputes(row, escrow)
    return escrow


def _check_disputes(row: Old, escrow: OldEscrow) -> None:
    is_open = sum(one.status not in CLOSED_DISPUTES for one in escrow.disputes)
    if is_open != (escrow.status is EscrowStatus.DISPUTED):
        raise row.fault("status", f"{row.raw('status')}, and {is_open} disputes are open")
    if escrow.status is not EscrowStatus.SETTLED:
        return
    ruling = escrow.ruling
    if ruling is None or (ruling.worker_amount or 0) + (ruling.hirer_amount or 0) != escrow.amount:
        raise row.fault("amount", "no ruling adds up to it")


def _basis_points(row: Old, amount: int, fee: int) -> int:
    """The share that makes exactly this fee, rounded down."""
    near = fee * BASIS_POINTS // amount
    for points in (near, near + 1):
        if 0 <= points <= BASIS_POINTS and amount * points // BASIS_POINTS == fee:
            return points
    raise row.fault("fee", "no share in basis points makes it")


def _dispute(row: Old, currency: str) -> OldDispute:
    status = row.choice("status", DISPUTE_STATUSES)
    amounts = {
        name: row.minor(name, currency) if status in CLOSED_DISPUTES and row.raw(name) is not None else None
        for name in ("worker_amount", "hirer_amount")
    }
    if (amounts["worker_amount"] is None) != (amounts["hirer_amount"] is None):
        raise Unmappable("disputes.worker_amount: a ruling of one side only")
    return OldDispute(
        id=row.id("id", "disputes"),
        raised_by=row.id("raised_by", "users"),
        reason=row.optional_text("reason", _REASON_CHARS) or "(none was given)",
        status=status,
        created_at=row.instant("created_at"),
        note=row.optional_text("resolution", _REASON_CHARS),
        resolved_by=row.optional_id("resolved_by", "users"),
        resolved_at=row.soft(lambda: row.optional_instant("resolved_at"), None),
        **amounts,
    )


def wallet_rows(wallet: OldWallet) -> Iterator[tuple[str, Row]]:
    """As the old table has it."""
    yield (
        "wallets",
        {
            "id": old_uuid(wallet.id),
            "user_id": old_uuid(wallet.user_id),
            "currency": wallet.currency,
            "balance": major(wallet.balance, wallet.currency),
        },
    )


def transaction_rows(transaction: OldTransaction) -> Iterator[tuple[str, Row]]:
    """As the old table has it."""
    yield (
        "transactions",
        {
            "id": old_uuid(transaction.id),
            "wallet_id": old_uuid(transaction.wallet_id),
            "type": transaction.kind,
            "amount": major(transaction.amount, transaction.currency),
            "status": transaction.status,
            "reference": transaction.reference,
            "created_at": transaction.created_at,
        },
    )


def escrow_rows(escrow: OldEscrow) -> Iterator[tuple[str, Row]]:
    """As the old tables have it, once there is money in it."""
    if escrow.status not in OLD_ESCROW_STATUSES:
        return
    yield (
        "escrows",
        {
            "id": old_uuid(escrow.id),
            "contract_id": old_uuid(escrow.contract_id),
            "milestone_id": old_uuid(escrow.milestone_id),
            "hirer_id": old_uuid(escrow.hirer_id),
            "worker_id": old_uuid(escrow.worker_id),
            "amount": major(escrow.amount, escrow.currency),
            "fee": major(escrow.fee, escrow.currency),
            "currency": escrow.currency,
            "status": OLD_ESCROW_STATUSES[escrow.status],
            "created_at": escrow.created_at,
            "updated_at": escrow.updated_at,
        },
    )
    for one in escrow.disputes:
        amounts = {
            name: None if value is None else major(value, escrow.currency)
            for name, value in (("worker_amount", one.worker_amount), ("hirer_amount", one.hirer_amount))
        }
        yield (
            "disputes",
            {
                "id": old_uuid(one.id),
                "escrow_id": old_uuid(escrow.id),
                "raised_by": old_uuid(one.raised_by),
                "reason": one.reason,
                "status": OLD_DISPUTE_STATUSES[one.status],
                "resolution": one.note,
                "resolved_by": one.resolved_by and old_uuid(one.resolved_by),
                "resolved_at": one.resolved_at,
                "created_at": one.created_at,
                **amounts,
            },
        )


_BOOKED = "SELECT sum(x.amount) FROM {transactions} x WHERE x.wallet_id = t.id AND x.status::text = 'completed'"

WALLETS = Entity(
    name="wallets",
    service="payment",
    make=make_wallet,
    rows=wallet_rows,
    references=(Reference("user_id", "users", "auth", strict=True),),
    root=Part(
        table="wallets",
        extra={"booked": _BOOKED},
        columns={
            "id": To("ledger_entries.facts.legacy_id", "the reference is `opening:wallet:<id>`"),
            "user_id": To("ledger_accounts `wallet:<user>:<currency>`"),
            "currency": To("ledger_accounts `wallet:<user>:<currency>`"),
            "balance": To(
                "an opening entry from `clearing:legacy:<currency>`",
                "minor units; refused unless the completed transactions add up to it; nothing needs no entry",
            ),
            "created_at": stays("the ledger knows the instant of the move"),
            "updated_at": stays("the ledger knows the instant of the move"),
        },
    ),
)

TRANSACTIONS = Entity(
    name="transactions",
    service="payment",
    make=make_transaction,
    rows=transaction_rows,
    references=(Reference("wallet_id", "wallets", "payment", strict=True),),
    root=Part(
        table="transactions",
        extra={
            "user_id": "SELECT w.user_id FROM {wallets} w WHERE w.id = t.wallet_id",
            "currency": "SELECT w.currency FROM {wallets} w WHERE w.id = t.wallet_id",
        },
        columns={
            "id": To("legacy_transactions._id", "kept for the books; the opening entry has their sum"),
            "wallet_id": To("legacy_transactions.wallet_id"),
            "type": To("legacy_transactions.kind"),
            "amount": To("legacy_transactions.amount", "minor units; NaN is refused"),
            "status": To("legacy_transactions.status"),
            "reference": To("legacy_transactions.reference", "sealed"),
            "details": stays("what a provider said at the time"),
            "created_at": To("legacy_transactions.created_at"),
        },
    ),
)

ESCROWS = Entity(
    name="escrows",
    service="payment",
    make=make_escrow,
    rows=escrow_rows,
    references=(
        Reference("contract_id", "contracts", "job", strict=True),
        Reference("milestone_id", "milestones", "job", strict=True),
    ),
    root=Part(
        table="escrows",
        columns={
            "id": To("escrows._id", "the UUID without dashes"),
            "contract_id": To("escrows.contract_id"),
            "milestone_id": To("escrows.milestone_id"),
            "hirer_id": To("escrows.hirer_id"),
            "worker_id": To("escrows.worker_id"),
            "amount": To(
                "escrows.amount, and an opening entry from `clearing:legacy:<currency>` while money is inside",
                "minor units",
            ),
            "fee": To("escrows.fee_basis_points", "refused if no share in basis points makes it"),
            "currency": To("escrows.currency"),
            "status": To("escrows.status", "see `ESCROW_STATUSES`; disputed and split need their dispute"),
            "created_at": To("escrows.created_at"),
            "updated_at": To("escrows.updated_at"),
        },
    ),
    children=(
        Part(
            table="disputes",
            of="escrow_id",
            columns={
                "id": To("disputes._id", "the UUID without dashes"),
                "escrow_id": To("disputes.escrow_id"),
                "raised_by": To("disputes.raised_by"),
                "reason": To("disputes.reason"),
                "status": To("disputes.status", "under_review → in_review"),
                "worker_amount": To("disputes.worker_amount"),
                "hirer_amount": To("disputes.hirer_amount"),
                "resolution": To("disputes.note"),
                "resolved_by": To("disputes.resolved_by"),
                "resolved_at": To("disputes.resolved_at"),
                "created_at": To("disputes.created_at"),
            },
        ),
    ),
)
