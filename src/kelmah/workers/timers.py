"""Hands due timers of a service to their actors. Any number of loops may run: each timer is leased by one of them."""

import asyncio
from datetime import timedelta

import structlog

from kelmah.kit import clock
from kelmah.kit.timers import Timer, Timers
from kelmah.workers import loops, metrics
from kelmah.workers.publisher import Publisher, message_for
from kelmah.workers.registry import Registry

log = structlog.get_logger(__name__)

#: Timers that are handed over side by side.
CONCURRENT = 8
#: How long a timer of an unknown actor waits at first, doubled each time, and at most.
UNKNOWN_WAIT, UNKNOWN_WAIT_MAX = timedelta(seconds=30), timedelta(hours=1)


class TimerLoop:
    """The timers of one service. A timer is forgotten only after the broker confirmed its message."""

    def __init__(
        self, service: str, timers: Timers, publisher: Publisher, registry: Registry, bell: asyncio.Event
    ) -> None:
        self._service = service
        self._timers = timers
        self._publisher = publisher
        self._registry = registry
        self._bell = bell

    async def run(self) -> None:
        """Fire what is due until cancelled."""
        await loops.forever(self.turn, self._bell, name=f"timers.{self._service}")

    async def turn(self) -> bool:
        """Fire some that are due. Returns whether there may be more.

        Raises:
            Exception: the broker did not confirm one; it is due again when its lease ends.
        """
        results = await asyncio.gather(*(self._fire_one() for _ in range(CONCURRENT)), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return all(results)

    async def _fire_one(self) -> bool:
        timer = await self._timers.take_due()
        if timer is None:
            return False
        actor = self._registry.actors.get(timer.actor)
        if actor is None:
            # A newer process set it. It stays, and is looked at again, ever less often, by a worker that knows it.
            wait = min(UNKNOWN_WAIT * 2 ** min(timer.attempts - 1, 10), UNKNOWN_WAIT_MAX)
            await self._timers.postpone(timer, clock.now() + wait)
            log.error("timers.unknown_actor", actor=timer.actor, attempts=timer.attempts)
            return True
        message = message_for(actor, timer.args, message_id=_message_id(timer), cause=_cause(timer))
        await self._publisher.send(message)
        await self._timers.finish(timer)
        metrics.timers_fired.labels(self._service).inc()
        return True


def _cause(timer: Timer) -> dict[str, str]:
    found = {name: getattr(timer, name) for name in ("correlation_id", "causation_id", "traceparent")}
    return {name: value for name, value in found.items() if value}


def _message_id(timer: Timer) -> str:
    """Of this firing: a timer that is set anew, or fires again after its lease, has another."""
    return f"timer:{timer.key}:{int(timer.due.timestamp() * 1000)}"
