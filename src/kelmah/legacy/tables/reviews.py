"""What the sides of contracts said of each other."""

from sqlalchemy import Column, SmallInteger, Table, Text, UniqueConstraint

from kelmah.legacy.tables.base import choice, created, instant, json, key, loose, metadata

reviews = Table(
    "reviews",
    metadata,
    key(),
    loose("contract_id"),
    loose("reviewer_id"),
    loose("subject_id"),
    Column("rating", SmallInteger, nullable=False),
    json("criteria"),
    Column("text", Text),
    Column("reply", Text),
    instant("replied_at"),
    choice("status", "review_status", "published", "pending", "hidden", "removed", default="published"),
    created(),
    UniqueConstraint("contract_id", "reviewer_id"),
)
