"""Which instance of a service gets a request: four ways to choose, and who is not chosen because it fails."""

import hashlib
import math
import random
from collections.abc import Callable, Collection, Sequence
from enum import StrEnum
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

import structlog

from kelmah.kit import clock
from kelmah.kit.breaker import BreakerPolicy, Call, CircuitBreaker, CircuitOpen, Monotonic, State

log = structlog.get_logger(__name__)

#: When the circuit of an instance opens: half fail, or nearly all take longer than most clients wait.
BREAKER = BreakerPolicy(slow_s=8.0, slow_ratio=0.9)
#: What a probe is told of an instance that is about to end.
DRAINING = "draining: it is about to end"

#: Failures in a row that put an instance out, the seconds that it stays out the first time (then twice, thrice …), and
#: at most.
FAILURES_IN_A_ROW, EJECT_S, EJECT_MAX_S = 5, 5.0, 60.0
#: Seconds without an ejection after which the next one is short again.
FORGIVE_S = 300.0
#: The share of instances that may be put out for failing; and the share that must be fit, or else all are used: few
#: fit ones would fall under the load of all.
MAX_EJECTED, PANIC_BELOW = 0.5, 0.5
#: Seconds in which an instance that came back gets its full share, and the share that it starts with.
SLOW_START_S, SLOW_START_FROM = 10.0, 0.1
#: How much of a latency's average the newest measurement is.
EWMA_PART = 0.2
#: Failed probes in a row after which an instance is out.
FAILED_PROBES = 2


class Way(StrEnum):
    """How an instance is chosen."""

    LEAST_REQUEST = "least_request"
    ROUND_ROBIN = "round_robin"
    EWMA = "ewma"
    HASH = "hash"


class Named(Protocol):
    """What is chosen among."""

    @property
    def name(self) -> str:
        """Unlike that of any other."""


T = TypeVar("T", bound=Named)


class Member(Generic[T]):
    """One instance and what is known of it."""

    def __init__(self, instance: T, *, weight: int, monotonic: Monotonic) -> None:
        self.instance = instance
        self.weight = weight
        #: Where it runs.
        self.zone = ""
        self.running = 0
        self.latency_s: float | None = None
        #: Why the probes say that it is out, if they do.
        self.unfit: str | None = None
        self.ejected_until = 0.0
        self.credit = 0.0
        self._monotonic = monotonic
        self._failures = self._ejections = self._failed_probes = 0
        self._last_ejection = self._since = float("-inf")

    @property
    def share(self) -> float:
        """Its weight, less while it is new."""
        age = (self._monotonic() - self._since) / SLOW_START_S
        return self.weight * min(1.0, max(SLOW_START_FROM, age))

    @property
    def is_ejected(self) -> bool:
        """Whether it is out because it failed."""
        return self.ejected_until > self._monotonic()

    @property
    def load(self) -> float:
        """Requests that it is busy with, for its share, this next one included."""
        return (self.running + 1) / self.share

    @property
    def cost(self) -> float:
        """As `load`, in seconds that a request takes there; one that was never measured is tried."""
        return self.load * (self.latency_s or 0.0)

    def succeeded(self, seconds: float) -> None:
        """It answered."""
        self._failures = 0
        before = seconds if self.latency_s is None else self.latency_s
        self.latency_s = before + EWMA_PART * (seconds - before)

    def failed(self) -> bool:
        """It did not; True if it should be put out."""
        self._failures += 1
        return self._failures >= FAILURES_IN_A_ROW and not self.is_ejected

    def eject(self) -> None:
        """Put it out for a while that grows."""
        now = self._monotonic()
        self._ejections = self._ejections + 1 if now - self._last_ejection < FORGIVE_S else 1
        self._last_ejection = now
        self._failures = 0
        self.ejected_until = now + min(EJECT_MAX_S, EJECT_S * self._ejections)
        self._since = self.ejected_until
        log.warning("balancer.ejected", instance=self.instance.name, seconds=self.ejected_until - now)

    def start_slowly(self) -> None:
        """It is new among others."""
        self._since = self._monotonic()

    def probed(self, reason: str | None) -> None:
        """A probe's outcome: None if it is fit, else why not. One that drains says so, and is believed at once."""
        if reason is None:
            if self.unfit is not None:
                self._since = self._monotonic()
                log.info("balancer.fit", instance=self.instance.name)
            self._failed_probes = 0
            self.unfit = None
            return
        self._failed_probes += 1
        if self._failed_probes >= FAILED_PROBES or reason == DRAINING:
            if self.unfit is None:
                log.warning("balancer.unfit", instance=self.instance.name, reason=reason)
            self.unfit = reason


