"""How fast a session's end reaches two gateways, and how many logins a second beside the bare Argon2 limit.

nox -s bench -- auth
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import argon2
import pytest

from kelmah.kit.ids import new_id
from kelmah.services.auth.app import create_app
from kelmah.services.auth.documents import DOCUMENTS
from kelmah.services.auth.settings import AuthSettings
from tests.fixtures.mailbox import Mailbox
from tests.fixtures.service import Service, running, settings_for
from tests.integration.auth.conftest import PASSWORD, Visitor, new_member, new_visitor
from tests.integration.gateway.platform import Platform, platform
from tests.integration.gateway.test_edge import subscribed

REVOCATIONS, LOGINS, AT_ONCE = 100, 200, 16


def told(name: str, took: list[float]) -> None:
    p50, p99 = statistics.median(took), statistics.quantiles(took, n=100)[98]
    print(f"{name}: p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, longest {max(took) * 1000:.1f} ms")


@pytest.fixture
async def auth(
    mongo_url: str, mongo_prefix: str, redis_url: str, redis_prefix: str, mail_server: Mailbox
) -> AsyncIterator[Service]:
    quotas = {name: 1_000_000 for name in AuthSettings.model_fields if name.endswith("_quota")}
    settings = settings_for(
        AuthSettings,
        mongo_url=mongo_url,
        mongo_prefix=f"{mongo_prefix}bench_",
        redis_url=redis_url,
        redis_prefix=f"{redis_prefix}bench",
        smtp_url=mail_server.url,
        **quotas,
    )
    async with running(create_app, settings, DOCUMENTS) as service:
        yield service


async def test_revocation_reaches_two_gateways(auth: Service, tmp_path: Path, redis_url: str) -> None:
    """From the answer of the service that ended the session to the first refusal by each of two gateways."""
    prefix = auth.context.settings.redis_prefix
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    async with (
        platform("memory", tmp_path / "one", redis_url, prefix) as one,
        platform("memory", tmp_path / "two", redis_url, prefix) as two,
    ):
        for gateway in (one, two):
            await subscribed(gateway)
        took: list[float] = []
        for _ in range(REVOCATIONS):
            member = await new_member(auth)
            who = member.principal
            claims = {"user_id": who.user_id, "sid": who.session_id}
            headers = [gateway.bearer(**claims) for gateway in (one, two)]
            for gateway, header in zip((one, two), headers, strict=True):
                assert await status(gateway, header) == 200
            reply = await auth.call("DELETE", f"/api/v1/auth/sessions/{who.session_id}", by=who)
            ended = time.perf_counter()
            assert reply.status == 204
            took += await asyncio.gather(*(refused(g, h, ended) for g, h in zip((one, two), headers, strict=True)))
        told(f"{REVOCATIONS} revocations at two gateways", took)
        assert max(took) < 1


async def status(gateway: Platform, headers: dict[str, str]) -> int:
    async with gateway.client.get("/api/v1/mine", headers=headers) as answer:
        return answer.status


async def refused(gateway: Platform, headers: dict[str, str], since: float) -> float:
    while await status(gateway, headers) != 401:
        pass
    return time.perf_counter() - since


async def test_logins_beside_bare_hashes(auth: Service) -> None:
    settings = auth.context.settings
    hasher = argon2.PasswordHasher(
        time_cost=settings.hash_passes, memory_cost=settings.hash_memory_kib, parallelism=settings.hash_lanes
    )
    stored = hasher.hash(PASSWORD)
    members = [await new_member(auth) for _ in range(AT_ONCE)]
    visitor = await new_visitor(auth)

    async def verify(_: Visitor) -> None:
        await auth.context.hasher.run(lambda: hasher.verify(stored, PASSWORD))

    async def login(member: Visitor) -> None:
        assert (await member.login()).status == 200

    async def fail(member: Visitor) -> None:
        body = {"email": f"{new_id()}@example.com", "password": PASSWORD}
        assert (await visitor.post("login", body, headers=member.headers)).status == 401

    rates = {name: await rate(members, once) for name, once in (("bare", verify), ("login", login), ("unknown", fail))}
    bare = rates["bare"]
    for name, found in rates.items():
        print(f"{name}: {found:.1f} a second, {found / bare:.0%} of the bare Argon2 limit")


async def rate(members: list[Visitor], once: Any) -> float:
    left = iter(range(LOGINS))

    async def work(member: Visitor) -> None:
        for _ in left:
            await once(member)

    began = time.perf_counter()
    await asyncio.gather(*(work(member) for member in members))
    return LOGINS / (time.perf_counter() - began)
