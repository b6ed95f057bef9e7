"""Starts the backing services together."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from kelmah.cli.backends import mail, mongo, postgres, rabbitmq, redis, stripe
from kelmah.cli.backends.base import Backend, BackendUnavailableError, Home
from kelmah.cli.processes import Supervisor

STARTERS: Mapping[str, Callable[..., Awaitable[Backend]]] = {
    "mongo": mongo.start,
    "redis": redis.start,
    "rabbitmq": rabbitmq.start,
    "mail": mail.start,
    "stripe": stripe.start,
    "postgres": postgres.start,
}
PLATFORM = ("mongo", "redis", "rabbitmq", "mail", "stripe")


@dataclass(frozen=True, slots=True)
class Fleet:
    """What was started, and what cannot be had on this system and why, both by name."""

    backends: dict[str, Backend]
    unavailable: dict[str, BackendUnavailableError]


async def start_all(
    supervisor: Supervisor,
    home: Home,
    *,
    names: Iterable[str] = PLATFORM,
    urls: Mapping[str, str] | None = None,
) -> Fleet:
    """Start the named backing services at the same time; those with a URL in `urls` are used as given.

    Raises:
        ExceptionGroup: of `StartError` and `BackendUnreachableError`, one for each service that failed. The
            others are stopped by the supervisor.
    """
    given = urls or {}
    chosen = list(names)
    results = await asyncio.gather(
        *(STARTERS[name](supervisor, home, url=given.get(name)) for name in chosen), return_exceptions=True
    )
    backends: dict[str, Backend] = {}
    unavailable: dict[str, BackendUnavailableError] = {}
    failures: list[Exception] = []
    for name, result in zip(chosen, results, strict=True):
        if isinstance(result, Backend):
            backends[name] = result
        elif isinstance(result, BackendUnavailableError):
            unavailable[name] = result
        elif isinstance(result, Exception):
            failures.append(result)
        else:
            raise result
    if failures:
        raise ExceptionGroup("backing services failed to start", failures)
    return Fleet(backends, unavailable)
