"""The rows of made-up people as they come to be, and how some of them are spoilt."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from kelmah.cli.legacy import dirt

#: The day on which made-up people stop doing things.
END = datetime(2026, 6, 30, tzinfo=UTC)
#: Tables in the order of their foreign keys.
ORDER = (
    *("users", "credentials", "social_logins", "refresh_tokens", "profiles", "addresses", "user_skills"),
    *("portfolio_items", "settings", "jobs", "applications", "contracts", "milestones", "wallets", "transactions"),
    *("escrows", "disputes", "conversations", "conversation_participants", "messages", "notifications", "reviews"),
)

Row = dict[str, Any]


class World:
    """The rows of one chunk of people."""

    def __init__(self, seed: int, chunk: int, dirty: float, skills: Mapping[str, str]) -> None:
        self.random = Random(f"{seed}/{chunk}")  # noqa: S311  # to be repeated is the purpose
        self.dirty = dirty
        self.rows: dict[str, list[Row]] = {table: [] for table in ORDER}
        self.skills = skills
        self.wallets: dict[str, Row] = {}

    def id(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def when(self, after: datetime, *, days: float) -> datetime:
        found = after + timedelta(seconds=int(self.random.random() * days * 86_400))
        return min(found, END)

    def add(self, table: str, row: Row) -> Row:
        self.rows[table].append(row)
        return row

    def spoiled(self, table: str) -> list[Row]:
        """The rows of a table, a share of them dirty."""
        found: list[Row] = []
        before: Row | None = None
        for row in self.rows[table]:
            spoilers = dirt.SPOILERS.get(table, ())
            if spoilers and self.chance(self.dirty):
                found.append(self.random.choice(spoilers)(dict(row), self.random, before))
            else:
                found.append(row)
            before = row
        return found
