import asyncio
import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kelmah.kit.breaker import BreakerPolicy, Call, CircuitBreaker, CircuitOpen, RetryBudget, State


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def breaker(time: Time) -> CircuitBreaker:
    return CircuitBreaker(monotonic=time)


def _report(breaker: CircuitBreaker, *, succeeded: int = 0, failed: int = 0, key: str = "job") -> None:
    for _ in range(succeeded):
        breaker.call(key).succeeded()
    for _ in range(failed):
        breaker.call(key).failed()


def test_opens_at_half_of_twenty_and_not_before(breaker: CircuitBreaker) -> None:
    _report(breaker, succeeded=10, failed=9)
    assert breaker.state("job") is State.CLOSED
    _report(breaker, failed=1)
    assert breaker.state("job") is State.OPEN
    with pytest.raises(CircuitOpen) as refused:
        breaker.call("job")
    assert refused.value.retry_after_s == 5.0
    assert refused.value.status_code == 503


def test_nineteen_failures_alone_say_nothing(breaker: CircuitBreaker) -> None:
    _report(breaker, failed=19)
    assert breaker.state("job") is State.CLOSED


def test_failures_below_the_ratio_keep_it_closed(breaker: CircuitBreaker) -> None:
    _report(breaker, succeeded=51, failed=49)
    assert breaker.state("job") is State.CLOSED


def test_old_outcomes_do_not_count(breaker: CircuitBreaker, time: Time) -> None:
    _report(breaker, failed=19)
    time.now += 10
    _report(breaker, failed=19)
    assert breaker.state("job") is State.CLOSED
    time.now += 9
    _report(breaker, failed=1)
    assert breaker.state("job") is State.OPEN


def test_keys_have_their_own_circuits(breaker: CircuitBreaker) -> None:
    _report(breaker, failed=20)
    assert breaker.state("user") is State.CLOSED
    breaker.call("user").succeeded()


def test_probes_are_limited_and_all_must_succeed(breaker: CircuitBreaker, time: Time) -> None:
    _report(breaker, failed=20)
    time.now += 5
    assert breaker.state("job") is State.HALF_OPEN
    probes = [breaker.call("job") for _ in range(3)]
    with pytest.raises(CircuitOpen):
        breaker.call("job")
    probes[0].succeeded()
    probes[1].succeeded()
    with pytest.raises(CircuitOpen):
        breaker.call("job")
    assert breaker.state("job") is State.HALF_OPEN
    probes[2].succeeded()
    assert breaker.state("job") is State.CLOSED
    _report(breaker, failed=19)
    assert breaker.state("job") is State.CLOSED


def test_an_abandoned_probe_makes_room_for_another(breaker: CircuitBreaker, time: Time) -> None:
    _report(breaker, failed=20)
    time.now += 5
    probes = [breaker.call("job") for _ in range(3)]
    probes[0].abandoned()
    probes[0].abandoned()
    breaker.call("job")
    with pytest.raises(CircuitOpen):
        breaker.call("job")


def test_the_open_time_doubles_to_a_minute_and_starts_anew(breaker: CircuitBreaker, time: Time) -> None:
    _report(breaker, failed=20)
    for expected in (5.0, 10.0, 20.0, 40.0, 60.0, 60.0):
        with pytest.raises(CircuitOpen) as refused:
            breaker.call("job")
        assert refused.value.retry_after_s == expected
        time.now += expected
        breaker.call("job").failed()
    time.now += 60
    _report(breaker, succeeded=3)
    assert breaker.state("job") is State.CLOSED
    _report(breaker, failed=20)
    with pytest.raises(CircuitOpen) as refused:
        breaker.call("job")
    assert refused.value.retry_after_s == 5.0


def test_late_answers_to_earlier_calls_change_nothing(breaker: CircuitBreaker, time: Time) -> None:
    late = [breaker.call("job") for _ in range(3)]
    _report(breaker, failed=20)
    time.now += 5
    probe = breaker.call("job")
    for call in late:
        call.succeeded()
    assert breaker.state("job") is State.HALF_OPEN
    probe.failed()
    with pytest.raises(CircuitOpen) as refused:
        breaker.call("job")
    assert refused.value.retry_after_s == 10.0


def test_a_block_reports_its_own_outcome(time: Time) -> None:
    breaker = CircuitBreaker(BreakerPolicy(minimum_volume=2, error_ratio=1.0), monotonic=time)

    def fails(key: str, error: BaseException, *, is_answer: bool = False) -> None:
        def attempt() -> None:
            with breaker.call(key) as call:
                if is_answer:
                    call.succeeded()
                raise error

        with pytest.raises(type(error)):
            attempt()

    for key, error in (("failed", OSError()), ("cancelled", asyncio.CancelledError())):
        fails(key, error)
        fails(key, error)
    fails("answered", LookupError(), is_answer=True)
    fails("answered", LookupError(), is_answer=True)
    for _ in range(2):
        with breaker.call("said") as call:
            call.failed()
    for _ in range(2):
        with breaker.call("fine"):
            pass
    states = {key: breaker.state(key) for key in ("failed", "cancelled", "answered", "said", "fine")}
    assert states == {
        "failed": State.OPEN,
        "cancelled": State.CLOSED,
        "answered": State.CLOSED,
        "said": State.OPEN,
        "fine": State.CLOSED,
    }


