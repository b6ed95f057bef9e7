"""The revisions: up, down, and no difference between the last one and the tables."""

import re
from pathlib import Path

import psycopg
import pytest
from alembic.util.exc import CommandError

from kelmah.legacy import revisions
from kelmah.legacy.tables import metadata
from tests.integration.legacy.conftest import MakeDatabase

SCRIPTS = sorted(Path("alembic/versions").glob("*.py"))


def things(url: str) -> list[tuple[str, str]]:
    """Tables, indexes, constraints and types of the database."""
    query = """SELECT relkind::text, relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname = 'public' AND relname NOT LIKE 'alembic%'
    UNION ALL SELECT 'type', typname FROM pg_type JOIN pg_namespace n ON n.oid = typnamespace
    WHERE nspname = 'public' AND typtype = 'e'
    UNION ALL SELECT 'constraint', conname FROM pg_constraint JOIN pg_namespace n ON n.oid = connamespace
    WHERE nspname = 'public' AND conname NOT LIKE 'alembic%' AND contype <> 'n' ORDER BY 1, 2"""
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def test_each_revision_goes_up_and_down(make_database: MakeDatabase) -> None:
    url = make_database()
    seen = [things(url)]
    for number in range(1, len(SCRIPTS) + 1):
        revisions.upgrade(url, f"{number:04d}")
        assert revisions.current(url) == f"{number:04d}"
        seen.append(things(url))
    assert seen[0] == []
    assert ("type", "user_role") in seen[1]
    assert set(seen[2]) - set(seen[1]) == {("i", "ix_users_email_folded")}
    for number in reversed(range(len(SCRIPTS))):
        revisions.downgrade(url, f"{number:04d}" if number else "base")
        assert things(url) == seen[number]


def test_the_last_revision_is_the_tables(make_database: MakeDatabase) -> None:
    url = make_database()
    revisions.upgrade(url)
    revisions.check(url)
    with psycopg.connect(url) as connection:
        connection.execute("ALTER TABLE users DROP COLUMN phone")
    with pytest.raises(CommandError, match="New upgrade operations detected"):
        revisions.check(url)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda one: one.stem)
def test_no_step_waits_long_for_a_lock(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    for step in re.split(r"^def ", text, flags=re.MULTILINE)[1:]:
        assert re.search(r"SET (LOCAL )?lock_timeout = '5s'", step), f"{script.name}: {step.splitlines()[0]}"


def test_constraints_are_named_by_the_convention() -> None:
    for table in metadata.tables.values():
        names = [one.name for one in table.constraints] + [one.name for one in table.indexes]
        assert [name for name in names if not re.match(rf"(pk|fk|uq|ix|ck)_{table.name}", str(name))] == []


@pytest.mark.slow
def test_a_revision_does_not_wait_behind_others(make_database: MakeDatabase) -> None:
    """A long transaction that holds a table makes it give up, and nothing is half done."""
    url = make_database()
    revisions.upgrade(url)
    with psycopg.connect(url) as holder:
        holder.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Exception, match="lock timeout"):
            revisions.downgrade(url, "base")
    assert revisions.current(url) == "0002"
    assert ("r", "users") in things(url)
