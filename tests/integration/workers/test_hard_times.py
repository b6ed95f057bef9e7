"""A broker that is full, out of memory or too slow costs delay, and nothing else."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from kelmah.cli.backends import Backend, open_home, rabbitmq
from kelmah.cli.processes import Supervisor
from kelmah.contracts.events import Envelope
from kelmah.workers import publisher
from tests.conftest import Broker
from tests.fixtures.workers import ShopSettings, Stage, on_stage, until, wire_to
from tests.integration.workers.test_delivery import effects, note_effects

pytestmark = [pytest.mark.rabbitmq, pytest.mark.slow]
#: Events that happen while the broker takes nothing.
SUBJECTS = ("job:1", "job:2", "job:1", "job:2", "job:1")
Act = Callable[[], Awaitable[None]]


async def check_delay(
    stage: Stage, hinder: Callable[[], Awaitable[None]], help_: Callable[[], Awaitable[None]]
) -> None:
    """One event goes through; then some happen while the broker is hindered, and none of them is lost or doubled."""
    note_effects(stage)
    async with stage.working():
        sent = await stage.append("job:1")
        await stage.next_heard()
        await hinder()
        sent += await stage.append(*SUBJECTS)
        await failed_to_publish(stage, sent)
        await help_()

        async def is_over() -> bool:
            return await stage.pending() == 0 and len(await effects(stage)) == len(sent)

        await until(is_over)
    assert await effects(stage) == sorted(one.id for one in sent)


async def failed_to_publish(stage: Stage, sent: list[Envelope]) -> None:
    """The relay has tried more than once, and the events still wait."""
    relay = publisher.TIMEOUT_S * 2
    await asyncio.sleep(relay)
    assert await stage.pending() > 0
    assert len(await effects(stage)) < len(sent)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "TIMEOUT_S", 1.0)


async def test_a_queue_that_refuses_for_its_length(rabbit: Stage, broker: Broker, amqp_url: str) -> None:
    admin, vhost = urlsplit(broker.admin_url), urlsplit(amqp_url).path.lstrip("/")
    user = aiohttp.encode_basic_auth(admin.username or "guest", admin.password or "guest")
    url = f"{admin.scheme}://{admin.hostname}:{admin.port}/api/policies/{vhost}/full"
    async with aiohttp.ClientSession(headers={"Authorization": user}, raise_for_status=True) as session:

        async def fill() -> None:
            limits = {"max-length": 0, "overflow": "reject-publish"}
            body = {"pattern": "^kelmah\\.job$", "definition": limits, "apply-to": "queues"}
            await (await session.put(url, json=body)).read()

        async def empty() -> None:
            await (await session.delete(url)).read()

        await check_delay(rabbit, fill, empty)


async def test_a_line_that_is_slower_than_anybody_waits(
    shop_settings: ShopSettings, amqp_url: str, redis_url: str
) -> None:
    wire, through = await wire_to(amqp_url)

    async def slow() -> None:
        wire.lag_s = 3.0

    async def quick() -> None:
        wire.lag_s = 0.0

    async with on_stage(shop_settings, amqp_url=through, redis_url=redis_url) as stage:
        await check_delay(stage, slow, quick)
        await wire.cut()


@asynccontextmanager
async def own_broker() -> AsyncIterator[Backend]:
    async with open_home(None) as home, Supervisor(pass_fds=(home.lock_fd,)) as supervisor:
        yield await rabbitmq.start(supervisor, home)


async def test_a_memory_alarm_that_blocks_publishers(shop_settings: ShopSettings, redis_url: str) -> None:
    async with own_broker() as own, on_stage(shop_settings, amqp_url=own.url, redis_url=redis_url) as stage:
        assert own.process is not None
        spec = own.process.spec
        control = str(Path(spec.command[0]).with_name("rabbitmqctl"))

        async def set_watermark(*value: str) -> None:
            command = (control, "set_vm_memory_high_watermark", *value)
            child = await asyncio.create_subprocess_exec(*command, env={**os.environ, **(spec.env or {})})
            assert await asyncio.wait_for(child.wait(), 60) == 0

        await check_delay(stage, lambda: set_watermark("absolute", "1"), lambda: set_watermark("0.6"))
