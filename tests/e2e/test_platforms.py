"""`kelmah up`: several side by side, taken ports, one process, Ctrl-C, and a part that does not start."""

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from kelmah.cli import platform
from kelmah.cli.development import PORTS
from kelmah.cli.platform import Platform
from tests.e2e.conftest import Command, alive, descendants, interrupt, run, start
from tests.e2e.test_demo import against, check_journey

pytestmark = pytest.mark.slow


@pytest.fixture
def taken_ports() -> Iterator[None]:
    """All the usual ports are somebody's."""
    with ExitStack() as stack:
        for port in PORTS.values():
            holder = stack.enter_context(socket.socket())
            with suppress(OSError):  # another program has it already, which is as good
                holder.bind(("127.0.0.1", port))
                holder.listen()
        yield


@asynccontextmanager
async def up(*arguments: str, cwd: Path, **env: str) -> AsyncIterator[Command]:
    """`kelmah up`, once it says that it is up; afterwards Ctrl-C, and nothing of it may be left."""
    command = await start("kelmah", "up", *arguments, cwd=cwd, env=env)
    try:
        await command.until("Ctrl-C stops everything")
        yield command
    finally:
        family = descendants(command.child.pid)
        interrupt(command)
        finished = await command.finish(60)
    assert finished.status == 0
    assert len(family) >= 5
    assert alive(family) == set()


def address(command: Command) -> str:
    match = re.search(r"API +│ (http://\S+)/api/v1", command.seen)
    assert match, command.seen
    return match[1]


async def health(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/health") as answer:
        return answer.status


async def test_taken_ports_are_named_and_others_are_used(taken_ports: None, tmp_path: Path) -> None:
    async with up(cwd=tmp_path) as command:
        for name, port in PORTS.items():
            assert re.search(rf"{name} .*port {port} is taken by another program: \d+ instead", command.seen)
        assert await health(address(command)) == 200
        notes = tmp_path / ".kelmah"
        assert (notes / "environment.json").stat().st_mode & 0o777 == 0o600
        fits = await run("kelmah", "check-config", cwd=tmp_path)
        assert (fits.status, fits.stdout) == (0, "the settings fit\n")
        assert (await run("kelmah", "indexes", "build", cwd=tmp_path)).status == 0
        looked = await run("kelmah", "doctor", cwd=tmp_path)
        assert (looked.status, "Next: kelmah demo" in looked.stdout) == (0, True), looked.stdout
    assert [note for note in ("environment.json", "platform.json") if (notes / note).exists()] == []


async def test_two_run_side_by_side_and_in_one_process(running_platform: Platform, tmp_path: Path) -> None:
    async with platform.running(home=None, one_process=True) as second:
        assert set(second.processes) == {"one-process", "workers"}
        pair = running_platform, second
        assert len({one.gateway_url for one in pair} | {one.fleet.backends["mongo"].url for one in pair}) == 4
        for finished in await asyncio.gather(*(run("kelmah", *against(one), "--json") for one in pair)):
            check_journey(finished)


async def test_the_demo_starts_and_stops_a_platform_of_its_own(tmp_path: Path) -> None:
    command = await start("kelmah", "demo", "--json", "--one-process", cwd=tmp_path)
    family: set[int] = set()
    while command.child.returncode is None and len(family) < 8:
        await asyncio.sleep(0.2)
        family |= descendants(command.child.pid)
    check_journey(await command.finish(200))
    assert len(family) >= 8
    assert alive(family) == set()
    assert os.listdir(tmp_path) == []


async def test_without_rabbitmq_redis_carries_the_same_journey(tmp_path: Path) -> None:
    # Neither an installed server nor Debian's package tools are found.
    async with up("--ephemeral", cwd=tmp_path, PATH="/nonexistent") as command:
        assert "rabbitmq is not to be had here" in command.seen
        assert "Workers use Dramatiq's Redis broker instead" in command.seen
        mailbox = re.search(r"mail +│ (\S+)", command.seen)
        assert mailbox, command.seen
        check_journey(await run("kelmah", "demo", "--json", "--url", address(command), "--mailbox", mailbox[1]))


async def test_a_part_that_does_not_start_shows_its_log(tmp_path: Path) -> None:
    command = await start("kelmah", "up", "--ephemeral", cwd=tmp_path, env={"KELMAH_REVIEW_SEALED_DAYS": "soon"})
    family: set[int] = set()
    while command.child.returncode is None and len(family) < 5:
        await asyncio.sleep(0.2)
        family |= descendants(command.child.pid)
    finished = await command.finish(200)
    assert finished.status == 1
    assert "review" in finished.stderr
    assert "KELMAH_REVIEW_SEALED_DAYS" in finished.stderr
    assert alive(family) == set()
