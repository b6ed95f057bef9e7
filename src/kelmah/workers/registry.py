"""Which actors there are, what each runs, and the one table of subscriptions: event type → actors.

The files in `kelmah.workers.actors` register here when they are imported. Importing this module does nothing else.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, TypedDict, Unpack

from kelmah import services
from kelmah.contracts.common import Event

#: `async f(context, envelope, event)` for an event, `async f(context, *args: str)` for a timer.
Function = Callable[..., Awaitable[Any]]

#: Milliseconds an actor may run: far below the 30 minutes after which RabbitMQ takes an unfinished message back.
TIME_LIMIT_MS = 120_000
#: A transient failure is tried again after 1 s, 2 s, 4 s … (doubled at random) up to 10 min: about two hours in all.
#: A message that waits is unfinished to RabbitMQ, so the longest wait must stay below its 30 minutes, too.
MAX_RETRIES = 20
MIN_BACKOFF_MS = 1_000
MAX_BACKOFF_MS = 600_000


class Policy(TypedDict, total=False):
    """How an actor runs, where the defaults do not fit."""

    time_limit_ms: int
    max_retries: int
    min_backoff_ms: int
    max_backoff_ms: int


@dataclass(frozen=True, kw_only=True)
class Actor:
    """One actor: a queue's consumer of messages with its name. `events` is empty for the target of a timer."""

    name: str
    function: Function
    events: tuple[type[Event], ...] = ()
    time_limit_ms: int = TIME_LIMIT_MS
    max_retries: int = MAX_RETRIES
    min_backoff_ms: int = MIN_BACKOFF_MS
    max_backoff_ms: int = MAX_BACKOFF_MS

    @property
    def service(self) -> str:
        """Whose context the function is given."""
        return self.name.partition(".")[0]

    @property
    def queue(self) -> str:
        return queue_of(self.service)


def queue_of(service: str) -> str:
    """The queue of a service's actors; one each, so that a slow service does not hold up the others."""
    return f"kelmah.{service}"


def service_of(queue: str) -> str:
    """The service of a queue, its delay queue or its dead-letter queue."""
    return queue.split(".")[1] if queue.startswith("kelmah.") else ""


@dataclass(frozen=True)
class Registry:
    """The actors of a worker process."""

    actors: dict[str, Actor] = field(default_factory=dict)

    def on_event(self, name: str, event: type[Event], function: Function, **policy: Unpack[Policy]) -> None:
        """Have `function` called for each event of this class; again with the same function for more classes.

        Args:
            name: `<service>.<verb_object>`, unique; the service's context is handed to the function.
            policy: see `Policy`.

        Raises:
            ValueError: the name is taken, or is not of a service.
        """
        known = self.actors.get(name)
        events: tuple[type[Event], ...] = (event,)
        if known is not None and known.function is function and known.events:
            events = (*known.events, event)
        elif known is not None:
            raise ValueError(f"there is an actor {name!r} already")
        self.actors[name] = _checked(Actor(name=name, function=function, events=events, **policy))

    def on_timer(self, name: str, function: Function, **policy: Unpack[Policy]) -> None:
        """Have `function` called for each timer that is set for this actor. Arguments as for `on_event`."""
        if name in self.actors:
            raise ValueError(f"there is an actor {name!r} already")
        self.actors[name] = _checked(Actor(name=name, function=function, **policy))

    @property
    def subscriptions(self) -> Mapping[str, tuple[Actor, ...]]:
        """Event type → the actors that hear of it."""
        table: dict[str, tuple[Actor, ...]] = {}
        for actor in self.actors.values():
            for event in actor.events:
                table[event.TYPE] = (*table.get(event.TYPE, ()), actor)
        return table

    @property
    def queues(self) -> list[str]:
        return sorted({actor.queue for actor in self.actors.values()})


def _checked(actor: Actor) -> Actor:
    service, _, verb = actor.name.partition(".")
    if service not in services.NAMES or not verb.isidentifier():
        raise ValueError(f"an actor is named <service>.<verb_object>, not {actor.name!r}")
    return actor


#: The actors of Kelmah, once `load_actors` ran.
REGISTRY = Registry()
on_event = REGISTRY.on_event
on_timer = REGISTRY.on_timer


def load_actors() -> Registry:
    """Import the actors of every service, and return the registry with them."""
    for name in (*services.NAMES, "every"):
        import_module(f"kelmah.workers.actors.{name}")
    return REGISTRY
