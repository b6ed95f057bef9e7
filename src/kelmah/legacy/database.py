"""Connections to the old Postgres: one for a long walk through it, and a few kept for single questions."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

#: A row as it is read: every value is text (bytes where the database has no encoding), or nothing.
Row = dict[str, Any]
#: Seconds to connect, and milliseconds for one question that a person waits for.
CONNECT_TIMEOUT_S = 3
QUESTION_TIMEOUT_MS = 2_000
MAX_CONNECTIONS = 4
_OPTIONS: dict[str, str | int] = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "lock_timeout": 5_000,
    "idle_in_transaction_session_timeout": 0,
}


class LegacyUnavailable(Exception):  # named as the kit's errors are
    """The old database does not answer."""


def sqlalchemy_url(url: str) -> str:
    """A libpq address as SQLAlchemy writes it."""
    return "postgresql+psycopg://" + url.partition("://")[2]


def engine(url: str) -> Engine:
    """An engine for a single use. Names are text, also in a database without an encoding."""
    return create_engine(sqlalchemy_url(url), poolclass=NullPool, connect_args={"client_encoding": "utf8"})


async def connect(url: str, *, timeout_ms: int = 0, autocommit: bool = False) -> AsyncConnection[Row]:
    """A connection that shows times in UTC and ISO 8601, and waits for no lock longer than 5 seconds."""
    options = " ".join(f"-c {name}={value}" for name, value in (_OPTIONS | {"statement_timeout": timeout_ms}).items())
    return await AsyncConnection.connect(
        url,
        autocommit=autocommit,
        row_factory=dict_row,
        connect_timeout=CONNECT_TIMEOUT_S,
        application_name="kelmah",
        options=options,
    )


async def fetch(connection: AsyncConnection[Row], query: str, values: Mapping[str, Any] | None = None) -> list[Row]:
    """All rows of a query that is known to have few."""
    cursor = await connection.execute(query.encode(), values or {})
    return await cursor.fetchall()


class Questions:
    """At most `MAX_CONNECTIONS` connections that answer single questions; who comes too much waits in line."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: list[AsyncConnection[Row]] = []
        self._gate = asyncio.Semaphore(MAX_CONNECTIONS)

    async def ask(self, query: str, values: Mapping[str, Any]) -> list[Row]:
        """The rows of a query.

        Raises:
            LegacyUnavailable: no answer in time. The next question has a new connection.
        """
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S + QUESTION_TIMEOUT_MS / 1000), self._gate:
                while self._idle:
                    try:
                        return await self._ask(self._idle.pop(), query, values)
                    except psycopg.OperationalError:
                        continue  # it was closed while it was idle
                fresh = await connect(self._url, timeout_ms=QUESTION_TIMEOUT_MS, autocommit=True)
                return await self._ask(fresh, query, values)
        except (psycopg.Error, TimeoutError) as error:
            raise LegacyUnavailable(type(error).__name__) from error

    async def _ask(self, connection: AsyncConnection[Row], query: str, values: Mapping[str, Any]) -> list[Row]:
        try:
            rows = await fetch(connection, query, values)
        except BaseException:
            await connection.close()
            raise
        self._idle.append(connection)
        return rows

    async def close(self) -> None:
        """End all connections."""
        idle: Sequence[AsyncConnection[Row]] = self._idle
        self._idle = []
        for connection in idle:
            await connection.close()


@asynccontextmanager
async def open_questions(url: str) -> AsyncIterator[Questions]:
    """Questions to a database; nothing is connected before the first."""
    questions = Questions(url)
    try:
        yield questions
    finally:
        await questions.close()
