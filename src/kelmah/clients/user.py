"""Calls to the user service."""

from collections.abc import Sequence

from kelmah.contracts.common import Location
from kelmah.contracts.user import (
    Booking,
    BookWorker,
    NotificationKind,
    NotificationPreferences,
    Person,
    WorkerFacts,
)
from kelmah.kit.calls import ServiceCaller, quoted


class UserClient:
    """What other services ask the user service."""

    def __init__(self, caller: ServiceCaller) -> None:
        self._caller = caller

    async def get_people(self, *, user_ids: Sequence[str]) -> list[Person]:
        """The people among these (at most 100) that exist, in no order."""
        return await self._caller.call("GET", "/internal/people", query={"ids": user_ids}, returns=list[Person])

    async def get_worker(self, *, user_id: str) -> WorkerFacts:
        """What matching needs of one worker.

        Raises:
            NotFound: there is no such worker.
        """
        return await self._caller.call("GET", quoted("internal", "workers", user_id), returns=WorkerFacts)

    async def find_workers(self, *, skills: Sequence[str], near: Location | None, limit: int) -> list[WorkerFacts]:
        """At most `limit` (up to 200) available workers of any of exactly these trades; near a place, nearest first."""
        query: dict[str, str | Sequence[str]] = {"skills": skills, "limit": str(limit)}
        if near is not None:
            query |= {"lng": str(near.coordinates[0]), "lat": str(near.coordinates[1])}
        return await self._caller.call("GET", "/internal/workers", query=query, returns=list[WorkerFacts])

    async def book_worker(self, *, user_id: str, booking_id: str, booking: BookWorker) -> Booking:
        """Take a worker's time for a contract; the same id again is the same booking.

        Raises:
            NotFound: there is no such worker.
            Conflict: `user.worker_booked`, some of the time is taken; `user.worker_not_available`, the worker pauses.
        """
        path = quoted("internal", "workers", user_id, "bookings", booking_id)
        return await self._caller.call("PUT", path, body=booking, returns=Booking, safe=True)

    async def release_booking(self, *, user_id: str, booking_id: str) -> None:
        """Free the time of a booking; it is no error when it is free."""
        path = quoted("internal", "workers", user_id, "bookings", booking_id)
        await self._caller.call("DELETE", path, returns=type(None), safe=True)

    async def get_preferences(self, *, user_id: str) -> NotificationPreferences:
        """By which channels a person is told of what, with the locale and the time zone.

        Raises:
            NotFound: there is no such person.
        """
        return await self._caller.call(
            "GET", quoted("internal", "notification-preferences", user_id), returns=NotificationPreferences
        )

    async def unsubscribe(self, *, user_id: str, kind: NotificationKind) -> None:
        """Send a person no more mail of a kind. May be said any number of times.

        Raises:
            NotFound: there is no such person.
        """
        await self._caller.call(
            "POST",
            quoted("internal", "notification-preferences", user_id, "unsubscribe", kind.value),
            returns=type(None),
            safe=True,
        )
