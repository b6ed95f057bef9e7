"""What people say of themselves: profiles, addresses, skills, portfolio, settings."""

from sqlalchemy import Column, Date, Integer, Numeric, String, Table, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import UUID

from kelmah.legacy.tables.base import (
    created,
    currency,
    deleted,
    flag,
    json,
    key,
    loose,
    metadata,
    money,
    owner,
    updated,
)

profiles = Table(
    "profiles",
    metadata,
    Column("user_id", UUID(as_uuid=False), primary_key=True),
    Column("headline", String(200)),
    Column("bio", Text),
    Column("company", String(200)),
    money("hourly_rate", nullable=True),
    currency(),
    json("languages", "[]"),
    Column("availability", String(32), nullable=False, server_default="available"),
    flag("is_public", default=True),
    Column("avatar_url", Text),
    Column("date_of_birth", Date),
    created(),
    updated(),
)

addresses = Table(
    "addresses",
    metadata,
    key(),
    loose("user_id"),
    Column("line1", String(200)),
    Column("line2", String(200)),
    Column("city", String(80)),
    Column("region", String(80)),
    Column("country", String(2)),
    Column("latitude", Numeric(9, 6)),
    Column("longitude", Numeric(9, 6)),
    flag("is_primary", default=False),
    created(),
    deleted(),
)

skills = Table("skills", metadata, key(), Column("name", String(80), nullable=False, unique=True))

user_skills = Table(
    "user_skills",
    metadata,
    key(),
    loose("user_id"),
    owner("skill_id", "skills"),
    Column("years_experience", Integer),
    created(),
    UniqueConstraint("user_id", "skill_id"),
)

portfolio_items = Table(
    "portfolio_items",
    metadata,
    key(),
    loose("user_id"),
    Column("title", String(200)),
    Column("description", Text),
    Column("completed_on", Date),
    json("image_urls", "[]"),
    created(),
    deleted(),
)

settings = Table(
    "settings",
    metadata,
    Column("user_id", UUID(as_uuid=False), primary_key=True),
    Column("locale", String(16)),
    Column("time_zone", String(64)),
    Column("currency", String(3)),
    json("notifications", "{}"),
    updated(),
)
