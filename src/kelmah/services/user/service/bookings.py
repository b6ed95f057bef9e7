"""Bookings: a worker's time is given to one contract only."""

from datetime import UTC, datetime, timedelta

from kelmah.contracts.common import Page, Role
from kelmah.contracts.events import Envelope
from kelmah.contracts.job import ContractCancelled, ContractCompleted
from kelmah.contracts.user import Booking, BookingReleased, BookWorker, WorkerBooked, WorkerStatus
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput, KelmahError, NotFound
from kelmah.services.user.documents import bookings as documents
from kelmah.services.user.documents import profiles as profile_documents
from kelmah.services.user.documents.profiles import BookingEntry, ProfileDocument
from kelmah.services.user.errors import BookingIdTaken, TooManyEntries, WorkerBookedAlready, WorkerNotAvailable
from kelmah.services.user.service import profiles
from kelmah.services.user.service.context import Context

LONGEST = timedelta(days=366)
#: How long a booking is kept after its end.
KEPT = timedelta(days=30)


async def book(context: Context, user_id: str, booking_id: str, data: BookWorker) -> Booking:
    """Take a worker's time. Said twice with the same id, it is taken once.

    Raises:
        NotFound: there is no such worker.
        WorkerBookedAlready: some of the time is taken.
        WorkerNotAvailable: the worker pauses, or the account rests.
        BookingIdTaken: the id stands for another booking.
    """
    booking = _checked(booking_id, data)
    if (await profiles.get(context, user_id)).role is not Role.WORKER:
        raise NotFound

    async def body() -> Booking:
        worker = await _worker(user_id)
        known = next((one for one in worker.bookings if one.id == booking_id), None)
        if known is not None:
            if view(known) != view(booking):
                raise BookingIdTaken
            return view(known)
        profiles.localize(booking, worker.availability.time_zone)
        await documents.forget_ended(user_id, before=clock.now() - KEPT)
        if not await documents.take(user_id, booking):
            raise _why_not(worker)
        event = WorkerBooked(user_id=user_id, booking_id=booking_id, contract_id=booking.contract_id)
        await context.events.append(event, subject=f"user:{user_id}")
        return view(booking)

    return await context.mongo.transact(body)


async def release(context: Context, user_id: str, booking_id: str) -> None:
    """Free a worker's time. It is no error when it is free."""

    async def body() -> None:
        worker = await profile_documents.find(user_id)
        for booking in worker.bookings if worker else []:
            if booking.id == booking_id:
                await _release(context, user_id, booking)

    await context.mongo.transact(body)


async def on_contract_ended(context: Context, envelope: Envelope, event: ContractCancelled | ContractCompleted) -> None:
    """Free the time that the contract still had. It cannot be freed twice, so that no inbox row is needed."""

    async def body() -> None:
        worker = await profile_documents.find(event.worker_id)
        for booking in worker.bookings if worker else []:
            if booking.contract_id == event.contract_id and booking.ends_at > envelope.time:
                await _release(context, event.worker_id, booking)

    await context.mongo.transact(body)


async def list_mine(context: Context, *, by: Principal) -> Page[Booking]:
    """The caller's bookings that are not over, in their order."""
    worker = await profiles.get(context, by.user_id)
    now = clock.now()
    ahead = sorted((one for one in worker.bookings if one.ends_at > now), key=lambda one: one.starts_at)
    return Page(items=[view(one) for one in ahead])


def view(booking: BookingEntry) -> Booking:
    return Booking(
        id=booking.id,
        contract_id=booking.contract_id,
        starts_at=booking.starts_at,
        ends_at=booking.ends_at,
    )


def _checked(booking_id: str, data: BookWorker) -> BookingEntry:
    if data.starts_at.utcoffset() is None or data.ends_at.utcoffset() is None:
        raise BadInput.of("startsAt" if data.starts_at.utcoffset() is None else "endsAt", "needs a time zone")
    if data.ends_at <= data.starts_at:
        raise BadInput.of("endsAt", "must be after startsAt")
    if data.ends_at - data.starts_at > LONGEST:
        raise BadInput.of("endsAt", f"at most {LONGEST.days} days are booked at once")
    if data.ends_at <= clock.now():
        raise BadInput.of("endsAt", "must not be in the past")
    return BookingEntry(
        id=booking_id,
        contract_id=data.contract_id,
        starts_at=_stored(data.starts_at),
        ends_at=_stored(data.ends_at),
    )


def _stored(instant: datetime) -> datetime:
    """In the precision of the database."""
    return instant.astimezone(UTC).replace(microsecond=instant.microsecond // 1000 * 1000)


async def _worker(user_id: str) -> ProfileDocument:
    worker = await profile_documents.find(user_id)
    if worker is None:
        raise NotFound
    return worker


def _why_not(worker: ProfileDocument) -> KelmahError:
    if worker.availability.status is WorkerStatus.PAUSED or worker.is_resting:
        return WorkerNotAvailable()
    if len(worker.bookings) >= documents.MAX_BOOKINGS:
        return TooManyEntries(f"At most {documents.MAX_BOOKINGS} bookings are kept.")
    return WorkerBookedAlready()


async def _release(context: Context, user_id: str, booking: BookingEntry) -> None:
    if await documents.release(user_id, booking.id):
        event = BookingReleased(user_id=user_id, booking_id=booking.id, contract_id=booking.contract_id)
        await context.events.append(event, subject=f"user:{user_id}")
