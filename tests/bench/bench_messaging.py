"""Our sockets beside those of a socket.io server: how many a process holds, and how quickly it serves them.

    nox -s bench -- messaging

One run, one machine, one process each, one sender that speaks to both (`sockets/load.py`), both over one Redis and one
MongoDB. People have two sockets each; every message is for two people and so arrives four times.

- idle: sockets that only send heartbeats, every 20 to 25 s. Memory is what the process grew by, CPU what it used.
- fan-out: a message is published over Redis by the sender, as another instance would, and the server delivers it.
- stored: a person sends over a socket; the server stores, answers, publishes, delivers. socket.io is measured with one
  bare insert, and with a transaction that keeps what ours keeps (`sockets/server.js`).

Ours checks one-time tickets and signed handshakes and encrypts what is stored and published; socket.io checks HS256
tokens and encrypts nothing. `KELMAH_BENCH_SOCKETS` (5000), `KELMAH_BENCH_SECONDS` (5) and `KELMAH_BENCH_ONLY`
(`idle,fan-out,stored`) change the size.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kelmah.cli.processes import Process, Spec, Supervisor, free_port
from kelmah.contracts.common import Role
from kelmah.kit.context import Principal
from kelmah.services.messaging.settings import MessagingSettings
from tests.bench.processes import cpu_s, memory_mb, npm_folder
from tests.fakes.messaging import FakePlatform
from tests.fixtures.instances import COMMAND, environment
from tests.fixtures.service import settings_for
from tests.integration.messaging.conftest import started

SOCKETS = int(os.environ.get("KELMAH_BENCH_SOCKETS", "5000"))
SECONDS = float(os.environ.get("KELMAH_BENCH_SECONDS", "5"))
ONLY = os.environ.get("KELMAH_BENCH_ONLY", "idle,fan-out,stored").split(",")
HERE = Path(__file__).parent / "sockets"
#: Conversations that messages go to in turn; messages under way at once, published and sent.
CONVERSATIONS, PUBLISHED, SENT = 100, 50, 16
#: Seconds of idleness: both sides' heartbeats come in them, every 20 and every 25 s, and both collect their garbage.
IDLE_S = 30
SECRET = "a secret of the bench, no other use"


@dataclass
class Server:
    """Something to measure, and who talks to it."""

    name: str
    process: Process
    load: asyncio.subprocess.Process

    async def do(self, what: str, **arguments: Any) -> Any:
        """One command of `load.py`."""
        assert self.load.stdin is not None
        assert self.load.stdout is not None
        self.load.stdin.write(json.dumps({"do": what} | arguments).encode() + b"\n")
        if not (answer := await self.load.stdout.readline()):
            raise RuntimeError(f"the load of {self.name} ended")
        return json.loads(answer)


class Bench:
    """Starts one server at a time, each with a load of its own."""

    def __init__(
        self, settings: MessagingSettings, directory: Path, conversations: list[tuple[str, list[str]]]
    ) -> None:
        self.conversations = conversations
        self._settings = settings
        self._directory = directory

    @asynccontextmanager
    async def kelmah(self) -> AsyncIterator[Server]:
        port = free_port()
        setup = {"prefix": self._settings.redis_prefix}
        env = environment(self._settings, port) | {"KELMAH_MESSAGING_STRANGER_MESSAGES": "5"}
        async with self._running("kelmah", COMMAND, env, port, setup) as server:
            yield server

    @asynccontextmanager
    async def socketio(self, store: str = "") -> AsyncIterator[Server]:
        folder, port = npm_folder(HERE / "package.json"), free_port()
        (folder / "server.js").write_text((HERE / "server.js").read_text())
        setup = {"prefix": f"{self._settings.redis_prefix}-{store}", "secret": SECRET}
        env = {
            "PORT": str(port), "NODE_ENV": "production", "SECRET": SECRET, "STORE": store, "PREFIX": setup["prefix"],
            "REDIS_URL": self._settings.redis_url, "MONGO_URL": self._settings.mongo_url,
            "DATABASE": f"{self._settings.mongo_database}_{store}",
            "CONVERSATIONS": json.dumps([{"conversationId": one, "people": two} for one, two in self.conversations]),
        }  # fmt: skip
        name = f"socket.io {store}".strip()
        async with self._running(name, ("node", str(folder / "server.js")), env, port, setup) as server:
            yield server

    @asynccontextmanager
    async def _running(
        self, name: str, command: tuple[str, ...], env: dict[str, str], port: int, setup: dict[str, Any]
    ) -> AsyncIterator[Server]:
        async def is_ready() -> bool:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return True
            return False

        log = self._directory / f"{name.replace(' ', '-')}.log"
        spec = Spec(name=name, command=command, env=env, log_file=log, ready=is_ready, ready_timeout_s=60)
        async with Supervisor() as supervisor:
            process = await supervisor.start(spec)
            load = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.bench.sockets.load"),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=2**26,
            )  # fmt: skip
            server = Server(name, process, load)
            try:
                assert load.stdin is not None
                setup |= {"name": name.split(".")[0], "port": port, "redis": self._settings.redis_url}
                load.stdin.write(json.dumps(setup).encode() + b"\n")
                assert load.stdout is not None
                await load.stdout.readline()
                yield server
            finally:
                with suppress(ProcessLookupError):
                    load.kill()
                await load.wait()


@asynccontextmanager
async def bench(
    directory: Path, mongo_url: str, mongo_prefix: str, redis_url: str, redis_prefix: str
) -> AsyncIterator[Bench]:
    """Conversations of two, made on our own service."""
    settings = settings_for(
        MessagingSettings,
        mongo_url=mongo_url,
        mongo_prefix=mongo_prefix,
        redis_url=redis_url,
        redis_prefix=redis_prefix,
        smtp_url="smtp://127.0.0.1:9",
        mail_sender="Kelmah <no-reply@kelmah.example>",
        service_urls={name: ["http://127.0.0.1:9"] for name in ("auth", "user", "job")},
    )
    platform = FakePlatform()
    people = [
        Principal(user_id=f"person-{number}", role=Role.WORKER, session_id=f"session-{number}")
        for number in range(2 * CONVERSATIONS)
    ]
    for who in people:
        platform.know(who, who.user_id)
    conversations = []
    async with started(settings, platform) as service:
        for left, right in zip(people[::2], people[1::2], strict=True):
            body = {"kind": "direct", "participantIds": [right.user_id]}
            made = await service.call("POST", "/api/v1/conversations", body, by=left)
            assert made.status == 201, made.data
            conversations.append((made.data["id"], [left.user_id, right.user_id]))
            said = {"clientId": "answer", "text": "Good morning."}  # so that the left is no stranger
            assert (
                await service.call("POST", f"/api/v1/conversations/{made.data['id']}/messages", said, by=right)
            ).data
    yield Bench(settings, directory, conversations)


def title(*head: str) -> None:
    print("\n| " + " | ".join(head) + " |\n|---|" + "--:|" * (len(head) - 1))


def row(*cells: Any) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def pairs(made: Bench) -> Iterator[str]:
    return (user_id for _, people in made.conversations for user_id in people * 2)


@pytest.mark.timeout(1800)
async def test_sockets(tmp_path: Path, mongo_url: str, mongo_prefix: str, redis_url: str, redis_prefix: str) -> None:
    async with bench(tmp_path, mongo_url, mongo_prefix, redis_url, redis_prefix.rstrip(":")) as made:
        print(f"\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {SECONDS:.0f} s a load")
        if "idle" in ONLY:
            titles = ("KiB a socket", "sockets a GB", "opened a second", "CPU ms an opening", "CPU % while idle")
            title(f"{SOCKETS:,} idle", *titles)
            for way in (made.kelmah, made.socketio):
                async with way() as server:
                    row(server.name, *await idle(server))
        head = ("delivered a second", "CPU µs each", "p50 ms", "p99 ms")
        if "fan-out" in ONLY:
            await compare(made, "publish", [made.kelmah(), made.socketio()], ("fan-out", *head), PUBLISHED)
        if "stored" in ONLY:
            ways = [made.kelmah(), made.socketio("insert"), made.socketio("transaction")]
            await compare(made, "send", ways, ("stored", *head), SENT)


async def idle(server: Server) -> list[str]:
    await server.do("open", people=[f"warm-{number}" for number in range(200)])
    await server.do("idle", seconds=IDLE_S)  # so that neither gives back what it took to start
    before = memory_mb(server.process.pid)
    people = [f"idle-{number // 2}" for number in range(SOCKETS)]
    cpu = cpu_s(server.process.pid)
    opened = await server.do("open", people=people)
    await server.do("idle", seconds=2)
    opening_ms = (cpu_s(server.process.pid) - cpu) / SOCKETS * 1000
    cpu = cpu_s(server.process.pid)
    assert (await server.do("idle", seconds=IDLE_S))["lost"] == 0
    cpu = (cpu_s(server.process.pid) - cpu) / IDLE_S
    each_kib = (memory_mb(server.process.pid) - before) * 1024 / SOCKETS
    rate = SOCKETS / opened["seconds"]
    return [f"{each_kib:.1f}", f"{2**20 / each_kib:,.0f}", f"{rate:,.0f}", f"{opening_ms:.2f}", f"{cpu:.1%}"]


async def compare(made: Bench, way: str, servers: list[Any], head: tuple[str, ...], window: int) -> None:
    """All flat out, then all at half of what the slowest delivered."""
    async with AsyncExitStack() as stack:
        running = [await stack.enter_async_context(one) for one in servers]
        load = {"way": way, "pairs": made.conversations, "window": 4 * window}
        flat, cpus = [], []
        for server in running:
            await server.do("open", people=list(pairs(made)))
            await server.do("deliver", **load, seconds=1, rate=0)  # warms it up
            cpu = cpu_s(server.process.pid)
            flat.append(await server.do("deliver", **load, seconds=SECONDS, rate=0))
            cpus.append((cpu_s(server.process.pid) - cpu) / flat[-1]["delivered"] * 1e6)
        rate = min(one["a_second"] for one in flat) / 4 / 2
        title(*head[:3], *(f"{one} at {4 * rate:,.0f}/s" for one in head[3:]))
        for server, most, cpu in zip(running, flat, cpus, strict=True):
            paced = await server.do("deliver", **load, seconds=SECONDS, rate=rate)
            assert most["lost"] == paced["lost"] == 0, (server.name, most, paced)
            row(
                server.name,
                f"{most['a_second']:,.0f}",
                f"{cpu:.0f}",
                f"{paced['p50_ms']:.2f}",
                f"{paced['p99_ms']:.2f}",
            )