def test_circuits_are_bounded(time: Time) -> None:
    breaker = CircuitBreaker(monotonic=time, max_keys=2)
    _report(breaker, failed=20, key="a")
    _report(breaker, succeeded=1, key="b")
    with pytest.raises(CircuitOpen):
        breaker.call("a")
    _report(breaker, succeeded=1, key="c")
    assert breaker.state("a") is State.OPEN
    _report(breaker, succeeded=1, key="d")
    assert breaker.state("a") is State.CLOSED


class BreakerMachine(RuleBasedStateMachine):
    """Compares the breaker with a slow, plain one that keeps every outcome."""

    @initialize()
    def start(self) -> None:
        self.time = Time()
        self.policy = BreakerPolicy(minimum_volume=4, probes=2)
        self.breaker = CircuitBreaker(self.policy, monotonic=self.time)
        self.outcomes: list[tuple[float, bool]] = []
        self.state = State.CLOSED
        self.open_until = 0.0
        self.open_for = 5.0
        self.succeeded = 0
        self.epoch = 0
        self.calls: list[tuple[Call, int]] = []

    def _running(self) -> int:
        return sum(epoch == self.epoch for _, epoch in self.calls)

    def _turn(self, state: State) -> None:
        self.state, self.succeeded, self.epoch = state, 0, self.epoch + 1

    def _open(self) -> None:
        self.open_until = self.time.now + self.open_for
        self._turn(State.OPEN)

    @rule(seconds=st.sampled_from([0.25, 1, 4, 5, 9.5, 60]))
    def wait(self, seconds: float) -> None:
        self.time.now += seconds

    @rule()
    def call(self) -> None:
        if self.state is State.OPEN and self.time.now >= self.open_until:
            self._turn(State.HALF_OPEN)
        refused = self.state is State.OPEN or (self.state is State.HALF_OPEN and self._running() + self.succeeded >= 2)
        if refused:
            with pytest.raises(CircuitOpen):
                self.breaker.call("peer")
        else:
            self.calls.append((self.breaker.call("peer"), self.epoch))

    @rule(index=st.integers(0, 50), ok=st.sampled_from([True, False, False, None]))
    def answer(self, index: int, ok: bool | None) -> None:
        if not self.calls:
            return
        call, epoch = self.calls.pop(index % len(self.calls))
        {True: call.succeeded, False: call.failed, None: call.abandoned}[ok]()
        if epoch != self.epoch or ok is None:
            return
        if self.state is State.HALF_OPEN:
            if not ok:
                self.open_for = min(60.0, self.open_for * 2)
                self._open()
                return
            self.succeeded += 1
            if self.succeeded == 2:
                self.outcomes.clear()
                self.open_for = 5.0
                self._turn(State.CLOSED)
            return
        self.outcomes.append((self.time.now, ok))
        recent = [good for at, good in self.outcomes if math.floor(at) > math.floor(self.time.now) - 10]
        if len(recent) >= 4 and recent.count(False) / len(recent) >= 0.5:
            self._open()

    @invariant()
    def states_agree(self) -> None:
        expected = self.state
        if expected is State.OPEN and self.time.now >= self.open_until:
            expected = State.HALF_OPEN
        assert self.breaker.state("peer") is expected


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)


def test_a_budget_allows_three_retries_however_few_the_requests(time: Time) -> None:
    budget = RetryBudget(monotonic=time)
    assert [budget.try_retry() for _ in range(4)] == [True, True, True, False]
    time.now += 10
    assert budget.try_retry() is True


@pytest.mark.parametrize(("requests", "retries"), [(15, 3), (19, 3), (20, 4), (35, 7), (100, 20)])
def test_a_budget_allows_a_fifth_of_the_requests(time: Time, requests: int, retries: int) -> None:
    budget = RetryBudget(monotonic=time)
    for _ in range(requests):
        budget.record_request()
    assert [budget.try_retry() for _ in range(retries + 2)] == [True] * retries + [False] * 2


def test_a_budget_forgets_old_requests(time: Time) -> None:
    budget = RetryBudget(monotonic=time)
    for _ in range(100):
        budget.record_request()
    time.now += 10
    assert [budget.try_retry() for _ in range(4)] == [True, True, True, False]
