"""The rules of the user service."""

from kelmah.services.user.service.consumers import on_reputation_changed, on_user_registered
from kelmah.services.user.service.context import Context

__all__ = ["Context", "on_reputation_changed", "on_user_registered"]
