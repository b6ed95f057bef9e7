"""What the processes of a bench use, and the packages and tokens that those of others need."""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import time
from pathlib import Path

#: Where what a bench needs is fetched to.
FETCHED = Path(__file__).parents[2] / ".kelmah" / "bench"
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Seconds of CPU used by a process and its children, user and system."""
    return sum(sum(int(field) for field in _stat(one)[11:13]) for one in _family(pid)) / TICKS


def memory_mb(pid: int) -> float:
    """Memory of a process and its children that is its own, in MB; shared pages are counted in parts."""
    rollups = (Path(f"/proc/{one}/smaps_rollup").read_text() for one in _family(pid))
    return sum(int(rollup.split("Pss:")[1].split()[0]) for rollup in rollups) / 1024


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _family(int(child)))]


def npm_folder(package: Path) -> Path:
    """A folder with the packages that a `package.json` names."""
    folder = FETCHED / package.parent.name
    folder.mkdir(parents=True, exist_ok=True)
    wanted, installed = package.read_text(), folder / "package.json"
    if not (folder / "node_modules").exists() or installed.read_text() != wanted:
        installed.write_text(wanted)
        fetch("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", cwd=folder)
    return folder


def fetch(*command: str, cwd: Path) -> None:
    """Run a program that fetches something.

    Raises:
        OSError, subprocess.SubprocessError: it cannot be had here.
    """
    subprocess.run(command, cwd=cwd, check=True, timeout=300, stdout=subprocess.DEVNULL)


def hs256(secret: str, user_id: str) -> str:
    """An access token as servers in Node commonly take it."""

    def part(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    claims = {"sub": user_id, "aud": "kelmah", "exp": int(time.time()) + 3600, "role": "worker"}
    signed = ".".join(part(json.dumps(one).encode()) for one in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{signed}.{part(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}"
