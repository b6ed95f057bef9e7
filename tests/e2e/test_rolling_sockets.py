"""Sockets under traffic while all between them is replaced: no message is lost, and no socket breaks.

A socket whose instance or gateway leaves is closed with 1012, and its client resumes over another: whatever else a
socket ends with is a failure here. A changed route table touches none. The history's checker says whether all that was
sent came, once and in order, and whether what was called whole was.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection

from kelmah.cli.processes import Process, free_port
from kelmah.kit.context import Principal
from kelmah.kit.tasks import end
from kelmah.services.messaging.settings import MessagingSettings
from tests.e2e.test_rolling import ROUTES, fleet
from tests.fakes.messaging import FakePlatform
from tests.fixtures.history import faults
from tests.fixtures.service import settings_for
from tests.fixtures.storm import LOST, Door, Storm, acquaint, all_stored, deliver_events
from tests.integration.gateway.platform import Behind, token
from tests.integration.messaging.conftest import started

SEED = int(os.environ.get("KELMAH_TEST_SEED", random.SystemRandom().randrange(1_000_000)))
SOCKETS = """
"POST /api/v1/ws-tickets" = { auth = "signed_in", retry = "never" }
"WS /api/v1/ws" = { auth = "public" }
"GET POST /api/v1/conversations/{id}/messages" = { auth = "signed_in" }
"""
ADDED = '"GET /api/v1/added" = { auth = "signed_in" }\n'
UNBOUNDED = {"KELMAH_MESSAGING_MESSAGES_PER_MINUTE": "100000", "KELMAH_MESSAGING_STRANGER_MESSAGES": "10000"}
RESTART = 1012


class EdgeDoor(Door):
    """A gateway, from outside. `ended` counts how sockets ended, and every request that failed."""

    def __init__(self, port: int, http: aiohttp.ClientSession, behind: Behind, ended: Counter[Any]) -> None:
        super().__init__(port, http)
        self._behind = behind
        self._ended = ended

    def _headers(self, method: str, target: str, content: bytes, by: Principal | None) -> dict[str, str]:
        return {} if by is None else {"authorization": f"Bearer {token(self._behind, user_id=by.user_id)}"}

    async def call(self, method: str, path: str, by: Principal, body: Any = None) -> tuple[int, Any]:
        try:
            status, data = await super().call(method, path, by, body)
        except (aiohttp.ClientError, TimeoutError) as error:
            self._ended[f"{method} {path.partition('?')[0]}: {error!r}"] += 1
            raise
        if status >= 400:
            self._ended[f"{method} {path.partition('?')[0]}: {status} {data}"] += 1
        return status, data

    @asynccontextmanager
    async def open(self, by: Principal) -> AsyncIterator[ClientConnection]:
        connection = None
        try:
            async with super().open(by) as connection:
                yield connection
        except LOST as error:
            self._ended[_ending(connection, error)] += 1
            raise


def _ending(connection: ClientConnection | None, error: Exception) -> int | str:
    """The code that the server closed a socket with, or what else ended it."""
    if connection is None:
        return f"not opened: {error!r}"
    frame = connection.protocol.close_rcvd
    return frame.code if frame is not None and connection.protocol.close_rcvd_then_sent else f"broken: {error!r}"


async def status_of(http: aiohttp.ClientSession, port: int, path: str) -> int:
    try:
        async with http.get(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status
    except aiohttp.ClientError:
        return 0


async def balance(http: aiohttp.ClientSession, doors: list[Door], gateways: list[Door]) -> None:
    """What stands before the gateways: sends nobody to one that is not ready."""
    while True:
        ready = [one for one in gateways if await status_of(http, one.port, "/readyz") == 200]
        if ready:
            doors[:] = ready
        await asyncio.sleep(0.2)


async def until_it_answers(http: aiohttp.ClientSession, port: int, path: str, status: int) -> None:
    async with asyncio.timeout(20):
        while await status_of(http, port, path) != status:  # noqa: ASYNC110  # another process tells nobody
            await asyncio.sleep(0.1)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_sockets_outlive_all_between_them(
    tmp_path: Path, mongo_url: str, mongo_prefix: str, redis_url: str, redis_prefix: str
) -> None:
    print(f"KELMAH_TEST_SEED={SEED} repeats what people do")
    prefix = f"{redis_prefix}sockets"
    settings = settings_for(
        MessagingSettings, mongo_url=mongo_url, mongo_prefix=f"{mongo_prefix}sockets_", redis_url=redis_url,
        redis_prefix=prefix, smtp_url="smtp://127.0.0.1:9", mail_sender="Kelmah <no-reply@kelmah.example>",
        stranger_messages=10_000, service_urls={name: ["http://127.0.0.1:9"] for name in ("auth", "user", "job")},
    )  # fmt: skip
    platform, ended = FakePlatform(), Counter[Any]()
    async with (
        fleet(tmp_path, mongo_url, f"{mongo_prefix}sockets_", redis_url, prefix, routes=ROUTES + SOCKETS) as (
            running,
            behind,
        ),
        started(settings, platform) as worker,
        aiohttp.ClientSession() as http,
    ):
        ports, edges = [free_port(), free_port()], [free_port(), free_port()]

        async def start(port: int) -> Process:
            return await running.start_instance("messaging", port, **UNBOUNDED)

        instances = list(await asyncio.gather(*(start(port) for port in ports)))
        gateways = list(await asyncio.gather(*(running.start("gateway", port) for port in edges)))
        conversations = await acquaint(worker, platform)
        all_doors: list[Door] = [EdgeDoor(port, http, behind, ended) for port in edges]
        doors = [*all_doors]
        storm = Storm(doors=doors, conversations=conversations, seed=SEED)
        is_over = asyncio.Event()

        async def replace_everything() -> None:
            opened = [len(device.wires) for device in storm.history.devices]
            for added, status in ((ADDED, 401), ("", 404)):
                (tmp_path / "routes.toml").write_text(ROUTES + SOCKETS + added)
                for port in edges:
                    await until_it_answers(http, port, "/api/v1/added", status)
            assert [len(device.wires) for device in storm.history.devices] == opened
            assert ended.total() == 0, ended
            for number, port in enumerate(ports):
                await running.stop(instances[number])
                instances[number] = await start(port)
                await asyncio.sleep(3)  # until the gateways found it
            for number, port in enumerate(edges):
                await running.stop(gateways[number])
                gateways[number] = await running.start("gateway", port)
                await asyncio.sleep(1)
            is_over.set()
            await asyncio.Event().wait()

        tasks = [asyncio.create_task(deliver_events(worker.context))]
        tasks.append(asyncio.create_task(balance(http, doors, all_doors)))
        try:
            await storm.run(messages=1, fail=replace_everything, pause_s=0.3, quiet_s=60, until=is_over)
        finally:
            await end(*tasks)
        rows = await all_stored(worker.context, list(conversations))
        wires = sum(len(device.wires) for device in storm.history.devices)
    print(f"{len(rows)} messages stored, {wires} sockets opened by 8 devices, ended: {dict(ended)}")
    assert set(ended) == {RESTART}, ended
    assert ended[RESTART] == wires - len(storm.history.devices)
    assert len(rows) == len(storm.history.sendings) > 100
    assert faults(storm.history, rows) == []
