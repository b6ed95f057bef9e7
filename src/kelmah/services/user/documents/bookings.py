"""Bookings: part of the worker's profile, so that one conditional update takes time that is free, or does not."""

from datetime import datetime

from kelmah.contracts.common import Role
from kelmah.contracts.user import WorkerStatus
from kelmah.kit.mongo import change, session
from kelmah.services.user.documents.profiles import BookingEntry, ProfileDocument

#: The most bookings that a worker has at once.
MAX_BOOKINGS = 200


async def take(user_id: str, booking: BookingEntry) -> bool:
    """Book the time, if the worker takes work and has none of it booked. Returns whether it was free."""
    overlap = {"starts_at": {"$lt": booking.ends_at}, "ends_at": {"$gt": booking.starts_at}}
    taken = await change(
        ProfileDocument,
        {
            "_id": user_id,
            "role": Role.WORKER.value,
            "availability.status": {"$ne": WorkerStatus.PAUSED.value},
            "is_resting": {"$ne": True},
            "bookings": {"$not": {"$elemMatch": overlap}},
            "bookings.id": {"$ne": booking.id},
            f"bookings.{MAX_BOOKINGS - 1}": {"$exists": False},
        },
        {"$push": {"bookings": booking.model_dump()}},
    )
    return taken is not None


async def forget_ended(user_id: str, *, before: datetime) -> None:
    """Drop bookings that are long over."""
    await ProfileDocument.get_pymongo_collection().update_one(
        {"_id": user_id, "bookings.ends_at": {"$lt": before}},
        {"$pull": {"bookings": {"ends_at": {"$lt": before}}}},
        session=session(),
    )


async def release(user_id: str, booking_id: str) -> bool:
    """Free the time. Returns whether it was booked."""
    row = await change(
        ProfileDocument, {"_id": user_id, "bookings.id": booking_id}, {"$pull": {"bookings": {"id": booking_id}}}
    )
    return row is not None
