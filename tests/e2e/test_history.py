"""A reconnect storm on instances that are processes: they are killed, Redis is restarted empty, and nothing is lost.

The plan comes from a seed, which is printed: KELMAH_TEST_SEED=… repeats it. `tests/fixtures/history.py` is the
checker; that it finds faults is shown in `tests/unit/messaging` and `tests/integration/messaging`.
"""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from kelmah.cli.backends import mongo, redis
from kelmah.cli.processes import free_port
from kelmah.kit.tasks import end
from kelmah.services.messaging.settings import MessagingSettings
from tests.conftest import Servers
from tests.fakes.messaging import FakePlatform
from tests.fixtures.history import faults
from tests.fixtures.instances import COMMAND, environment
from tests.fixtures.service import settings_for
from tests.fixtures.storm import Door, Storm, acquaint, all_stored, deliver_events
from tests.integration.messaging.conftest import started

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SEED = int(os.environ.get("KELMAH_TEST_SEED", random.SystemRandom().randrange(1_000_000)))
INSTANCES, MESSAGES = 3, 40


class Process:
    """A program that is started again after it was killed."""

    def __init__(self, command: list[str], env: dict[str, str], log: Path) -> None:
        self._command, self._env, self._log = command, env, log
        self._child: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                *self._command, env=self._env, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )

    async def kill(self) -> None:
        assert self._child is not None
        if self._child.returncode is None:
            self._child.kill()
        assert await self._child.wait() == -signal.SIGKILL, f"it ended by itself: see {self._log}"


@asynccontextmanager
async def running(process: Process) -> AsyncIterator[Process]:
    await process.start()
    try:
        yield process
    finally:
        await process.kill()


def instance(settings: MessagingSettings, port: int, log: Path) -> Process:
    return Process(list(COMMAND), {"PATH": os.environ["PATH"]} | environment(settings, port), log)


async def test_nothing_is_lost_in_a_storm(servers: Servers, tmp_path: Path) -> None:
    print(f"KELMAH_TEST_SEED={SEED} repeats the plan")
    database = await mongo.start(*servers)
    redis_port = free_port()
    settings = settings_for(
        MessagingSettings,
        mongo_url=database.url,
        mongo_prefix="storm_",
        redis_url=f"redis://127.0.0.1:{redis_port}/0",
        redis_prefix="storm",
        smtp_url="smtp://127.0.0.1:9",
        mail_sender="Kelmah <no-reply@kelmah.example>",
        stranger_messages=10_000,
        service_urls={name: ["http://127.0.0.1:9"] for name in ("auth", "user", "job")},
    )
    binary, _ = redis.find_binary()
    serve = [str(binary), "--bind", "127.0.0.1", "--port", str(redis_port), "--dir", str(tmp_path), "--save", ""]
    ports = [free_port() for _ in range(INSTANCES)]
    platform = FakePlatform()
    async with AsyncExitStack() as stack:
        cache = await stack.enter_async_context(running(Process(serve, {}, tmp_path / "redis.log")))
        processes = [
            await stack.enter_async_context(running(instance(settings, port, tmp_path / f"{port}.log")))
            for port in ports
        ]
        worker = await stack.enter_async_context(started(settings, platform))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        conversations = await acquaint(worker, platform)
        storm = Storm(doors=[Door(port, http) for port in ports], conversations=conversations, seed=SEED)
        events = asyncio.create_task(deliver_events(worker.context))
        kills = {"instance": 0, "redis": 0}

        async def break_one() -> None:
            if storm.dice.random() < 0.25:
                kills["redis"] += 1
                await cache.kill()
                await asyncio.sleep(storm.dice.uniform(0, 2))
                await cache.start()
            else:
                kills["instance"] += 1
                process = storm.dice.choice(processes)
                await process.kill()
                await process.start()

        async def fail() -> None:
            await asyncio.sleep(storm.dice.uniform(1.0, 4.0))
            # The storm may end at any moment, and leaves nothing dead behind.
            await asyncio.shield(asyncio.create_task(break_one()))

        try:
            await storm.run(messages=MESSAGES, fail=fail, pause_s=0.5, quiet_s=120)
        finally:
            await end(events)
        rows = await all_stored(worker.context, list(conversations))
        wires = sum(len(device.wires) for device in storm.history.devices)
        print(f"{len(rows)} messages stored, {wires} sockets opened by 8 devices, killed: {kills}")
        assert len(rows) == len(conversations) * 2 * MESSAGES
        assert kills["instance"] > 2
        assert faults(storm.history, rows) == []
