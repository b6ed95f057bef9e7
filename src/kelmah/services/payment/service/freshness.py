"""What a found or stolen session must not do with money."""

from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.services.payment.errors import StepUpNeeded
from kelmah.services.payment.service.context import Context


def require_step_up(context: Context, by: Principal) -> None:
    """Money leaves, and gets a new place to leave to, only for somebody who has just signed in.

    Raises:
        StepUpNeeded: that was too long ago.
    """
    if clock.now().timestamp() - by.authenticated_at > context.settings.step_up_minutes * 60:
        raise StepUpNeeded
