"""A disk that is full stops the move with a clear word, and it goes on when there is room again."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kelmah.cli.backends import mongo, open_home
from kelmah.cli.legacy import generating
from kelmah.cli.legacy.moving import Mover
from kelmah.cli.legacy.plan import LegacyError, open_work
from kelmah.cli.processes import Supervisor
from kelmah.legacy import revisions
from tests.integration.legacy.conftest import Environ, MakeDatabase, World
from tests.integration.legacy.test_command import kelmah

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
async def test_a_report_for_which_there_is_no_room(world: World) -> None:
    async with open_work(world.environ) as work:
        with pytest.raises(LegacyError, match=r"/dev/full: No space left on device\. What was moved stays moved"):
            await Mover(work).report(FULL)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 500 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=500m", "none", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="only root mounts a small disk")
async def test_the_disk_of_mongodb_is_full(
    make_database: MakeDatabase, environ_for: Callable[[str, str], Environ], disk: Path, tmp_path: Path
) -> None:
    url = make_database()
    revisions.upgrade(url)
    generating.generate(url, users=100, seed=4, dirty=0.05)
    environ = environ_for("full", url)
    ballast = disk / "ballast"

    async with open_home(disk) as home:
        async with Supervisor(on_progress=_ignore, pass_fds=(home.lock_fd,)) as supervisor:
            server = await mongo.start(supervisor, home)
            environ["KELMAH_MONGO_URL"] = server.url
            status, output = await kelmah(environ, tmp_path, "legacy", "migrate", "--only", "people,profiles")
            assert status == 0, output
            _fill(disk, ballast, spare=512 * 1024)
            status, output = await kelmah(environ, tmp_path, "legacy", "migrate")
            assert (status, "a database failed (" in output) == (1, True), output
            assert "run this again, and it goes on from here" in output
            assert "Traceback" not in output
        ballast.unlink()
        async with Supervisor(on_progress=_ignore, pass_fds=(home.lock_fd,)) as supervisor:
            environ["KELMAH_MONGO_URL"] = (await mongo.start(supervisor, home)).url
            status, output = await kelmah(environ, tmp_path, "legacy", "migrate")
            assert status == 0, output
            people = next(line.split("\t") for line in output.splitlines() if line.startswith("people\t"))
            assert people[1] == "0"
            status, output = await kelmah(environ, tmp_path, "legacy", "verify")
            assert (status, "both sides agree" in output) == (0, True), output


def _fill(disk: Path, ballast: Path, *, spare: int) -> None:
    free = shutil.disk_usage(disk).free - spare
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free)


def _ignore(_: Any) -> None:
    pass
