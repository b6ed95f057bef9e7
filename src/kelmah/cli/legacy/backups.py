"""`kelmah legacy backup` and `restore`, by PostgreSQL's own programs."""

import shutil
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from kelmah.cli.backends.postgres import find_binaries
from kelmah.cli.legacy.plan import LegacyError
from kelmah.cli.processes import CommandError, run_command

#: A dump of a large database takes hours.
TIMEOUT_S = 24 * 3600.0
_ENVIRONMENT = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}


def _program(name: str) -> str:
    """PostgreSQL's program of this name: on the PATH, or beside the server that we know of."""
    return shutil.which(name) or str(find_binaries()[0] / name)


def _environment(url: str) -> dict[str, str]:
    """How the programs are told of a database, so that no password shows in the list of processes."""
    return {_ENVIRONMENT[name]: str(value) for name, value in conninfo_to_dict(url).items() if name in _ENVIRONMENT}


async def backup(url: str, file: Path) -> None:
    """Write the whole database into a file that `restore` reads; as of one instant, while others write.

    Raises:
        LegacyError: the file is there already, or pg_dump failed.
    """
    if file.exists():
        raise LegacyError(f"{file} is there already")
    unfinished = file.with_name(f".{file.name}.unfinished")
    await _run(url, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={unfinished}")
    unfinished.rename(file)


async def restore(url: str, file: Path) -> dict[str, int]:
    """Fill an empty database from a file, all or nothing. Gives the rows of each table.

    Raises:
        LegacyError: there is no such file, the database is not empty, or pg_restore failed.
    """
    if not file.exists():
        raise LegacyError(f"there is no {file}")
    if tables := _tables(url):
        raise LegacyError(f"the database is not empty: it has {len(tables)} tables, such as {tables[0]}")
    database = _environment(url)["PGDATABASE"]
    await _run(
        *(url, "pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges"),
        *(f"--dbname={database}", str(file)),
    )
    with psycopg.connect(url) as connection:
        return {
            table: connection.execute(f'SELECT count(*) FROM "{table}"'.encode()).fetchone()[0]  # type: ignore[index]  # a count is always there
            for table in _tables(url)
        }


def _tables(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename"
        ).fetchall()
    return [row[0] for row in rows]


async def _run(url: str, name: str, *options: str) -> None:
    try:
        await run_command(_program(name), *options, timeout_s=TIMEOUT_S, env=_environment(url))
    except CommandError as error:
        raise LegacyError(f"{name} failed: {error}") from error
