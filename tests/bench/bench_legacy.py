"""The move of a large old database: killed five times, finished, verified; memory; and the rate beside bare copying.

`KELMAH_BENCH_LEGACY_USERS` says how many people (10,000 unless it is set; the issue asks for 100,000).
"""

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from pymongo import AsyncMongoClient

from kelmah.cli.legacy import generating
from kelmah.cli.legacy.moving import Mover
from kelmah.cli.legacy.plan import chosen, open_work
from kelmah.contracts.auth import LoginRequest, SignedIn
from kelmah.legacy import revisions
from kelmah.legacy.journal import Journal
from kelmah.legacy.reading import new_id
from kelmah.services.auth.service.context import Client
from kelmah.services.auth.service.logins import login
from tests.integration.legacy.conftest import Environ, MakeDatabase, environ_for, make_database

__all__ = ["environ_for", "make_database"]

USERS = int(os.environ.get("KELMAH_BENCH_LEGACY_USERS", "10000"))
KILLS = 5
LOGINS = 200
KELMAH = str(Path(sys.executable).with_name("kelmah"))
#: Runs a command and prints the most memory that it took, in KiB, as its last line.
MEASURED = """import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)"""


def run(arguments: list[str], env: Environ, folder: Path) -> tuple[str, float]:
    started = time.monotonic()
    done = subprocess.run([KELMAH, *arguments], env={**os.environ, **env}, cwd=folder, capture_output=True, check=False)
    output = done.stdout.decode()
    assert done.returncode == 0, output + done.stderr.decode()[-3000:]
    return output, time.monotonic() - started


