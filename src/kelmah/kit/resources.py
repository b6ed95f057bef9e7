"""What every service's context is made of: its database, Redis, events, timers, keys, and callers of other services."""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from beanie import Document
from litestar.types import ASGIApp
from pydantic import SecretStr
from redis.asyncio import Redis

from kelmah.kit import indexes
from kelmah.kit import mongo as mongodb
from kelmah.kit import redis as redisdb
from kelmah.kit.calls import ASGITransport, HTTPTransport, Nowhere, ServiceCaller, Transport, http_client
from kelmah.kit.crypto import KeyRing
from kelmah.kit.discovery import Discovery
from kelmah.kit.events import EventStore
from kelmah.kit.idempotency import IdempotencyKeys
from kelmah.kit.mongo import Mongo
from kelmah.kit.people import PersonKeys
from kelmah.kit.registry import Registry
from kelmah.kit.settings import ServiceSettings
from kelmah.kit.tasks import running
from kelmah.kit.timers import Timers

#: Apps of this very process by service, for the platform in one process; empty when each has its own.
Apps = Mapping[str, ASGIApp]


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a service works with. Each service's `Context` adds its clients and providers."""

    mongo: Mongo
    redis: Redis
    events: EventStore
    timers: Timers
    idempotency: IdempotencyKeys
    ring: KeyRing
    callers: Mapping[str, ServiceCaller]


@asynccontextmanager
async def open_resources(
    settings: ServiceSettings, documents: tuple[type[Document], ...], *, apps: Apps | None = None
) -> AsyncIterator[Resources]:
    """Open what a service works with, and close it in reverse.

    A caller is made for each service that there is a key for.

    Raises:
        NotUnique: the database has not the indexes that a service relies on.
    """
    ring = key_ring(settings)
    redis = redisdb.connect(settings.redis_url, prefix=settings.redis_prefix)
    try:
        async with (
            mongodb.connect(
                settings.mongo_url, settings.mongo_database, documents, pool_size=settings.mongo_pool_size
            ) as mongo,
            http_client() as client,
            AsyncExitStack() as stack,
        ):
            if documents:  # an operator's command, which has none, may look at any database
                await indexes.check_unique(mongo, documents)
            registry = Registry(redis, prefix=settings.redis_prefix)
            found = {
                callee: Discovery(callee, urls, registry=registry) for callee, urls in settings.service_urls.items()
            }
            looked_up = [one for one in found.values() if not one.is_fixed]
            await asyncio.gather(*(one.look() for one in looked_up))
            await stack.enter_async_context(running(**{f"find {one.service}": one.follow for one in looked_up}))
            transports: dict[str, Transport] = {callee: HTTPTransport(client, one) for callee, one in found.items()}
            transports |= {callee: ASGITransport(app) for callee, app in (apps or {}).items()}
            yield Resources(
                mongo=mongo,
                redis=redis,
                events=EventStore(mongo, settings.SERVICE, PersonKeys(mongo, ring)),
                timers=Timers(mongo),
                idempotency=IdempotencyKeys(mongo, ring),
                ring=ring,
                callers=_callers(settings.SERVICE, transports, settings.outgoing_keys),
            )
    finally:
        await redis.aclose()


def key_ring(settings: ServiceSettings) -> KeyRing:
    """The service's field keys."""
    return KeyRing([base64.b64decode(key.get_secret_value()) for key in settings.field_keys])


def _callers(
    service: str, transports: Mapping[str, Transport], keys: Mapping[str, Sequence[SecretStr]]
) -> dict[str, ServiceCaller]:
    """A caller for each service that there is a key for; calls to one without an address are unavailable."""
    return {
        callee: ServiceCaller(caller=service, callee=callee, transport=transports.get(callee, Nowhere()), keys=keys)
        for callee in keys
    }
