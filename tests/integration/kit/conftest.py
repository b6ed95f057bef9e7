"""The smallest service, running."""

from collections.abc import AsyncIterator

import pytest

from tests.fixtures.service import Service, running, settings_for
from tests.integration.kit import thing


@pytest.fixture(scope="session")
async def things(mongo_url: str, mongo_prefix: str, redis_url: str, redis_prefix: str) -> AsyncIterator[Service]:
    settings = settings_for(
        thing.ThingSettings,
        mongo_url=mongo_url,
        mongo_prefix=mongo_prefix,
        redis_url=redis_url,
        redis_prefix=redis_prefix,
        max_body_bytes=2048,
    )
    async with running(thing.create_app, settings, (thing.ThingDocument,)) as service:
        yield service


@pytest.fixture(autouse=True)
def nobody_dies() -> None:
    thing.die.clear()
