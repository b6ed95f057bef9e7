"""The gateway's own answers about health: its own, and that of every instance of every service."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import structlog
from redis.asyncio import Redis

from kelmah.contracts.common import Contract
from kelmah.gateway.tokens import KeyStore
from kelmah.kit import clock
from kelmah.kit.calls import Transport

log = structlog.get_logger(__name__)

#: Seconds that an instance has to answer, and that an answer serves all who ask.
CHECK_TIMEOUT_S, KEPT_S = 2.0, 1.0
#: Seconds between two probes of an instance, and the part of them by which they vary.
PROBE_S, JITTER = 2.0, 0.25
OK, UNAVAILABLE = "ok", "unavailable"


class Readiness(Contract, frozen=True, kw_only=True):
    """Whether a process takes traffic, and what it found."""

    status: str
    checks: dict[str, str]


class InstanceHealth(Contract, frozen=True, kw_only=True, omit_defaults=True):
    """One instance; `reason` says why it is out."""

    status: str
    checks: dict[str, str] = msgspec.field(default_factory=dict)
    reason: str | None = None


class ServiceHealth(Contract, frozen=True, kw_only=True):
    """A service is ok while one of its instances is."""

    status: str
    instances: list[InstanceHealth]


class PlatformHealth(Contract, frozen=True, kw_only=True):
    """The platform is ok when the gateway and all services are."""

    status: str
    checks: dict[str, str]
    services: dict[str, ServiceHealth]


class Watched(NamedTuple):
    """An instance: how to ask it, whom to tell what it said, and why it gets no requests at the moment."""

    transport: Transport
    tell: Callable[[str | None], None]
    why_out: Callable[[], str | None]


class Health:
    """Asks all instances at once."""

    def __init__(self, watched: Mapping[str, Sequence[Watched]], *, redis: Redis, keys: KeyStore) -> None:
        self._watched = watched
        self._redis = redis
        self._keys = keys
        self._asking = asyncio.Lock()
        self._last: tuple[float, PlatformHealth] | None = None

    async def own(self) -> Readiness:
        """Whether this gateway takes traffic. Without Redis it does, with coarser limits; without keys it cannot."""
        checks = {
            "redis": await self._check_redis(),
            "keys": OK if self._keys.is_loaded else UNAVAILABLE,
        }
        return Readiness(status=checks["keys"], checks=checks)

    async def platform(self) -> PlatformHealth:
        """The whole platform; asked at most once in `KEPT_S`, however many want to know."""
        async with self._asking:
            if self._last is None or clock.monotonic() - self._last[0] > KEPT_S:
                self._last = (clock.monotonic(), await self._ask_all())
            return self._last[1]

    async def _ask_all(self) -> PlatformHealth:
        own, found = await asyncio.gather(self.own(), asyncio.gather(*(self._service(name) for name in self._watched)))
        services = dict(zip(self._watched, found, strict=True))
        healthy = [*own.checks.values(), *(service.status for service in found)]
        return PlatformHealth(
            status=OK if all(status == OK for status in healthy) else UNAVAILABLE, checks=own.checks, services=services
        )

    async def _service(self, name: str) -> ServiceHealth:
        instances = await asyncio.gather(*(_look_at(one) for one in self._watched[name]))
        is_ok = any(instance.status == OK for instance in instances)
        if not is_ok:
            log.warning("health.service_unavailable", callee=name)
        return ServiceHealth(status=OK if is_ok else UNAVAILABLE, instances=list(instances))

    async def _check_redis(self) -> str:
        ping: Awaitable[bool] = self._redis.ping()
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await ping
        except Exception as error:
            log.warning("health.redis_unavailable", error=type(error).__name__)
            return UNAVAILABLE
        return OK


async def _look_at(watched: Watched) -> InstanceHealth:
    found = await ask(watched.transport)
    out = watched.why_out()
    if found.status == OK and out is not None:
        return msgspec.structs.replace(found, status=UNAVAILABLE, reason=out)
    return found


async def probe(watched: Watched) -> None:
    """Ask an instance from time to time whether it is ready, for as long as the gateway runs."""
    while True:
        found = await ask(watched.transport)
        watched.tell(None if found.status == OK else found.reason or found.status)
        await asyncio.sleep(PROBE_S * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311  # spreads, hides nothing


async def ask(transport: Transport) -> InstanceHealth:
    """What an instance says of itself."""
    try:
        answer = await transport.send("GET", "/readyz", {}, b"", CHECK_TIMEOUT_S)
        readiness = msgspec.json.decode(answer.body, type=Readiness)
    except msgspec.DecodeError:
        return InstanceHealth(status=UNAVAILABLE, reason="it does not answer like a service of ours")
    except Exception as error:
        return InstanceHealth(status=UNAVAILABLE, reason=_reason(error))
    if answer.status == 200:
        return InstanceHealth(status=OK, checks=readiness.checks)
    failed = ", ".join(sorted(name for name, state in readiness.checks.items() if state != OK))
    return InstanceHealth(status=UNAVAILABLE, checks=readiness.checks, reason=f"not ready: {failed}")


def _reason(error: Exception) -> str:
    return {"Unavailable": "it cannot be reached", "GatewayTimeout": "it does not answer in time"}.get(
        type(error).__name__, "it answers badly"
    )
