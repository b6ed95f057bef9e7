"""What runs in a worker process beside its actors: contexts, relays, timers, and the sweeper of dead letters."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial
from typing import Any

import dramatiq
import prometheus_client
import structlog
from dramatiq.asyncio import get_event_loop_thread
from dramatiq.middleware import Middleware

from kelmah.kit import freshness, logging
from kelmah.kit.chain import Chain
from kelmah.kit.events import EVENTS
from kelmah.kit.ids import new_id
from kelmah.kit.outbox import Lease, Outbox
from kelmah.kit.settings import SettingsError, load
from kelmah.kit.tasks import end
from kelmah.kit.timers import TIMERS
from kelmah.workers import loops, metrics
from kelmah.workers.broker import make_broker
from kelmah.workers.contexts import open_contexts
from kelmah.workers.deadletters import Parking
from kelmah.workers.execution import declare
from kelmah.workers.publisher import Publisher, RabbitPublisher, RedisPublisher
from kelmah.workers.registry import Registry, load_actors
from kelmah.workers.relay import LEASE_S, Relay
from kelmah.workers.settings import WorkersSettings
from kelmah.workers.timers import TimerLoop

log = structlog.get_logger(__name__)

OpenContexts = Callable[[], AbstractAsyncContextManager[Mapping[str, Any]]]
#: Seconds in which contexts must open, and close.
OPEN_TIMEOUT_S = 60.0


class Runtime(Middleware):
    """Opens the contexts before the first message is taken, runs the loops, and closes all in reverse at the end.

    Its hooks are called in the worker's main thread; everything of its own lives on the event loop's thread.
    """

    def __init__(self, settings: WorkersSettings, registry: Registry, open_contexts: OpenContexts) -> None:
        self._settings = settings
        self._registry = registry
        self._open_contexts = open_contexts
        self.contexts: dict[str, Any] = {}
        self.parking = Parking(self.contexts)
        self._life: asyncio.Task[None] | None = None
        self._closing: asyncio.Event | None = None
        self._loops: list[asyncio.Task[None]] = []
        self._publisher: Publisher | None = None

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Open the contexts; without them no message may be taken, so the process ends."""
        try:
            _on_loop(self._open())
        except BaseException as error:
            log.critical("workers.failed_to_start", error=type(error).__name__, reason=str(error), exc_info=True)
            thread = get_event_loop_thread()
            if thread is not None:
                thread.stop()  # it would keep the process alive
            raise SystemExit(1) from error  # dramatiq swallows an Exception here, and would start without contexts

    def after_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        _on_loop(self._start(broker))
        if self._settings.port:
            prometheus_client.start_http_server(self._settings.port, self._settings.host, registry=metrics.registry)
        log.info("workers.ready", actors=len(self._registry.actors), queues=self._registry.queues)

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Stop the loops; actors that run may finish."""
        _on_loop(self._stop())

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        _on_loop(self._close())
        log.info("workers.stopped")

    async def _open(self) -> None:
        # One task opens and closes: what a context manager entered, the same task must leave.
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closing = asyncio.Event()
        self._life = asyncio.create_task(self._live(opened, self._closing))
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            await opened

    async def _live(self, opened: asyncio.Future[None], closing: asyncio.Event) -> None:
        try:
            async with self._open_contexts() as contexts:
                self.contexts.update(contexts)
                opened.set_result(None)
                await closing.wait()
        except BaseException as error:
            if opened.done():
                raise
            opened.set_exception(error)

    async def _start(self, broker: dramatiq.Broker) -> None:
        holder = new_id()
        self._publisher = publisher = make_publisher(self._settings, self._registry, broker)
        for service, context in self.contexts.items():
            bells = {EVENTS: asyncio.Event(), TIMERS: asyncio.Event()}
            lease = Lease(context.mongo, "relay", holder=holder, ttl_s=LEASE_S)
            chain, outbox = Chain(context.mongo), Outbox(context.mongo)
            noted = partial(freshness.note, context.redis, self._settings.redis_prefix)
            relay = Relay(service, chain, outbox, lease, publisher, self._registry, bells[EVENTS], noted)
            self._spawn(relay.run())
            self._spawn(TimerLoop(service, context.timers, publisher, self._registry, bells[TIMERS]).run())
            changes = partial(context.mongo.inserts, EVENTS, TIMERS)
            self._spawn(loops.ring(changes, bells, name=f"changes.{service}"))
        if isinstance(publisher, RabbitPublisher):
            for queue in self._registry.queues:
                turn = partial(self._sweep, publisher, queue)
                self._spawn(loops.forever(turn, asyncio.Event(), name=f"sweep.{queue}"))

    async def _sweep(self, publisher: RabbitPublisher, queue: str) -> bool:
        async with aclosing(publisher.dead(queue)) as messages:
            await self.parking.sweep(messages, queue)
        return False

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._loops.append(asyncio.create_task(work))

    async def _stop(self) -> None:
        await end(*self._loops)
        self._loops.clear()
        if self._publisher is not None:
            await self._publisher.close()

    async def _close(self) -> None:
        if self._life is not None and self._closing is not None:
            self._closing.set()
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await self._life


def _on_loop(work: Coroutine[Any, Any, None]) -> None:
    thread = get_event_loop_thread()
    assert thread is not None  # noqa: S101  # Dramatiq's AsyncIO middleware comes before ours
    thread.run_coroutine(work)


def make_publisher(settings: WorkersSettings, registry: Registry, broker: dramatiq.Broker) -> Publisher:
    """The publisher that goes with the broker."""
    if settings.amqp_url is None:
        return RedisPublisher(broker)
    return RabbitPublisher(settings.amqp_url.get_secret_value(), registry.queues, quorum=settings.quorum_queues)


def build(settings: WorkersSettings, registry: Registry, open_contexts: OpenContexts) -> dramatiq.Broker:
    """A broker with the actors of the registry and all that runs beside them. Nothing is opened yet."""
    runtime = Runtime(settings, registry, open_contexts)
    broker = make_broker(settings, park=runtime.parking, runtime=runtime)
    declare(broker, registry, runtime.contexts)
    return broker


def main() -> None:
    """Set up this process as a worker of Kelmah: settings from the environment, the global broker, all actors."""
    try:
        settings = load(WorkersSettings, os.environ)
    except SettingsError as error:
        sys.exit(str(error))
    logging.configure("workers", level=settings.log_level, human=settings.log_human)
    dramatiq.set_broker(build(settings, load_actors(), partial(open_contexts, os.environ)))
