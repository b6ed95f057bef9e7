"""`kelmah legacy` as a program: killed in the middle and run again; and what its exit status says."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from kelmah.cli import legacy
from kelmah.cli.legacy.plan import URL, url_of

KELMAH = str(Path(sys.executable).with_name("kelmah"))


async def kelmah(environ: dict[str, str], folder: Path, *arguments: str) -> tuple[int | None, str]:
    """Exit status and standard output."""
    process = await start(environ, folder, *arguments)
    output, errors = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode, output.decode() + errors.decode()


async def start(environ: dict[str, str], folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(KELMAH, *arguments),
        env={**os.environ, **environ},
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.slow
async def test_killed_in_the_middle_it_goes_on(generated: str, environ_for: Any, tmp_path: Path) -> None:
    environ = environ_for("killed", generated)
    async with AsyncMongoClient[dict[str, Any]](environ["KELMAH_MONGO_URL"]) as client:
        jobs = client[environ["KELMAH_JOB_MONGO_DATABASE"]]
        process = await start(environ, tmp_path, "legacy", "migrate")
        async with asyncio.timeout(120):
            while not await jobs["legacy_rows"].count_documents({"table": "applications"}):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        await process.communicate()
        assert process.returncode == -signal.SIGKILL
        before = {
            name: await client[environ[f"KELMAH_{name.upper()}_MONGO_DATABASE"]]["legacy_rows"].count_documents({})
            for name in ("auth", "review")
        }
        assert before["auth"] > 0
        assert before["review"] == 0

        status, output = await kelmah(environ, tmp_path, "legacy", "migrate")
        assert status == 0, output
        people = next(line.split("\t") for line in output.splitlines() if line.startswith("people\t"))
        assert people[1] == "0"
        assert int(people[2]) > 200
        assert (tmp_path / "legacy-report.jsonl").exists()
        status, output = await kelmah(environ, tmp_path, "legacy", "verify")
        assert (status, "both sides agree" in output) == (0, True), output

        # What is not right is found: a document that is another, one that is gone, a row that nobody looked at.
        job = await jobs["jobs"].find_one_and_update({}, {"$set": {"title": "Something else"}})
        gone = await jobs["applications"].find_one_and_delete({})
        messaging = client[environ["KELMAH_MESSAGING_MONGO_DATABASE"]]["legacy_rows"]
        row = await messaging.find_one_and_delete({"table": "messages", "fate": "moved"})
        assert job is not None
        assert gone is not None
        assert row is not None
    status, output = await kelmah(environ, tmp_path, "legacy", "verify", "--only", "jobs,applications,messages")
    assert status == 1
    assert "jobs: differs here: jobs/" in output
    assert "applications: not here: applications/" in output
    assert f"messages: not moved: {row['_id']}" in output
    assert "the sides differ" in output


def test_without_a_database_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(URL, raising=False)
    for command in (legacy.migrate, legacy.verify, legacy.adopt, legacy.generate, legacy.write_back):
        with pytest.raises(SystemExit, match=f"set {URL} to the old database"):
            command()
    with pytest.raises(SystemExit, match="there is no ghosts"):
        legacy.migrate(only="people,ghosts")
    monkeypatch.setenv(f"{URL}_FILE", str(tmp_path / "url"))
    with pytest.raises(SystemExit, match=f"{URL}_FILE: cannot read .*: No such file"):
        legacy.migrate()
    (tmp_path / "url").write_text("postgresql://kelmah@127.0.0.1:1/none\n")
    assert url_of({f"{URL}_FILE": str(tmp_path / "url")}) == "postgresql://kelmah@127.0.0.1:1/none"
    monkeypatch.setenv("KELMAH_ENVIRONMENT", "production")
    with pytest.raises(SystemExit, match="this is production"):
        legacy.generate()
