"""Runs the services and two workers as processes that can be killed at a named step, and starts what was killed anew.

`python -m tests.fakes.mortal`, with the platform's environment and KELMAH_TEST_CRASH, a file. While that file says
`<process> <step> <n>`, the process that comes to the step for the n-th time kills itself by SIGKILL: no `finally`, no
goodbye to the broker or the database. The file is renamed to `<file>.died` first, so that it happens once.

The steps are laid around functions of `kelmah` from here; nothing in `src/` knows of them. This process has imported
everything and does nothing but fork, so that a new life begins in a fraction of a second. What waits for a dead
process to be given up (leases) waits for a shorter time than in production.
"""

import functools
import gc
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import dramatiq
from dramatiq.brokers.rabbitmq import _RabbitmqConsumer
from pymongo.asynchronous.client_session import AsyncClientSession

from kelmah import services
from kelmah.cli import asgi as _asgi  # noqa: F401  # imported before the fork
from kelmah.cli import serve
from kelmah.gateway import app as _gateway  # noqa: F401  # imported before the fork
from kelmah.gateway import server as _server  # noqa: F401  # imported before the fork
from kelmah.kit import idempotency, timers
from kelmah.kit.calls import ServiceCaller
from kelmah.kit.chain import Chain
from kelmah.kit.deadletters import DeadLetters
from kelmah.kit.events import EventStore
from kelmah.kit.outbox import Outbox
from kelmah.workers import runtime
from kelmah.workers.publisher import RabbitPublisher
from kelmah.workers.registry import load_actors

#: The file that arms a step.
_armed = Path(os.environ.get("KELMAH_TEST_CRASH", "nothing.armed"))
#: What a dead process holds on to is free again after this long; in production 10, 30 and 60 seconds.
LEASE_S = 1.0
#: The steps between a state change and its effect, by the process that takes them.
STEPS = {
    "services": ("commit.before", "commit.after", "call.before", "call.after"),
    "workers": (
        *("commit.before", "commit.after"),
        *("seal.before", "seal.inside", "seal.after"),
        *("publish.before", "publish.after", "record.before", "record.after"),
        *("consume.before", "consume.inside", "consume.after", "ack.before", "ack.after"),
        *("letter.before", "letter.after"),
        *("timer.before", "timer.after"),
    ),
}
_process = ""


def reach(step: str) -> None:
    """Die here, if that is what the file says."""
    try:
        process, wanted, left = _armed.read_text(encoding="utf-8").split()
    except (FileNotFoundError, ValueError):
        return
    if (process, wanted) != (_process, step):
        return
    if int(left) > 1:
        _armed.write_text(f"{process} {wanted} {int(left) - 1}", encoding="utf-8")
        return
    try:
        _armed.rename(f"{_armed}.died")
    except FileNotFoundError:
        return  # another thread came first
    os.kill(os.getpid(), signal.SIGKILL)


def around(
    owner: type, name: str, *, before: str | None = None, after: str | None = None, when: Callable[..., bool] = bool
) -> None:
    """Lay steps around a coroutine function. `when` says of the arguments, then of the result, whether it counts."""
    inner: Callable[..., Awaitable[Any]] = getattr(owner, name)

    @functools.wraps(inner)
    async def outer(self: Any, *args: Any, **options: Any) -> Any:
        if before is not None and when(args):
            reach(before)
        result = await inner(self, *args, **options)
        if after is not None and when((*args, result)):
            reach(after)
        return result

    setattr(owner, name, outer)


def lay_steps() -> None:
    """Put every step of `STEPS` where it belongs."""
    always = lambda _: True  # noqa: E731
    around(AsyncClientSession, "commit_transaction", before="commit.before", after="commit.after", when=always)
    around(Chain, "seal", after="seal.after", when=lambda values: bool(values[-1]))
    around(Chain, "seal", before="seal.before", when=always)
    around(Chain, "_next", after="seal.inside", when=lambda values: bool(values[-1]))
    around(RabbitPublisher, "send", before="publish.before", after="publish.after", when=always)
    around(Outbox, "published", before="record.before", after="record.after", when=lambda values: bool(values[0]))
    around(ServiceCaller, "_once", before="call.before", after="call.after", when=_changes_something)
    around(timers.Timers, "finish", before="timer.before", after="timer.after", when=always)
    around(DeadLetters, "put", before="letter.before", after="letter.after", when=always)
    _around_consume()
    _around_ack()


def _changes_something(values: Sequence[Any]) -> bool:
    """Whether a call between two services is no mere look."""
    return bool(values[0] != "GET")


def _around_consume() -> None:
    inner = EventStore.consume

    @functools.wraps(inner)
    async def consume(self: EventStore, consumer: str, event_id: str, effect: Callable[[], Awaitable[None]]) -> bool:
        async def watched() -> None:
            await effect()
            reach("consume.inside")

        reach("consume.before")
        ran = await inner(self, consumer, event_id, watched)
        if ran:
            reach("consume.after")
        return ran

    EventStore.consume = consume  # type: ignore[method-assign]


def _around_ack() -> None:
    inner: Callable[[Any, Any], None] = _RabbitmqConsumer.ack

    @functools.wraps(inner)
    def ack(self: Any, message: Any) -> None:
        reach("ack.before")
        inner(self, message)
        reach("ack.after")

    setattr(_RabbitmqConsumer, "ack", ack)  # noqa: B010  # mypy knows methods, and not that this is one of tests


def shorten_leases() -> None:
    setattr(runtime, "LEASE_S", LEASE_S)  # noqa: B010  # it is imported there
    timers.LEASE = idempotency.LEASE = timedelta(seconds=LEASE_S)


def run_services() -> None:
    """The gateway and the six services, as `kelmah serve one-process`."""
    serve.serve(serve.ONE_PROCESS)


def run_workers() -> None:
    """What the dramatiq command does in its worker process."""
    os.environ["KELMAH_SERVICE_URLS"] = "{}"
    runtime.main()
    broker = dramatiq.get_broker()
    broker.emit_after("process_boot")
    dramatiq.Worker(broker, worker_threads=4).start()
    while True:
        time.sleep(60)


RUNS = {"services": run_services, "workers": run_workers}


def begin(name: str) -> int:
    """Fork a process that leads one of these lives."""
    child = os.fork()
    if child == 0:
        global _process
        _process = name
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            RUNS[name]()
        finally:
            os._exit(1)
    return child


def main() -> None:
    """Keep all alive until told to stop. One that ends in any other way than by SIGKILL ends all."""
    for name in services.NAMES:
        services.load(name)
    load_actors()
    lay_steps()
    shorten_leases()
    gc.collect()
    gc.freeze()
    children = {begin(name): name for name in ("services", "workers", "workers")}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while True:
            child, status = os.wait()
            name = children.pop(child)
            if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
                sys.exit(f"{name} ended by itself: {os.waitstatus_to_exitcode(status)}")
            children[begin(name)] = name
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main()
