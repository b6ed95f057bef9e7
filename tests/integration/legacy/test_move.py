"""Moving a generated, dirty database: nothing is lost, nothing is moved twice, money adds up."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg

from kelmah.cli.legacy import generating
from kelmah.cli.legacy.moving import SERVICES, Mover
from kelmah.cli.legacy.plan import chosen, open_work
from kelmah.cli.legacy.verifying import verify
from kelmah.contracts.auth import LoginRequest, SignedIn
from kelmah.legacy.entities import ENTITIES
from kelmah.legacy.journal import Journal
from kelmah.legacy.reading import new_id
from kelmah.services.auth.service.context import Client
from kelmah.services.auth.service.logins import login
from kelmah.services.payment import service as payment
from tests.integration.legacy.conftest import PEOPLE, World

TABLES = {part.table for entity in ENTITIES for part in entity.parts}


def old(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


async def test_every_row_has_a_fate_and_both_sides_agree(world: World) -> None:
    async with open_work(world.environ) as work:
        report = await verify(work, ENTITIES)
        fates: dict[str, Counter[str]] = {}
        for service in SERVICES:
            for table, counted in (await Journal(work.contexts[service].mongo).count()).items():
                fates.setdefault(table, Counter()).update({service: counted.total()})
    assert report.is_clean, [one.examples for one in report.lines]
    assert fates.keys() == TABLES
    for table, counted in fates.items():
        rows = old(world.url, f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608
        assert set(counted.values()) == {rows}, table
    moved = {one.entity: one.moved for one in report.lines}
    assert moved["people"] > PEOPLE * 0.8
    assert all(moved.values())
    assert all(one.refused for one in report.lines)  # each kind of dirt was met


async def test_again_it_moves_nothing(world: World) -> None:
    async with open_work(world.environ) as work:
        again = Mover(work)
        await again.run(ENTITIES)
    for name, tally in again.tally.items():
        first = world.mover.tally[name]
        assert (tally["moved"], tally["before"]) == (0, first["moved"]), name
        assert (tally["refused"], tally["left"]) == (first["refused"], first["left"]), name


async def test_money_is_that_of_the_old_books_to_the_last_minor_unit(world: World) -> None:
    query = """SELECT id::text, user_id::text, upper(currency), (balance * 100)::bigint
    FROM wallets WHERE balance <> 'NaN'"""
    books = {row[0]: row[1:] for row in old(world.url, query)}
    async with open_work(world.environ) as work:
        context = work.contexts["payment"]
        assert (await payment.verify_ledger(context)).faults == []
        moved = [key async for key, _ in Journal(context.mongo).moved("wallets")]
        accounts = {row["_id"]: row async for row in context.mongo.collection("ledger_accounts").find({})}
    due: Counter[str] = Counter()
    for key in moved:
        user_id, currency, balance = books[key]
        wallet = accounts.pop(f"wallet:{new_id('users', user_id)}:{currency}", {"balance": 0})
        assert wallet["balance"] == balance
        due[currency] += balance
    for row in accounts.values():  # what is left is escrows, and where all of it came from
        due[row["currency"]] += row["balance"]
        assert row["kind"] in ("escrow", "clearing")
    assert len(moved) > PEOPLE / 2
    assert due == dict.fromkeys(due, 0)
    assert sum(row["balance"] for row in accounts.values() if row["kind"] == "escrow") > 0


async def test_old_people_log_in_with_their_old_passwords(world: World) -> None:
    numbered = old(world.url, "SELECT id::text, email, status::text FROM users WHERE email_verified_at IS NOT NULL")
    done = 0
    async with open_work(world.environ) as work:
        context = work.contexts["auth"]
        journal = Journal(context.mongo)
        fates = await journal.fates("users", [key for key, *_ in numbered])
        for key, email, status in numbered:
            digits = "".join(char for char in email if char.isdigit())
            if fates[key] != "moved" or status != "active" or not digits or done == 20:
                continue
            account = await context.mongo.collection("accounts").find_one({"_id": new_id("users", key)})
            if not (account["password_hash"] or "").startswith("$2b$04$"):
                continue
            request = LoginRequest(email=email.upper(), password=generating.password(int(digits)))
            client = Client(address=f"10.0.0.{done}")
            assert isinstance(await login(context, request, client=client), SignedIn)
            after = await context.mongo.collection("accounts").find_one({"_id": account["_id"]})
            assert after["password_hash"].startswith("$argon2id$")
            assert isinstance(await login(context, request, client=client), SignedIn)
            done += 1
    assert done == 20


async def test_secrets_and_personal_data_are_sealed(world: World) -> None:
    """Nothing that the old database has in the clear is in ours as it was."""
    names = {row[0] for row in old(world.url, "SELECT email FROM users")}
    said = {row[0] for row in old(world.url, "SELECT line1 FROM addresses WHERE line1 IS NOT NULL")}
    said |= {row[0] for row in old(world.url, "SELECT body FROM messages WHERE body IS NOT NULL")}
    async with open_work(world.environ) as work:
        for service, collection in (("auth", "accounts"), ("user", "profiles"), ("messaging", "messages")):
            text = json.dumps(await work.contexts[service].mongo.collection(collection).find({}).to_list(), default=str)
            assert not [one for one in names | said if f'"{one}"' in text]


async def test_ids_are_traced_both_ways(world: World) -> None:
    (key,) = old(world.url, "SELECT id::text FROM contracts ORDER BY id LIMIT 1")[0]
    async with open_work(world.environ) as work:
        journal = Journal(work.contexts["job"].mongo)
        (row,) = await journal.trace("job", f"contracts/{key}")
        assert row[:2] == ("job", f"contracts/{key}")
        if row[3] == "moved":
            assert row[2] == key.replace("-", "")
            assert await journal.trace("job", row[2]) == [row]


async def test_the_report_says_why_and_shows_no_values(world: World, tmp_path: Path) -> None:
    async with open_work(world.environ) as work:
        await Mover(work).report(tmp_path / "report.jsonl")
    text = (tmp_path / "report.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    refused = [row for row in rows if row["fate"] == "refused"]
    assert len(refused) > 50
    assert all(row["reason"] for row in refused)
    assert {row["fate"] for row in rows} == {"refused", "left", "moved"}
    assert all(row["remarks"] for row in rows if row["fate"] == "moved")
    assert "example.com" not in text


async def test_a_dry_run_says_the_same_and_changes_nothing(
    generated: str, environ_for: Any, world: World, tmp_path: Path
) -> None:
    environ = environ_for("dry", generated)
    async with open_work(environ) as work:
        mover = Mover(work, dry_run=True)
        # In small batches: what the real run would have found in the database is known of batches before.
        await mover.run([replace(entity, batch=50) for entity in ENTITIES])
        await mover.report(tmp_path / "report.jsonl")
        for service in SERVICES:
            mongo = work.contexts[service].mongo
            for name in await mongo.database.list_collection_names():
                # The payment service checks its ledger and its banks from the moment it starts.
                if name not in ("legacy_trial", "signing_keys") and (service, name) != ("payment", "timers"):
                    assert await mongo.collection(name).count_documents({}) == 0, name
    assert {name: dict(tally) for name, tally in mover.tally.items()} == {
        name: dict(tally) for name, tally in world.mover.tally.items()
    }
    async with open_work(world.environ) as work:
        await Mover(work).report(tmp_path / "real.jsonl")
    dry, real = ((tmp_path / name).read_text(encoding="utf-8").splitlines() for name in ("report.jsonl", "real.jsonl"))
    assert dry == real
    assert sum('"fate": "refused"' in line for line in dry) > 50


async def test_a_connection_that_is_cut_is_made_anew(generated: str, environ_for: Any) -> None:
    """The run goes on where it was, and nothing is there twice."""
    environ, cut = environ_for("cut", generated), 0

    def tell(name: str, done: int, total: int) -> None:
        nonlocal cut
        if name == "profiles" and done and cut < 2:
            cut += 1
            with psycopg.connect(generated, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'kelmah' AND datname = current_database() AND pid <> pg_backend_pid()"
                )

    async with open_work(environ) as work:
        mover = Mover(work, tell=tell)
        await mover.run(chosen("people,profiles"))
        report = await verify(work, chosen("people,profiles"))
        count = await work.contexts["user"].mongo.collection("profiles").count_documents({})
    assert cut == 2
    assert report.is_clean, [one.examples for one in report.lines]
    assert count == next(one.moved for one in report.lines if one.entity == "profiles")
