"""Workers as processes of the dramatiq command."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kelmah.contracts.job import JobCreated
from tests.fixtures.workers import Stage, until

pytestmark = pytest.mark.rabbitmq


@asynccontextmanager
async def worker(stage: Stage, **told: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker process on the stage; killed at the end if it still runs."""
    told |= {
        "service": json.loads(stage.settings.model_dump_json()) | secrets_of(stage),
        "workers": {
            "redis_url": stage.workers_settings.redis_url,
            "redis_prefix": stage.workers_settings.redis_prefix,
            "amqp_url": stage.workers_settings.amqp_url and stage.workers_settings.amqp_url.get_secret_value(),
        },
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dramatiq", "tests.fakes.worker_app", "--processes", "1", "--threads", "4",
        env=os.environ | {"KELMAH_TEST_STAGE": json.dumps(told)},
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def secrets_of(stage: Stage) -> dict[str, Any]:
    """What dumping the settings hides."""
    keys = [key.get_secret_value() for key in stage.settings.field_keys]
    return {"field_keys": keys, "incoming_keys": {}, "outgoing_keys": {}}


async def says(process: asyncio.subprocess.Process, event: str) -> bool:
    assert process.stderr is not None
    async with asyncio.timeout(60):
        async for line in process.stderr:
            if event.encode() in line:
                return True
    return False


async def test_a_worker_starts_works_and_stops(stage: Stage) -> None:
    async def unused(*_: object) -> None: ...

    stage.registry.on_event("job.note", JobCreated, unused)
    async with worker(stage) as process:
        assert await says(process, '"workers.ready"')
        [sent] = await stage.append("job:1")

        async def effects() -> list[Any]:
            return await stage.context.mongo.collection("effects").find().to_list()

        assert [row["event_id"] for row in await until(effects)] == [sent.id]
        process.terminate()
        assert await says(process, '"workers.stopped"')
        assert await process.wait() == 0
    assert await stage.context.mongo.collection("leases").count_documents({}) == 0


async def test_a_worker_without_its_contexts_ends(redis_stage: Stage) -> None:
    async with worker(redis_stage, broken=True) as process:
        assert await says(process, '"workers.failed_to_start"')
        async with asyncio.timeout(20):
            assert await process.wait() == 1
