"""A worker's time that contracts took."""

from datetime import datetime
from typing import ClassVar

from kelmah.contracts.common import Event, Id, Request, Response


class BookWorker(Request, frozen=True, kw_only=True):
    """Take a worker's time for a contract: from `startsAt` up to, not including, `endsAt`; both with a zone."""

    contract_id: Id
    starts_at: datetime
    ends_at: datetime


class Booking(Response, frozen=True, kw_only=True):
    """Time that is taken."""

    id: str
    contract_id: str
    starts_at: datetime
    ends_at: datetime


class WorkerBooked(Event, frozen=True, kw_only=True):
    """A contract took some of a worker's time."""

    TYPE: ClassVar[str] = "user.worker_booked.v1"
    user_id: str
    booking_id: str
    contract_id: str


class BookingReleased(Event, frozen=True, kw_only=True):
    """Time that a contract had taken is free again."""

    TYPE: ClassVar[str] = "user.booking_released.v1"
    user_id: str
    booking_id: str
    contract_id: str
