"""The gateway beside the upstream direct, an Express gateway, a Fastify gateway, and nginx as plain proxy.

One run, one machine, one upstream, one process each, 32 connections, answers of 50 bytes:

    nox -s bench -- gateway

Ours checks the token, takes from an exact limit in Redis, keeps a breaker, signs the call and logs it; Express and
Fastify check a cheaper token (HS256), count in their own memory and log; nginx only logs. `KELMAH_BENCH_SECONDS` is how
long each load lasts (4), `KELMAH_BENCH_PERSONS` whose tokens are sent in turn (500), `KELMAH_BENCH_ONLY` names some
(`direct,kelmah`). npm packages and nginx are fetched into `.kelmah/bench`, and left out where they cannot be had.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from kelmah.cli.processes import Process, Spec, Supervisor, free_port
from tests.bench.processes import FETCHED, cpu_s, fetch, hs256, memory_mb, npm_folder
from tests.fixtures.service import KEY
from tests.integration.gateway.platform import Behind, token

SECONDS = float(os.environ.get("KELMAH_BENCH_SECONDS", "4"))
PERSONS = int(os.environ.get("KELMAH_BENCH_PERSONS", "500"))
ONLY = os.environ.get("KELMAH_BENCH_ONLY", "direct,kelmah,express,fastify,nginx").split(",")
HERE = Path(__file__).parent / "gateways"
TARGET = "/api/v1/users/me/skills"
SECRET = "a secret of the bench, no other use"
#: Requests a second that the sender, which is Python too, can time without waiting for itself.
MAX_PACE = 4_000


class Load(NamedTuple):
    """What `load.py` printed."""

    answered: int
    failed: int
    a_second: int
    p50_us: int
    p99_us: int


@dataclass
class Gateway:
    """Something to measure."""

    name: str
    port: int
    process: Process
    requests: Sequence[str]

    def cpu_s(self) -> float:
        """Seconds of CPU used by the process and its children, user and system."""
        return cpu_s(self.process.pid)

    def memory_mb(self) -> float:
        """Memory that is its own, in MB; shared pages are counted in parts."""
        return memory_mb(self.process.pid)


def request(target: str, **headers: str) -> str:
    """A GET as a client sends it."""
    lines = (f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return (
        f"GET {target} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: bench\r\naccept: application/json\r\n"
        f"{''.join(lines)}\r\n"
    )


async def load(gateway: Gateway, rate: float = 0) -> Load:
    """Send requests for `SECONDS`."""
    sender = await asyncio.create_subprocess_exec(
        *(sys.executable, str(HERE / "load.py"), str(gateway.port), str(rate), str(SECONDS)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    printed, _ = await sender.communicate("\0".join(gateway.requests).encode())
    return Load(*(int(word) for word in printed.split()))


class Bench:
    """Starts what is measured, all behind or beside one upstream."""

    def __init__(self, supervisor: Supervisor, directory: Path, redis_url: str, prefix: str) -> None:
        self._supervisor = supervisor
        self._directory = directory
        self._redis_url = redis_url
        self._prefix = prefix
        self._behind = Behind()
        self._upstream = free_port()

    async def direct(self) -> Gateway:
        """The upstream itself; to be started first."""
        jwks = {"keys": [{**self._behind.key.as_dict(private=False), "use": "sig", "alg": "EdDSA"}]}
        command = (sys.executable, str(HERE / "upstream.py"), str(self._upstream), json.dumps(jwks))
        return await self._start("direct", self._upstream, command, {}, ["none"])

    async def kelmah(self) -> Gateway:
        """Ours, as `kelmah serve gateway` with its own route table."""
        services = ("auth", "user", "job", "messaging", "payment", "review")
        port = free_port()
        env = {
            "KELMAH_ENVIRONMENT": "test",
            "KELMAH_REDIS_URL": self._redis_url,
            "KELMAH_REDIS_PREFIX": self._prefix,
            "KELMAH_OUTGOING_KEYS": json.dumps({name: [KEY.get_secret_value()] for name in services}),
            "KELMAH_SERVICE_URLS": json.dumps({name: [f"http://127.0.0.1:{self._upstream}"] for name in services}),
            "KELMAH_GATEWAY_LIMIT_FACTOR": "1000",
            "KELMAH_GATEWAY_PORT": str(port),
        }
        command = (sys.executable, "-m", "kelmah.cli", "serve", "gateway")
        tokens = [token(self._behind, user_id=f"person-{number}") for number in range(PERSONS)]
        return await self._start("kelmah", port, command, env, tokens)

    async def express(self) -> Gateway:
        return await self._node("express")

    async def fastify(self) -> Gateway:
        return await self._node("fastify")

    async def nginx(self) -> Gateway:
        """nginx of the machine or of Debian's package."""
        program = shutil.which("nginx") or _fetch_nginx()
        port = free_port()
        written = (HERE / "nginx.conf").read_text().replace("FOLDER", str(self._directory)).replace("PORT", str(port))
        config = self._directory / "nginx.conf"
        config.write_text(written.replace("UPSTREAM", f"127.0.0.1:{self._upstream}"))
        command = (program, "-c", str(config), "-p", str(self._directory), "-g", "daemon off;")
        return await self._start("nginx", port, command, {}, ["none"])

    async def _node(self, name: str) -> Gateway:
        folder = npm_folder(HERE / "package.json")
        shutil.copy(HERE / f"{name}.js", folder)
        port = free_port()
        env = {
            "PORT": str(port), "UPSTREAM": f"http://127.0.0.1:{self._upstream}", "SECRET": SECRET,
            "NODE_ENV": "production",
        }  # fmt: skip
        tokens = [hs256(SECRET, f"person-{number}") for number in range(PERSONS)]
        return await self._start(name, port, ("node", str(folder / f"{name}.js")), env, tokens)

    async def _start(
        self, name: str, port: int, command: tuple[str, ...], env: dict[str, str], tokens: Sequence[str]
    ) -> Gateway:
        async def is_ready() -> bool:
            async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/livez") as answer:
                return answer.status == 200

        spec = Spec(
            name=name, command=command, env=env, log_file=self._directory / f"{name}.log", ready=is_ready,
            ready_timeout_s=90,
        )  # fmt: skip
        requests = [request(TARGET, authorization=f"Bearer {one}") for one in tokens]
        return Gateway(name, port, await self._supervisor.start(spec), requests)


