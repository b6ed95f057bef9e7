"""A stage for workers: a database of the test's own, on RabbitMQ, on Redis, or on each in turn."""

from collections.abc import AsyncIterator

import aio_pika
import pytest

from kelmah.kit.ids import new_id
from tests.fixtures.service import settings_for
from tests.fixtures.workers import ShopSettings, Stage, on_stage


@pytest.fixture
def shop_settings(mongo_url: str, mongo_prefix: str, redis_url: str, redis_prefix: str) -> ShopSettings:
    return settings_for(
        ShopSettings,
        mongo_url=mongo_url,
        mongo_prefix=f"{mongo_prefix}{new_id()[-6:]}_",
        redis_url=redis_url,
        redis_prefix=redis_prefix,
    )


async def _drop_queues(url: str) -> None:
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        for name in ("kelmah.job", "kelmah.job.DQ", "kelmah.job.XQ"):
            await channel.queue_delete(name)


@pytest.fixture
async def rabbit(shop_settings: ShopSettings, amqp_url: str, redis_url: str) -> AsyncIterator[Stage]:
    async with on_stage(shop_settings, amqp_url=amqp_url, redis_url=redis_url) as stage:
        yield stage
    await _drop_queues(amqp_url)


@pytest.fixture
async def redis_stage(shop_settings: ShopSettings, redis_url: str) -> AsyncIterator[Stage]:
    async with on_stage(shop_settings, amqp_url=None, redis_url=redis_url) as stage:
        yield stage


@pytest.fixture(params=["rabbit", pytest.param("redis_stage", id="redis")])
def stage(request: pytest.FixtureRequest) -> Stage:
    """Each broker in turn."""
    found: Stage = request.getfixturevalue(request.param)
    return found
