"""The servers that tests talk to: those named in the environment, else private ones for this run.

`KELMAH_TEST_MONGO_URL`, `KELMAH_TEST_REDIS_URL`, `KELMAH_TEST_AMQP_URL` (with `KELMAH_TEST_AMQP_ADMIN_URL`,
its management API) and `KELMAH_TEST_POSTGRES_URL` are used as they are, and this run keeps to databases, a
key prefix and a virtual host of its own, removed at the end. `python -m tests.backends` starts such a set and
prints it. Each server is started only when the first test asks for it.
"""

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import aiohttp
import psycopg
import pytest
from psycopg import sql
from pymongo import MongoClient
from redis.asyncio import Redis

from kelmah.cli.backends import Home, mail, mongo, open_home, postgres, rabbitmq, redis, stripe
from kelmah.cli.processes import Supervisor
from tests.fixtures.mailbox import Mailbox

Servers = tuple[Supervisor, Home]


@pytest.fixture(scope="session")
def run_id() -> str:
    """A word that no other run uses, fit for names of databases, keys and virtual hosts."""
    return f"kt_{uuid.uuid4().hex[:10]}"


@pytest.fixture(scope="session")
async def servers() -> AsyncIterator[Servers]:
    """Owner and directory of this run's own servers; both are gone at the end."""
    async with open_home(None) as home, Supervisor(pass_fds=(home.lock_fd,)) as supervisor:
        yield supervisor, home


@pytest.fixture(scope="session")
async def mongo_url(servers: Servers) -> str:
    """A MongoDB replica set. Name databases `mongo_prefix + …`."""
    return (await mongo.start(*servers, url=os.environ.get("KELMAH_TEST_MONGO_URL"))).url


@pytest.fixture(scope="session")
def mongo_prefix(mongo_url: str, run_id: str) -> Iterator[str]:
    """How the names of this run's databases begin; they are dropped at the end."""
    prefix = f"{run_id}_"
    yield prefix
    if "KELMAH_TEST_MONGO_URL" not in os.environ:
        return  # they go with the server, and much faster
    with MongoClient[dict[str, object]](mongo_url) as client:
        for name in client.list_database_names():
            if name.startswith(prefix):
                client.drop_database(name)


@pytest.fixture(scope="session")
async def redis_url(servers: Servers) -> str:
    """A Redis. Begin keys and channels with `redis_prefix`."""
    return (await redis.start(*servers, url=os.environ.get("KELMAH_TEST_REDIS_URL"))).url


@pytest.fixture(scope="session")
async def redis_prefix(redis_url: str, run_id: str) -> AsyncIterator[str]:
    """How this run's keys begin; they are deleted at the end."""
    prefix = f"{run_id}:"
    yield prefix
    async with Redis.from_url(redis_url) as client:
        async for key in client.scan_iter(match=f"{prefix}*", count=1000):
            await client.delete(key)


@dataclass(frozen=True)
class Broker:
    """A RabbitMQ server and its management API, both URLs with credentials."""

    url: str
    admin_url: str


@pytest.fixture(scope="session")
async def broker(servers: Servers) -> Broker:
    """The RabbitMQ server that `amqp_url` is on; without one the test fails and is not skipped."""
    given = os.environ.get("KELMAH_TEST_AMQP_URL")
    if given is None:
        backend = await rabbitmq.start(*servers, with_management=True)
        return Broker(backend.url, rabbitmq.management_url(backend))
    admin_url = os.environ.get("KELMAH_TEST_AMQP_ADMIN_URL")
    if admin_url is None:
        pytest.fail("KELMAH_TEST_AMQP_URL needs KELMAH_TEST_AMQP_ADMIN_URL, to make a virtual host of our own")
    await rabbitmq.start(*servers, url=given)
    return Broker(given, admin_url)


@pytest.fixture(scope="session")
async def amqp_url(broker: Broker, run_id: str) -> AsyncIterator[str]:
    """A RabbitMQ virtual host of this run's own; deleted at the end."""
    admin = urlsplit(broker.admin_url)
    user = admin.username or "guest"
    headers = {"Authorization": aiohttp.encode_basic_auth(user, admin.password or "guest")}
    base = f"{admin.scheme}://{admin.hostname}:{admin.port}/api"
    permissions = {"configure": ".*", "write": ".*", "read": ".*"}
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, raise_for_status=True) as session:
        await session.put(f"{base}/vhosts/{run_id}", json={})
        await session.put(f"{base}/permissions/{run_id}/{quote(user, safe='')}", json=permissions)
        yield urlsplit(broker.url)._replace(path=f"/{run_id}").geturl()
        if "KELMAH_TEST_AMQP_URL" in os.environ:  # else it goes with the server
            await session.delete(f"{base}/vhosts/{run_id}")


@pytest.fixture(scope="session")
async def postgres_url(servers: Servers, run_id: str) -> AsyncIterator[str]:
    """A PostgreSQL database of this run's own; dropped at the end."""
    server_url = (await postgres.start(*servers, url=os.environ.get("KELMAH_TEST_POSTGRES_URL"))).url
    name = sql.Identifier(run_id)
    async with await psycopg.AsyncConnection.connect(server_url, autocommit=True) as connection:
        await connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    yield urlsplit(server_url)._replace(path=f"/{run_id}").geturl()
    async with await psycopg.AsyncConnection.connect(server_url, autocommit=True) as connection:
        await connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture(scope="session")
async def mail_server(servers: Servers) -> Mailbox:
    """An SMTP server of this run's own."""
    backend = await mail.start(*servers)
    assert backend.data_dir is not None
    return Mailbox(url=backend.url, path=backend.data_dir / "maildir")


@pytest.fixture
def mailbox(mail_server: Mailbox) -> Mailbox:
    """The run's SMTP server with an empty mailbox."""
    mail_server.clear()
    return mail_server


@pytest.fixture(scope="session")
async def stripe_url(servers: Servers) -> str:
    """A local server that speaks Stripe's API; any key that starts with `sk_` is accepted."""
    return (await stripe.start(*servers)).url
