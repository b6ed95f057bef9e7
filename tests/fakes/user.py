"""A user service that knows the workers it is given."""

from collections.abc import Sequence

from kelmah.clients.user import UserClient
from kelmah.contracts.common import Location, Role
from kelmah.contracts.user import Booking, BookWorker, Person, WorkerFacts
from kelmah.kit.errors import KelmahError, NotFound
from kelmah.kit.mongo import in_transaction
from kelmah.services.user.errors import WorkerBookedAlready


class FakeUserClient(UserClient):
    """Workers by id in `workers`; `asked` is what workers were last looked for by; `bookings` are by id.

    While `away` is set, nothing is booked or released.
    """

    def __init__(self) -> None:
        self.workers: dict[str, WorkerFacts] = {}
        self.bookings: dict[str, tuple[str, BookWorker]] = {}
        self.away: KelmahError | None = None
        self.asked: tuple[list[str], Location | None, int] | None = None

    async def get_people(self, *, user_ids: Sequence[str]) -> list[Person]:
        found = [self.workers[one] for one in user_ids if one in self.workers]
        return [Person(user_id=one.user_id, role=Role.WORKER, display_name=one.display_name) for one in found]

    async def get_worker(self, *, user_id: str) -> WorkerFacts:
        if user_id not in self.workers:
            raise NotFound
        return self.workers[user_id]

    async def find_workers(self, *, skills: Sequence[str], near: Location | None, limit: int) -> list[WorkerFacts]:
        self.asked = (list(skills), near, limit)
        return list(self.workers.values())[:limit]

    async def book_worker(self, *, user_id: str, booking_id: str, booking: BookWorker) -> Booking:
        self._reached()
        for known_id, (worker_id, known) in self.bookings.items():
            overlaps = known.starts_at < booking.ends_at and booking.starts_at < known.ends_at
            if worker_id == user_id and known_id != booking_id and overlaps:
                raise WorkerBookedAlready
        self.bookings[booking_id] = (user_id, booking)
        return Booking(
            id=booking_id, contract_id=booking.contract_id, starts_at=booking.starts_at, ends_at=booking.ends_at
        )

    async def release_booking(self, *, user_id: str, booking_id: str) -> None:
        self._reached()
        self.bookings.pop(booking_id, None)

    def _reached(self) -> None:
        assert not in_transaction()
        if self.away is not None:
            raise self.away
