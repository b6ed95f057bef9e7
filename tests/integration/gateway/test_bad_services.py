"""A service that misbehaves on its connection: the client gets a right status or a clean close, and its own answer."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.integration.gateway.platform import Platform, platform

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[None]]


class Scripted:
    """A service that answers each request by its path's last segment; it counts its connections."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, target, _ = head.decode().split(" ", 2)
                self.requests.append(f"{method} {target.rpartition('/')[2]}")
                if b"transfer-encoding" not in head and b"content-length: 0" not in head and method == "POST":
                    await reader.readuntil(b"}")
                await BEHAVIOURS.get(target.rpartition("/")[2], answer(OK))(reader, writer, head)
                await writer.drain()
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


def answer(content: bytes, *, then_close: bool = False, pause_s: float = 0.0) -> Behaviour:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(content)
        await writer.drain()
        if then_close:
            await asyncio.sleep(pause_s)
            writer.close()

    return behave


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
    """Reset the connection, without a word."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


BEHAVIOURS: dict[str, Behaviour] = {
    "ok-then-closes": answer(OK, then_close=True),
    "ok-then-talks-on": answer(OK + b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"),
    "refuses-unread": answer(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno", then_close=True, pause_s=0.01),
    "resets": reset,
    "closes": answer(b"", then_close=True),
    "no-http": answer(b"SSH-2.0-OpenSSH\r\n", then_close=True),
    "no-status": answer(b"HTTP/1.1 OK\r\n\r\n", then_close=True),
    "half-head": answer(b"HTTP/1.1 200 OK\r\ncontent-le", then_close=True),
    "endless-head": answer(b"HTTP/1.1 200 OK\r\n" + b"x-a: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n" * 4_000),
    "two-lengths": answer(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!"),
    "length-and-chunks": answer(
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    ),
    "bad-chunk": answer(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n"),
    "too-short": answer(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", then_close=True),
    "switches": answer(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
    "says-nothing": answer(b""),
    "continues": answer(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK),
    "to-the-end": answer(b"HTTP/1.1 200 OK\r\n\r\nok", then_close=True),
    "unchanged": answer(b'HTTP/1.1 304 Not Modified\r\ncontent-length: 40\r\netag: "a"\r\n\r\n'),
    "with-trailers": answer(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nset-cookie: late=1\r\n\r\n"
    ),
}
ROUTES = """
[limits]
default = { quota = 100000, window_s = 60 }
[services.auth]
"GET /.well-known/jwks.json" = { auth = "public" }
[services.echo]
"GET POST DELETE /api/v1/echo/{how}" = { auth = "public", timeout_s = 0.5 }
"POST /api/v1/upload/{how}" = { auth = "public", streams = true, retry = "never" }
"""


@asynccontextmanager
async def scripted(directory: Path, redis_url: str, prefix: str) -> AsyncIterator[tuple[Platform, Scripted]]:
    service = Scripted()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    routes = directory / "scripted.toml"
    routes.write_text(ROUTES)
    async with (
        platform("http", directory, redis_url, prefix) as behind,
        platform(
            "http", directory, redis_url, prefix, routes_path=str(routes),
            service_urls=behind.settings.service_urls | {"echo": [url]},
        ) as gateway,
    ):  # fmt: skip
        yield gateway, service
    server.close()


@pytest.fixture(scope="module")
async def standing_pair(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str, redis_prefix: str
) -> AsyncIterator[tuple[Platform, Scripted]]:
    async with scripted(tmp_path_factory.mktemp("scripted"), redis_url, f"{redis_prefix}scripted") as pair:
        yield pair


@pytest.fixture
def pair(standing_pair: tuple[Platform, Scripted], monkeypatch: pytest.MonkeyPatch) -> tuple[Platform, Scripted]:
    """With the instance believed in, whatever it did before."""
    gateway, service = standing_pair
    (member,) = gateway.app.state.edge.services["echo"].balancer.members
    monkeypatch.setattr(member, "unfit", None)
    monkeypatch.setattr(member, "failed", lambda: False)
    gateway.app.state.edge.services["echo"].balancer._breaker._circuits.clear()
    service.requests.clear()
    return gateway, service


async def ask(gateway: Platform, method: str, how: str) -> tuple[int, bytes]:
    data = b"{}" if method == "POST" else None
    async with gateway.client.request(method, f"/api/v1/echo/{how}", data=data) as got:
        return got.status, await got.read()


@pytest.mark.parametrize("how", ["continues", "to-the-end", "with-trailers", "ok-then-talks-on"])
async def test_odd_but_whole_answers_are_passed_on(pair: tuple[Platform, Scripted], how: str) -> None:
    gateway, _ = pair
    async with gateway.client.get(f"/api/v1/echo/{how}") as got:
        assert (got.status, await got.read()) == (200, b"ok")
        assert not {"link", "set-cookie"} & set(got.headers)
    for _ in range(3):  # and what the service said besides is nobody's answer
        assert await ask(gateway, "GET", "plain") == (200, b"ok")


@pytest.mark.parametrize(
    "how",
    [
        "resets", "closes", "no-http", "no-status", "half-head", "endless-head", "two-lengths", "length-and-chunks",
        "bad-chunk", "too-short", "switches",
    ],
)  # fmt: skip
async def test_what_is_no_answer_is_a_502_and_a_post_is_sent_once(pair: tuple[Platform, Scripted], how: str) -> None:
    gateway, service = pair
    status, body = await ask(gateway, "POST", how)
    assert (status, b'"code":"bad_gateway"' in body) == (502, True)
    assert service.requests == [f"POST {how}"]
    assert await ask(gateway, "DELETE", "plain") == (200, b"ok")


async def test_an_answer_without_a_body_may_tell_the_length_of_another(pair: tuple[Platform, Scripted]) -> None:
    gateway, _ = pair
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    for _ in range(2):  # over one connection, which is kept
        writer.write(b"GET /api/v1/echo/unchanged HTTP/1.1\r\nhost: a\r\n\r\n")
        async with asyncio.timeout(5):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 304 ")
        assert b"content-length: 40\r\n" in head
    writer.close()


async def test_a_service_that_says_nothing_is_a_504(pair: tuple[Platform, Scripted]) -> None:
    gateway, _ = pair
    status, body = await ask(gateway, "POST", "says-nothing")
    assert (status, b'"code":"gateway_timeout"' in body) == (504, True)
    assert await ask(gateway, "DELETE", "plain") == (200, b"ok")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_kept_connection_that_the_service_closed_is_not_used(
    pair: tuple[Platform, Scripted], method: str
) -> None:
    gateway, service = pair
    for _ in range(20):
        assert await ask(gateway, "GET", "ok-then-closes") == (200, b"ok")
        assert await ask(gateway, method, "plain") == (200, b"ok")
    assert service.requests.count(f"{method} plain") == 20


async def test_what_follows_a_refused_upload_is_answered(pair: tuple[Platform, Scripted]) -> None:
    """The service answers without having read the body and closes a moment later."""
    gateway, service = pair
    for _ in range(20):
        data = aiohttp.BytesPayload(b"x" * 20_000)
        async with gateway.client.post("/api/v1/upload/refuses-unread", data=data) as got:
            assert (got.status, await got.read()) == (404, b"no")
        assert await ask(gateway, "DELETE", "plain") == (200, b"ok")
    assert service.requests.count("DELETE plain") == 20


async def test_connections_are_kept(pair: tuple[Platform, Scripted]) -> None:
    gateway, service = pair
    await ask(gateway, "GET", "plain")
    before = service.connections
    for method in ("GET", "POST", "DELETE") * 5:
        assert await ask(gateway, method, "plain") == (200, b"ok")
    assert service.connections == before
