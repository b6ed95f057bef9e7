"""The payment service's collections and every query over them."""

from kelmah.services.payment.documents.deposits import DepositDocument
from kelmah.services.payment.documents.escrows import DisputeDocument, EscrowDocument
from kelmah.services.payment.documents.ledger import AccountDocument, EntryDocument
from kelmah.services.payment.documents.methods import MethodDocument
from kelmah.services.payment.documents.webhooks import WebhookDocument

DOCUMENTS = (
    AccountDocument,
    EntryDocument,
    DepositDocument,
    EscrowDocument,
    DisputeDocument,
    MethodDocument,
    WebhookDocument,
)

__all__ = [
    "DOCUMENTS",
    "AccountDocument",
    "DepositDocument",
    "DisputeDocument",
    "EntryDocument",
    "EscrowDocument",
    "MethodDocument",
    "WebhookDocument",
]
