"""Connects to Redis with bounds on time and connections, and spells keys and commands."""

import asyncio
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

SOCKET_TIMEOUT_S = 2.0
CONNECT_TIMEOUT_S = 2.0
POOL_WAIT_S = 2.0
MAX_CONNECTIONS = 50
HEALTH_CHECK_INTERVAL_S = 15
RETRIES = 1


def connect(url: str, *, prefix: str) -> Redis:
    """Make a client; it connects at its first command. Answers are bytes. Close it with ``aclose()``.

    Connecting and each answer may take 2 s, waiting for one of the 50 connections 2 s; connecting and
    the command are each retried once after a connection error or a timeout (8 s at the very worst, against a
    server that accepts and never answers), so a command may have run more than once. Blocking commands
    (``BLPOP``, ``XREAD BLOCK``) must ask for less than 2 s; subscriptions wait without limit.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        prefix: the process's key prefix, shown by ``CLIENT LIST``; no spaces.

    Raises:
        ValueError: not a Redis URL.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=POOL_WAIT_S,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        health_check_interval=HEALTH_CHECK_INTERVAL_S,
        retry=Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.5), RETRIES),
        client_name=prefix,
    )
    return Redis.from_pool(pool)


async def take_over(redis: Redis, protocol: asyncio.Protocol) -> asyncio.StreamWriter:
    """Open a connection as the client opens its own, with all that its URL says, and have `protocol` called back.

    A client's call costs 150 µs, and a message of its subscription 50, most of it waiting and timing. Hold what is
    returned: it closes its transport when nobody does.

    Raises:
        redis.exceptions.RedisError: Redis cannot be reached.
    """
    pool: Any = redis.connection_pool
    connection = pool.make_connection()
    await connection.connect()
    writer: asyncio.StreamWriter = connection._writer  # there is no other way to it
    connection._writer = None
    writer.transport.set_protocol(protocol)
    return writer


def command(*words: bytes) -> bytes:
    """A command as it goes over the wire (RESP)."""
    return b"".join((b"*%d\r\n" % len(words), *(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)))


def key(prefix: str, *parts: str | int) -> str:
    """Spell a key: the parts joined by colons, with a colon inside a part escaped, so no two lists collide.

    Raises:
        ValueError: no part, or an empty one.
    """
    if not parts or "" in parts:
        raise ValueError("a key needs parts, none of them empty")
    return ":".join((prefix, *(str(part).replace("%", "%25").replace(":", "%3A") for part in parts)))
