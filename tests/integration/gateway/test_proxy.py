"""What the gateway passes on, and what it answers when a service does not."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kelmah.gateway import upstreams
from tests.integration.gateway.platform import Platform, platform


def headers_of(seen: dict[str, Any]) -> dict[str, str]:
    return dict(seen["headers"])


async def test_a_request_arrives_as_it_was_sent_and_signed(gateway: Platform) -> None:
    sent = {"content-type": "text/plain", "idempotency-key": "k", "user-agent": "a phone"} | gateway.bearer()
    async with gateway.client.post("/api/v1/echo?a=1&b=%2526", data=b"hello", headers=sent) as answer:
        seen = await answer.json()
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
    assert (seen["method"], seen["target"], seen["body"]) == ("POST", "/api/v1/echo?a=1&b=%2526", "hello")
    assert (seen["signed"], seen["user"], seen["address"], seen["device"]) == (True, "person-1", "127.0.0.1", "a phone")
    arrived = headers_of(seen)
    assert (arrived["content-type"], arrived["idempotency-key"]) == ("text/plain", "k")
    assert arrived["x-forwarded-for"] == "127.0.0.1"
    assert arrived["kelmah-deadline-ms"] == "10000"
    assert "authorization" not in arrived


async def test_what_only_the_gateway_may_say_is_not_taken_from_outside(standing: Platform) -> None:
    forged = {
        "kelmah-identity": "e30=", "kelmah-signature": "v1,gateway,1,1,1,1", "x-user-id": "admin", "x_user_id": "admin",
        "x-internal-token": "t", "x-forwarded-for": "198.51.100.9", "x-forwarded-host": "evil.example",
        "forwarded": "for=198.51.100.9", "x-real-ip": "198.51.100.9", "connection": "x-hop", "x-hop": "1",
        "proxy-authorization": "p", "te": "trailers", "kelmah-deadline-ms": "1", "x-mine": "kept",
    }  # fmt: skip
    async with standing.client.get("/api/v1/echo", headers=forged) as answer:
        seen = await answer.json()
        assert answer.status == 200
    arrived = headers_of(seen)
    assert (seen["user"], arrived["x-forwarded-for"], arrived["x-mine"]) == (None, "127.0.0.1", "kept")
    assert arrived["kelmah-identity"] == ""
    assert arrived["kelmah-deadline-ms"] == "10000"
    names = {"x-user-id", "x_user_id", "x-internal-token", "x-forwarded-host", "forwarded", "x-real-ip", "x-hop", "te"}
    assert not names & set(arrived)
    assert len(seen["headers"]) == len(arrived)  # none of them twice


async def test_a_trace_goes_on_through_the_gateway(standing: Platform) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    sent = {"x-request-id": "request-12345678", "x-correlation-id": "story-12345678", "traceparent": parent}
    async with standing.client.get("/api/v1/echo", headers=sent) as answer:
        arrived = headers_of(await answer.json())
        assert answer.headers.getall("x-request-id") == ["request-12345678"]
    assert (arrived["x-request-id"], arrived["x-correlation-id"]) == ("request-12345678", "story-12345678")
    assert arrived["traceparent"].split("-")[1] == parent.split("-")[1]
    assert arrived["traceparent"].split("-")[2] != parent.split("-")[2]


@pytest.mark.parametrize(
    ("sent", "target"),
    [
        ("/api/echo", "/api/v1/echo?"),
        ("/api/v1/echo/a%20b%C3%A9", "/api/v1/echo/a%20b%C3%A9?"),
        ("/api/v1/echo/a;b='c'(d)!*~$&+,:@=", "/api/v1/echo/a;b='c'(d)!*~$&+,:@=?"),
        ("/api/v1/echo?", "/api/v1/echo?"),
        ("/api/v1/echo?q='a'&r=\"b\"", "/api/v1/echo?q=%27a%27&r=%22b%22"),
        ("/api/v1/echo?a=%00&b=/../%2e", "/api/v1/echo?a=%00&b=/../%2e"),
        ("/api/v1/echo?a=[1]&b={2}|^`\\<>", "/api/v1/echo?a=%5B1%5D&b=%7B2%7D%7C%5E%60%5C%3C%3E"),
    ],
)
async def test_targets_survive_the_way_and_their_signature(standing: Platform, sent: str, target: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", standing.port)
    writer.write(f"GET {sent} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    assert f'"target":"{target}"'.replace('"b"', "").encode() in answer.replace(b"\\", b""), answer


async def test_head_is_get_without_its_body(standing: Platform) -> None:
    async with standing.client.get("/api/v1/status/200") as got, standing.client.head("/api/v1/status/200") as asked:
        assert (got.status, await got.read()) == (200, b'{"code":200}')
        assert (asked.status, await asked.read()) == (200, b"")
        assert asked.headers["content-length"] == got.headers["content-length"] == "12"
        assert asked.headers["content-type"] == got.headers["content-type"]


async def test_options_tells_the_methods(standing: Platform) -> None:
    async with standing.client.options("/api/v1/echo") as answer:
        assert (answer.status, await answer.read()) == (204, b"")
        assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


@pytest.mark.parametrize("code", [201, 204, 302, 304, 404, 409, 418, 500])
async def test_a_status_and_its_body_come_back(standing: Platform, code: int) -> None:
    async with standing.client.get(f"/api/v1/status/{code}", allow_redirects=False) as answer:
        assert answer.status == code
        assert await answer.read() == (b"" if code in (204, 304) else b'{"code":%d}' % code)
        assert answer.headers.get("location") == ("/elsewhere" if 300 <= code < 400 else None)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "server" not in answer.headers


async def test_what_is_not_in_the_table_is_refused(gateway: Platform) -> None:
    for path in ("/", "/nothing", "/internal/revocations?since=0", "/api/v1/echo/", "/api/v1/echoX", "/schema"):
        async with gateway.client.get(path) as answer:
            assert answer.status == 404, path
            problem = await answer.json()
            assert (problem["code"], problem["status"]) == ("not_found", 404)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert problem["requestId"] == answer.headers["x-request-id"]


async def test_another_method_is_told_which_there_are(gateway: Platform) -> None:
    async with gateway.client.delete("/api/v1/slow") as answer:
        assert answer.status == 405
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
        assert (await answer.json())["code"] == "method_not_allowed"
    async with gateway.client.request("BREW", "/livez") as answer:
        assert answer.status in (400, 405)  # some servers do not even read a method they do not know
    async with gateway.client.get("/api/v1/ws") as answer:
        assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")


async def test_bodies_are_streamed_up_as_they_come(gateway: Platform) -> None:
    behind, go_on = gateway.behind, asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a" * 70_000
        await behind.step.wait()  # the service has some of it before we send the rest
        go_on.set()
        yield b"b" * 2_000_000

    async with gateway.client.post("/api/v1/upload", data=pieces()) as answer:
        assert answer.status == 200
        found = await answer.json()
    assert go_on.is_set()
    assert found["size"] == 2_070_000
    assert found["sha256"] == hashlib.sha256(b"a" * 70_000 + b"b" * 2_000_000).hexdigest()
    assert found["signed"] is False


async def test_answers_are_streamed_down_as_they_come(gateway: Platform) -> None:
    async with gateway.client.get("/api/v1/download", params={"size": 40}) as answer:
        assert await answer.content.readexactly(5) == b"first"
        gateway.behind.step.set()
        assert len(await answer.read()) == 40 * 65_536
        assert answer.headers["x-kept"] == "yes"
        assert not {"kelmah-secret", "access-control-allow-origin"} & set(answer.headers)


async def test_a_body_over_the_limit_is_refused(gateway: Platform) -> None:
    async with gateway.client.post("/api/v1/echo", data=b"x" * 1_048_576) as answer:
        assert (answer.status, len((await answer.json())["body"])) == (200, 1_048_576)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"POST /api/v1/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1048577\r\n\r\n")
    refusal = await reader.read()  # to the end: the connection is closed, the body never read
    writer.close()
    assert refusal.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"payload_too_large"' in refusal


async def test_a_body_that_grows_over_the_limit_is_refused(gateway: Platform) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"POST /api/v1/echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    writer.write(b"100001\r\n" + b"x" * 0x100001 + b"\r\n")
    answer = await reader.readuntil(b"}")
    writer.close()
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("path", ["/api/v1/echo", "/api/v1/upload"])
async def test_a_body_that_stops_coming_is_not_waited_for(gateway: Platform, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\nabc".encode())
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"gateway.slow_client"' in answer


@pytest.mark.parametrize("path", ["/api/v1/echo", "/api/v1/upload"])
async def test_a_body_that_trickles_is_cut(gateway: Platform, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n".encode())

    async def trickle() -> None:
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.1)

    trickling = asyncio.create_task(trickle())
    async with asyncio.timeout(30):
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    trickling.cancel()
    writer.close()


async def test_nobody_gets_the_answer_of_another(gateway: Platform) -> None:
    async def ask(person: int) -> None:
        for number in range(5):
            name = f"{person}-{number}"
            if person % 4 == 0:  # leaves before the answer comes
                _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
                writer.write(f"GET /api/v1/echo/{name} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
                await writer.drain()
                writer.close()
                continue
            async with gateway.client.get(f"/api/v1/echo/{name}") as answer:
                assert (await answer.json())["target"] == f"/api/v1/echo/{name}?"

    await asyncio.gather(*(ask(person) for person in range(24)))


async def test_a_service_that_dies_halfway_closes_the_connection(gateway: Platform) -> None:
    async with gateway.client.get("/api/v1/dies-late") as answer:
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    async with gateway.client.get("/api/v1/echo") as answer:
        assert answer.status == 200


async def test_a_small_answer_that_breaks_off_is_a_clean_502(tmp_path: Path, redis_url: str, redis_prefix: str) -> None:
    async with platform("http", tmp_path, redis_url, f"{redis_prefix}dies") as gateway:
        async with gateway.client.get("/api/v1/dies") as answer:
            assert answer.status == 502
            assert (await answer.json())["code"] == "bad_gateway"
        assert gateway.behind.calls == 3  # reads are tried again


async def test_a_service_that_is_not_there_is_a_503(tmp_path: Path, redis_url: str, redis_prefix: str) -> None:
    nobody = {name: ["http://127.0.0.1:1"] for name in ("auth", "echo")}
    async with platform("http", tmp_path, redis_url, f"{redis_prefix}away", service_urls=nobody) as gateway:
        async with gateway.client.get("/api/v1/echo") as answer:
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert (await answer.json())["code"] == "unavailable"
        async with gateway.client.get("/api/v1/echo", headers=gateway.bearer()) as answer:
            assert answer.status == 503  # the token can be neither believed nor refused
        async with gateway.client.get("/readyz") as answer:
            assert answer.status == 503
            assert (await answer.json())["checks"] == {"redis": "ok", "keys": "unavailable"}
        async with gateway.client.get("/health") as answer:
            assert answer.status == 503
            assert (await answer.json())["services"]["echo"] == {
                "status": "unavailable",
                "instances": [
                    {"status": "unavailable", "name": "http://127.0.0.1:1", "reason": "it cannot be reached"},
                ],
            }


async def test_an_instance_that_is_away_is_passed_over(tmp_path: Path, redis_url: str, redis_prefix: str) -> None:
    async with platform("http", tmp_path, redis_url, f"{redis_prefix}two") as first:
        urls = first.settings.service_urls | {"echo": ["http://127.0.0.1:1", *first.settings.service_urls["echo"]]}
        async with platform("http", tmp_path, redis_url, f"{redis_prefix}two", service_urls=urls) as gateway:
            for _ in range(4):
                async with gateway.client.get("/api/v1/echo") as answer:
                    assert answer.status == 200
            async with gateway.client.get("/health") as answer:
                found = await answer.json()
                assert (answer.status, found["status"]) == (200, "ok")
                assert [one["status"] for one in found["services"]["echo"]["instances"]] == ["unavailable", "ok"]


async def test_a_service_that_is_too_slow_is_a_504(gateway: Platform) -> None:
    async with gateway.client.get("/api/v1/slow") as answer:
        assert answer.status == 504
        assert (await answer.json())["code"] == "gateway_timeout"
    assert gateway.behind.calls == 1


async def test_a_service_that_hangs_takes_no_more_than_its_places(
    mode: str, tmp_path: Path, redis_url: str, redis_prefix: str
) -> None:
    prefix = f"{redis_prefix}places-{mode}"
    async with platform(
        mode, tmp_path, redis_url, prefix, max_concurrent_per_service=2, max_waiting_per_service=1
    ) as gateway:

        async def ask(path: str) -> tuple[int, str | None]:
            async with gateway.client.get(path) as answer:
                return answer.status, (await answer.json()).get("code")

        service = gateway.app.state.edge.services["echo"]
        async with gateway.client.get("/api/v1/download"), gateway.client.get("/api/v1/download"):
            waits = asyncio.create_task(ask("/api/v1/echo/x"))
            while not service.places.waiting:  # noqa: ASYNC110  # it tells nobody
                await asyncio.sleep(0.01)
            assert await ask("/api/v1/echo/x") == (503, "gateway.overloaded")
            gateway.behind.step.set()
            assert await waits == (200, None)


async def test_who_waits_too_long_for_a_place_is_told_so(
    mode: str, tmp_path: Path, redis_url: str, redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstreams, "LINE_S", 0.05)
    prefix = f"{redis_prefix}line-{mode}"
    async with platform(mode, tmp_path, redis_url, prefix, max_concurrent_per_service=1) as gateway:
        async with gateway.client.get("/api/v1/download"):
            async with gateway.client.get("/api/v1/echo/x") as answer:
                assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            gateway.behind.step.set()
        async with gateway.client.get("/api/v1/echo/x") as answer:
            assert answer.status == 200


async def test_safe_requests_are_tried_again(gateway: Platform) -> None:
    behind = gateway.behind
    behind.calls, behind.failures = 0, 2
    async with gateway.client.get("/api/v1/flaky") as answer:
        assert (answer.status, await answer.json()) == (200, {"calls": 3})


async def test_a_post_is_tried_again_only_with_a_key(gateway: Platform) -> None:
    behind = gateway.behind
    behind.calls, behind.failures = 0, 1
    async with gateway.client.post("/api/v1/flaky") as answer:
        assert (answer.status, behind.calls) == (503, 1)
    behind.calls = 0
    async with gateway.client.post("/api/v1/flaky-once", headers={"idempotency-key": "k"}) as answer:
        assert (answer.status, behind.calls) == (503, 1)
    behind.calls = 0
    async with gateway.client.post("/api/v1/flaky", headers={"idempotency-key": "k"}) as answer:
        assert (answer.status, behind.calls) == (200, 2)


async def test_retries_have_a_budget_and_then_a_breaker_opens(gateway: Platform) -> None:
    behind = gateway.behind
    behind.calls, behind.failures = 0, 10_000
    codes = []
    for _ in range(30):
        async with gateway.client.get("/api/v1/flaky") as answer:
            codes.append((await answer.json())["code"])
            assert answer.status == 503
    assert codes[0] == "unavailable"
    assert codes[-1] == "kit.circuit_open"
    assert behind.calls == 20  # the breaker's minimum, retries included
    async with gateway.client.get("/api/v1/flaky") as answer:
        assert int(answer.headers["retry-after"]) >= 1


async def test_clients_that_leave_do_no_harm(gateway: Platform) -> None:
    for path in ("/api/v1/upload", "/api/v1/echo"):
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\nabc".encode())
        await writer.drain()
        writer.close()
    async with gateway.client.get("/api/v1/echo") as answer:
        assert answer.status == 200
