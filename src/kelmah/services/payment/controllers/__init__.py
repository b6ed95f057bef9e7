"""The operations of the payment service."""

from kelmah.kit.exports import export_handler
from kelmah.services.payment.controllers import disputes, escrows, exceptions, methods, referrals, wallets, webhooks
from kelmah.services.payment.controllers.policy import POLICY
from kelmah.services.payment.service.exports import PARTS

CONTROLLERS = [
    *wallets.HANDLERS,
    *escrows.HANDLERS,
    *disputes.HANDLERS,
    *methods.HANDLERS,
    *referrals.HANDLERS,
    *webhooks.HANDLERS,
    *exceptions.HANDLERS,
    export_handler(PARTS),
]

__all__ = ["CONTROLLERS", "POLICY"]
