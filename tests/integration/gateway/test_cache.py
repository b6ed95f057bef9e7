"""Answers that others get, too: for how long, to whom, and what makes them old."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from kelmah.gateway import cache
from kelmah.kit import clock, freshness
from tests.integration.gateway.platform import Platform


async def ask(gateway: Platform, how: str = "plain", **headers: str) -> tuple[int, Any, str]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with gateway.client.get(f"/api/v1/cached/{how}", headers=sent) as answer:
        found = await answer.json() if answer.status == 200 else None
        return answer.status, found and found["calls"], answer.headers.get("cache-status", "")


async def test_an_answer_is_asked_for_once(gateway: Platform) -> None:
    assert await ask(gateway) == (200, 1, "kelmah; fwd=miss")
    assert await ask(gateway) == (200, 1, "kelmah; hit")
    assert await ask(gateway, "plain?page=2") == (200, 2, "kelmah; fwd=miss")
    assert await ask(gateway) == (200, 1, "kelmah; hit")
    clock.shift(timedelta(seconds=61))
    assert await ask(gateway) == (200, 3, "kelmah; fwd=miss")


async def test_many_at_once_ask_once(gateway: Platform) -> None:
    asking = [asyncio.create_task(ask(gateway, "waits")) for _ in range(20)]
    await asyncio.sleep(0.3)
    gateway.behind.step.set()
    assert {(status, calls) for status, calls, _ in await asyncio.gather(*asking)} == {(200, 1)}
    assert gateway.behind.calls == 1


async def test_an_event_makes_it_old_at_once(gateway: Platform) -> None:
    assert (await ask(gateway))[1] == 1
    await freshness.note(gateway.redis, gateway.prefix, {"job.job_created.v1"})
    assert (await ask(gateway))[1] == 1
    await freshness.note(gateway.redis, gateway.prefix, {"job.job_closed.v1"})
    assert (await ask(gateway))[1] == 2
    assert (await ask(gateway))[1] == 2


async def test_nobody_gets_what_was_meant_for_another(gateway: Platform) -> None:
    assert (await ask(gateway))[1] == 1
    assert await ask(gateway, **gateway.bearer()) == (200, 2, "")  # signed in: never from here
    assert (await ask(gateway, accept_language="tw"))[1] == 3
    assert (await ask(gateway, accept_language="tw"))[1] == 3
    assert (await ask(gateway))[1] == 1
    headers = {
        "x-mine": "secret",
        "cookie": "a=b",
        "accept-language": "ee",
        "if-none-match": '"x"',
        "range": "bytes=0-1",
    }
    async with gateway.client.get("/api/v1/cached/seen", headers=headers) as answer:
        # What is not part of the key is not passed on, so it cannot have shaped the answer.
        assert await answer.json() == {"calls": 4, "accept-language": "ee", "x-mine": None, "cookie": None}
        assert answer.headers["vary"].lower().startswith("accept-language")


@pytest.mark.parametrize("how", ["set-cookie", "private", "large", "missing"])
async def test_some_answers_are_kept_for_nobody(gateway: Platform, how: str) -> None:
    status = 404 if how == "missing" else 200
    for calls in (1, 2):
        assert await ask(gateway, how) == (status, calls if status == 200 else None, "")
    assert gateway.behind.calls == 2


async def test_who_has_it_already_is_told_so(gateway: Platform) -> None:
    async with gateway.client.get("/api/v1/cached/plain") as answer:
        etag = answer.headers["etag"]
        assert answer.headers["cache-control"] == "no-cache"
        body = await answer.read()
    for asked in (etag, f'"other", W/{etag}', "*"):
        async with gateway.client.get("/api/v1/cached/plain", headers={"if-none-match": asked}) as answer:
            assert (answer.status, await answer.read(), answer.headers["etag"]) == (304, b"", etag)
    async with gateway.client.get("/api/v1/cached/plain", headers={"if-none-match": '"other"'}) as answer:
        assert (answer.status, await answer.read()) == (200, body)
    async with gateway.client.head("/api/v1/cached/plain") as answer:
        assert (answer.status, answer.headers["content-length"]) == (200, str(len(body)))
    async with gateway.client.get("/api/v1/cached/tagged") as answer:
        assert answer.headers["etag"] == '"t"'


async def test_an_old_answer_stands_in_for_a_service_that_fails(gateway: Platform) -> None:
    assert (await ask(gateway))[1] == 1
    gateway.behind.failures = 10_000
    clock.shift(timedelta(seconds=61))
    assert await ask(gateway) == (200, 1, "kelmah; hit; fwd=stale; detail=error")
    clock.shift(timedelta(seconds=60))
    assert (await ask(gateway))[0] == 503
    gateway.behind.failures = 0
    assert (await ask(gateway))[0] == 200


async def test_what_is_kept_is_bounded(gateway: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_ENTRIES", 3)
    for page in range(6):
        await ask(gateway, f"plain?page={page}")
    assert len(await _kept(gateway.redis, gateway.prefix)) == 3
    assert (await ask(gateway, "plain?page=5"))[2] == "kelmah; hit"
    assert (await ask(gateway, "plain?page=0"))[2] == "kelmah; fwd=miss"
    before = gateway.behind.calls
    for _ in range(2):
        assert (await ask(gateway, "plain?q=" + "x" * 600))[2] == ""  # too long to be asked again
    assert gateway.behind.calls == before + 2


async def _kept(redis: Redis, prefix: str) -> list[bytes]:
    return [key async for key in redis.scan_iter(match=f"{prefix}:gateway:cache:*", count=1000)]


async def test_the_same_path_of_another_host_is_another_answer(gateway: Platform) -> None:
    assert await ask(gateway) == (200, 1, "kelmah; fwd=miss")
    assert await ask(gateway, host="only.example.com") == (200, 2, "kelmah; fwd=miss")
    async with gateway.client.get("/api/v1/cached/plain", headers={"host": "only.example.com"}) as answer:
        assert (await answer.json())["x-mine"] == "by the route"
        assert answer.headers["cache-status"] == "kelmah; hit"
    assert await ask(gateway) == (200, 1, "kelmah; hit")
