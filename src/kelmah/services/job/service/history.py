"""How jobs and contracts stood, for admins."""

from kelmah.contracts.common import PastState
from kelmah.contracts.job import PastJobViewed
from kelmah.kit import past
from kelmah.kit.context import Principal
from kelmah.services.job.service.context import Context


async def view(context: Context, subject: str, at: str, *, by: Principal | None) -> PastState:
    """A job or a contract at an instant. Raises as `past.view` does."""
    return await past.view(context.mongo, context.events, subject, at, by=by, viewed=PastJobViewed)
