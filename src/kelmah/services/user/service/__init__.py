"""The rules of the user service."""

from kelmah.services.user.service.analytics import COUNTED, measure_response, on_counted, on_message_sent
from kelmah.services.user.service.bookings import on_contract_ended
from kelmah.services.user.service.certificates import remind_certificate
from kelmah.services.user.service.consumers import on_reputation_changed, on_user_registered
from kelmah.services.user.service.context import Context
from kelmah.services.user.service.images import discard_image
from kelmah.services.user.service.lifecycle import (
    on_account_deactivated,
    on_account_deleted,
    on_account_reactivated,
    on_role_changed,
)
from kelmah.services.user.service.projections import projections

__all__ = [
    "COUNTED",
    "Context",
    "discard_image",
    "measure_response",
    "on_account_deactivated",
    "on_account_deleted",
    "on_account_reactivated",
    "on_contract_ended",
    "on_counted",
    "on_message_sent",
    "on_reputation_changed",
    "on_role_changed",
    "on_user_registered",
    "projections",
    "remind_certificate",
]