def _fetch_nginx() -> str:
    """nginx out of Debian's package, without installing it."""
    program = FETCHED / "usr/sbin/nginx"
    if not program.exists():
        FETCHED.mkdir(parents=True, exist_ok=True)
        fetch("apt-get", "download", "nginx", cwd=FETCHED)
        for package in FETCHED.glob("nginx_*.deb"):
            fetch("dpkg", "-x", package.name, ".", cwd=FETCHED)
    return str(program)


@asynccontextmanager
async def bench(directory: Path, redis_url: str, prefix: str) -> AsyncIterator[tuple[Bench, Gateway]]:
    """The upstream, ready to put gateways before it."""
    async with AsyncExitStack() as stack:
        made = Bench(await stack.enter_async_context(Supervisor()), directory, redis_url, prefix)
        yield made, await made.direct()


@pytest.mark.timeout(1800)
async def test_gateways(tmp_path: Path, redis_url: str, redis_prefix: str) -> None:
    async with bench(tmp_path, redis_url, redis_prefix.rstrip(":")) as (made, direct):
        print(f"\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {SECONDS:.0f} s a load, {PERSONS} persons")
        head = ("", "req/s", "CPU µs", "MB", "at req/s", "added p50 ms", "added p99 ms")
        print("| " + " | ".join(head) + " |\n|---|" + "--:|" * (len(head) - 1))
        for name in ("direct", "kelmah", "express", "fastify", "nginx"):
            if name not in ONLY:
                continue
            try:
                gateway = direct if name == "direct" else await getattr(made, name)()
            except (OSError, subprocess.SubprocessError) as error:
                print(f"| {name} | not measured: it cannot be had here ({error}) |")
                continue
            print("| " + " | ".join(await measured(gateway, direct)) + " |", flush=True)


async def measured(gateway: Gateway, direct: Gateway) -> list[str]:
    """The cells of its row."""
    await load(gateway)  # warms it up
    before = gateway.cpu_s()
    full = await load(gateway)
    cpu_us = (gateway.cpu_s() - before) / full.answered * 1e6
    assert full.failed == 0, f"{gateway.name}: {full.failed} of {full.answered} failed"
    row = [gateway.name, f"{full.a_second:,}", f"{cpu_us:.0f}", f"{gateway.memory_mb():.0f}"]
    if gateway is direct:
        return [*row, "", "", ""]
    rate = min(full.a_second / 2, MAX_PACE)
    half, bare = await load(gateway, rate), await load(direct, rate)
    assert half.failed == 0, f"{gateway.name}: {half.failed} of {half.answered} failed at half load"
    added = ((ours - theirs) / 1000 for ours, theirs in ((half.p50_us, bare.p50_us), (half.p99_us, bare.p99_us)))
    return [*row, f"{rate:,.0f}", *(f"{one:.2f}" for one in added)]
