"""Who may log in: users, their passwords, logins by other providers, and refresh tokens."""

from sqlalchemy import Column, Index, Integer, String, Table, UniqueConstraint, func

from kelmah.legacy.tables.base import choice, created, deleted, flag, instant, key, metadata, owner, updated

users = Table(
    "users",
    metadata,
    key(),
    # Unique as typed, so that ama@x.gh and Ama@x.gh are two people here.
    Column("email", String(255), nullable=False, unique=True),
    Column("phone", String(40)),
    Column("first_name", String(100)),
    Column("last_name", String(100)),
    choice("role", "user_role", "worker", "client", "moderator", "support", "admin", "bot", default="client"),
    choice("status", "user_status", "active", "pending", "suspended", "banned", "deleted", default="pending"),
    instant("email_verified_at"),
    instant("last_login_at"),
    created(),
    updated(),
    deleted(),
)
# Revision 0002: the bridge looks people up by it.
Index("ix_users_email_folded", func.lower(func.btrim(users.c.email)))

credentials = Table(
    "credentials",
    metadata,
    owner("user_id", "users", primary=True),
    Column("password_hash", String(255)),
    Column("algorithm", String(16), nullable=False, server_default="bcrypt"),
    Column("failed_attempts", Integer, nullable=False, server_default="0"),
    Column("totp_secret", String(64)),
    flag("totp_enabled", default=False),
    instant("changed_at"),
)

social_logins = Table(
    "social_logins",
    metadata,
    key(),
    owner("user_id", "users"),
    Column("provider", String(32), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("access_token", String),
    created(),
    UniqueConstraint("provider", "subject"),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    key(),
    owner("user_id", "users"),
    Column("token_hash", String(128), nullable=False, unique=True),
    Column("user_agent", String(512)),
    Column("ip", String(64)),
    instant("expires_at", nullable=False),
    instant("revoked_at"),
    created(),
)
