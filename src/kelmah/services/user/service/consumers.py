"""What events of other services do here."""

from kelmah.contracts.auth import UserRegistered
from kelmah.contracts.events import Envelope
from kelmah.contracts.review import ReputationChanged
from kelmah.services.user.documents import profiles as documents
from kelmah.services.user.service import profiles
from kelmah.services.user.service.context import Context


async def on_user_registered(context: Context, envelope: Envelope, event: UserRegistered) -> None:
    """Make the person's profile. Its id makes this idempotent, so that no inbox row is needed."""
    await profiles.ensure(context, [event.user_id])


async def on_reputation_changed(context: Context, envelope: Envelope, event: ReputationChanged) -> None:
    """Take over the reputation that searches rank by, unless a later one of the same subject is known."""
    if not await profiles.ensure(context, [event.user_id]):
        return  # the account is gone

    async def effect() -> None:
        await documents.set_reputation(
            event.user_id,
            rating_milli=event.rating_milli,
            review_count=event.review_count,
            sequence=envelope.sequence,
        )

    await context.events.consume("user.set_reputation", envelope.id, effect)
