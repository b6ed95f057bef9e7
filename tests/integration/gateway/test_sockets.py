"""WebSockets through the gateway."""

import asyncio
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.gateway.platform import FRAME, FRAMES, Platform, behind_the_door, echo_app, platform, serving


async def test_frames_go_through_in_both_directions(gateway: Platform) -> None:
    async with gateway.client.ws_connect("/api/v1/ws?ticket=good", headers=gateway.bearer()) as socket:
        hello = await socket.receive_json()
        assert hello["user"] == "person-1"
        assert hello["headers"]["x-forwarded-for"] == "127.0.0.1"
        assert "authorization" not in hello["headers"]
        for text in ("hello", "", "ɛyɛ" * 1_000, "x" * 1_000_000):
            await socket.send_str(text)
            assert await socket.receive_str() == text
        await socket.send_bytes(bytes(range(256)))
        assert await socket.receive_bytes() == bytes(range(256))


async def test_many_frames_keep_their_order(gateway: Platform) -> None:
    async with gateway.client.ws_connect("/api/ws") as socket:
        assert (await socket.receive_json())["user"] is None
        for number in range(500):
            await socket.send_str(str(number))
        assert [await socket.receive_str() for _ in range(500)] == [str(number) for number in range(500)]


async def test_a_subprotocol_is_agreed_end_to_end(gateway: Platform) -> None:
    async with gateway.client.ws_connect("/api/v1/ws", protocols=["kelmah.v1", "other"]) as socket:
        assert socket.protocol == "kelmah.v1"


async def test_the_services_close_code_comes_through(gateway: Platform) -> None:
    async with gateway.client.ws_connect("/api/v1/ws") as socket:
        await socket.receive_json()
        await socket.send_str("close")
        message = await socket.receive()
        assert (message.type, message.data, message.extra) == (aiohttp.WSMsgType.CLOSE, 4001, "as you like")


async def test_the_clients_close_code_comes_through(gateway: Platform) -> None:
    async with gateway.client.ws_connect("/api/v1/ws") as socket:
        await socket.receive_json()
        await socket.close(code=4002)
    async with asyncio.timeout(5):
        await gateway.behind.step.wait()
    assert gateway.behind.close_codes == [4002]


async def test_a_client_that_vanishes_is_closed_at_the_service(gateway: Platform) -> None:
    socket = await gateway.client.ws_connect("/api/v1/ws")
    await socket.receive_json()
    transport: Any = socket._response.connection
    transport.transport.abort()
    async with asyncio.timeout(5):
        await gateway.behind.step.wait()
    assert len(gateway.behind.close_codes) == 1


async def test_a_service_that_falls_over_is_an_error_and_no_hang(gateway: Platform) -> None:
    async with gateway.client.ws_connect("/api/v1/ws") as socket:
        await socket.receive_json()
        await socket.send_str("die")
        message = await socket.receive(timeout=5)
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert message.data in (1011, 4500)


async def refused(gateway: Platform, path: str, **headers: str) -> int:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await gateway.client.ws_connect(path, headers=headers)
    return caught.value.status


async def test_handshakes_are_refused_with_a_status(gateway: Platform) -> None:
    assert await refused(gateway, "/api/v1/ws?ticket=bad") == 403
    assert await refused(gateway, "/api/v1/ws", authorization="Bearer a.b.c") == 401
    assert await refused(gateway, "/api/v1/nothing") == 404
    assert await refused(gateway, "/api/v1/echo") == 404
    assert await refused(gateway, "/internal/ws") == 404
    assert await refused(gateway, "/api/v1/a//ws") == 400
    assert gateway.behind.close_codes == []


async def test_only_pages_of_listed_origins_may_connect(gateway: Platform) -> None:
    assert await refused(gateway, "/api/v1/ws", origin="https://evil.example") == 403
    assert await refused(gateway, "/api/v1/ws", origin="null") == 403
    for origin in ("https://app.example.com", gateway.settings.public_url):
        async with gateway.client.ws_connect("/api/v1/ws", headers={"origin": origin}) as socket:
            assert (await socket.receive_json())["headers"]["origin"] == origin


async def connected(gateway: Platform) -> aiohttp.ClientWebSocketResponse[bool]:
    """A socket, as soon as there is room for it: one is counted out after its service was told."""
    async with asyncio.timeout(5):
        while True:
            try:
                return await gateway.client.ws_connect("/api/v1/ws")
            except aiohttp.WSServerHandshakeError:
                await asyncio.sleep(0.01)


async def test_sockets_from_one_address_are_counted(
    mode: str, tmp_path: Path, redis_url: str, redis_prefix: str
) -> None:
    prefix = f"{redis_prefix}{uuid.uuid4().hex}"
    async with platform(mode, tmp_path, redis_url, prefix, max_sockets_per_address=2) as gateway:
        first = await gateway.client.ws_connect("/api/v1/ws")
        second = await gateway.client.ws_connect("/api/v1/ws")
        assert await refused(gateway, "/api/v1/ws") == 429
        await first.close()
        third = await connected(gateway)
        assert await refused(gateway, "/api/v1/ws") == 429
        await second.close()
        await third.close()


