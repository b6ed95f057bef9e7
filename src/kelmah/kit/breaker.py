"""Keeps calls away from a peer that fails, and retries within a budget."""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self

from kelmah.kit import clock
from kelmah.kit.errors import Unavailable

Monotonic = Callable[[], float]


class CircuitOpen(Unavailable):
    """The peer has been failing and is left alone for a while; nothing was sent to it."""

    code = "kit.circuit_open"
    title = "Temporarily unavailable"


class State(StrEnum):
    """Where a circuit stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a circuit opens and how it closes again.

    Attributes:
        window_s: whole seconds of outcomes that count, the current second included.
        minimum_volume: outcomes in the window before the ratio says anything.
        error_ratio: failures / outcomes at which the circuit opens.
        open_s: seconds it stays open the first time; doubled after each failed probing.
        open_max_s: the most seconds it stays open.
        probes: calls let through when half-open; all of them must succeed.
        slow_s: seconds after which a good answer is a slow one; None looks at no time.
        slow_ratio: slow answers / outcomes at which the circuit opens, too.
    """

    window_s: int = 10
    minimum_volume: int = 20
    error_ratio: float = 0.5
    open_s: float = 5.0
    open_max_s: float = 60.0
    probes: int = 3
    slow_s: float | None = None
    slow_ratio: float = 0.9


class _Window:
    """Counts of three kinds of things in the last seconds, in buckets of one second."""

    def __init__(self, window_s: int) -> None:
        self._window_s = window_s
        self._buckets: deque[list[int]] = deque()
        self._counts = [0, 0, 0]

    def add(self, now: float, first: int, second: int = 0, third: int = 0) -> list[int]:
        """Count things at this time; the counts with them."""
        second_now = int(now)
        if not self._buckets or self._buckets[-1][0] != second_now:
            self.counts(now)  # only with a new second anything grows too old
            self._buckets.append([second_now, 0, 0, 0])
        bucket, counts = self._buckets[-1], self._counts
        bucket[1] += first
        counts[0] += first
        if second or third:
            bucket[2] += second
            bucket[3] += third
            counts[1] += second
            counts[2] += third
        return counts

    def counts(self, now: float) -> list[int]:
        """Forget what is too old and return the counts."""
        oldest, counts = int(now) - self._window_s, self._counts
        while self._buckets and self._buckets[0][0] <= oldest:
            _, first, second, third = self._buckets.popleft()
            counts[0] -= first
            counts[1] -= second
            counts[2] -= third
        return counts

    def clear(self) -> None:
        """Forget everything."""
        self._buckets.clear()
        self._counts = [0, 0, 0]


class _Circuit:
    def __init__(self, policy: BreakerPolicy) -> None:
        self.policy = policy
        self.window = _Window(policy.window_s)
        self.state = State.CLOSED
        self.open_for_s = policy.open_s
        self.open_until = 0.0
        self.probes_running = 0
        self.probes_succeeded = 0
        # Grows at each change of state, so that an answer to a call let through earlier changes nothing.
        self.generation = 0

    def enter(self, now: float) -> None:
        """Let a call through.

        Raises:
            CircuitOpen: the circuit is open, or half-open with all its probes under way.
        """
        if self.state is State.OPEN and now >= self.open_until:
            self._turn(State.HALF_OPEN)
            self.probes_running = self.probes_succeeded = 0
        if self.state is State.OPEN:
            raise CircuitOpen("the peer is failing", retry_after_s=self.open_until - now)
        if self.state is State.HALF_OPEN:
            if self.probes_running + self.probes_succeeded >= self.policy.probes:
                raise CircuitOpen("the peer is being probed", retry_after_s=self.policy.open_s)
            self.probes_running += 1

    def leave(self, now: float, generation: int, ok: bool | None, *, slow: bool) -> None:
        """Take the outcome of a call; None if it was abandoned."""
        if generation != self.generation:
            return
        if self.state is State.HALF_OPEN:
            self.probes_running -= 1
            if ok is False:
                self.open_for_s = min(self.open_for_s * 2, self.policy.open_max_s)
                self._open(now)
            elif ok is True:
                self.probes_succeeded += 1
                if self.probes_succeeded == self.policy.probes:
                    self.window.clear()
                    self.open_for_s = self.policy.open_s
                    self._turn(State.CLOSED)
        elif ok is not None:
            total, failed, slow_ones = self.window.add(now, 1, not ok, slow)
            if total >= self.policy.minimum_volume and (
                failed >= total * self.policy.error_ratio or slow_ones >= total * self.policy.slow_ratio
            ):
                self._open(now)

    def _open(self, now: float) -> None:
        self.open_until = now + self.open_for_s
        self._turn(State.OPEN)

    def _turn(self, state: State) -> None:
        self.state = state
        self.generation += 1


