"""The drill: both sides are backed up, restored into empty databases, and checked."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kelmah import services
from kelmah.cli import backup
from kelmah.cli.backends import mongo, open_home, postgres
from kelmah.cli.legacy import backups
from kelmah.cli.legacy.plan import LegacyError, open_work
from kelmah.cli.legacy.verifying import verify
from kelmah.cli.processes import Supervisor
from kelmah.kit.snapshots import SnapshotError
from kelmah.legacy.entities import ENTITIES
from kelmah.services.payment import service as payment
from tests.integration.legacy.conftest import Environ, MakeDatabase, World
from tests.integration.legacy.test_command import kelmah


@pytest.fixture(scope="module")
async def copy(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, backup.Manifest]:
    folder = tmp_path_factory.mktemp("backups") / "one"
    async with open_work(world.environ) as work:  # a file of GridFS has to come along
        await work.contexts["user"].blobs.put("picture", _chunks(), metadata={"kind": "webp"})
    return folder, await backup.make(world.environ, folder)


async def _chunks() -> Any:
    yield b"x" * 300_000


async def test_the_platform_comes_back(
    world: World, copy: tuple[Path, backup.Manifest], environ_for: Callable[[str, str], Environ]
) -> None:
    folder, manifest = copy
    environ = environ_for("restored", world.url)
    started = time.monotonic()
    again, faults = await backup.bring_back(environ, folder)
    print(f"restored and checked in {time.monotonic() - started:.1f} s")
    assert (again, faults) == (manifest, [])
    async with open_work(environ) as work:
        for name in services.NAMES:
            mongo = work.contexts[name].mongo
            for collection, kept in manifest.services[name].collections.items():
                if collection not in ("epoch", "signing_keys"):
                    assert await mongo.collection(collection).count_documents({}) == kept.count
        assert (await payment.verify_ledger(work.contexts["payment"])).faults == []
        blobs = [chunk async for chunk in await work.contexts["user"].blobs.get("picture")]
        report = await verify(work, ENTITIES)
    assert b"".join(blobs) == b"x" * 300_000
    assert report.is_clean
    with pytest.raises(SnapshotError, match="is not empty"):
        await backup.bring_back(environ, folder)


async def test_a_damaged_backup_is_refused_before_anything_is_written(
    world: World, copy: tuple[Path, backup.Manifest], environ_for: Callable[[str, str], Environ], tmp_path: Path
) -> None:
    folder, _ = copy
    broken = tmp_path / "broken"
    for file in folder.rglob("*.*"):
        target = broken / file.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    accounts = broken / "auth" / "accounts.bson"
    whole = accounts.read_bytes()
    environ = environ_for("damaged", world.url)
    for spoilt in (whole[:-1], whole.replace(b"worker", b"hirer!", 1), b""):
        accounts.write_bytes(spoilt)
        with pytest.raises(SnapshotError, match=r"accounts\.bson"):
            await backup.bring_back(environ, broken)
    accounts.write_bytes(whole)
    keys = {"KELMAH_FIELD_KEYS": '["AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="]'}
    with pytest.raises(SnapshotError, match="not in its key ring"):
        await backup.bring_back(environ | keys, broken)
    (broken / "manifest.json").unlink()
    with pytest.raises(SnapshotError, match="is no backup"):
        await backup.bring_back(environ, broken)
    async with open_work(environ) as work:
        assert await work.contexts["auth"].mongo.collection("accounts").count_documents({}) == 0


async def test_a_folder_is_not_written_over(world: World, copy: tuple[Path, backup.Manifest]) -> None:
    with pytest.raises(SnapshotError, match="is there already"):
        await backup.make(world.environ, copy[0])


async def test_the_old_database_comes_back(generated: str, make_database: MakeDatabase, tmp_path: Path) -> None:
    file = tmp_path / "old.dump"
    await backups.backup(generated, file)
    url = make_database()
    rows = await backups.restore(url, file)
    with psycopg.connect(generated) as connection:
        assert rows["alembic_version"] == 1
        for table, count in rows.items():
            there = connection.execute(f"SELECT count(*), sum(hashtext(t::text)) FROM {table} t".encode()).fetchone()  # noqa: S608
            with psycopg.connect(url) as restored:
                query = f"SELECT count(*), sum(hashtext(t::text)) FROM {table} t"  # noqa: S608
                assert restored.execute(query.encode()).fetchone() == there
            assert there is not None
            assert there[0] == count
    with pytest.raises(LegacyError, match="is not empty"):
        await backups.restore(url, file)
    with pytest.raises(LegacyError, match="is there already"):
        await backups.backup(generated, file)
    (tmp_path / "none.dump").write_bytes(b"nothing")
    with pytest.raises(LegacyError, match="pg_restore failed"):
        await backups.restore(make_database(), tmp_path / "none.dump")


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_both_come_back_on_servers_that_were_just_started(world: World, tmp_path: Path) -> None:
    """The whole drill, by the commands that an operator types."""
    for command in (("backup", "platform"), ("legacy", "backup", "old.dump")):
        status, output = await kelmah(world.environ, tmp_path, *command)
        assert status == 0, output
    async with (
        open_home(None) as home,
        Supervisor(on_progress=lambda _: None, pass_fds=(home.lock_fd,)) as supervisor,
    ):
        fresh, old = await asyncio.gather(mongo.start(supervisor, home), postgres.start(supervisor, home))
        environ = world.environ | {"KELMAH_MONGO_URL": fresh.url, "KELMAH_LEGACY_POSTGRES_URL": old.url}
        started = time.monotonic()
        for command in (("restore", "platform"), ("legacy", "restore", "old.dump")):
            status, output = await kelmah(environ, tmp_path, *command)
            assert status == 0, output
            print(output)
        print(f"both restored in {time.monotonic() - started:.1f} s")
        for command in (("legacy", "verify"), ("ledger", "verify")):
            status, output = await kelmah(environ, tmp_path, *command)
            assert status == 0, output
            assert "the sides differ" not in output
