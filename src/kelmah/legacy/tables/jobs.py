"""What people do for each other: jobs, applications, contracts, milestones."""

from sqlalchemy import TIMESTAMP, Column, Date, Integer, String, Table, Text

from kelmah.legacy.tables.base import (
    choice,
    created,
    currency,
    deleted,
    flag,
    instant,
    json,
    key,
    loose,
    metadata,
    money,
    owner,
    updated,
)

jobs = Table(
    "jobs",
    metadata,
    key(),
    loose("hirer_id"),
    Column("title", String(200)),
    Column("description", Text),
    Column("category", String(80)),
    json("skills", "[]"),
    money("budget", nullable=True),
    currency(),
    json("location"),
    # Free text, in which each release of the old code had words of its own.
    Column("status", String(32), nullable=False, server_default="draft"),
    flag("is_urgent", default=False),
    # Written without a zone by a server in Accra.
    Column("deadline", TIMESTAMP(timezone=False)),
    instant("published_at"),
    created(),
    updated(),
    deleted(),
)

applications = Table(
    "applications",
    metadata,
    key(),
    owner("job_id", "jobs"),
    loose("worker_id"),
    Column("cover_letter", Text),
    money("proposed_rate", nullable=True),
    currency(),
    json("milestones", "[]"),
    Column("status", String(32), nullable=False, server_default="submitted"),
    created(),
    updated(),
)

contracts = Table(
    "contracts",
    metadata,
    key(),
    owner("job_id", "jobs"),
    loose("application_id", nullable=True),
    loose("hirer_id"),
    loose("worker_id"),
    Column("title", String(200)),
    Column("description", Text),
    money("total"),
    currency(),
    choice(
        *("status", "contract_status", "pending_signature", "active", "completed", "cancelled", "archived"),
        default="pending_signature",
    ),
    instant("hirer_signed_at"),
    instant("worker_signed_at"),
    instant("completed_at"),
    instant("cancelled_at"),
    created(),
    updated(),
)

milestones = Table(
    "milestones",
    metadata,
    key(),
    owner("contract_id", "contracts"),
    Column("position", Integer, nullable=False, server_default="0"),
    Column("title", String(200)),
    money("amount"),
    choice(
        *("status", "milestone_status", "pending", "funded", "in_progress", "submitted", "approved", "paid"),
        *("disputed", "refunded", "cancelled"),
        default="pending",
    ),
    Column("due_on", Date),
    instant("submitted_at"),
    instant("approved_at"),
)
