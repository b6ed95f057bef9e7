"""The factory that gives every service the same defaults: errors, ids, metrics, health, limits, signed calls."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any, Protocol

import prometheus_client
import structlog
from litestar import Litestar, Request, Response, Router, get
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.routes import HTTPRoute, WebSocketRoute
from litestar.types import ControllerRouterHandler
from redis.asyncio import Redis

from kelmah.contracts.common import Contract
from kelmah.kit import clock, draining, policy, problem
from kelmah.kit.bodies import StrictBodies
from kelmah.kit.idempotency import IdempotencyKeys, IdempotencyMiddleware
from kelmah.kit.internal import SignedCalls
from kelmah.kit.mongo import Mongo
from kelmah.kit.observe import Metrics, Observer
from kelmah.kit.registry import Endpoint, Registry
from kelmah.kit.settings import ServiceSettings
from kelmah.kit.tasks import running

log = structlog.get_logger(__name__)

#: Under which every public operation lives.
API_PREFIX = "/api/v1"
#: Seconds that a dependency has to answer a readiness check.
CHECK_TIMEOUT_S = 2


class ServiceContext(Protocol):
    """What each service's own context offers to the factory."""

    @property
    def mongo(self) -> Mongo: ...

    @property
    def redis(self) -> Redis: ...

    @property
    def idempotency(self) -> IdempotencyKeys: ...


class Readiness(Contract, frozen=True, kw_only=True):
    """Whether a process takes traffic: `ok`, or `unavailable` with the check that failed."""

    status: str
    checks: dict[str, str]


def service_app(
    settings: ServiceSettings,
    *,
    open_context: Callable[[], AbstractAsyncContextManager[ServiceContext]],
    controllers: Sequence[ControllerRouterHandler],
    rules: policy.Policy,
    title: str,
) -> Litestar:
    """Make one service's app. Nothing is opened before its lifespan starts; `open_context` opens and closes it all.

    The context is `app.state.context` and the dependency `context`; the signed-in person the dependency `principal`.

    Raises:
        RuntimeError: an operation has no rule, or a rule has no operation.
    """
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        if settings.clock_shift_s:
            clock.set_shift(timedelta(seconds=settings.clock_shift_s))
        async with open_context() as context, _entered(settings, context.redis):
            app.state.context = context
            app.state.idempotency = context.idempotency
            door = SignedCalls(
                inside,
                service=settings.SERVICE,
                keys=settings.incoming_keys,
                redis=context.redis,
                prefix=settings.redis_prefix,
                max_body_bytes=settings.max_body_bytes,
            )
            app.asgi_handler = Observer(
                door,
                metrics=metrics,
                concurrent=settings.max_concurrent_requests,
                waiting=settings.max_waiting_requests,
            )
            log.info("app.started")
            yield
            log.info("app.stopping")

    app = Litestar(
        route_handlers=[*controllers, *_operations(metrics)],
        lifespan=[lifespan],
        dependencies={"context": Provide(_context), "principal": Provide(policy.provide_principal)},
        middleware=[policy.PolicyMiddleware(rules), StrictBodies(), IdempotencyMiddleware()],
        exception_handlers={Exception: problem.render},
        openapi_config=OpenAPIConfig(
            title=title,
            version="1",
            render_plugins=[JsonRenderPlugin()],
            openapi_router=Router("/schema", route_handlers=[], opt={"unguarded": True}, include_in_schema=False),
            components=Components(
                security_schemes={"accessToken": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
            ),
        ),
        request_max_body_size=settings.max_body_bytes,
        logging_config=None,
    )
    inside = app.asgi_handler
    policy.check_complete(rules, list(route_handlers(app)))
    return app


@asynccontextmanager
async def _entered(settings: ServiceSettings, redis: Redis) -> AsyncIterator[None]:
    """In the registry, where this process is told its own address."""
    if settings.advertise_url is None:
        yield
        return
    registry = Registry(redis, prefix=settings.redis_prefix)
    own = Endpoint(settings.advertise_url, settings.advertise_weight, settings.zone, settings.version)
    async with running(registry=partial(registry.stay, settings.SERVICE, own)):
        yield


def route_handlers(app: Litestar) -> Iterator[BaseRouteHandler]:
    """Every HTTP and WebSocket operation of an app."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            yield from route.route_handlers
        elif isinstance(route, WebSocketRoute):
            yield route.route_handler


async def _context(request: Request[Any, Any, Any]) -> Any:
    return request.app.state.context


def _operations(metrics: Metrics) -> list[ControllerRouterHandler]:
    """Liveness, readiness and metrics, for the machine room only."""

    @get("/livez", opt={"unguarded": True}, include_in_schema=False)
    async def livez() -> Readiness:
        return Readiness(status="ok", checks={})

    @get("/readyz", opt={"unguarded": True}, include_in_schema=False)
    async def readyz(request: Request[Any, Any, Any]) -> Response[Readiness]:
        context: ServiceContext = request.app.state.context
        checks = {
            "mongo": await _check("mongo", context.mongo.ping()),
            "redis": await _check("redis", context.redis.ping()),
        }
        if draining.is_draining():
            return Response(Readiness(status=draining.DRAINING, checks=checks), status_code=503)
        # Redis is never the only home of anything: without it a service is slower, and still ready.
        ready = checks["mongo"] == "ok"
        body = Readiness(status="ok" if ready else "unavailable", checks=checks)
        return Response(body, status_code=200 if ready else 503)

    @get("/metrics", opt={"unguarded": True}, include_in_schema=False)
    async def prometheus() -> Response[bytes]:
        text = prometheus_client.generate_latest(metrics.registry)
        return Response(text, media_type=prometheus_client.CONTENT_TYPE_LATEST)

    return [livez, readyz, prometheus]


async def _check(name: str, answer: Awaitable[Any]) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await answer
    except Exception as error:
        log.warning("readyz.failed", check=name, error=type(error).__name__)
        return "unavailable"
    return "ok"
