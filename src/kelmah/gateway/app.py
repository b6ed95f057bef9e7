"""Wires the gateway together."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from litestar import Litestar
from litestar.types import LifeSpanReceive, LifeSpanScope, Receive, Scope
from redis.asyncio import Redis

from kelmah.gateway import api_keys, reload, revocations, routes, tokens
from kelmah.gateway.api_keys import ApiKeys
from kelmah.gateway.cache import Cache
from kelmah.gateway.edge import Edge, Parts
from kelmah.gateway.health import Health
from kelmah.gateway.limits import Limits
from kelmah.gateway.proxy import Proxy
from kelmah.gateway.revocations import Revocations
from kelmah.gateway.routes import RouteTable
from kelmah.gateway.settings import GatewaySettings
from kelmah.gateway.sockets import SocketLimits, Sockets
from kelmah.gateway.tokens import KeyStore, TokenVerifier
from kelmah.gateway.upstreams import Apps, MemoryInstance, Service
from kelmah.kit import clock
from kelmah.kit import redis as redisdb
from kelmah.kit.calls import ASGITransport, HTTPTransport, ServiceCaller, http_client
from kelmah.kit.discovery import Discovery
from kelmah.kit.observe import Metrics, Observer
from kelmah.kit.registry import Registry
from kelmah.kit.tasks import running

log = structlog.get_logger(__name__)

AUTH = "auth"


def create_app(settings: GatewaySettings, *, apps: Apps | None = None) -> Litestar:
    """Make the gateway. It reaches the services by `settings.service_urls`, or in memory those that `apps` has.

    Raises:
        RouteError: the route table does not fit.
        ValueError: a service that the table names has no address, or no key to sign calls to it.
    """
    file = routes.file_of(settings.routes_path)
    text = file.read_text(encoding="utf-8")
    table = routes.parse(text)
    _check_services(settings, table, apps or {})
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        clock.shift(timedelta(seconds=settings.clock_shift_s))
        async with _open(settings, table, apps or {}, metrics) as parts:
            edge = app.state.edge = Edge(parts)

            def use(changed: RouteTable) -> None:
                _check_services(settings, changed, apps or {})
                edge.use(changed)

            # In place of Litestar's router: the edge has routes of its own, and answers its errors itself.
            app.asgi_handler = Observer(
                edge,
                metrics=metrics,
                concurrent=settings.max_concurrent_requests,
                waiting=settings.max_waiting_requests,
            )
            async with running(routes=partial(reload.follow, file, use, text=text)):
                log.info("app.started")
                yield
                log.info("app.stopping")

    return _Gateway(lifespan=[lifespan], openapi_config=None, logging_config=None)


class _Gateway(Litestar):
    """Litestar opens and closes it; what comes in between has no use for Litestar's scope and hooks."""

    async def __call__(self, scope: Scope | LifeSpanScope, receive: Receive | LifeSpanReceive, send: Any) -> None:
        handle: Any = super().__call__ if scope["type"] == "lifespan" else self.asgi_handler
        await handle(scope, receive, send)


def _check_services(settings: GatewaySettings, table: RouteTable, apps: Apps) -> None:
    needed = table.services | {AUTH}
    faults = [f"no address of {name!r} in service_urls" for name in needed - apps.keys() - settings.service_urls.keys()]
    faults += [f"no key for {name!r} in outgoing_keys" for name in needed - settings.outgoing_keys.keys()]
    if faults:
        raise ValueError("; ".join(sorted(faults)))


@asynccontextmanager
async def _open(settings: GatewaySettings, table: RouteTable, apps: Apps, metrics: Metrics) -> AsyncIterator[Parts]:
    """Open what the gateway works with, and close it in reverse."""
    async with AsyncExitStack() as stack:
        redis = redisdb.connect(settings.redis_url, prefix=settings.redis_prefix)
        stack.push_async_callback(redis.aclose)
        client = await stack.enter_async_context(http_client())
        session = await stack.enter_async_context(_socket_session())
        # All that have an address: a changed route table may name them.
        names = sorted((apps.keys() | settings.service_urls.keys()) & settings.outgoing_keys.keys())
        registry = Registry(redis, prefix=settings.redis_prefix)
        found = {
            name: Discovery(name, settings.service_urls[name], registry=registry) for name in names if name not in apps
        }
        services = {name: _service(name, found.get(name), settings, apps) for name in names}
        stack.callback(_close, services)
        auth = ServiceCaller(
            caller=settings.SERVICE,
            callee=AUTH,
            transport=ASGITransport(apps[AUTH]) if AUTH in apps else HTTPTransport(client, found[AUTH]),
            keys=settings.outgoing_keys,
        )
        keys = KeyStore(tokens.fetch_from(auth))
        revoked = Revocations(redis, prefix=settings.redis_prefix, ask=revocations.ask_from(auth))
        health = Health(services, client=client, redis=redis, keys=keys)
        background: dict[str, Callable[[], Awaitable[None]]] = {}
        background |= {f"probe {name}": partial(health.probe, services[name]) for name in found}
        background |= {f"find {name}": one.follow for name, one in found.items() if not one.is_fixed}
        await asyncio.gather(*(one.look() for one in found.values()))
        await stack.enter_async_context(running(keys=keys.stay_fresh, revocations=revoked.follow, **background))
        limits = _limits(redis, settings, table)
        stack.callback(limits.close)
        yield Parts(
            settings=settings,
            table=table,
            verifier=TokenVerifier(
                keys,
                issuer=settings.token_issuer,
                is_revoked=revoked.__contains__,
                api_keys=ApiKeys(api_keys.check_at(auth), is_revoked=revoked.__contains__),
            ),
            limits=limits,
            proxy=Proxy(services, keys=settings.outgoing_keys),
            cache=Cache(redis, prefix=settings.redis_prefix),
            sockets=Sockets(
                session,
                services,
                keys=settings.outgoing_keys,
                limits=SocketLimits(
                    settings.max_sockets,
                    settings.max_sockets_per_address,
                    settings.max_sockets_per_person,
                    settings.socket_idle_s,
                    settings.socket_lifetime_s,
                ),
            ),
            health=health,
            metrics=metrics,
        )


def _service(name: str, found: Discovery | None, settings: GatewaySettings, apps: Apps) -> Service:
    places, line = settings.max_concurrent_per_service, settings.max_waiting_per_service
    if found is None:
        return Service(name, [MemoryInstance(name, apps[name])], places=places, line=line)
    service = Service(name, zone=settings.zone, places=places, line=line)
    service.use(found.endpoints)
    found.listen(service.use)
    return service


def _close(services: Mapping[str, Service]) -> None:
    for service in services.values():
        service.use([])


def _limits(redis: Redis, settings: GatewaySettings, table: RouteTable) -> Limits:
    return Limits(
        redis,
        prefix=settings.redis_prefix,
        classes=table.limits,
        factor=settings.limit_factor,
        instances=settings.instances,
    )


def _socket_session() -> ClientSession:
    return ClientSession(
        connector=TCPConnector(limit=0),  # the sockets are counted by us
        timeout=ClientTimeout(total=None, connect=2.0),
        cookie_jar=DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        trust_env=False,
    )
