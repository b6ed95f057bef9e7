import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from kelmah.kit.redis import connect


async def test_connects_under_its_name(redis_url: str) -> None:
    client = connect(redis_url, prefix="kelmah-test")
    try:
        assert await client.client_getname() == "kelmah-test"
        assert await client.echo("x") == b"x"
    finally:
        await client.aclose()


async def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kelmah.kit.redis.SOCKET_TIMEOUT_S", 0.05)
    connections = 0
    over = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await over.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    client = connect(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", prefix="kelmah-test")
    try:
        with pytest.raises((RedisTimeoutError, RedisConnectionError)):
            await client.get("x")
        assert connections == 4  # connecting and the command are each retried once
    finally:
        await client.aclose()
        over.set()
        server.close()
        await server.wait_closed()
