"""Runs one message: decodes it, restores its trace, calls the service's function, and sorts failures into classes.

- transient (the database is away, a service answers 503): raised as it is, and tried again later;
- business (the service refuses, and would refuse again): `Refused`, to the dead letters at once;
- poison (nothing that we can read, or an event type that we do not know yet): `Poison`, to the dead letters at once.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import dramatiq
import msgspec
import structlog

from kelmah.contracts import events
from kelmah.kit import clock
from kelmah.kit.context import current_system, current_trace, trace_from
from kelmah.kit.errors import KelmahError
from kelmah.workers.registry import Actor, Registry

log = structlog.get_logger(__name__)


class FinalError(Exception):
    """Trying again is of no use. `reason` is a word for lists of dead letters."""

    reason = "final"


class Refused(FinalError):
    """The service refused, and would refuse again."""

    reason = "refused"


class Poison(FinalError):
    """The message cannot be read."""

    reason = "unreadable"


class UnknownEvent(FinalError):
    """The event's type or version is not known to this process; a newer one may replay it."""

    reason = "unknown_event"


def declare(broker: dramatiq.Broker, registry: Registry, contexts: Mapping[str, Any]) -> None:
    """Make the Dramatiq actors. `contexts` is filled by service before the first message is taken."""
    for actor in registry.actors.values():
        dramatiq.actor(
            broker=broker,
            actor_name=actor.name,
            queue_name=actor.queue,
            max_retries=actor.max_retries,
            min_backoff=actor.min_backoff_ms,
            max_backoff=actor.max_backoff_ms,
            time_limit=actor.time_limit_ms,
            throws=(FinalError,),
        )(_entry(actor, contexts))


def _entry(actor: Actor, contexts: Mapping[str, Any]) -> Callable[..., Any]:
    async def run(*args: str, **cause: str) -> None:
        started = clock.monotonic()
        structlog.contextvars.bind_contextvars(actor=actor.name)
        context = contexts[actor.service]
        current_system.set(f"system:{actor.name}")
        call = _for_event(actor, context, args) if actor.events else _for_timer(actor, context, args, cause)
        try:
            await call()
        except KelmahError as error:
            if is_final(error):
                raise Refused(f"{error.code}: {error.message}") from error
            raise
        log.info("actor.done", duration_ms=round((clock.monotonic() - started) * 1000, 1))

    return run


def _for_event(actor: Actor, context: Any, args: tuple[str, ...]) -> Callable[[], Any]:
    if len(args) != 1:
        raise Poison("an event's message has one argument")
    try:
        envelope = msgspec.json.decode(args[0], type=events.Envelope)
        event = events.decode(envelope)
    except msgspec.DecodeError as error:
        raise Poison("the event does not fit its type") from error
    except events.UnknownEventError as error:
        raise UnknownEvent(str(error)) from error
    if type(event) not in actor.events:
        raise UnknownEvent(f"{actor.name} does not hear {envelope.type}")
    trace = trace_from(None, envelope.correlationid, envelope.traceparent)
    current_trace.set(trace._replace(causation_id=envelope.id))
    structlog.contextvars.bind_contextvars(event_id=envelope.id, event_type=envelope.type)
    return partial(actor.function, context, envelope, event)


def _for_timer(actor: Actor, context: Any, args: tuple[str, ...], cause: Mapping[str, str]) -> Callable[[], Any]:
    try:
        inspect.signature(actor.function).bind(context, *args)
    except TypeError as error:
        raise Poison(f"{actor.name} does not take these arguments") from error
    trace = trace_from(None, cause.get("correlation_id"), cause.get("traceparent"))
    current_trace.set(trace._replace(causation_id=cause.get("causation_id")))
    return partial(actor.function, context, *args)


def is_final(error: KelmahError) -> bool:
    """Whether a failure would come again: a refusal of what was asked, without a word on when to try again."""
    return 400 <= error.status_code < 500 and error.status_code != 429 and error.retry_after_s is None
