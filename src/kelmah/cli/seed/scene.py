"""Where and when a made-up thing happens: each step has an instant and ids of its own."""

from datetime import datetime, timedelta

from kelmah.kit import clock, ids


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
