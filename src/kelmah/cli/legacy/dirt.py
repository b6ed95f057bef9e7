"""What is wrong with old rows: ways to spoil one, by table. Each is what the database lets in."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

Row = dict[str, Any]
#: Gives the row as it is when spoilt; the third is the row before it.
Spoil = Callable[[Row, Random, Row | None], Row]
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


def sets(column: str, value: Any) -> Spoil:
    """Puts a value where another was."""

    def spoil(row: Row, random: Random, _: Row | None) -> Row:
        return row | {column: value(random) if callable(value) else value}

    return spoil


def _nobody(random: Random) -> str:
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def _twin(row: Row, random: Random, before: Row | None) -> Row:
    """The address of the row before, in capitals."""
    return row if before is None else row | {"email": before["email"].upper()}


def _as_before(*columns: str) -> Spoil:
    """What the row before has, where no two may have it."""

    def spoil(row: Row, random: Random, before: Row | None) -> Row:
        return row if before is None else row | {name: before[name] for name in columns}

    return spoil


SPOILERS: Mapping[str, Sequence[Spoil]] = {
    "users": (
        _twin,
        _twin,
        sets("email", lambda random: f"not-an-address-{random.getrandbits(40)}"),
        sets("email", lambda random: f"two@at@{random.getrandbits(40)}.example"),
        sets("phone", "12"),
        sets("phone", "call my brother"),
        sets("first_name", None),
        sets("first_name", "A\u202eb"),
        sets("last_name", "x" * 100),
        sets("role", "bot"),
        sets("created_at", _LONG_AGO),
        sets("created_at", "infinity"),
        sets("created_at", datetime(2091, 1, 1, tzinfo=UTC)),
        sets("email_verified_at", "infinity"),
        sets("last_login_at", "-infinity"),
    ),
    "credentials": (sets("password_hash", "5f4dcc3b5aa765d61d8327deb882cf99"), sets("password_hash", None)),
    "social_logins": (sets("created_at", _LONG_AGO),),
    "profiles": (
        sets("user_id", _nobody),
        sets("hourly_rate", Decimal("NaN")),
        sets("hourly_rate", Decimal(-5)),
        sets("languages", '"english"'),
        sets("languages", '{"en": true}'),
        sets("availability", "sleeping"),
        sets("headline", "two\nlines"),
        sets("date_of_birth", datetime(2091, 1, 1, tzinfo=UTC).date()),
    ),
    "addresses": (
        sets("user_id", _nobody),
        sets("latitude", Decimal(123)),
        sets("region", "Atlantis"),
        sets("is_primary", False),
        sets("deleted_at", datetime(2026, 1, 1, tzinfo=UTC)),
    ),
    "user_skills": (sets("years_experience", -3), sets("user_id", _nobody)),
    "portfolio_items": (sets("title", None), sets("completed_on", datetime(2091, 1, 1, tzinfo=UTC).date())),
    "settings": (sets("time_zone", "Mars/Olympus"), sets("notifications", "[1, 2]"), sets("locale", "??")),
    "jobs": (
        sets("hirer_id", _nobody),
        sets("budget", Decimal("NaN")),
        sets("budget", Decimal(-100)),
        sets("budget", None),
        sets("status", "haunted"),
        sets("location", '{"town": "Accra"}'),
        sets("location", None),
        sets("category", "Moon polisher"),
        sets("currency", "gh"),
        sets("title", None),
        sets("skills", '{"a": 1}'),
        sets("deleted_at", datetime(2026, 1, 1, tzinfo=UTC)),
    ),
    "applications": (
        sets("worker_id", _nobody),
        sets("proposed_rate", Decimal("NaN")),
        sets("milestones", '[{"title": "All", "amount": "1.00"}]'),
        sets("milestones", '"none"'),
        sets("status", "ghosted"),
        _as_before("job_id", "worker_id", "status"),
    ),
    "contracts": (
        sets("hirer_id", _nobody),
        sets("total", Decimal(1)),
        sets("total", Decimal("NaN")),
        sets("created_at", "infinity"),
        sets("application_id", None),
        _as_before("application_id"),
    ),
    "milestones": (sets("amount", Decimal(-1)), sets("amount", Decimal("NaN")), sets("status", "disputed")),
    "wallets": (
        sets("currency", "cedi"[:3]),
        sets("created_at", _LONG_AGO),
    ),
    "transactions": (
        sets("amount", Decimal("NaN")),
        sets("amount", Decimal("0.01")),
        sets("status", "pending"),
        sets("created_at", "infinity"),
    ),
    "escrows": (sets("amount", Decimal("NaN")), sets("fee", Decimal("0.07")), sets("worker_id", _nobody)),
    "disputes": (sets("reason", None), sets("worker_amount", Decimal(-1)), sets("status", "resolved")),
    "conversations": (sets("kind", "group"), sets("contract_id", None), _as_before("contract_id")),
    "conversation_participants": (sets("last_read_at", "infinity"),),
    "messages": (
        sets("sender_id", _nobody),
        sets("body", None),
        sets("body", "y" * 10_001),
        sets("sent_at", "-infinity"),
        sets("attachments", '[{"url": "https://cdn.example.com/a.pdf"}]'),
    ),
    "notifications": (
        sets("type", "poke"),
        sets("data", "[]"),
        sets("data", '{"amount": 3}'),
        sets("user_id", _nobody),
    ),
    "reviews": (sets("rating", 0), sets("rating", 11), sets("criteria", '{"charm": 5}'), sets("contract_id", _nobody)),
}
