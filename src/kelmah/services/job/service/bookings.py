"""The worker's time for an active contract with dates: taken with the user service, after the commit.

Taken by a durable timer, which runs until it gets an answer. Whatever crashes between, the timer comes again, and both
calls may be said any number of times. Contracts that end are heard of by the user service, which frees what is booked;
only a booking that comes later than that end is freed from here.
"""

import structlog

from kelmah.contracts.job import BookingRefused, BookingStatus, ContractStatus
from kelmah.contracts.user import BookWorker
from kelmah.kit import clock
from kelmah.kit.errors import BadInput, Conflict, NotFound
from kelmah.kit.ids import new_id
from kelmah.services.job.documents import contracts as documents
from kelmah.services.job.documents.parts import BookingState, Window
from kelmah.services.job.service.context import Context

log = structlog.get_logger(__name__)

#: The actor that books the worker.
BOOK = "job.book_worker"


def new_booking(work: Window | None, *, before: BookingState | None = None) -> BookingState | None:
    """The booking that a contract with this window waits for, in place of the one before."""
    return None if work is None else BookingState(id=new_id(), replaces=None if before is None else before.id)


async def book_later(context: Context, contract_id: str, booking: BookingState | None) -> None:
    """Book after the open transaction has committed."""
    if booking is not None:
        await context.timers.set(f"book-worker:{booking.id}", BOOK, [contract_id, booking.id])


async def book_worker(context: Context, contract_id: str, booking_id: str) -> None:
    """Take the worker's time, and note whether it was free. Run twice, it takes it once."""
    contract = await documents.get_contract(contract_id)
    if contract is None or contract.booking is None or contract.work is None:
        log.error("booking.of_nothing", contract=contract_id, booking=booking_id)
        return
    booking, worker_id = contract.booking, contract.worker_id
    if booking.id != booking_id or contract.status is not ContractStatus.ACTIVE:
        await context.user.release_booking(user_id=worker_id, booking_id=booking_id)
        return
    if booking.status is not BookingStatus.PENDING:
        return
    if booking.replaces is not None:
        await context.user.release_booking(user_id=worker_id, booking_id=booking.replaces)
    wanted = BookWorker(contract_id=contract_id, starts_at=contract.work.starts_at, ends_at=contract.work.ends_at)
    try:
        await context.user.book_worker(user_id=worker_id, booking_id=booking_id, booking=wanted)
    except (Conflict, NotFound, BadInput) as error:
        await _note(context, contract_id, booking_id, BookingStatus.REFUSED, code=error.code)
        return
    if not await _note(context, contract_id, booking_id, BookingStatus.BOOKED):
        # The contract ended, or has other dates, since it was read.
        await context.user.release_booking(user_id=worker_id, booking_id=booking_id)


async def _note(
    context: Context, contract_id: str, booking_id: str, to: BookingStatus, *, code: str | None = None
) -> bool:
    """Note the outcome and tell of a refusal. Returns whether the booking still counts."""

    async def change() -> bool:
        contract = await documents.note_booking(contract_id, booking_id, to=to, code=code, at=clock.now())
        if contract is None:
            seen = await documents.get_contract(contract_id)
            return (
                seen is not None
                and seen.status is ContractStatus.ACTIVE
                and seen.booking is not None
                and (seen.booking.id, seen.booking.status) == (booking_id, to)
            )
        if code is not None:
            event = BookingRefused(
                contract_id=contract_id,
                job_id=contract.job_id,
                hirer_id=contract.hirer_id,
                worker_id=contract.worker_id,
                code=code,
            )
            await context.events.append(event, subject=f"contract:{contract_id}")
        return True

    return await context.mongo.transact(change)