def peak_kib(arguments: list[str], env: Environ, folder: Path) -> int:
    measured = [sys.executable, "-c", MEASURED, KELMAH, *arguments]
    done = subprocess.run(measured, env={**os.environ, **env}, cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return int(done.stdout.split()[-1])


def moved(output: str) -> dict[str, tuple[int, int]]:
    """Entity → moved now, moved before."""
    rows = re.findall(r"^(\w+)\t(\d+)\t(\d+)\t\d+\t\d+$", output, flags=re.MULTILINE)
    return {name: (int(now), int(before)) for name, now, before in rows}


async def test_a_large_move_that_is_killed_loses_nothing(
    make_database: MakeDatabase, environ_for: Callable[[str, str], Environ], tmp_path: Path, mongo_url: str
) -> None:
    url = make_database()
    await asyncio.to_thread(revisions.upgrade, url)
    started = time.monotonic()
    made = await asyncio.to_thread(generating.generate, url, users=USERS, seed=1, dirty=0.02)
    rows = sum(made.values())
    print(f"\n{USERS} people, {rows} rows, generated in {time.monotonic() - started:.0f} s")
    env = environ_for("bench", url)
    await asyncio.to_thread(run, ["indexes", "build"], env, tmp_path)

    chance, spent = random.Random(7), 0.0
    for kill in range(KILLS):
        process = subprocess.Popen(  # noqa: ASYNC220  # returns at once
            [KELMAH, "legacy", "migrate"],
            env={**os.environ, **env},
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait = 4 + chance.random() * max(6.0, USERS / 1_500)
        try:
            await asyncio.to_thread(process.wait, wait)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(process.wait)
        spent += wait
        print(f"kill {kill + 1} after {wait:.1f} s: exit {process.returncode}")
    output, seconds = await asyncio.to_thread(run, ["legacy", "migrate"], env, tmp_path)
    print(f"finished in {seconds:.0f} s more, after {spent:.0f} s in killed runs")
    first = moved(output)
    again, repeat_s = await asyncio.to_thread(run, ["legacy", "migrate"], env, tmp_path)
    print(f"second run: {repeat_s:.0f} s, moved {sum(now for now, _ in moved(again).values())}")
    assert {name: (0, now + before) for name, (now, before) in first.items()} == moved(again)
    verified, verify_s = await asyncio.to_thread(run, ["legacy", "verify"], env, tmp_path)
    print(verified + f"verified in {verify_s:.0f} s")
    assert "both sides agree" in verified
    print((await asyncio.to_thread(run, ["ledger", "verify"], env, tmp_path))[0])
    await _log_in(url, env)


async def _log_in(url: str, env: Environ) -> None:
    with psycopg.connect(url) as connection:
        people = connection.execute(
            "SELECT id::text, email FROM users WHERE status = 'active' AND email ~ '[0-9]@example' "
            "AND deleted_at IS NULL AND isfinite(email_verified_at) ORDER BY md5(id::text) LIMIT %s",
            (LOGINS,),
        ).fetchall()
    done = other = 0
    async with open_work(env) as work:
        context = work.contexts["auth"]
        fates = await Journal(context.mongo).fates("users", [key for key, _ in people])
        for number, (key, email) in enumerate(people):
            account: dict[str, Any] | None = await context.mongo.collection("accounts").find_one(
                {"_id": new_id("users", key)}
            )
            if fates[key] != "moved" or account is None or not account["password_hash"]:
                other += 1
                continue
            digits = "".join(char for char in email if char.isdigit())
            request = LoginRequest(email=email, password=generating.password(int(digits)))
            client = Client(address=f"10.1.{number // 250}.{number % 250}")
            assert isinstance(await login(context, request, client=client), SignedIn), key
            done += 1
    print(f"{done} of {LOGINS} sampled people logged in with their old password, {other} were refused or had none")
    assert done > LOGINS / 2


async def test_memory_stays_flat_and_the_rate_beside_bare_copying(
    make_database: MakeDatabase, environ_for: Callable[[str, str], Environ], tmp_path: Path, mongo_url: str
) -> None:
    peaks = {}
    for users in (USERS // 10, USERS):
        url = make_database()
        await asyncio.to_thread(revisions.upgrade, url)
        await asyncio.to_thread(generating.generate, url, users=users, seed=2, dirty=0.02)
        env = environ_for(f"memory{users}", url)
        await asyncio.to_thread(run, ["indexes", "build"], env, tmp_path)
        only = ["legacy", "migrate", "--only", "people,profiles"]
        peaks[users] = await asyncio.to_thread(peak_kib, only, env, tmp_path)
        # Once more in this process, so that the start of a program is not measured.
        async with open_work(environ_for(f"rate{users}", url)) as work:
            started = time.monotonic()
            await Mover(work).run(chosen("people,profiles"))
            seconds = time.monotonic() - started
        bare = await _bare(url, mongo_url, env["KELMAH_AUTH_MONGO_DATABASE"])
        print(
            f"\n{users} people: peak {peaks[users] / 1024:.0f} MiB, {users / seconds:.0f} people/s with profiles; "
            f"bare COPY out and insert_many in {users / bare:.0f} people/s: {seconds / bare:.1f} times as long"
        )
    small, large = peaks.values()
    assert large < small * 1.3


async def _bare(url: str, mongo_url: str, database: str) -> float:
    """Seconds to copy the same tables as they are: COPY out, insert_many in, no checks, no keys, no journal."""
    tables = ("users", "credentials", "social_logins", "profiles", "addresses", "user_skills", "portfolio_items")
    started = time.monotonic()
    async with AsyncMongoClient[dict[str, Any]](mongo_url) as client, await psycopg.AsyncConnection.connect(url) as old:
        for table in (*tables, "settings"):
            target = client[database][f"bare_{table}"]
            batch: list[dict[str, Any]] = []
            async with old.cursor() as cursor, cursor.copy(f"COPY {table} TO STDOUT".encode()) as copy:
                async for row in copy.rows():
                    batch.append(dict(enumerate_text(row)))
                    if len(batch) == 500:
                        await target.insert_many(batch, ordered=False)
                        batch = []
            if batch:
                await target.insert_many(batch, ordered=False)
    return time.monotonic() - started


def enumerate_text(row: tuple[Any, ...]) -> list[tuple[str, Any]]:
    return [(f"c{number}", value) for number, value in enumerate(row)]