class Ticket(Generic[T]):
    """One call to an instance; a context manager around it, told the outcome once."""

    def __init__(self, balancer: "Balancer[T]", member: Member[T], call: Call, monotonic: Monotonic) -> None:
        self._balancer = balancer
        self._member = member
        self._call = call
        self._monotonic = monotonic
        self._started = monotonic()
        self._is_told = False

    @property
    def instance(self) -> T:
        """Who is called."""
        return self._member.instance

    def succeeded(self) -> None:
        """There was a good answer."""
        if not self._is_told:
            self._is_told = True
            self._member.succeeded(self._monotonic() - self._started)
            self._call.succeeded()

    def failed(self) -> None:
        """There was none, or a bad one."""
        if not self._is_told:
            self._is_told = True
            self._balancer.failed(self._member)
            self._call.failed()

    def abandoned(self) -> None:
        """It says nothing about the instance."""
        if not self._is_told:
            self._is_told = True
            self._call.abandoned()

    def __enter__(self) -> Self:
        """Start the call."""
        self._member.running += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Report the outcome, if it was not reported yet."""
        self._member.running -= 1
        if error is None:
            self.succeeded()
        elif isinstance(error, Exception):
            self.failed()
        else:
            self.abandoned()


class Balancer(Generic[T]):
    """Chooses among the instances of one service; for one event loop."""

    def __init__(
        self,
        instances: Sequence[T],
        *,
        weights: Sequence[int] | None = None,
        zone: str = "",
        breaker: CircuitBreaker | None = None,
        monotonic: Monotonic = clock.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        self._zone = zone
        self._monotonic = monotonic
        self._breaker = breaker or CircuitBreaker(BREAKER, monotonic=monotonic)
        self._chance = chance or random.Random()  # noqa: S311  # spreads load, keeps no secret
        self.members = [
            Member(instance, weight=weight, monotonic=monotonic)
            for instance, weight in zip(instances, weights or [1] * len(instances), strict=True)
        ]

    def replace(self, instances: Sequence[tuple[T, int, str]]) -> list[T]:
        """Choose among these, with weight and zone, from now on; what is known of those that stay is kept.

        Returns:
            Those that went, which may still serve what they were given.
        """
        known = {member.instance.name: member for member in self.members}
        members = []
        for instance, weight, zone in instances:
            member = known.pop(instance.name, None)
            if member is None:
                member = Member(instance, weight=weight, monotonic=self._monotonic)
                if self.members:
                    member.start_slowly()
            member.weight, member.zone = weight, zone
            members.append(member)
        self.members = members
        return [member.instance for member in known.values()]

    def take(self, way: Way, key: str = "", *, without: Collection[str] = (), timed: bool = True) -> Ticket[T]:
        """Choose an instance.

        Args:
            way: how.
            key: calls with the same key go to the same instance (`Way.HASH`).
            without: names of instances that were tried already.
            timed: whether the time that it takes is the instance's own.

        Raises:
            CircuitOpen: none takes calls.
        """
        refusal: CircuitOpen | None = None
        left = (
            [member for member in self.members if member.instance.name not in without] if without else self.members[:]
        )
        while left:
            member = self._choose(way, key, self._fit(left))
            try:
                call = self._breaker.call(member.instance.name)
            except CircuitOpen as error:
                refusal = refusal or error
                left.remove(member)
                continue
            call.is_timed = timed
            return Ticket(self, member, call, self._monotonic)
        raise refusal or CircuitOpen("no instance is known")

    def preview(self, way: Way, key: str = "") -> Member[T] | None:
        """Who would get the next call, as far as it is not left to chance."""
        members = [one for one in self._fit(self.members) if self.circuit(one) is not State.OPEN]
        by: dict[Way, Callable[[Member[T]], float]] = {
            Way.HASH: lambda one: -_score(one.instance.name, key, one.weight),
            Way.ROUND_ROBIN: lambda one: -(one.credit + one.share),
            Way.LEAST_REQUEST: lambda one: one.load,
            Way.EWMA: lambda one: one.cost,
        }
        return min(members, key=by[way], default=None)

    def failed(self, member: Member[T]) -> None:
        """An instance failed once; put it out if that was once too often, and not too many are out."""
        if member.failed():
            ejected = sum(one.is_ejected for one in self.members)
            if ejected + 1 <= len(self.members) * MAX_EJECTED:
                member.eject()

    def why_out(self, member: Member[T]) -> str | None:
        """Why an instance gets no requests, or None if it may get some."""
        if member.unfit is not None:
            return member.unfit
        if member.is_ejected:
            return f"put out for {member.ejected_until - self._monotonic():.0f} s: it failed too often in a row"
        if self.circuit(member) is State.OPEN:
            return "its circuit is open: too many calls failed"
        return None

    def circuit(self, member: Member[T]) -> State:
        """Where an instance's circuit stands."""
        return self._breaker.state(member.instance.name)

    def _fit(self, members: list[Member[T]]) -> list[Member[T]]:
        if len(members) == 1:
            return members
        fit = [member for member in self.members if member.unfit is None and not member.is_ejected]
        if len(fit) < len(self.members) * PANIC_BELOW:
            return members
        fit = self._near(fit)
        return [member for member in members if member in fit] or members

    def _near(self, fit: list[Member[T]]) -> list[Member[T]]:
        """Those of our own zone, unless too few of them are fit to bear what they would get."""
        all_near = [member for member in self.members if member.zone == self._zone] if self._zone else []
        near = [member for member in fit if member in all_near]
        return near if near and len(near) >= len(all_near) * PANIC_BELOW else fit

    def _choose(self, way: Way, key: str, members: list[Member[T]]) -> Member[T]:
        if len(members) == 1:
            return members[0]
        if way is Way.HASH:
            return max(members, key=lambda member: _score(member.instance.name, key, member.weight))
        if way is Way.ROUND_ROBIN:
            return self._next_in_turn(members)
        by: Callable[[Member[T]], float] = (
            (lambda one: one.load) if way is Way.LEAST_REQUEST else (lambda one: one.cost)
        )
        return min(self._two(members), key=by)

    def _two(self, members: list[Member[T]]) -> list[Member[T]]:
        """Two by chance, in any order; what `sample` does for many."""
        if len(members) == 2:
            return members if self._chance.random() < 0.5 else members[::-1]
        return self._chance.sample(members, 2)

    @staticmethod
    def _next_in_turn(members: list[Member[T]]) -> Member[T]:
        """Smooth weighted round robin: everyone gains its share, who has most pays for all."""
        total = 0.0
        for member in members:
            share = member.share
            member.credit += share
            total += share
        chosen = max(members, key=lambda member: member.credit)
        chosen.credit -= total
        return chosen


def _score(name: str, key: str, weight: int) -> float:
    """Weighted rendezvous hashing: when an instance goes, only its own keys move."""
    digest = hashlib.blake2b(f"{name}\0{key}".encode(), digest_size=7).digest()
    fraction = (int.from_bytes(digest) + 1) / (2**56 + 1)
    return weight / -math.log(fraction)
