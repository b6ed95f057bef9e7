"""A made-up old database: realistic people, deals and money, of which a share is dirty in the ways that old data is.

The same seed makes the same rows. Money adds up, but where it is meant not to: wallets are the sum of their completed
transactions, escrows are what their milestones cost. Passwords are hashed with bcrypt at the lowest cost (4), from a
thousand hashes that people share, so that a large database is made in minutes: see `password`.
"""

import uuid
from collections.abc import Callable
from random import Random
from typing import Any

import psycopg
from psycopg import sql

from kelmah.cli.legacy.generating.deals import job
from kelmah.cli.legacy.generating.people import PASSWORDS, password, person
from kelmah.cli.legacy.generating.world import ORDER, Row, World
from kelmah.contracts import taxonomy

__all__ = ["ORDER", "PASSWORDS", "generate", "password"]

#: People whose rows are in memory at once.
CHUNK = 2_000


def generate(
    url: str, *, users: int, seed: int, dirty: float, tell: Callable[[int], None] = lambda _: None
) -> dict[str, int]:
    """Fill an empty database that has the baseline; gives the rows of each table. All or nothing."""
    made: dict[str, int] = dict.fromkeys(("skills", *ORDER), 0)
    with psycopg.connect(url) as connection:
        skills = _skills(connection, seed)
        made["skills"] = len(skills)
        for chunk, start in enumerate(range(0, users, CHUNK)):
            world = World(seed, chunk, dirty, skills)
            people = [person(world, number) for number in range(start, min(start + CHUNK, users))]
            workers = [one for one in people if one["role"] == "worker"]
            for each in people:
                if each["role"] == "client" and world.chance(0.8):
                    job(world, each, workers)
            for table in ORDER:
                rows = world.spoiled(table)
                _copy(connection, table, rows)
                made[table] += len(rows)
            tell(min(start + CHUNK, users))
    return made


def _skills(connection: psycopg.Connection[Any], seed: int) -> dict[str, str]:
    """The old list of trades: those of the taxonomy, and one that nobody knows."""
    random = Random(seed)  # noqa: S311
    names = [one.name for one in taxonomy.skills().values() if one.parent] + ["Moon polisher"]
    rows = {name: str(uuid.UUID(int=random.getrandbits(128), version=4)) for name in names}
    _copy(connection, "skills", [{"id": key, "name": name} for name, key in rows.items()])
    known = [name for name in names if taxonomy.resolve(name)]
    return {name: rows[name] for name in known}


def _copy(connection: psycopg.Connection[Any], table: str, rows: list[Row]) -> None:
    if not rows:
        return
    columns = list(rows[0])
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row([row[name] for name in columns])
