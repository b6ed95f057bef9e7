"""Serves single requests of the payment service, each in a process that kills itself at a given line of its code.

`python -m tests.fakes.mortal_payment` has made an app, which it never starts, and does nothing but fork. It reads an
`Order` a line from its standard input and writes an `Outcome` a line. The child starts the app and counts the lines
that it runs in `WATCHED`, and at the one it is told it sends itself SIGKILL: no `finally`, no goodbye to the database.
"""

import asyncio
import json
import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
from litestar import Litestar

import kelmah
from kelmah.contracts.job import ContractFacts
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.services.payment.app import create_app
from kelmah.services.payment.settings import PaymentSettings
from tests.fakes.jobs import FakeJobClient
from tests.fixtures.service import Service, settings_for

_ROOT = Path(kelmah.__file__).parent
#: The code between a request and its answer that knows of money, of transactions and of keys.
WATCHED = (
    *(str(_ROOT / "services" / "payment" / part) for part in ("controllers", "service", "documents", "mapping.py")),
    *(str(_ROOT / "kit" / name) for name in ("idempotency.py", "mongo.py", "events.py", "timers.py")),
)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One POST by somebody, and the line (1 for the first) at which its process dies; 0 lets it live."""

    dies_at: int
    now: datetime
    path: str
    body: Any
    by: Principal
    key: str
    contracts: list[ContractFacts]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, and how many lines it took; no answer when the process died."""

    status: int | None = None
    data: Any = None
    lines: int = 0


class Lines:
    """Counts the lines of `WATCHED` that are run, each once, and dies at one."""

    def __init__(self, dies_at: int) -> None:
        self._dies_at = dies_at
        self._seen: set[tuple[str, int]] = set()

    @property
    def count(self) -> int:
        return len(self._seen)

    def calls(self, frame: FrameType, event: str, arg: object) -> Any:
        return self.lines if frame.f_code.co_filename.startswith(WATCHED) else None

    def lines(self, frame: FrameType, event: str, arg: object) -> Any:
        place = (frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and place not in self._seen:
            self._seen.add(place)
            if self.count == self._dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return self.lines


async def serve(app: Litestar, order: Order) -> Outcome:
    """Start the service, make the call, and stop it."""
    clock.set_shift(order.now - datetime.now(order.now.tzinfo))
    async with app.lifespan():
        service, jobs = Service(app, PaymentSettings.SERVICE), FakeJobClient()
        jobs.contracts = {contract.id: contract for contract in order.contracts}
        service.replace(job=jobs)
        lines = Lines(order.dies_at)
        sys.settrace(lines.calls)
        reply = await service.call("POST", order.path, order.body, by=order.by, headers={"Idempotency-Key": order.key})
        sys.settrace(None)
        return Outcome(status=reply.status, data=reply.data, lines=lines.count)


def live(app: Litestar, order: Order) -> Outcome:
    """Serve one order in a child. An outcome without a status when it was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        outcome = asyncio.run(serve(app, order))
        os.write(writing, msgspec.json.encode(outcome))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        answer = told.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, -signal.SIGKILL):
        sys.exit(f"a child ended by itself: {code}")
    return msgspec.json.decode(answer, type=Outcome) if code == 0 else Outcome()


def main() -> None:
    """Serve orders until there are no more."""
    app = create_app(settings_for(PaymentSettings, **json.loads(sys.argv[1])))
    told = os.dup(1)
    os.dup2(2, 1)  # the service's log goes elsewhere
    for row in sys.stdin.buffer:
        outcome = live(app, msgspec.json.decode(row, type=Order))
        os.write(told, msgspec.json.encode(outcome) + b"\n")


if __name__ == "__main__":
    main()