async def test_sockets_of_one_person_are_counted(mode: str, tmp_path: Path, redis_url: str, redis_prefix: str) -> None:
    prefix = f"{redis_prefix}{uuid.uuid4().hex}"
    async with platform(mode, tmp_path, redis_url, prefix, max_sockets_per_person=1) as gateway:
        first = await gateway.client.ws_connect("/api/v1/ws", headers=gateway.bearer())
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await gateway.client.ws_connect("/api/v1/ws", headers=gateway.bearer())
        assert refusal.value.status == 429
        other = await gateway.client.ws_connect("/api/v1/ws", headers=gateway.bearer(user_id="person-2"))
        nobody = await gateway.client.ws_connect("/api/v1/ws")
        for socket in (first, other, nobody):
            await socket.close()


@pytest.mark.parametrize(
    ("limit", "code", "reason"), [("socket_idle_s", 1001, "idle"), ("socket_lifetime_s", 1012, "come again")]
)
async def test_sockets_end_when_idle_or_old(
    mode: str, tmp_path: Path, redis_url: str, redis_prefix: str, limit: str, code: int, reason: str
) -> None:
    prefix = f"{redis_prefix}{uuid.uuid4().hex}"
    short: dict[str, Any] = {limit: 0.5}
    async with platform(mode, tmp_path, redis_url, prefix, **short) as gateway:
        async with gateway.client.ws_connect("/api/v1/ws") as socket:
            await socket.receive_json()
            closed = await socket.receive()
            assert (closed.type, closed.data, closed.extra) == (aiohttp.WSMsgType.CLOSE, code, reason)
        async with asyncio.timeout(10):
            await gateway.behind.step.wait()
        assert gateway.behind.close_codes == [code]  # the service is told the same


async def test_frames_either_way_keep_a_socket(mode: str, tmp_path: Path, redis_url: str, redis_prefix: str) -> None:
    prefix = f"{redis_prefix}{uuid.uuid4().hex}"
    async with (
        platform(mode, tmp_path, redis_url, prefix, socket_idle_s=2) as gateway,
        gateway.client.ws_connect("/api/v1/ws") as socket,
    ):
        await socket.receive_json()
        for number in range(10):
            await asyncio.sleep(0.3)
            await socket.send_str(str(number))
            assert await socket.receive_str() == str(number)


async def test_a_service_that_is_not_there_is_a_503(tmp_path: Path, redis_url: str, redis_prefix: str) -> None:
    nobody = {name: ["http://127.0.0.1:1"] for name in ("auth", "echo")}
    async with platform("http", tmp_path, redis_url, f"{redis_prefix}away", service_urls=nobody) as gateway:
        assert await refused(gateway, "/api/v1/ws") == 503


async def test_sockets_of_an_instance_that_leaves_come_again_to_another(
    tmp_path: Path, redis_url: str, redis_prefix: str
) -> None:
    prefix = f"{redis_prefix}leaves"
    async with AsyncExitStack() as stack, platform("http", tmp_path, redis_url, prefix) as stays:
        url = await stack.enter_async_context(
            serving(behind_the_door(echo_app(stays.behind), "echo", stays.redis, prefix))
        )
        urls = stays.settings.service_urls | {"echo": [*stays.settings.service_urls["echo"], url]}
        async with platform("http", tmp_path, redis_url, prefix, service_urls=urls) as gateway:

            async def opened(number: int) -> aiohttp.ClientWebSocketResponse[bool]:
                headers = stays.bearer(user_id=f"person-{number}")
                socket = await gateway.client.ws_connect("/api/v1/ws", headers=headers)
                await socket.receive_json()
                return socket

            sockets = [await opened(number) for number in range(16)]
            await stack.aclose()
            moved = 0
            for number, socket in enumerate(sockets):
                await socket.send_str("still here")
                message = await socket.receive(timeout=5)
                if message.type is aiohttp.WSMsgType.CLOSE:
                    assert message.data == 1012
                    await opened(number)  # at once, before any probe
                    moved += 1
                else:
                    assert message.data == "still here"
            assert 0 < moved < 16


async def until_it_stands_still(count: Callable[[], int]) -> int:
    """Wait until a count has not moved for a while; what it is then."""
    async with asyncio.timeout(30):
        before = -1
        while (now := count()) != before:
            before = now
            await asyncio.sleep(0.3)
    return before


async def test_a_slow_client_makes_the_service_wait_and_loses_nothing(gateway: Platform) -> None:
    async with gateway.client.ws_connect("/api/v1/ws") as socket:
        await socket.receive_json()
        await socket.send_str("flood")
        # Neither the gateway nor the buffers of the sockets take all of it while nothing is read.
        assert await until_it_stands_still(lambda: len(gateway.behind.received)) < FRAMES * 3 / 4
        async with asyncio.timeout(30):
            assert {await socket.receive_bytes() for _ in range(FRAMES)} == {FRAME}
        assert len(gateway.behind.received) == FRAMES


async def test_a_slow_service_makes_the_client_wait_and_loses_nothing(gateway: Platform) -> None:
    sent = 0

    async def send() -> None:
        nonlocal sent
        for _ in range(FRAMES):
            await socket.send_bytes(FRAME)
            sent += 1

    async with gateway.client.ws_connect("/api/v1/ws") as socket:
        await socket.receive_json()
        await socket.send_str("wait")
        sending = asyncio.create_task(send())
        assert await until_it_stands_still(lambda: sent) < FRAMES * 3 / 4
        gateway.behind.step.set()
        async with asyncio.timeout(30):
            await sending
            await socket.send_str("done")
            assert await socket.receive_str() == "done"
        assert len(gateway.behind.received) == FRAMES
