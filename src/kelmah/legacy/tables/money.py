"""Money: wallets with their balance, the transactions that it should be the sum of, escrows and disputes."""

from sqlalchemy import Column, String, Table, Text, UniqueConstraint

from kelmah.legacy.tables.base import (
    choice,
    created,
    currency,
    instant,
    json,
    key,
    loose,
    metadata,
    money,
    owner,
    updated,
)

wallets = Table(
    "wallets",
    metadata,
    key(),
    loose("user_id", index=False),
    currency(),
    money("balance"),
    created(),
    updated(),
    UniqueConstraint("user_id", "currency"),
)

transactions = Table(
    "transactions",
    metadata,
    key(),
    owner("wallet_id", "wallets"),
    choice(
        *("type", "transaction_type", "deposit", "withdrawal", "escrow_hold", "escrow_release", "escrow_refund"),
        *("fee", "adjustment"),
        default="deposit",
    ),
    # Signed: out of the wallet is negative.
    money("amount"),
    choice("status", "transaction_status", "pending", "completed", "failed", "reversed", default="pending"),
    Column("reference", String(120)),
    json("details", "{}"),
    created(),
)

escrows = Table(
    "escrows",
    metadata,
    key(),
    loose("contract_id"),
    loose("milestone_id"),
    loose("hirer_id", index=False),
    loose("worker_id", index=False),
    money("amount"),
    money("fee"),
    currency(),
    choice("status", "escrow_status", "held", "released", "refunded", "disputed", "split", default="held"),
    created(),
    updated(),
)

disputes = Table(
    "disputes",
    metadata,
    key(),
    owner("escrow_id", "escrows"),
    loose("raised_by", index=False),
    Column("reason", Text),
    choice("status", "dispute_status", "open", "under_review", "resolved", "withdrawn", default="open"),
    money("worker_amount", nullable=True),
    money("hirer_amount", nullable=True),
    Column("resolution", Text),
    loose("resolved_by", nullable=True, index=False),
    instant("resolved_at"),
    created(),
)
