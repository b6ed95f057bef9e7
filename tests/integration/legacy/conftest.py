"""Old databases of the run's own, and the environment of a platform beside them."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from kelmah import services
from kelmah.cli import indexes
from kelmah.cli.legacy import generating
from kelmah.cli.legacy.moving import Mover
from kelmah.cli.legacy.plan import open_work
from kelmah.legacy import revisions
from kelmah.legacy.entities import ENTITIES

#: Makes an empty database; `encoding` is PostgreSQL's name of one.
MakeDatabase = Callable[..., str]
Environ = dict[str, str]
PEOPLE, SEED, DIRTY = 240, 1, 0.09


@pytest.fixture(scope="session")
def make_database(postgres_url: str, run_id: str) -> Iterator[MakeDatabase]:
    """Makes empty databases, which are dropped at the end."""
    made: list[str] = []

    def make(*, encoding: str = "UTF8") -> str:
        name = f"{run_id}_{len(made)}"
        made.append(name)
        statement = sql.SQL("CREATE DATABASE {} ENCODING {} TEMPLATE template0").format(
            sql.Identifier(name), sql.Literal(encoding)
        )
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(statement)
        return urlsplit(postgres_url)._replace(path=f"/{name}").geturl()

    yield make
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for name in made:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def environ_for(mongo_url: str, mongo_prefix: str, redis_url: str, redis_prefix: str) -> Callable[[str, str], Environ]:
    """The variables of a platform whose databases have a name of their own, beside an old database."""

    def make(name: str, url: str) -> Environ:
        keys = json.dumps([base64.b64encode(bytes(32)).decode()])
        variables = {
            "KELMAH_ENVIRONMENT": "test",
            "KELMAH_LEGACY_POSTGRES_URL": url,
            "KELMAH_MONGO_URL": mongo_url,
            "KELMAH_REDIS_URL": redis_url,
            "KELMAH_REDIS_PREFIX": f"{redis_prefix}{name}",
            "KELMAH_INCOMING_KEYS": "{}",
            "KELMAH_OUTGOING_KEYS": json.dumps({one: ["a key that only tests use"] for one in services.NAMES}),
            "KELMAH_FIELD_KEYS": keys,
            "KELMAH_PUBLIC_URL": "http://127.0.0.1",
            "KELMAH_SMTP_URL": "smtp://127.0.0.1:1",
            "KELMAH_MAIL_SENDER": "Kelmah <no-reply@kelmah.example>",
            "KELMAH_PAYMENT_STRIPE_API_KEY": "sk_test",
            "KELMAH_PAYMENT_STRIPE_WEBHOOK_SECRETS": '["whsec_test"]',
            "KELMAH_AUTH_HASH_MEMORY_KIB": "64",
            "KELMAH_AUTH_HASH_PASSES": "1",
            "KELMAH_AUTH_BCRYPT_COST": "4",
        }
        variables |= {f"KELMAH_{one.upper()}_MONGO_DATABASE": f"{mongo_prefix}{name}_{one}" for one in services.NAMES}
        with ThreadPoolExecutor(1) as thread:  # beside the loop that this may be called from
            thread.submit(lambda: asyncio.run(_build(variables))).result()
        return variables

    return make


async def _build(environ: Environ) -> None:
    """Make the indexes without which no service is opened."""
    async for _ in indexes.build_all(environ):
        pass


@dataclass(frozen=True)
class World:
    """An old database, the platform that it was moved to, and how the move went."""

    url: str
    environ: Environ
    mover: Mover


@pytest.fixture(scope="session")
def generated(make_database: MakeDatabase) -> str:
    """An old database with 240 people and many dirty rows. Only read from."""
    url = make_database()
    revisions.upgrade(url)
    generating.generate(url, users=PEOPLE, seed=SEED, dirty=DIRTY)
    return url


@pytest.fixture(scope="session")
async def world(make_database: MakeDatabase, environ_for: Callable[[str, str], Environ]) -> World:
    """A generated database, moved."""
    url = make_database()
    revisions.upgrade(url)
    generating.generate(url, users=PEOPLE, seed=SEED, dirty=DIRTY)
    environ = environ_for("moved", url)
    async with open_work(environ) as work:
        mover = Mover(work)
        await mover.run(ENTITIES)
    return World(url, environ, mover)
