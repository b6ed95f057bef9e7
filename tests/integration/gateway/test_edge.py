"""Who gets in: tokens, roles, revocations, limits, origins; and what the gateway answers by itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import OKPKey
from redis.asyncio import Redis

from kelmah.gateway import revocations, settings
from tests.integration.gateway.platform import Behind, Platform, platform, token

VIOLATIONS = ("alg", "key", "aud", "iss", "typ", "expired")


def forged(behind: Behind, how: str) -> str:
    if how == "alg":
        _, body, signature = token(behind).split(".")
        return f"eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0Iiwia2lkIjoib25lIn0.{body}.{signature}"
    if how == "key":
        return token(Behind(key=OKPKey.generate_key("Ed25519")))
    if how == "expired":
        return token(behind, exp=1)
    return token(behind, **{"aud": {"aud": "x"}, "iss": {"iss": "x"}, "typ": {"sub": ""}}[how])


@pytest.mark.parametrize("how", VIOLATIONS)
async def test_a_bad_token_is_refused_even_where_none_is_needed(gateway: Platform, how: str) -> None:
    headers = {"authorization": f"Bearer {forged(gateway.behind, how)}"}
    for path in ("/api/v1/mine", "/api/v1/echo"):
        async with gateway.client.get(path, headers=headers) as answer:
            assert answer.status == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert (await answer.json())["code"] == ("token_expired" if how == "expired" else "token_refused")


async def test_a_token_in_the_address_is_nobody(gateway: Platform) -> None:
    good = token(gateway.behind)
    async with gateway.client.get("/api/v1/mine", params={"access_token": good, "jwt": good}) as answer:
        assert (answer.status, (await answer.json())["code"]) == (401, "unauthenticated")


async def test_two_tokens_are_none(gateway: Platform) -> None:
    good = gateway.bearer()["authorization"]
    async with gateway.client.get("/api/v1/mine", headers=[("authorization", good), ("authorization", good)]) as answer:
        assert answer.status == 400


async def test_roles_are_checked_at_the_edge(gateway: Platform) -> None:
    async with gateway.client.get("/api/v1/staff") as answer:
        assert answer.status == 401
    async with gateway.client.get("/api/v1/staff", headers=gateway.bearer(role="worker")) as answer:
        assert (answer.status, (await answer.json())["code"]) == (403, "forbidden")
    async with gateway.client.get("/api/v1/staff", headers=gateway.bearer(role="moderator")) as answer:
        assert (answer.status, (await answer.json())["user"]) == (200, "person-1")


async def answers(gateway: Platform, status: int, **claims: Any) -> None:
    """Until the gateway answers so: what Redis tells comes when it comes."""
    async with asyncio.timeout(10):
        while True:
            async with gateway.client.get("/api/v1/mine", headers=gateway.bearer(**claims)) as answer:
                if answer.status == status:
                    return
            await asyncio.sleep(0.01)


async def subscribed(gateway: Platform) -> None:
    """Until the gateway listens to Redis, which is the only one who knows."""
    async with asyncio.timeout(5):
        while True:
            ((_, count),) = await gateway.redis.pubsub_numsub(f"{gateway.prefix}:auth:revocations")
            if count:
                return
            await asyncio.sleep(0.01)


async def test_a_session_that_ends_is_out_at_once(gateway: Platform) -> None:
    await answers(gateway, 200, user_id="leaver")
    channel = f"{gateway.prefix}:auth:revocations"
    await subscribed(gateway)
    assert await gateway.redis.publish(channel, "session-of-leaver") == 1
    await answers(gateway, 401, user_id="leaver")
    await answers(gateway, 200, user_id="stayer")


async def test_sessions_that_ended_before_are_out_from_the_start(
    mode: str, tmp_path: Path, redis_url: str, redis_prefix: str
) -> None:
    prefix = f"{redis_prefix}ended-{mode}"
    async with Redis.from_url(redis_url) as redis:
        await redis.zadd(f"{prefix}:auth:revoked", {"session-of-leaver": 99_999_999_999, "session-of-old": 1_000})
    async with platform(mode, tmp_path, redis_url, prefix) as gateway:
        await answers(gateway, 401, user_id="leaver")
        await answers(gateway, 200, user_id="old")


async def test_the_auth_service_knows_when_redis_does_not(
    mode: str, tmp_path: Path, redis_url: str, redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocations, "RETRY_S", 0.05)
    async with platform(
        mode, tmp_path, redis_url, f"{redis_prefix}no-{mode}", gateway_redis_url="redis://127.0.0.1:1"
    ) as gateway:
        await answers(gateway, 200, user_id="leaver")
        gateway.behind.revoked.append({"sessionId": "session-of-leaver", "expiresAt": 99_999_999_999})
        await answers(gateway, 401, user_id="leaver")


async def test_a_broken_subscription_is_taken_up_again_without_a_gap(gateway: Platform) -> None:
    await answers(gateway, 200, user_id="leaver")
    await gateway.redis.zadd(f"{gateway.prefix}:auth:revoked", {"session-of-leaver": 99_999_999_999})
    await subscribed(gateway)
    assert await gateway.redis.client_kill_filter(_type="pubsub") >= 1
    await answers(gateway, 401, user_id="leaver")


async def hammer(gateway: Platform, path: str, times: int, **options: Any) -> list[int]:
    async def once() -> int:
        async with gateway.client.get(path, **options) as answer:
            return answer.status

    return sorted(await asyncio.gather(*(once() for _ in range(times))))


async def test_limits_are_exact_and_told(gateway: Platform) -> None:
    assert await hammer(gateway, "/api/v1/limited", 20) == [200] * 3 + [429] * 17
    async with gateway.client.get("/api/v1/limited") as answer:
        assert answer.status == 429
        assert answer.headers["ratelimit-policy"] == '"three";q=3;w=3600'
        assert answer.headers["ratelimit"].startswith('"three";r=0;t=')
        assert 0 < int(answer.headers["retry-after"]) <= 1200
        assert (await answer.json())["code"] == "too_many_requests"
    # A person has a limit of their own.
    assert await hammer(gateway, "/api/v1/limited", 5, headers=gateway.bearer()) == [200] * 3 + [429] * 2
    async with gateway.client.get("/api/v1/echo") as answer:
        assert answer.headers["ratelimit-policy"] == '"default";q=100000;w=60'


async def test_bad_tokens_are_counted_by_address(gateway: Platform) -> None:
    headers = {"authorization": "Bearer a.b.c"}
    assert await hammer(gateway, "/api/v1/limited", 6, headers=headers) == [401] * 3 + [429] * 3


async def test_two_gateways_share_one_limit(mode: str, tmp_path: Path, redis_url: str, redis_prefix: str) -> None:
    prefix = f"{redis_prefix}shared-{mode}"
    async with (
        platform(mode, tmp_path, redis_url, prefix) as one,
        platform(mode, tmp_path, redis_url, prefix) as other,
    ):
        statuses = await asyncio.gather(*(hammer(gateway, "/api/v1/limited", 10) for gateway in (one, other)))
        assert sorted(statuses[0] + statuses[1]) == [200] * 3 + [429] * 17


async def test_without_redis_some_limits_are_guessed_and_some_close(
    mode: str, tmp_path: Path, redis_url: str, redis_prefix: str
) -> None:
    async with platform(
        mode, tmp_path, redis_url, f"{redis_prefix}away-{mode}", gateway_redis_url="redis://127.0.0.1:1", instances=4
    ) as gateway:
        assert await hammer(gateway, "/api/v1/local", 6) == [200] * 2 + [429] * 4  # 8 for four gateways
        async with gateway.client.post("/api/v1/closed") as answer:
            assert (answer.status, (await answer.json())["code"]) == (503, "gateway.limits_unavailable")
        assert gateway.behind.calls == 0
        async with gateway.client.get("/readyz") as answer:
            assert answer.status == 200
            assert (await answer.json())["checks"] == {"redis": "unavailable", "keys": "ok"}


async def test_only_listed_origins_may_read(gateway: Platform) -> None:
    async with gateway.client.get("/api/v1/echo", headers={"origin": "https://app.example.com"}) as answer:
        assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
        assert "ETag" in answer.headers["access-control-expose-headers"]
        assert answer.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in answer.headers
    for origin in ("https://evil.example", "https://app.example.com.evil.example", "http://app.example.com", "null"):
        async with gateway.client.get("/api/v1/echo", headers={"origin": origin}) as answer:
            assert answer.status == 200
            assert "access-control-allow-origin" not in answer.headers
            assert answer.headers["vary"] == "Origin"
    async with gateway.client.get("/nothing", headers={"origin": "https://app.example.com"}) as answer:
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (404, "https://app.example.com")


async def test_preflights(gateway: Platform) -> None:
    async def ask(origin: str, method: str) -> Any:
        sent = {"origin": origin, "access-control-request-method": method}
        async with gateway.client.options("/api/v1/slow", headers=sent) as answer:
            assert answer.status == 204
            return answer.headers

    found = await ask("https://app.example.com", "GET")
    assert found["access-control-allow-origin"] == "https://app.example.com"
    assert found["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
    assert "Authorization" in found["access-control-allow-headers"]
    assert "access-control-allow-methods" not in await ask("https://app.example.com", "DELETE")
    assert "access-control-allow-origin" not in await ask("https://evil.example", "GET")
    assert "access-control-allow-methods" not in await ask("https://evil.example", "GET")


async def test_health_tells_of_everybody(gateway: Platform) -> None:
    await answers(gateway, 200)
    instances = {
        name: service.balancer.members[0].instance for name, service in gateway.app.state.edge.services.items()
    }
    names = {name: instance.name for name, instance in instances.items()}
    instances["echo"].version = "1.2"  # as the registry tells it
    async with gateway.client.get("/health") as answer:
        assert answer.status == 200
        assert await answer.json() == {
            "status": "ok",
            "checks": {"redis": "ok", "keys": "ok"},
            "services": {
                "auth": {"status": "ok", "instances": [{"status": "ok", "name": names["auth"]}]},
                "echo": {
                    "status": "ok",
                    "instances": [
                        {"status": "ok", "name": names["echo"], "version": "1.2", "checks": {"mongo": "ok"}},
                    ],
                },
            },
        }
    for path in ("/livez", "/readyz"):
        async with gateway.client.get(path) as answer:
            assert (answer.status, (await answer.json())["status"]) == (200, "ok")


async def test_metrics_are_for_the_machine_room(gateway: Platform) -> None:
    async with gateway.client.get("/api/v1/echo/anything") as answer:
        assert answer.status == 200
    async with gateway.client.get("/metrics") as answer:
        assert answer.status == 200
        line = 'kelmah_requests_total{method="GET",operation="echo:/api/v1/echo/{name}",status="200"} 1.0'
        assert line in await answer.text()


async def test_metrics_and_names_of_instances_are_not_there_for_others(
    tmp_path: Path, redis_url: str, redis_prefix: str
) -> None:
    async with (
        platform("memory", tmp_path, redis_url, f"{redis_prefix}metrics", metrics_networks=["10.0.0.0/8"]) as gateway,
        gateway.client.get("/metrics") as answer,
    ):
        assert answer.status == 404
        await answers(gateway, 200)
        async with gateway.client.get("/health") as health:
            found = await health.json()
    assert found["services"]["echo"] == {"status": "ok", "instances": [{"status": "ok", "checks": {"mongo": "ok"}}]}


async def test_the_page_of_the_api_brings_all_it_needs(gateway: Platform) -> None:
    async with gateway.client.get("/docs") as answer:
        page = await answer.text()
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        policy = answer.headers.getall("content-security-policy")
        assert len(policy) == 1
        assert "script-src 'self';" in policy[0]
        assert "unsafe" not in policy[0]
    assert "http:" not in page
    assert "https:" not in page
    for path in ("/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/docs/start.js", "/openapi.json"):
        assert path in page or path == "/openapi.json"
        async with gateway.client.get(path, headers={"accept-encoding": "gzip"}) as answer:
            assert answer.status == 200, path
            tag, size = answer.headers["etag"], len(await answer.read())
        async with gateway.client.get(path) as answer:
            assert len(await answer.read()) >= size
        async with gateway.client.get(path, headers={"if-none-match": tag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
        async with gateway.client.head(path) as answer:
            assert (answer.status, await answer.read()) == (200, b"")
        async with gateway.client.post(path) as answer:
            assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    async with gateway.client.get("/docs/../settings.py") as answer:
        assert answer.status in (400, 404)


def test_settings_refuse_what_is_no_network_and_no_origin_and_what_lets_one_service_take_all() -> None:
    good = {"redis_url": "redis://x", "outgoing_keys": {}}
    for bad in (
        {"trusted_proxies": ["x"]}, {"metrics_networks": ["10.0.0.1/8"]}, {"allowed_origins": ["*"]},
        {"allowed_origins": ["https://a.example/"]}, {"allowed_origins": ["app.example"]},
        {"allowed_origins": ["null"]}, {"allowed_origins": ["https://A.example"]}, {"max_concurrent_requests": 224},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=next(iter(bad))):
            settings.GatewaySettings.model_validate(good | bad)


@pytest.fixture
def sends(standing: Platform) -> Callable[[bytes], Awaitable[bytes]]:
    """Sends bytes as they are, and gives all that comes back until the connection is closed."""

    async def send(content: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", standing.port)
        try:
            writer.write(content)
            async with asyncio.timeout(15):
                return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    return send


ECHO = b"POST /api/v1/echo HTTP/1.1\r\nhost: x\r\n"
NEXT = b"GET /api/v1/smuggled HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "request_head",
    [
        b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        b"content-length: 3\r\ncontent-length: 3\r\n\r\nabc",
        b"content-length: 3, 3\r\n\r\nabc",
        b"content-length: +3\r\n\r\nabc",
        b"content-length: -3\r\n\r\nabc",
        b"content-length: 0x3\r\n\r\nabc",
        b"content-length: 99999999999999999999999\r\n\r\nabc",
        b"transfer-encoding: xchunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"transfer-encoding: chunked, identity\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"transfer-encoding : chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
        b"x-a: b\x00c\r\n\r\n",
        b"x-a: b\rc\r\n\r\n",
        b"x a: b\r\n\r\n",
        b"x-a: caf\xe9\r\n\r\n",
        b": b\r\n\r\n",
        b"host: y\r\nconnection: close\r\n\r\n",
    ],
)
async def test_requests_of_two_meanings_are_refused(
    standing: Platform, sends: Callable[[bytes], Awaitable[bytes]], request_head: bytes
) -> None:
    answer = await sends(ECHO + request_head + NEXT)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 ")), answer
    assert b"HTTP/1.1 200" not in answer
    assert b'"method":"POST"' not in answer  # no service saw it


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET http://evil.example/api/v1/echo HTTP/1.1", (200,)),
        (b"GET //evil.example/api/v1/echo HTTP/1.1", (400,)),
        (b"GET /api/v1/echo/../echo HTTP/1.1", (400,)),
        (b"GET /api/v1/%2e%2e/%2e%2e/internal/revocations HTTP/1.1", (400,)),
        (b"GET /api/v1/echo/a%2fb HTTP/1.1", (400,)),
        (b"GET /api/v1/echo/a%5cb HTTP/1.1", (400,)),
        (b"GET /api/v1/echo/%00 HTTP/1.1", (400,)),
        (b"GET /api/v1/echo/a%0d%0aset-cookie:%20a=b HTTP/1.1", (400,)),
        (b"GET /api//v1/echo HTTP/1.1", (400,)),
        (b"GET /internal/revocations?since=0 HTTP/1.1", (404,)),
        (b"GET /API/v1/echo HTTP/1.1", (404,)),
        (b"OPTIONS * HTTP/1.1", (400, 404)),
        (b"CONNECT evil.example:443 HTTP/1.1", (400, 404, 405)),
        (b"TRACE /api/v1/echo HTTP/1.1", (405,)),
        (b"GET /api/v1/echo/\xe9 HTTP/1.1", (400,)),
        (b"GET /api/v1/echo?a=" + b"b" * 9_000 + b" HTTP/1.1", (414,)),
        (b"GET /api/v1/echo HTTP/1.1\r\nx-a: " + b"b" * 40_000, (431,)),
        (b"GET /api/v1/echo HTTP/1.1" + b"\r\nx-a: b" * 101, (431,)),
        (b"GET /api/v1/echo HTTP/1.1\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk", (200,)),
        (b"GET /api/v1/echo HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c", (200,)),
        (b"GET /api/v1/echo HTTP/1.1\r\nconnection: upgrade\r\nupgrade: anything", (200,)),
        (b"GET /api/v1/ws HTTP/1.1\r\nconnection: upgrade\r\nupgrade: anything", (426,)),
        (b"GET /api/v1/echo HTTP/9.9", (400,)),
        (b"GET /api/v1/echo", (400,)),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", (400,)),
    ],
)
async def test_odd_requests_get_a_right_status(
    sends: Callable[[bytes], Awaitable[bytes]], line: bytes, status: tuple[int, ...]
) -> None:
    answer = await sends(line + b"\r\nhost: x\r\nconnection: close\r\n\r\n")
    head = answer.partition(b"\r\n")[0]
    assert head.startswith(tuple(b"HTTP/1.1 %d " % one for one in status)), answer
    assert b"set-cookie" not in answer.partition(b"\r\n\r\n")[0]


async def test_an_unknown_upgrade_leaves_nothing_hanging(sends: Callable[[bytes], Awaitable[bytes]]) -> None:
    first = b"GET /api/v1/echo/1 HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: anything\r\n\r\n"
    answer = await sends(first + b"GET /api/v1/echo/2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"/api/v1/echo/1" in answer


async def test_pipelined_requests_are_answered_in_their_order(sends: Callable[[bytes], Awaitable[bytes]]) -> None:
    first = b"GET /api/v1/echo/1 HTTP/1.1\r\nhost: x\r\n\r\n"
    last = b"GET /api/v1/echo/2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    answer = await sends(first + last)
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert answer.index(b"/api/v1/echo/1") < answer.index(b"/api/v1/echo/2")


@pytest.fixture
async def behind_a_proxy(mode: str, tmp_path: Path, redis_url: str, redis_prefix: str) -> AsyncIterator[Platform]:
    async with platform(
        mode, tmp_path, redis_url, f"{redis_prefix}proxy-{mode}", trusted_proxies=["127.0.0.0/8"]
    ) as running:
        yield running


async def test_clients_behind_a_trusted_proxy_are_told_apart(behind_a_proxy: Platform) -> None:
    async def ask(address: str) -> int:
        sent = {"x-forwarded-for": f"203.0.113.1, {address}"}
        async with behind_a_proxy.client.get("/api/v1/limited", headers=sent) as answer:
            if answer.status == 200:
                assert dict((await answer.json())["headers"])["x-forwarded-for"] == address
            return answer.status

    assert [await ask("192.0.2.1") for _ in range(4)] == [200, 200, 200, 429]
    assert await ask("192.0.2.2") == 200
    assert [await ask(f"2001:db8:0:7::{number}") for number in range(1, 5)] == [200, 200, 200, 429]
