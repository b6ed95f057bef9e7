"""Wires the gateway together."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial

import structlog
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from litestar import Litestar
from pyreqwest.client import Client
from redis.asyncio import Redis

from kelmah.gateway import api_keys, health, reload, revocations, routes, tokens
from kelmah.gateway.api_keys import ApiKeys
from kelmah.gateway.edge import Edge, Parts
from kelmah.gateway.health import Health, Watched
from kelmah.gateway.limits import Limits
from kelmah.gateway.proxy import Proxy
from kelmah.gateway.revocations import Revocations
from kelmah.gateway.routes import RouteTable
from kelmah.gateway.settings import GatewaySettings
from kelmah.gateway.sockets import Sockets
from kelmah.gateway.tokens import KeyStore, TokenVerifier
from kelmah.gateway.upstreams import Apps, HTTPInstance, Instance, MemoryInstance, Service
from kelmah.kit import clock
from kelmah.kit import redis as redisdb
from kelmah.kit.calls import ASGITransport, HTTPTransport, ServiceCaller, Transport, http_client
from kelmah.kit.observe import Metrics, Observer

log = structlog.get_logger(__name__)

AUTH = "auth"
#: Seconds before a background task that failed is started again.
RESTART_S = 1.0


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
            async with _running(routes=partial(reload.follow, file, use, text=text)):
                log.info("app.started")
                yield
                log.info("app.stopping")

    return Litestar(lifespan=[lifespan], openapi_config=None, logging_config=None)


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
        services = {name: _service(name, settings, apps) for name in names}
        stack.callback(_close, services)
        auth = ServiceCaller(
            caller=settings.SERVICE,
            callee=AUTH,
            transport=ASGITransport(apps[AUTH]) if AUTH in apps else HTTPTransport(client, settings.service_urls[AUTH]),
            keys=settings.outgoing_keys,
        )
        keys = KeyStore(tokens.fetch_from(auth))
        revoked = Revocations(redis, prefix=settings.redis_prefix, ask=revocations.ask_from(auth))
        watched = {name: _watched(service, client) for name, service in services.items()}
        probes = {
            f"probe {name} {number}": partial(health.probe, one)
            for name, instances in watched.items()
            if name not in apps
            for number, one in enumerate(instances)
        }
        await stack.enter_async_context(_running(keys=keys.stay_fresh, revocations=revoked.follow, **probes))
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
            sockets=Sockets(
                session,
                services,
                keys=settings.outgoing_keys,
                max_sockets=settings.max_sockets,
                max_per_address=settings.max_sockets_per_address,
            ),
            health=Health(watched, redis=redis, keys=keys),
            metrics=metrics,
        )


def _service(name: str, settings: GatewaySettings, apps: Apps) -> Service:
    if name in apps:
        return Service(name, [MemoryInstance(name, apps[name])])
    return Service(name, [HTTPInstance(url) for url in settings.service_urls[name]])


def _close(services: Mapping[str, Service]) -> None:
    for service in services.values():
        for member in service.balancer.members:
            if isinstance(member.instance, HTTPInstance):
                member.instance.close()


def _watched(service: Service, client: Client) -> list[Watched]:
    balancer = service.balancer
    return [
        Watched(_transport(member.instance, client), member.probed, partial(balancer.why_out, member))
        for member in balancer.members
    ]


def _transport(instance: Instance, client: Client) -> Transport:
    return (
        ASGITransport(instance.app) if isinstance(instance, MemoryInstance) else HTTPTransport(client, [instance.name])
    )


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


@asynccontextmanager
async def _running(**tasks: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run tasks in the background, started again should they fail, until the block is left."""
    running = [asyncio.create_task(_supervise(name, task), name=name) for name, task in tasks.items()]
    try:
        yield
    finally:
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _supervise(name: str, task: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await task()
        except Exception:
            log.exception("task.failed", task=name)
        await asyncio.sleep(RESTART_S)
