"""Units of a rate limit that were taken from Redis ahead of need, so that not every request pays for a round trip.

A unit counts as spent from the moment it is leased, so all gateways together never let through more than the limit.
Who comes seldom leases one unit a request; who comes often leases twice as many each time that a lease was used up, and
as many as were used of one that lapsed.
"""

from collections import OrderedDict

from kelmah.kit import clock
from kelmah.kit.breaker import Monotonic
from kelmah.kit.ratelimit import Limit, Limiter, Verdict

#: Units in one lease at most; and the parts of a burst that one may be, and that may come back before it lapses.
MAX_UNITS, UNITS_PART, HOLD_PART = 32, 16, 8
#: Callers whose leases are remembered at most.
MAX_LEASES = 50_000


class _Lease:
    __slots__ = ("denied_until", "last", "left", "size", "until")

    def __init__(self) -> None:
        self.left = self.size = 0
        self.until = self.denied_until = 0.0
        #: What Redis said last.
        self.last: Verdict | None = None


class Leases:
    """The leases of this process."""

    def __init__(self, limiter: Limiter, *, monotonic: Monotonic = clock.monotonic) -> None:
        self._limiter = limiter
        self._monotonic = monotonic
        self._leases: OrderedDict[tuple[str, str], _Lease] = OrderedDict()

    def clear(self) -> None:
        """Forget all leases; what was left of them is lost to their callers."""
        self._leases.clear()

    def spend(self, limit: Limit, key: str, cost: int) -> Verdict | None:
        """The verdict as far as it can be told here; None if Redis must be asked."""
        lease = self._leases.get((limit.name, key))
        if lease is None or lease.last is None:
            return None
        now = self._monotonic()
        if now < lease.until and lease.left >= cost:
            lease.left -= cost
            return Verdict(
                allowed=True,
                limit=limit,
                remaining=lease.last.remaining + lease.left,
                reset_s=lease.last.reset_s,
                retry_after_s=0.0,
            )
        if now < lease.denied_until:  # what others take meanwhile can only make it later
            return lease.last._replace(retry_after_s=lease.denied_until - now)
        return None

    async def take(self, limit: Limit, key: str, cost: int, *, ahead: bool) -> Verdict:
        """Take units from Redis, and if `ahead` is allowed more of them for a caller who comes often.

        Raises:
            redis.exceptions.RedisError: Redis did not answer.
        """
        lease = self._lease(limit.name, key)
        now = self._monotonic()
        if now >= lease.until:  # not used up in time: so many were too many
            lease.left, lease.size = 0, (lease.size - lease.left) // 2
        lease.size = max(1, min(lease.size * 2, MAX_UNITS, limit.capacity // UNITS_PART)) if ahead else 1
        hold_s = limit.capacity * limit.window_s / limit.quota / HOLD_PART
        taken, verdict = await self._limiter.lease(limit, key, least=cost, most=max(cost, lease.size), hold_s=hold_s)
        if not taken:
            if (found := self.spend(limit, key, cost)) is not None and found.allowed:
                return found  # another request of this caller was given more than it needed meanwhile
            lease.last, lease.denied_until = verdict, now + verdict.retry_after_s
            return verdict
        lease.last, lease.denied_until = verdict, 0.0
        # What is left of another lease does not live longer for this one.
        lease.until = min(lease.until, now + hold_s) if lease.left else now + hold_s
        lease.left += taken - cost
        return verdict._replace(remaining=verdict.remaining + lease.left)

    def _lease(self, name: str, key: str) -> _Lease:
        lease = self._leases.get((name, key))
        if lease is None:
            lease = self._leases[name, key] = _Lease()
            if len(self._leases) > MAX_LEASES:
                self._leases.popitem(last=False)
        else:
            self._leases.move_to_end((name, key))
        return lease
