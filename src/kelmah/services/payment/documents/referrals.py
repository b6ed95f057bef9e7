"""Who brought a worker to the platform, as the worker said, once."""

from datetime import datetime

from beanie import Document
from pymongo.errors import DuplicateKeyError

from kelmah.kit.mongo import session
from kelmah.services.payment.errors import ReferralClosed


class ReferralDocument(Document):
    """`id` is the worker's. Shard key: `_id`, hashed."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    referrer_id: str
    created_at: datetime

    class Settings:
        name = "referrals"


async def insert_referral(referral: ReferralDocument) -> None:
    """Write who brought a worker.

    Raises:
        ReferralClosed: that was said before.
    """
    try:
        await referral.insert(session=session())
    except DuplicateKeyError as error:
        raise ReferralClosed from error


async def find_referrer(worker_id: str) -> str | None:
    """Who brought a worker, if anybody did."""
    found = await ReferralDocument.get(worker_id, session=session())
    return found and found.referrer_id
