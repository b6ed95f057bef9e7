"""What other services ask of people and workers."""

from collections.abc import Sequence
from datetime import date, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from kelmah.contracts import taxonomy
from kelmah.contracts.common import Role
from kelmah.contracts.user import Person, SearchSort, WorkerFacts
from kelmah.kit import clock
from kelmah.kit.errors import NotFound
from kelmah.kit.nearest import Circle
from kelmah.services.user import mapping
from kelmah.services.user.documents import search as documents
from kelmah.services.user.documents.search import FactsRow, Search
from kelmah.services.user.service import profiles
from kelmah.services.user.service.context import Context

#: How many days ahead matching knows whether a worker is free.
DAYS_AHEAD = 28
_ALL_WEEK = frozenset(range(1, 8))


async def get_people(context: Context, user_ids: Sequence[str]) -> list[Person]:
    """The people among these who have an account."""
    return [mapping.person(profile) for profile in await profiles.ensure(context, user_ids)]


async def get_worker(context: Context, user_id: str) -> WorkerFacts:
    """What matching needs of one worker, listed or not."""
    await profiles.get(context, user_id)
    row = await documents.get_facts(user_id)
    if row is None or row.role is not Role.WORKER:
        raise NotFound
    return _facts(row)


async def find_workers(
    context: Context, *, skills: Sequence[str], near: tuple[float, float] | None, limit: int
) -> list[WorkerFacts]:
    """Available workers who offer any of exactly these trades: nearest first, those without a place last."""
    trades = sorted({skill.id for skill in map(taxonomy.resolve, skills) if skill})
    if near is None:
        rows = await documents.run_facts(Search(trades=trades, is_available=True), sort=SearchSort.RATING, limit=limit)
    else:
        anywhere = Circle(*near)
        rows = await documents.run_facts(
            Search(trades=trades, is_available=True, near=anywhere), sort=SearchSort.DISTANCE, limit=limit
        )
        if len(rows) < limit:
            rows += await documents.run_facts(
                Search(trades=trades, is_available=True, has_place=False),
                sort=SearchSort.RATING,
                limit=limit - len(rows),
            )
    return [_facts(row) for row in rows]


def _facts(row: FactsRow) -> WorkerFacts:
    return mapping.worker_facts(row, free_on=free_days(row))


def free_days(worker: FactsRow) -> list[date]:
    """The days of the next weeks on which the worker works and has no booking, as the worker's calendar shows them."""
    times = worker.availability
    today = clock.now().astimezone(ZoneInfo(times.time_zone)).date()
    weekdays = frozenset(slot.day for slot in times.weekly) or _ALL_WEEK
    if not times.exceptions and not worker.bookings:
        return _usual_days(today, weekdays)
    differs = {one.day: one.is_available for one in times.exceptions}
    return [
        day
        for day, text, weekday, start, end in _days_from(today)
        if differs.get(text, weekday in weekdays)
        and not any(booking.local_start < end and booking.local_end > start for booking in worker.bookings)
    ]


@lru_cache(maxsize=512)
def _usual_days(today: date, weekdays: frozenset[int]) -> list[date]:
    return [day for day, _, weekday, *_ in _days_from(today) if weekday in weekdays]


@lru_cache(maxsize=8)
def _days_from(today: date) -> list[tuple[date, str, int, str, str]]:
    """Each day ahead: itself, as text, its weekday, and the instants when it starts and ends as bookings have them."""
    days = [today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD)]
    return [
        (day, day.isoformat(), day.isoweekday(), f"{day}T00:00", f"{day + timedelta(days=1)}T00:00") for day in days
    ]