class Call:
    """One call that was let through; as a context manager it reports its own outcome.

    Leaving the block normally is a success, with an exception a failure, and cancelled neither. Say
    `succeeded` or `failed` within the block where that is wrong (an answer 404 raised as an error, a 503
    returned as a value); the first word counts.
    """

    def __init__(self, circuit: _Circuit, monotonic: Monotonic) -> None:
        """Made by `CircuitBreaker.call`."""
        self._circuit = circuit
        self._monotonic = monotonic
        self._generation = circuit.generation
        self._is_over = False
        self._started = monotonic()
        #: Whether its time says something about the peer; not so where a slow third party takes part.
        self.is_timed = True

    def succeeded(self) -> None:
        """The peer did its part."""
        self._leave(True)

    def failed(self) -> None:
        """The peer is at fault: no connection, a timeout, an answer of 5xx."""
        self._leave(False)

    def abandoned(self) -> None:
        """Nothing can be said about the peer."""
        self._leave(None)

    def _leave(self, ok: bool | None) -> None:
        if not self._is_over:
            self._is_over = True
            now, slow_s = self._monotonic(), self._circuit.policy.slow_s
            slow = ok is True and slow_s is not None and self.is_timed and now - self._started >= slow_s
            self._circuit.leave(now, self._generation, ok, slow=slow)

    def __enter__(self) -> Self:
        """Start the call."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Report the outcome, if it was not reported yet."""
        if error is None:
            self.succeeded()
        elif isinstance(error, Exception):
            self.failed()
        else:
            self.abandoned()


class CircuitBreaker:
    """One circuit a key (a peer), in this process only; for one event loop, not for threads."""

    def __init__(
        self,
        policy: BreakerPolicy | None = None,
        *,
        monotonic: Monotonic = clock.monotonic,
        max_keys: int = 1024,
    ) -> None:
        """Make a breaker; of more than `max_keys` circuits the least recently used is forgotten."""
        self._policy = policy or BreakerPolicy()
        self._monotonic = monotonic
        self._max_keys = max_keys
        self._circuits: OrderedDict[str, _Circuit] = OrderedDict()

    def call(self, key: str) -> Call:
        """Let a call through; use the answer as a context manager around the call, at once.

        Raises:
            CircuitOpen: the peer is left alone; has ``retry_after_s``.
        """
        circuit = self._circuits.get(key)
        if circuit is None:
            circuit = self._circuits[key] = _Circuit(self._policy)
            if len(self._circuits) > self._max_keys:
                self._circuits.popitem(last=False)
        self._circuits.move_to_end(key)
        circuit.enter(self._monotonic())
        return Call(circuit, self._monotonic)

    def state(self, key: str) -> State:
        """Where the key's circuit stands; an open one whose time is over counts as half-open."""
        circuit = self._circuits.get(key)
        if circuit is None:
            return State.CLOSED
        if circuit.state is State.OPEN and self._monotonic() >= circuit.open_until:
            return State.HALF_OPEN
        return circuit.state


class RetryBudget:
    """Keeps retries to a share of the requests of the last 10 seconds, so that they cannot become a storm."""

    def __init__(
        self,
        ratio: float = 0.2,
        minimum: int = 3,
        *,
        window_s: int = 10,
        monotonic: Monotonic = clock.monotonic,
    ) -> None:
        """Make a budget.

        Args:
            ratio: retries allowed a request.
            minimum: retries allowed in any window, however few the requests.
            window_s: whole seconds, the current one included.
            monotonic: seconds that never go back.
        """
        self._ratio = ratio
        self._minimum = minimum
        self._window = _Window(window_s)
        self._monotonic = monotonic

    def record_request(self) -> None:
        """Count a first try."""
        self._window.add(self._monotonic(), 1)

    def try_retry(self) -> bool:
        """Take one retry from the budget; False if there is none."""
        now = self._monotonic()
        requests, retries, _ = self._window.counts(now)
        if retries + 1 > max(self._minimum, requests * self._ratio):
            return False
        self._window.add(now, 0, 1)
        return True
