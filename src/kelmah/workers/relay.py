"""Seals and publishes a service's events: at once, in order within a subject, and again until the broker confirms."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

import msgspec
import structlog
from redis.exceptions import RedisError

from kelmah.contracts.events import EVENT_TYPES, Envelope
from kelmah.kit import clock
from kelmah.kit.chain import Chain
from kelmah.kit.outbox import Lease, Outbox
from kelmah.workers import loops, metrics
from kelmah.workers.publisher import Publisher, message_for
from kelmah.workers.registry import Registry

log = structlog.get_logger(__name__)

#: Events read at once; also bounds the confirms that are waited for.
BATCH = 200
#: Seconds after which another relay takes over from one that died.
LEASE_S = 10.0
#: Seconds in which it must be noted that events happened.
NOTE_S = 1.0


class Relay:
    """Publishes one service's events while it holds the lease. Several may run; one of them works.

    An event may be published twice (the relay dies between the confirm and the note of it); consumers' inboxes make
    nothing of that. Each relay publishes a subject by position and from its first unpublished event on, so the first
    copies arrive in order even if two were to run at once. Only what is sealed is published, so whatever anybody
    outside has seen has its place in the chain.
    """

    def __init__(
        self,
        service: str,
        chain: Chain,
        outbox: Outbox,
        lease: Lease,
        publisher: Publisher,
        registry: Registry,
        bell: asyncio.Event,
        noted: Callable[[Collection[str]], Awaitable[None]] | None = None,
    ) -> None:
        """`noted` is told the types of what was published, once or more often."""
        self._service = service
        self._chain = chain
        self._outbox = outbox
        self._lease = lease
        self._publisher = publisher
        self._subscriptions = registry.subscriptions
        self._bell = bell
        self._noted = noted

    async def run(self) -> None:
        """Publish until cancelled; the lease is given back at the end."""
        try:
            await loops.forever(self.turn, self._bell, name=f"relay.{self._service}")
        finally:
            await self._lease.release()

    async def turn(self) -> bool:
        """Publish one batch, if the lease is ours. Returns whether there may be more at once.

        Raises:
            Exception: the broker did not confirm something; what it confirmed is noted, the rest stays pending.
        """
        if not await self._lease.hold():
            return False
        oldest = await self._outbox.oldest()
        metrics.relay_lag_s.labels(self._service).set((clock.now() - oldest).total_seconds() if oldest else 0)
        if oldest is None:
            return False
        sealed = await self._chain.seal(EVENT_TYPES.keys(), limit=BATCH)
        runs = await self._outbox.pending(limit=2 * BATCH)  # more than one batch of a newer relay's unknown types
        published: list[str] = []
        try:
            results = await asyncio.gather(*(self._in_order(run, published) for run in runs), return_exceptions=True)
        finally:
            await self._note({envelope.type for run in runs for envelope in run if envelope.id in set(published)})
            await self._outbox.published(published)
        metrics.events_published.labels(self._service).inc(len(published))
        for result in results:
            if result is not None:
                raise result
        return len(published) > 0 or sealed > 0

    async def _note(self, event_types: set[str]) -> None:
        if self._noted is None or not event_types:
            return
        try:
            async with asyncio.timeout(NOTE_S):
                await self._noted(event_types)
        except (RedisError, OSError, TimeoutError) as error:  # copies are old when their time is over, too
            log.warning("relay.not_noted", service=self._service, error=type(error).__name__)

    async def _in_order(self, run: Sequence[Envelope], published: list[str]) -> None:
        for envelope in run:
            if envelope.type not in EVENT_TYPES:
                return  # a newer relay sealed it, and knows who hears of it; the subject waits
            await self._publish(envelope)
            published.append(envelope.id)

    async def _publish(self, envelope: Envelope) -> None:
        text = _text(envelope)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._publisher.announce(envelope))
            for actor in self._subscriptions.get(envelope.type, ()):
                message = message_for(actor, [text], message_id=f"{envelope.id}:{actor.name}")
                group.create_task(self._publisher.send(message))


def _text(envelope: Envelope) -> str:
    return msgspec.json.encode(envelope).decode()
