"""Families of refresh tokens against a model, step by step, over the real service (hypothesis drives; it runs in a
thread of its own, and each step in the event loop of the service)."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from kelmah.kit import clock
from kelmah.kit.ids import new_id
from kelmah.services.auth.service.sessions import RACE
from tests.fixtures.service import Reply, Service
from tests.integration.auth.conftest import Visitor, new_member

ResultT = TypeVar("ResultT")
REFUSED = (401, "auth.refresh_refused")


def machine(  # noqa: C901  # one class of many small steps
    auth: Service, loop: asyncio.AbstractEventLoop
) -> type[RuleBasedStateMachine]:
    """The state machine over this service."""

    def run(work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    class Family(RuleBasedStateMachine):
        """One session of one person on one device, and another session that nothing here may touch."""

        def __init__(self) -> None:
            super().__init__()
            self.owner: Visitor = run(new_member(auth, device=True))
            assert self.owner.tokens is not None
            self.tokens = [str(self.owner.tokens["refreshToken"])]
            self.session_id = self.owner.principal.session_id
            run(self.owner.login())
            self.other = self.owner.principal.session_id
            #: None while the session lives; else why it ended.
            self.ended: str | None = None
            #: Seconds since the last refresh, and since the session began.
            self.idle_s, self.age_s = 0.0, 0.0

        @property
        def is_alive(self) -> bool:
            limits = auth.context.settings
            is_over = self.idle_s >= limits.session_idle_s or self.age_s >= limits.session_absolute_s
            return self.ended is None and not is_over

        def use(self, token: str, **headers: str) -> Reply:
            return run(self.owner.refresh(token, **headers))

        def refused(self, reply: Reply) -> None:
            assert (reply.status, reply.data["code"]) == REFUSED

        def took(self, reply: Reply) -> None:
            assert reply.status == 200, reply.body
            assert reply.data["refreshToken"] not in self.tokens
            self.tokens.append(reply.data["refreshToken"])
            self.idle_s = 0.0

        @rule()
        def newest(self) -> None:
            reply = self.use(self.tokens[-1])
            if self.is_alive:
                self.took(reply)
            else:
                self.refused(reply)

        @rule()
        def twins_at_once(self) -> None:
            async def both() -> list[Reply]:
                return list(await asyncio.gather(*(self.owner.refresh(self.tokens[-1]) for _ in range(3))))

            replies = run(both())
            if not self.is_alive:
                for reply in replies:
                    self.refused(reply)
                return
            assert len({one.data["refreshToken"] for one in replies}) == 1
            self.took(replies[0])

        @precondition(lambda self: len(self.tokens) > 1)
        @rule()
        def late_twin(self) -> None:
            """The last used token once more, on the same device: the same successor for ten seconds, else a theft."""
            reply = self.use(self.tokens[-2])
            if self.is_alive and self.idle_s <= RACE.total_seconds():
                assert (reply.status, reply.data["refreshToken"]) == (200, self.tokens[-1])
            else:
                self.stolen(reply)

        @precondition(lambda self: len(self.tokens) > 1)
        @rule(device=st.sampled_from(["another", ""]))
        def thief_with_the_last_token(self, device: str) -> None:
            headers = {"kelmah-device": new_id()} if device else {}
            owner, self.owner.headers = (
                self.owner.headers,
                {name: value for name, value in self.owner.headers.items() if name != "kelmah-device"},
            )
            try:
                reply = self.use(self.tokens[-2], **headers)
            finally:
                self.owner.headers = owner
            self.stolen(reply)

        @precondition(lambda self: len(self.tokens) > 2)
        @rule(pick=st.integers(0, 5))
        def older(self, pick: int) -> None:
            self.stolen(self.use(self.tokens[pick % (len(self.tokens) - 2)]))

        def stolen(self, reply: Reply) -> None:
            self.refused(reply)
            if self.is_alive:
                self.ended = "refresh_reused"

        @rule()
        def forged(self) -> None:
            self.refused(self.use("k1." + "A" * 80))

        @rule(seconds=st.sampled_from([1.0, 9.0, 11.0, 86_400.0, 15 * 86_400.0]))
        def time_goes_by(self, seconds: float) -> None:
            clock.shift(timedelta(seconds=seconds))
            self.idle_s += seconds
            self.age_s += seconds

        @rule()
        def logout(self) -> None:
            assert run(self.owner.post("logout", {"refreshToken": self.tokens[-1]})).status == 204
            if self.is_alive:
                self.ended = "logout"

        @invariant()
        def the_row_says_what_the_model_says(self) -> None:
            row = run(auth.context.mongo.collection("sessions").find_one({"_id": self.session_id}))
            assert row["revoked_reason"] == self.ended
            other = run(auth.context.mongo.collection("sessions").find_one({"_id": self.other}))
            assert other["revoked_reason"] is None

        def teardown(self) -> None:
            clock.reset()

    return Family


@pytest.mark.parametrize(
    ("examples", "steps"), [(10, 10), pytest.param(150, 30, marks=pytest.mark.slow)], ids=["quick", "long"]
)
async def test_families_of_refresh_tokens_follow_the_model(auth: Service, examples: int, steps: int) -> None:
    family = machine(auth, asyncio.get_running_loop())
    chosen = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )
    await asyncio.to_thread(run_state_machine_as_test, family, settings=chosen)
