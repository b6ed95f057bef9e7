"""The gateway's own answers about health: its own, and that of every instance of every service."""

import asyncio
import random
from collections.abc import Awaitable, Mapping
from weakref import WeakKeyDictionary

import msgspec
import structlog
from pyreqwest.client import Client
from redis.asyncio import Redis

from kelmah.contracts.common import Contract
from kelmah.gateway.balancer import DRAINING, Member
from kelmah.gateway.tokens import KeyStore
from kelmah.gateway.upstreams import Instance, MemoryInstance, Service
from kelmah.kit import clock, draining
from kelmah.kit.calls import ASGITransport, HTTPTransport, Transport

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
    """One instance; `reason` says why it is out. Which one it is, and what it runs, is for the machine room only."""

    status: str
    name: str = ""
    version: str = ""
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


class Health:
    """Asks all instances at once."""

    def __init__(self, services: Mapping[str, Service], *, client: Client, redis: Redis, keys: KeyStore) -> None:
        self._services = services
        self._client = client
        self._redis = redis
        self._keys = keys
        self._transports: WeakKeyDictionary[Instance, Transport] = WeakKeyDictionary()
        self._asking = asyncio.Lock()
        self._last: tuple[float, PlatformHealth] | None = None

    async def own(self) -> Readiness:
        """Whether this gateway takes traffic. Without Redis it does, with coarser limits; without keys it cannot."""
        checks = {
            "redis": await self._check_redis(),
            "keys": OK if self._keys.is_loaded else UNAVAILABLE,
        }
        status = draining.DRAINING if draining.is_draining() else checks["keys"]
        return Readiness(status=status, checks=checks)

    async def platform(self) -> PlatformHealth:
        """The whole platform; asked at most once in `KEPT_S`, however many want to know."""
        async with self._asking:
            if self._last is None or clock.monotonic() - self._last[0] > KEPT_S:
                self._last = (clock.monotonic(), await self._ask_all())
            return self._last[1]

    async def _ask_all(self) -> PlatformHealth:
        own, found = await asyncio.gather(
            self.own(), asyncio.gather(*(self._service(one) for one in self._services.values()))
        )
        services = dict(zip(self._services, found, strict=True))
        healthy = [*own.checks.values(), *(service.status for service in found)]
        return PlatformHealth(
            status=OK if all(status == OK for status in healthy) else UNAVAILABLE, checks=own.checks, services=services
        )

    async def _service(self, service: Service) -> ServiceHealth:
        members = service.balancer.members
        instances = await asyncio.gather(*(self._look_at(service, member) for member in members))
        is_ok = any(instance.status == OK for instance in instances)
        if not is_ok:
            log.warning("health.service_unavailable", callee=service.name)
        return ServiceHealth(status=OK if is_ok else UNAVAILABLE, instances=list(instances))

    async def _look_at(self, service: Service, member: Member[Instance]) -> InstanceHealth:
        instance = member.instance
        found = await ask(self._transport(instance))
        found = msgspec.structs.replace(found, name=instance.name, version=instance.version)
        out = service.balancer.why_out(member)
        if found.status == OK and out is not None:
            return msgspec.structs.replace(found, status=UNAVAILABLE, reason=out)
        return found

    async def probe(self, service: Service) -> None:
        """Ask the instances of a service from time to time whether they are ready, for as long as the gateway runs."""
        while True:
            await asyncio.gather(*(self._probe(member) for member in service.balancer.members))
            await asyncio.sleep(PROBE_S * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311  # spreads, hides nothing

    async def _probe(self, member: Member[Instance]) -> None:
        found = await ask(self._transport(member.instance))
        member.probed(None if found.status == OK else found.reason or found.status)

    async def _check_redis(self) -> str:
        ping: Awaitable[bool] = self._redis.ping()
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await ping
        except Exception as error:
            log.warning("health.redis_unavailable", error=type(error).__name__)
            return UNAVAILABLE
        return OK

    def _transport(self, instance: Instance) -> Transport:
        if (known := self._transports.get(instance)) is not None:
            return known
        if isinstance(instance, MemoryInstance):
            return self._transports.setdefault(instance, ASGITransport(instance.app))
        return self._transports.setdefault(instance, HTTPTransport(self._client, [instance.name]))


def for_strangers(found: PlatformHealth) -> PlatformHealth:
    """The same, but for what tells of the machine room."""
    plain = msgspec.structs.replace
    services = {
        name: plain(one, instances=[plain(instance, name="", version="") for instance in one.instances])
        for name, one in found.services.items()
    }
    return plain(found, services=services)


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
    if readiness.status == draining.DRAINING:
        return InstanceHealth(status=UNAVAILABLE, checks=readiness.checks, reason=DRAINING)
    failed = ", ".join(sorted(name for name, state in readiness.checks.items() if state != OK))
    return InstanceHealth(status=UNAVAILABLE, checks=readiness.checks, reason=f"not ready: {failed}")


def _reason(error: Exception) -> str:
    return {"Unavailable": "it cannot be reached", "GatewayTimeout": "it does not answer in time"}.get(
        type(error).__name__, "it answers badly"
    )
