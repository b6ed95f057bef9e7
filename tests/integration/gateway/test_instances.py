"""Several instances of one service: who gets requests, who is out and why, and what a restart costs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from kelmah.cli.processes import free_port
from kelmah.gateway import health
from tests.integration.gateway.platform import Behind, Platform, behind_the_door, echo_app, platform, serving

#: How much asking proves that one is out: by chance it would be one in 2**20.
MANY = 20


class Pair(NamedTuple):
    """A gateway and the two instances behind it."""

    gateway: Platform
    one: Behind
    other: Behind

    async def ask(self, path: str = "/api/v1/flaky") -> int:
        async with self.gateway.client.get(path) as answer:
            return answer.status

    async def reasons(self) -> list[str | None]:
        """Why the instances are out."""
        async with self.gateway.client.get("/health") as answer:
            found = await answer.json()
        return [one.get("reason") for one in found["services"]["echo"]["instances"]]


@pytest.fixture
async def pair(
    tmp_path: Path, redis_url: str, redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Pair]:
    monkeypatch.setattr(health, "PROBE_S", 0.05)
    monkeypatch.setattr(health, "KEPT_S", -1)  # ask anew each time
    prefix = f"{redis_prefix}pair-{tmp_path.name}"
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(platform("http", tmp_path, redis_url, prefix))
        other = Behind()
        url = await stack.enter_async_context(serving(behind_the_door(echo_app(other), "echo", first.redis, prefix)))
        urls = first.settings.service_urls | {"echo": [*first.settings.service_urls["echo"], url]}
        gateway = await stack.enter_async_context(platform("http", tmp_path, redis_url, prefix, service_urls=urls))
        yield Pair(gateway, first.behind, other)


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_true():  # noqa: ASYNC110  # the state of another part, which tells nobody
            await asyncio.sleep(0.01)


async def test_a_rolling_restart_loses_no_request(tmp_path: Path, redis_url: str, redis_prefix: str) -> None:
    prefix = f"{redis_prefix}rolling"
    ports = [free_port(), free_port()]
    is_over, restarts = asyncio.Event(), 0
    statuses: list[int] = []

    async with platform("http", tmp_path, redis_url, prefix) as behind:

        def instance(port: int) -> AbstractAsyncContextManager[str]:
            return serving(behind_the_door(echo_app(Behind()), "echo", behind.redis, prefix), port=port)

        urls = behind.settings.service_urls | {"echo": [f"http://127.0.0.1:{port}" for port in ports]}
        running = [AsyncExitStack(), AsyncExitStack()]
        for stack, port in zip(running, ports, strict=True):
            await stack.enter_async_context(instance(port))
        async with platform("http", tmp_path, redis_url, prefix, service_urls=urls) as gateway:

            async def load(number: int) -> None:
                while not is_over.is_set():
                    key = {"idempotency-key": f"{number}-{len(statuses)}"}
                    ask = gateway.client.get if number % 2 else gateway.client.post
                    async with ask("/api/v1/echo/x", headers=key) as answer:
                        statuses.append(answer.status)
                        await answer.read()

            loads = [asyncio.create_task(load(number)) for number in range(6)]
            for number in (0, 1, 0, 1):
                seen = len(statuses)
                while len(statuses) < seen + MANY:  # noqa: ASYNC110  # the load goes on by itself
                    await asyncio.sleep(0.01)
                await running[number].aclose()
                running[number] = AsyncExitStack()
                await running[number].enter_async_context(instance(ports[number]))
                restarts += 1
            is_over.set()
            await asyncio.gather(*loads)
        for stack in running:
            await stack.aclose()
    assert restarts == 4
    assert len(statuses) >= 4 * MANY
    assert set(statuses) == {200}


async def test_both_get_requests(pair: Pair) -> None:
    assert {await pair.ask() for _ in range(MANY)} == {200}
    assert pair.one.calls + pair.other.calls == MANY
    assert pair.one.calls
    assert pair.other.calls


async def test_one_that_is_not_ready_gets_none_until_it_is(pair: Pair) -> None:
    members = pair.gateway.app.state.edge.services["echo"].balancer.members
    pair.one.ready = False
    await until(lambda: members[0].unfit is not None)
    assert {await pair.ask() for _ in range(MANY)} == {200}
    assert (pair.one.calls, pair.other.calls) == (0, MANY)
    assert await pair.reasons() == ["not ready: mongo", None]
    pair.one.ready = True
    await until(lambda: members[0].unfit is None)
    assert await pair.reasons() == [None, None]
    async with asyncio.timeout(20):
        while not pair.one.calls:
            assert await pair.ask() == 200


async def test_one_that_fails_in_a_row_is_put_out(pair: Pair) -> None:
    pair.one.failures = 10_000
    for _ in range(50):
        assert await pair.ask() in (200, 503)
    failed = pair.one.calls
    assert failed < 20  # not even the minimum of the breaker
    assert {await pair.ask() for _ in range(MANY)} == {200}
    assert pair.one.calls == failed
    reasons = await pair.reasons()
    assert "failed too often in a row" in (reasons[0] or "")
    assert reasons[1] is None
