"""The operations of the payment service."""

from kelmah.services.payment.controllers import disputes, escrows, exceptions, methods, referrals, wallets, webhooks
from kelmah.services.payment.controllers.policy import POLICY

CONTROLLERS = [
    *wallets.HANDLERS,
    *escrows.HANDLERS,
    *disputes.HANDLERS,
    *methods.HANDLERS,
    *referrals.HANDLERS,
    *webhooks.HANDLERS,
    *exceptions.HANDLERS,
]

__all__ = ["CONTROLLERS", "POLICY"]
