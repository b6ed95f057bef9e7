"""Where and when a made-up thing happens: each step has an instant and ids of its own."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from kelmah.kit import clock, ids
from kelmah.kit.timers import Timers

#: No scene takes that long to play.
_PLAYING = timedelta(minutes=10)


class PostponedTimers(Timers):
    """Timers that are not due before the scene is over, though its clock says so: workers may be running.

    Without it they would, for instance, give up a deposit of last month while it is being made.
    """

    def __init__(self, timers: Timers) -> None:
        self._inner = timers
        self._not_before = clock.now() + _PLAYING

    async def set(
        self, key: str, actor: str, args: Sequence[str], *, due: datetime | None = None, keep: bool = False
    ) -> None:
        await self._inner.set(key, actor, args, due=max(due or clock.now(), self._not_before), keep=keep)

    async def cancel(self, key: str) -> None:
        await self._inner.cancel(key)


class Scene:
    """One person's or one deal's steps. `after` begins the next one; the process's clock and ids are its own then."""

    def __init__(self, name: str, begins: datetime) -> None:
        self._name = name
        self._now = begins
        self._steps = 0

    @property
    def first_id(self) -> str:
        """The first id that the first step makes: it tells whether the scene was played before."""
        return ids.sequence(f"{self._name}/0", self._now)()

    def after(self, *, hours: float = 0) -> None:
        """Begin the next step, this many hours after the one before."""
        self._now += timedelta(hours=hours)
        clock.stop(self._now)
        ids.use(ids.sequence(f"{self._name}/{self._steps}", self._now))
        self._steps += 1


def end() -> None:
    """Give the process its own clock and ids back."""
    clock.reset()
    ids.use(None)
