"""What the walks over the running service share: one hirer's things, each step answered as a model says.

Hypothesis drives them in a thread of its own, and each call runs in the event loop of the service.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from kelmah.kit import clock
from kelmah.kit.context import Principal
from tests.fixtures.service import Reply
from tests.integration.job.steps import Desk, hirer

ResultT = TypeVar("ResultT")
#: How the tables name a refused step; other refusals are given by the model as status and code.
ILLEGAL = (409, "job.illegal_step")
Refusal = tuple[int, str]
LENGTHS = pytest.mark.parametrize(
    ("examples", "steps"), [(8, 14), pytest.param(25, 40, marks=pytest.mark.slow)], ids=["quick", "long"]
)


class Walk(RuleBasedStateMachine):
    """A walk. `step` compares the answer with the model, and that a refusal changed nothing at all."""

    desk: Desk
    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        super().__init__()
        self.anna = hirer()
        #: Everything as it was after the last step.
        self.kept: dict[str, Any] = {}

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def ok(self, method: str, path: str, body: Any = None, *, by: Principal) -> Any:
        return self.run(self.desk.ok(method, path, body, by=by))

    def step(self, path: str, body: Any = None, *, by: Principal, refused: Refusal | None, method: str = "POST") -> Any:
        """Take a step that is refused exactly so, or done; gives what was answered."""
        reply: Reply = self.run(self.desk.call(method, path, body, by=by))
        before, self.kept = self.kept, self.run(self.everything())
        if refused is None:
            assert reply.status in (200, 201, 204), (path, reply.data)
        else:
            assert (reply.status, reply.data["code"]) == refused, (path, reply.data)
            assert self.kept == before, path
        return reply.data

    async def everything(self) -> dict[str, Any]:
        """All that the service keeps of this hirer's jobs, and how many events and timers there are."""
        collection = self.desk.service.context.mongo.collection
        owned = {"hirer_id": self.anna.user_id}
        names = ("jobs", "applications", "contracts", "invitations")
        found: dict[str, Any] = {name: await collection(name).find(owned).sort("_id").to_list() for name in names}
        return found | {name: await collection(name).count_documents({}) for name in ("events", "timers")}

    def teardown(self) -> None:
        clock.reset()


async def walk(machine: type[Walk], desk: Desk, *, examples: int, steps: int) -> None:
    """Walk that often and that far. The quick walks are always the same ones."""
    machine.desk, machine.loop = desk, asyncio.get_running_loop()
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=steps < 20,
        suppress_health_check=list(HealthCheck),
    )
    await asyncio.to_thread(run_state_machine_as_test, machine, settings=chosen)
