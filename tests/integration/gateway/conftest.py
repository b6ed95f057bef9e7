"""The gateway in front of small services; each test runs over HTTP and in one process."""

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kelmah.gateway import cache, limits
from tests.integration.gateway.platform import Platform, platform


@pytest.fixture(autouse=True, scope="session")
def patience_with_redis() -> Iterator[None]:
    """On a busy machine Redis may be late, which is no reason here to count without it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "TIMEOUT_S", 20)
        patch.setattr(cache, "TIMEOUT_S", 20)
        yield


@pytest.fixture(params=["http", "memory"])
def mode(request: pytest.FixtureRequest) -> str:
    """How the gateway reaches its services."""
    return str(request.param)


@pytest.fixture
async def gateway(mode: str, tmp_path: Path, redis_url: str, redis_prefix: str) -> AsyncIterator[Platform]:
    """A gateway with limits of its own."""
    async with platform(mode, tmp_path, redis_url, f"{redis_prefix}{uuid.uuid4().hex}") as running:
        yield running


@pytest.fixture(scope="module", params=["http", "memory"])
async def standing(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, redis_url: str, redis_prefix: str
) -> AsyncIterator[Platform]:
    """A gateway that several tests use, which leave nothing behind."""
    directory = tmp_path_factory.mktemp("gateway")
    async with platform(request.param, directory, redis_url, f"{redis_prefix}{uuid.uuid4().hex}") as running:
        yield running
