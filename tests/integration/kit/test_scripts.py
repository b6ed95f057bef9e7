"""Scripts over one pipelined connection, against a real Redis."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from kelmah.kit import redis as redisdb
from kelmah.kit.scripts import Script, Scripts

ADD = Script("return {redis.call('INCRBY', KEYS[1], ARGV[1]), tonumber(ARGV[1])}")


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = redisdb.connect(redis_url, prefix="kelmah-test")
    yield client
    await client.aclose()


@pytest.fixture
async def scripts(redis: Redis) -> AsyncIterator[Scripts]:
    made = Scripts(redis)
    yield made
    made.close()
    await asyncio.sleep(0)


@pytest.fixture
def key(redis_prefix: str) -> str:
    return f"{redis_prefix}{uuid.uuid4().hex}"


async def test_answers_belong_to_their_calls(scripts: Scripts, key: str) -> None:
    answers = await asyncio.gather(*(scripts.run(ADD, [key], [number]) for number in range(1, 301)))
    assert [answer[1] for answer in answers] == list(range(1, 301))
    assert answers[-1][0] == 300 * 301 // 2


async def test_a_script_that_redis_forgot_is_sent_again(scripts: Scripts, redis: Redis, key: str) -> None:
    fresh = Script(f"return {{1, 2}} -- {key}")
    assert await scripts.run(fresh, [key], []) == [1, 2]
    assert await scripts.run(fresh, [key], []) == [1, 2]


async def test_a_script_that_fails_says_so_and_spoils_nothing(scripts: Scripts, key: str) -> None:
    with pytest.raises(ResponseError):
        await scripts.run(Script("return redis.call('INCR', ARGV[1], 1)"), [key], [1])
    assert await scripts.run(ADD, [key], [5]) == [5, 5]


async def test_who_does_not_wait_gets_nobody_else_s_answer(scripts: Scripts, key: str) -> None:
    await scripts.run(ADD, [key], [0])
    for number in range(20):
        left = asyncio.create_task(scripts.run(ADD, [key], [1]))
        await asyncio.sleep(0)
        left.cancel()
        assert (await scripts.run(ADD, [key], [100 + number]))[1] == 100 + number


async def test_a_lost_connection_fails_its_calls_and_is_made_again(scripts: Scripts, redis: Redis, key: str) -> None:
    await scripts.run(ADD, [key], [1])
    waiting = [asyncio.create_task(scripts.run(ADD, [key], [1])) for _ in range(3)]
    await asyncio.sleep(0)
    scripts.close()
    for task in waiting:
        with pytest.raises(RedisConnectionError):
            await task
    assert (await scripts.run(ADD, [key], [7]))[1] == 7


async def test_a_connection_that_hangs_is_given_up_though_nobody_calls_again(
    scripts: Scripts, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kelmah.kit.scripts.STUCK_S", 0.05)
    await scripts.run(ADD, [key], [1])
    assert scripts._writer is not None
    scripts._writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads
    async with asyncio.timeout(10):
        with pytest.raises(RedisConnectionError):
            await scripts.run(ADD, [key], [1])
    assert await scripts.run(ADD, [key], [7]) == [9, 7]


async def test_a_redis_that_is_away_is_an_error() -> None:
    client = redisdb.connect("redis://127.0.0.1:1/0", prefix="kelmah-test")
    with pytest.raises(RedisError):
        await Scripts(client).run(ADD, ["k"], [1])
    await client.aclose()


async def test_what_no_script_of_ours_answers_closes_the_connection(scripts: Scripts, key: str) -> None:
    with pytest.raises(RedisConnectionError):
        await scripts.run(Script("return 'text'"), [key], [])
    assert (await scripts.run(ADD, [key], [7]))[1] == 7
