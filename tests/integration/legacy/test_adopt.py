"""A database that differs from the baseline is read through a mapping file, without code."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kelmah.cli.legacy import adopt, generating
from kelmah.cli.legacy.moving import Mover
from kelmah.cli.legacy.plan import MAPPING, chosen, open_work
from kelmah.cli.legacy.verifying import verify
from kelmah.cli.legacy.writing_back import write_back
from kelmah.contracts.common import Role
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id as fresh_id
from kelmah.legacy import adopting, revisions
from kelmah.legacy.entities import ENTITIES
from kelmah.legacy.layout import Layout, LayoutError, load, load_file
from kelmah.legacy.reading import new_id
from kelmah.services.job.service import jobs
from tests.integration.legacy.conftest import Environ, MakeDatabase

#: What somebody else called things, and how they kept time and money.
CHANGES = """
ALTER TABLE users RENAME TO members;
ALTER TABLE members RENAME COLUMN email TO mail_address;
ALTER TABLE members ALTER COLUMN role DROP DEFAULT;
ALTER TABLE members ALTER COLUMN role TYPE text USING CASE role::text WHEN 'client' THEN 'CUSTOMER' ELSE role::text END;
ALTER TABLE members ADD COLUMN full_name text;
UPDATE members SET full_name = first_name || ' ' || last_name;
ALTER TABLE members DROP COLUMN first_name;
ALTER TABLE members DROP COLUMN last_name;
ALTER TABLE wallets ALTER COLUMN balance TYPE bigint USING (balance * 100)::bigint;
ALTER TABLE transactions ALTER COLUMN amount TYPE bigint USING (amount * 100)::bigint;
ALTER TABLE jobs ALTER COLUMN created_at DROP DEFAULT;
ALTER TABLE jobs ALTER COLUMN created_at TYPE bigint USING (extract(epoch FROM created_at) * 1000)::bigint;
ALTER TABLE jobs ALTER COLUMN deadline TYPE timestamp USING '2027-01-01 12:00';
DROP TABLE notifications;
"""
MAP = """
schema = "public"
[tables.users]
table = "members"
columns.email = { column = "mail_address" }
columns.first_name = { sql = "split_part(full_name, ' ', 1)" }
columns.last_name = { sql = "split_part(full_name, ' ', 2)" }
columns.role = { values = { CUSTOMER = "client" } }
[tables.wallets]
columns.balance = { unit = "minor" }
[tables.transactions]
columns.amount = { unit = "minor" }
[tables.jobs]
columns.created_at = { unit = "epoch_ms" }
columns.deadline = { zone = "Asia/Tokyo" }
[tables.notifications]
table = ""
"""


@pytest.fixture(scope="module")
def other(make_database: MakeDatabase) -> str:
    url = make_database()
    revisions.upgrade(url)
    generating.generate(url, users=60, seed=5, dirty=0)
    with psycopg.connect(url) as connection:
        connection.execute(CHANGES)
        connection.execute("DROP TABLE alembic_version")
    return url


def test_differences_are_found_and_proposed(other: str, tmp_path: Path) -> None:
    found = adopting.inspect_database(other)
    by_place = {one.place: one.proposal for one in found.differences}
    assert by_place["users"].startswith('table = "members"') or by_place["users"].startswith('table = ""')
    assert by_place["notifications"].startswith('table = ""')
    assert 'unit = "minor"' in by_place["jobs.created_at"]
    mapping = load_file(write(tmp_path, 'schema = "public"\n[tables.users]\ntable = "members"\n'))
    by_place = {one.place: one.proposal for one in adopting.inspect_database(other, mapping).differences}
    assert by_place["users.email"].startswith('columns.email = { sql = "NULL" }')
    assert by_place["users.first_name"] == 'columns.first_name = { column = "full_name" }'
    assert (
        by_place["users.role"] == 'columns.role = { values = { "CUSTOMER" = "worker" } }'
        or "client" in by_place["users.role"]
    )
    written = write(tmp_path, adopting.write_mapping(mapping, found.differences))
    assert load_file(written).tables["users"].table == "members"


def write(folder: Path, text: str) -> Path:
    file = folder / f"{uuid.uuid4().hex}.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_filled_in_file_fits_and_the_database_is_stamped(
    other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KELMAH_LEGACY_POSTGRES_URL", other)
    with pytest.raises(SystemExit, match="differences"):
        adopt(stamp=True)
    assert revisions.current(other) is None
    file = write(tmp_path, MAP)
    adopt(mapping=file, stamp=True)
    assert "the database is as the baseline, by the mapping file" in capsys.readouterr().out
    assert revisions.current(other) == "0002"


def test_a_database_as_the_baseline_is_stamped_with_it(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_database()
    revisions.upgrade(url, "0001")
    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE alembic_version")
    monkeypatch.setenv("KELMAH_LEGACY_POSTGRES_URL", url)
    adopt(stamp=True)
    assert revisions.current(url) == "0001"
    revisions.upgrade(url)
    revisions.check(url)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[tables.user]", "tables.user: the baseline has no such table"),
        (
            "[tables.users]\ncolumns.mail = { column = 'x' }",
            "tables.users.columns.mail: the baseline has no such column",
        ),
        ("[tables.users]\ncolumns.email = { name = 'x' }", "unknown field `name`"),
        ("ids = 'guid'", "Invalid enum value 'guid'"),
        ("[tables", "Expected ']'"),
    ],
)
def test_a_file_with_a_fault_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(LayoutError) as error:
        load(write(tmp_path, text))
    assert fault in str(error.value)


def test_an_expression_that_is_none_is_found_before_the_move(other: str, tmp_path: Path) -> None:
    broken = MAP.replace("split_part(full_name, ' ', 1)", "split_part(nickname, ' ', 1)")
    layout = Layout(load_file(write(tmp_path, broken)))
    assert adopting.check_queries(other, layout) == ['users: column "nickname" does not exist']


async def test_everything_reads_and_writes_through_the_file(
    other: str, environ_for: Callable[[str, str], Environ], tmp_path: Path
) -> None:
    environ = environ_for("adopted", other) | {MAPPING: str(write(tmp_path, MAP))}
    async with open_work(environ) as work:
        mover = Mover(work)
        await mover.run(ENTITIES)
        report = await verify(work, ENTITIES)
        assert report.is_clean, [one.examples for one in report.lines]
        assert mover.tally["people"]["moved"] > 50
        assert mover.tally["wallets"]["refused"] < 10
        job: dict[str, Any] = await work.contexts["job"].mongo.collection("jobs").find_one({"status": "open"})
        assert job["application_deadline"].isoformat() == "2027-01-01T03:00:00+00:00"
        by = Principal(user_id=job["hirer_id"], role=Role.HIRER, session_id=fresh_id())
        await jobs.close_job(work.contexts["job"], job["_id"], reason=None, by=by)
        assert (await write_back(work)).faults == []
    with psycopg.connect(other) as connection:
        query = "SELECT status, created_at FROM jobs WHERE id = %s"
        status, created_ms = connection.execute(query, (job["_id"],)).fetchone() or ("", 0)
    assert (status, created_ms) == ("cancelled", int(job["created_at"].timestamp() * 1000))


async def test_ids_that_are_numbers_become_uuids(
    make_database: MakeDatabase, environ_for: Callable[[str, str], Environ], tmp_path: Path
) -> None:
    url = make_database()
    revisions.upgrade(url)
    with psycopg.connect(url) as connection:
        connection.execute(
            """CREATE TABLE people (id bigint PRIMARY KEY, email text, password_hash text);
            INSERT INTO people VALUES (7, 'seven@example.com', NULL), (8, 'eight@example.com', NULL)"""
        )
    nothing = {"phone", "last_login_at", "deleted_at"}
    columns = [f'columns.{name} = {{ sql = "NULL" }}' for name in nothing]
    columns += [
        """columns.role = { sql = "'worker'" }""",
        """columns.status = { sql = "'active'" }""",
        """columns.first_name = { sql = "'Ama'" }""",
        """columns.last_name = { sql = "'K'" }""",
        *(f"""columns.{name} = {{ sql = "now()" }}""" for name in ("email_verified_at", "created_at", "updated_at")),
    ]
    children = ("credentials", "social_logins")
    text = 'ids = "bigint"\n[tables.users]\ntable = "people"\n' + "\n".join(columns)
    text += "".join(f'\n[tables.{table}]\ntable = ""' for table in children)
    async with open_work(environ_for("numbers", url) | {MAPPING: str(write(tmp_path, text))}) as work:
        await Mover(work).run(chosen("people"))
        found = await work.contexts["auth"].mongo.collection("accounts").find({}, {"_id": 1}).to_list()
    assert {row["_id"] for row in found} == {new_id("users", "7"), new_id("users", "8")}
    assert uuid.UUID(new_id("users", "7")).version == 5


async def test_bytes_that_are_no_text_are_reported(
    make_database: MakeDatabase, environ_for: Callable[[str, str], Environ]
) -> None:
    """In a database without an encoding, as old ones have it, anything can be text."""
    url = make_database(encoding="SQL_ASCII")
    revisions.upgrade(url)
    with psycopg.connect(url) as connection:
        for name, email in ((b"\xc3\xa9lo", "good@example.com"), (b"\xe9lo", "latin@example.com")):
            connection.execute(
                b"INSERT INTO users (email, first_name, status) VALUES ('%s', '%s', 'active')" % (email.encode(), name)
            )
    async with open_work(environ_for("ascii", url)) as work:
        mover = Mover(work)
        await mover.run(chosen("people"))
        rows = await work.contexts["auth"].mongo.collection("legacy_rows").find({"fate": "refused"}).to_list()
        report = await verify(work, chosen("people"))
    assert dict(mover.tally["people"]) == {"before": 0, "moved": 1, "refused": 1}
    assert [row["reason"] for row in rows] == ["users.first_name: its bytes are not UTF-8"]
    assert report.is_clean
