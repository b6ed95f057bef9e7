"""What Redis keeps of sessions: it saves reads, and never lets anybody in."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from kelmah.contracts.common import Role
from kelmah.kit.ids import new_id
from kelmah.services.auth.documents import accounts
from kelmah.services.auth.documents import sessions as documents
from kelmah.services.auth.service import revocations, session_cache
from tests.fixtures.service import Service
from tests.integration.auth.conftest import Visitor, claims

REFUSED = (401, "auth.refresh_refused")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often refreshing asked MongoDB for what."""
    counted: Counter[str] = Counter()

    def counting(name: str, function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **more: Any) -> Any:
            counted[name] += 1
            return await function(*args, **more)

        return call

    monkeypatch.setattr(accounts, "by_id", counting("account", accounts.by_id))
    monkeypatch.setattr(documents, "by_id", counting("session", documents.by_id))
    monkeypatch.setattr(documents, "rotate", counting("turn", documents.rotate))
    return counted


async def refreshed(member: Visitor) -> dict[str, Any]:
    assert member.tokens is not None
    reply = await member.refresh(member.tokens["refreshToken"])
    assert reply.status == 200
    member.tokens = reply.data
    return claims(reply.data["accessToken"], member.keys)


async def refused(member: Visitor) -> None:
    assert member.tokens is not None
    reply = await member.refresh(member.tokens["refreshToken"])
    assert (reply.status, reply.data["code"]) == REFUSED


async def end_behind_redis(auth: Service, member: Visitor) -> None:
    """End the session as an instance does whom Redis does not answer."""
    whole = auth.context.redis
    auth.replace(redis=Redis.from_url("redis://127.0.0.1:1"))
    try:
        assert (await auth.call("POST", "/api/v1/auth/logout", by=member.principal)).status == 204
    finally:
        auth.replace(redis=whole)


async def test_the_second_refresh_reads_no_account(auth: Service, member: Visitor, reads: Counter[str]) -> None:
    first, second = await refreshed(member), await refreshed(member)
    assert reads == {"turn": 2, "account": 1}
    assert (first["role"], first["sub"], first["amr"]) == (second["role"], second["sub"], second["amr"])
    left = await auth.context.redis.ttl(session_cache.entry_key(auth.context, member.principal.session_id))
    assert 0 < left <= session_cache.LIFE_S


async def test_an_end_is_noted_before_it_is_answered_and_costs_mongodb_nothing(
    auth: Service, member: Visitor, reads: Counter[str]
) -> None:
    await refreshed(member)
    session_id = member.principal.session_id
    assert (await auth.call("POST", "/api/v1/auth/logout", by=member.principal)).status == 204
    assert await auth.context.redis.get(session_cache.entry_key(auth.context, session_id)) == session_cache.ENDED
    before = dict(reads)
    await refused(member)
    assert reads == before
    # A request that was under way and read the account before the end keeps nothing over it.
    await session_cache.keep(auth.context, session_id, Role.WORKER)
    await refused(member)


async def test_a_stale_entry_revives_nobody(auth: Service, member: Visitor, reads: Counter[str]) -> None:
    await refreshed(member)
    await end_behind_redis(auth, member)
    session_id = member.principal.session_id
    assert await session_cache.role_of(auth.context, session_id) is Role.WORKER
    await refused(member)
    # It has been put right, so the next try does not come as far.
    before = dict(reads)
    await refused(member)
    assert reads == before


async def test_without_redis_mongodb_is_asked(auth: Service, member: Visitor, reads: Counter[str]) -> None:
    whole = auth.context.redis
    auth.replace(redis=Redis.from_url("redis://127.0.0.1:1"))
    try:
        await refreshed(member)
        await refreshed(member)
        assert reads == {"turn": 2, "account": 2}
        assert (await auth.call("POST", "/api/v1/auth/logout", by=member.principal)).status == 204
        await refused(member)
    finally:
        auth.replace(redis=whole)


async def test_redis_that_lost_everything_costs_a_read(auth: Service, member: Visitor, reads: Counter[str]) -> None:
    await refreshed(member)
    entry = session_cache.entry_key(auth.context, member.principal.session_id)
    await auth.context.redis.delete(entry)
    await refreshed(member)
    assert reads == {"turn": 2, "account": 2}
    await revocations.publish(auth.context, [new_id()])  # somebody else's end
    await refreshed(member)
    assert reads == {"turn": 3, "account": 2}


async def test_nobody_who_writes_to_redis_makes_an_administrator(auth: Service, member: Visitor) -> None:
    entry = session_cache.entry_key(auth.context, member.principal.session_id)
    other = session_cache.entry_key(auth.context, new_id())
    await session_cache.keep(auth.context, other.rpartition(":")[2], Role.ADMIN)
    for forged in (b"admin", b"", await auth.context.redis.get(other)):
        await auth.context.redis.set(entry, forged)
        assert (await refreshed(member))["role"] == "worker"
