"""What all backing services share: the value that describes one, its errors, and where its data is."""

import asyncio
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kelmah.cli.processes import PortTakenError, Process

LOCK_TIMEOUT_S = 20.0
TEMPORARY_PREFIX = "kelmah-"
# Older than any home between being made and being locked.
ABANDONED_AFTER_S = 60.0
CHECK_TIMEOUT_S = 10.0
PORT_ATTEMPTS = 5

Source = Literal["given", "installed", "packaged", "debian"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A backing service that answers at `url`; `process` and `log_file` only if it was started here."""

    name: str
    url: str
    source: Source
    process: Process | None = None
    log_file: Path | None = None
    data_dir: Path | None = None


class BackendError(Exception):
    """A backing service cannot be used; the message says which and why, `hint` what to do."""

    def __init__(self, name: str, reason: str, *, hint: str = "") -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason
        self.hint = hint


class BackendUnavailableError(BackendError):
    """No program for a backing service is installed, packaged or to be had for this system."""


class BackendUnreachableError(BackendError):
    """A backing service given by URL does not answer, or is not what is needed."""


class HomeBusyError(Exception):
    """Another platform is running in the same data directory."""


@dataclass(frozen=True, slots=True)
class Home:
    """The directory that holds data and logs; `lock_fd` belongs in every child (see `open_home`)."""

    path: Path
    lock_fd: int

    def data(self, name: str) -> Path:
        """The data directory of one service, made if need be."""
        path = self.path / "data" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def log(self, name: str) -> Path:
        """The log file of one process."""
        return self.path / "logs" / f"{name}.log"


@asynccontextmanager
async def open_home(path: Path | None) -> AsyncIterator[Home]:
    """Open a data directory for one platform alone; None means a temporary one, removed at the end.

    The lock is an open file that the supervisor hands to its children, so it is free only when the last of
    them is gone: a platform started right after another was killed waits for its databases to shut down.

    Raises:
        HomeBusyError: another platform still holds it after 20 seconds.
    """
    if path is None:
        _remove_abandoned()
        with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, ignore_cleanup_errors=True) as temporary:
            async with open_home(Path(temporary)) as home:
                yield home
        return
    home = _open(path)
    try:
        await _lock(home)
        yield home
    finally:
        os.close(home.lock_fd)


def _remove_abandoned() -> None:
    """Delete temporary homes whose platform was killed: they are ours, and nobody holds their lock."""
    for lock in Path(tempfile.gettempdir()).glob(f"{TEMPORARY_PREFIX}*/lock"):
        with suppress(OSError), lock.open() as file:
            status = os.fstat(file.fileno())
            if status.st_uid == os.geteuid() and time.time() - status.st_mtime > ABANDONED_AFTER_S:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)


def _open(path: Path) -> Home:
    path = path.absolute()
    path.mkdir(parents=True, exist_ok=True)
    return Home(path, os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


async def _lock(home: Home) -> None:
    deadline = asyncio.get_running_loop().time() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(home.lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if asyncio.get_running_loop().time() > deadline:
                raise HomeBusyError(
                    f"another platform is running in {home.path}: stop it, or start this one with --ephemeral"
                ) from None
            await asyncio.sleep(0.2)
        else:
            return


async def check_given(name: str, url: str, answers: Callable[[str], Awaitable[str]]) -> Backend:
    """Check a service given by URL: `answers` returns what is wrong with it, or an empty string.

    Raises:
        BackendUnreachableError: it does not answer in 10 seconds, or something is wrong with it.
    """
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            fault = await answers(url)
    except Exception as error:
        reason = f"the configured server does not answer ({type(error).__name__})"
        raise BackendUnreachableError(name, reason, hint="Check the configured URL and the server.") from error
    if fault:
        raise BackendUnreachableError(name, fault)
    return Backend(name=name, url=url, source="given")


async def retry_ports(attempt: Callable[[], Awaitable[Backend]]) -> Backend:
    """Call `attempt`, which picks free ports, again when another program was faster to take one."""
    for _ in range(PORT_ATTEMPTS - 1):
        try:
            return await attempt()
        except PortTakenError:
            continue
    return await attempt()
