"""Debian packages unpacked into a cache, without root and without touching what is installed."""

import asyncio
import fcntl
import os
import platform
import re
import shutil
import tempfile
from pathlib import Path

from kelmah.cli.processes import run_command

UPDATE_TIMEOUT_S = 180.0
DOWNLOAD_TIMEOUT_S = 600.0


def is_available() -> bool:
    """Whether this system has Debian's package tools."""
    return shutil.which("apt-get") is not None and shutil.which("dpkg") is not None


def cache_dir() -> Path:
    """Where unpacked packages are kept: shared by all checkouts of one user."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    release = platform.freedesktop_os_release()
    system = f"{release.get('ID', 'debian')}-{release.get('VERSION_ID', 'rolling')}-{platform.machine()}"
    return Path(base) / "kelmah" / system


def library_path(root: Path) -> str:
    """The value of LD_LIBRARY_PATH for shared libraries under an unpacked root."""
    folders = sorted({str(path.parent) for path in root.glob("**/lib/*-linux-gnu*/*.so*")})
    return ":".join(folders)


async def fetch(name: str, packages: tuple[str, ...], *, libraries_of: tuple[str, ...] = ()) -> Path:
    """Download packages with what they need and the system lacks, unpack them, and return the root.

    `packages` bring all their dependencies. With `libraries_of` given, `packages` come alone and only those
    named there bring theirs. A second call finds the cache and downloads nothing.

    Raises:
        CommandError: the package tools failed, for example because no mirror can be reached.
        OSError: the cache cannot be written.
    """
    root = cache_dir() / name
    root.parent.mkdir(parents=True, exist_ok=True)
    with (root.parent / f"{name}.lock").open("w") as lock:
        # Two platforms that start together download once.
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        if not root.exists():
            with tempfile.TemporaryDirectory(dir=root.parent, prefix=f"{name}-") as temporary:
                unpacked = await _download(Path(temporary), packages, libraries_of or packages)
                unpacked.rename(root)
    return root


async def _download(work: Path, packages: tuple[str, ...], resolved: tuple[str, ...]) -> Path:
    lists, archives, debs, unpacked = (work / name for name in ("lists", "archives", "debs", "root"))
    for folder in (lists / "partial", archives / "partial", debs, unpacked):
        folder.mkdir(parents=True)
    apt = (
        *("apt-get", "-q", "-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={work}"),
        *("-o", f"Dir::Cache::archives={archives}", "-o", "Debug::NoLocking=true"),
        # As root apt would download as another user, who cannot write here.
        *("-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=3", "-o", "Acquire::Languages=none"),
    )
    plain = {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    await run_command(*apt, "update", timeout_s=UPDATE_TIMEOUT_S, env=plain)
    plan = await run_command(
        *apt, "install", "--simulate", "--no-install-recommends", *resolved, timeout_s=60, env=plain
    )
    wanted = sorted({*packages, *re.findall(r"^Inst (\S+)", plan, re.MULTILINE)})
    await run_command(*apt, "download", *wanted, timeout_s=DOWNLOAD_TIMEOUT_S, cwd=debs, env=plain)
    for deb in sorted(debs.glob("*.deb")):
        await run_command("dpkg", "--extract", str(deb), str(unpacked), timeout_s=120)
    return unpacked
