"""What people wrote to each other, and what they were told."""

from sqlalchemy import Column, String, Table, Text

from kelmah.legacy.tables.base import created, deleted, flag, instant, json, key, loose, metadata, owner

conversations = Table(
    "conversations",
    metadata,
    key(),
    Column("kind", String(16), nullable=False, server_default="direct"),
    loose("contract_id", nullable=True),
    created(),
    instant("last_message_at"),
)

conversation_participants = Table(
    "conversation_participants",
    metadata,
    owner("conversation_id", "conversations", primary=True),
    Column("user_id", key().type, primary_key=True),
    instant("last_read_at"),
    flag("is_muted", default=False),
    flag("is_archived", default=False),
)

messages = Table(
    "messages",
    metadata,
    key(),
    owner("conversation_id", "conversations"),
    loose("sender_id", index=False),
    Column("body", Text),
    json("attachments", "[]"),
    instant("sent_at", nullable=False),
    instant("edited_at"),
    deleted(),
)

notifications = Table(
    "notifications",
    metadata,
    key(),
    loose("user_id"),
    Column("type", String(64), nullable=False),
    json("data", "{}"),
    instant("read_at"),
    created(),
)
