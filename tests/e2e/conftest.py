"""The platform as processes, for tests that use it from outside."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kelmah.cli import platform
from kelmah.cli.platform import Platform

BIN = Path(sys.executable).parent
#: The day of the run's seed: today, said once so that a run around midnight has one day.
SEED_DAY = datetime.now(UTC).date()


@pytest.fixture(scope="session")
async def running_platform() -> AsyncIterator[Platform]:
    """A platform of many processes on servers of its own, for all tests of the run; its limits let tests through."""
    async with AsyncExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:  # undone at once: other tests of the run start gateways, too
            patch.setenv("KELMAH_GATEWAY_LIMIT_FACTOR", "1000")
            started = await stack.enter_async_context(platform.running(home=None))
        yield started


@pytest.fixture(scope="session")
async def seeded(running_platform: Platform) -> "Finished":
    """The run's platform with the people and deals of seed 1; what `kelmah seed` said."""
    finished = await run("kelmah", "seed", "--as-of", str(SEED_DAY), env=running_platform.env)
    assert finished.status == 0, finished.stderr
    return finished


class Finished(NamedTuple):
    """A command that ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def data(self) -> Any:
        return json.loads(self.stdout)


class Command:
    """A running command with its standard streams."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self.child = child
        self.seen = ""

    async def until(self, text: str, timeout_s: float = 120) -> str:
        """Read stderr until it holds a text; all of it so far.

        Raises:
            TimeoutError: it did not come.
            AssertionError: the command ended before.
        """
        assert self.child.stderr is not None
        async with asyncio.timeout(timeout_s):
            while text not in self.seen:
                line = await self.child.stderr.readline()
                assert line, f"ended before {text!r}: {self.seen}"
                self.seen += line.decode()
        return self.seen

    async def finish(self, timeout_s: float = 120) -> Finished:
        """Wait for the end; kill what has not ended in time."""
        try:
            async with asyncio.timeout(timeout_s):
                stdout, stderr = await self.child.communicate()
        except TimeoutError:
            self.child.kill()
            stdout, stderr = await self.child.communicate()
            raise AssertionError(f"still runs after {timeout_s} s: {self.seen}{stderr.decode()}") from None
        assert self.child.returncode is not None
        return Finished(self.child.returncode, stdout.decode(), self.seen + stderr.decode())


async def start(script: str, *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Command:
    """Start a console script of ours, without what this shell says of servers for tests."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KELMAH_")}
    child = await asyncio.create_subprocess_exec(
        BIN / script,
        *arguments,
        cwd=cwd,
        env={**inherited, "NO_COLOR": "1", "COLUMNS": "200", **(env or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    return Command(child)


async def run(script: str, *arguments: str, **more: Any) -> Finished:
    """Run a console script of ours to its end."""
    return await (await start(script, *arguments, **more)).finish(280)


def descendants(pid: int) -> set[int]:
    """All processes that a process started, and that those started."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text()
        except OSError:
            continue
        parents[int(folder.name)] = int(status.rpartition(")")[2].split()[1])
    found, fresh = set[int](), {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def alive(pids: set[int]) -> set[int]:
    """Those of the processes that still run; a zombie, which only waits to be read, does not."""
    running = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            running.add(pid)
    return running


def interrupt(command: Command) -> None:
    """Ctrl-C."""
    command.child.send_signal(signal.SIGINT)
