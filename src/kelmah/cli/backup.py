"""`kelmah backup` and `kelmah restore`: the databases of all six services, files included, as of one instant.

Services on one MongoDB are copied as of the same instant; each further server has an instant of its own.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import Progress

from kelmah import services
from kelmah.cli.development import found_environment
from kelmah.cli.operator import act, say, show_table
from kelmah.kit import clock, mongo, snapshots
from kelmah.kit.chain import Chain, Fault
from kelmah.kit.mongo import Mongo
from kelmah.kit.resources import key_ring
from kelmah.kit.settings import ServiceSettings, SettingsError, load
from kelmah.kit.snapshots import MANIFEST, Kept, SnapshotError
from kelmah.services.payment import service as payment

VERSION = 1
#: Collections that a restored platform must not have: the messaging service names a life of its database by one.
_NEW_LIFE = {"messaging": "epoch"}


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """One service's part of a backup. `keys` names the field keys that open what is sealed in it."""

    name: str
    keys: list[str]
    collections: dict[str, Kept]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is made of. It is written last: a folder without one is no backup."""

    version: int
    made_at: datetime
    services: dict[str, Database]


Tell = Callable[[str, int], None]


def backup(folder: Path, /) -> None:
    """Copy the databases of all services into a new folder, as of one instant.

    The field keys (KELMAH_…_FIELD_KEYS) are not in it: keep them elsewhere, for without them nobody can read what is
    sealed, and with them anybody can.

    Args:
        folder: a folder that is not there yet.
    """
    started = time.monotonic()
    act("backup", *services.NAMES)
    manifest = _run(lambda tell: make(found_environment(), folder, tell=tell))
    _show(manifest)
    say(f"{folder}: made in {time.monotonic() - started:.1f} s; keep the field keys elsewhere")


def restore(folder: Path, /) -> None:
    """Fill the empty databases of all services from a backup, and check chains, balances and counts.

    Args:
        folder: what `kelmah backup` made.
    """
    started = time.monotonic()
    manifest, faults = _run(lambda tell: bring_back(found_environment(), folder, tell=tell))
    act("restore", *services.NAMES)  # not sooner: it fills empty databases only
    _show(manifest)
    for fault in faults:
        say(fault)
    say(f"{folder}: restored and checked in {time.monotonic() - started:.1f} s, {len(faults)} faults")
    if faults:
        sys.exit(1)


async def make(environ: Mapping[str, str], folder: Path, *, tell: Tell = lambda *_: None) -> Manifest:
    """Make a backup.

    Raises:
        SnapshotError: the folder is there already.
        SettingsError: the environment does not fit.
    """
    if folder.exists():
        raise SnapshotError(f"{folder} is there already")
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    if unfinished.exists():
        raise SnapshotError(f"{unfinished} is left of an earlier try: remove it first")
    made: dict[str, Database] = {}
    async with _databases(environ) as opened, AsyncExitStack() as stack:
        sessions: dict[str, Any] = {}
        for settings, database in opened.values():
            if settings.mongo_url not in sessions:
                session = database.client.start_session(snapshot=True)
                sessions[settings.mongo_url] = await stack.enter_async_context(session)
        for name, (settings, _) in opened.items():
            # The session's client must be the one that reads.
            reader = Mongo(sessions[settings.mongo_url].client, settings.mongo_database)
            kept = await snapshots.dump(reader, sessions[settings.mongo_url], unfinished / name, tell=tell)
            made[name] = Database(name=settings.mongo_database, keys=key_ring(settings).key_ids, collections=kept)
    manifest = Manifest(version=VERSION, made_at=clock.now(), services=made)
    (unfinished / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
    unfinished.rename(folder)
    return manifest


def read(folder: Path) -> Manifest:
    """The manifest of a backup, whose files are what it says.

    Raises:
        SnapshotError: it is none, or was changed.
    """
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise SnapshotError(f"{folder} is no backup: its {MANIFEST} is missing or damaged") from error
    if manifest.version != VERSION or manifest.services.keys() != set(services.NAMES):
        raise SnapshotError(f"{folder} is a backup of another version")
    for name, database in manifest.services.items():
        snapshots.check(folder / name, database.collections)
    return manifest


async def bring_back(
    environ: Mapping[str, str], folder: Path, *, tell: Tell = lambda *_: None
) -> tuple[Manifest, list[str]]:
    """Restore a backup, and tell what is wrong with what was restored.

    Raises:
        SnapshotError: the backup is damaged, a database is not empty, or the keys are others. Nothing was written.
        SettingsError: the environment does not fit.
    """
    manifest = read(folder)
    async with _databases(environ) as opened:
        for name, (settings, database) in opened.items():
            if missing := set(manifest.services[name].keys) - set(key_ring(settings).key_ids):
                raise SnapshotError(f"{name}: the field keys {', '.join(sorted(missing))} are not in its key ring")
            if not await snapshots.is_empty(database):
                raise SnapshotError(f"the database {settings.mongo_database} is not empty")
        for name, (_, database) in opened.items():
            kept = manifest.services[name].collections
            await snapshots.load(database, folder / name, kept, tell=tell)
            if name in _NEW_LIFE:
                await database.collection(_NEW_LIFE[name]).delete_many({})
        faults = await _faults(environ, {name: database for name, (_, database) in opened.items()})
    return manifest, faults


async def _faults(environ: Mapping[str, str], opened: Mapping[str, Mongo]) -> list[str]:
    """Broken chains of events, and faults of the ledger."""
    found = []
    for name, database in opened.items():
        async for one in Chain(database).verify():
            if isinstance(one, Fault):
                found.append(f"{name}: event {one.event_id or '-'} at {one.position}: {one.what}")  # noqa: PERF401  # reads as the sentence it is
    service = services.load("payment")
    async with service.open_context(load(service.settings, environ)) as context:
        report = await payment.verify_ledger(context)
    return found + [f"payment: {one.check}: {one.subject}" for one in report.faults]


@asynccontextmanager
async def _databases(environ: Mapping[str, str]) -> AsyncIterator[dict[str, tuple[ServiceSettings, Mongo]]]:
    async with AsyncExitStack() as stack:
        opened = {}
        for name in services.NAMES:
            settings = load(services.load(name).settings, environ)
            database = await stack.enter_async_context(mongo.connect(settings.mongo_url, settings.mongo_database))
            opened[name] = (settings, database)
        yield opened


def _show(manifest: Manifest) -> None:
    rows = []
    for name, database in manifest.services.items():
        total: Counter[str] = Counter()
        for one in database.collections.values():
            total.update(documents=one.count, bytes=one.bytes)
        rows.append((name, len(database.collections), total["documents"], total["bytes"]))
    show_table(("service", "collections", "documents", "bytes"), rows)


def _run(work: Callable[[Tell], Any]) -> Any:
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=None)
        try:
            return asyncio.run(work(lambda name, done: progress.update(task, description=name, completed=done)))
        except (SnapshotError, SettingsError) as error:
            sys.exit(str(error))
