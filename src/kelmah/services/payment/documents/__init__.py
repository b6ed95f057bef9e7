"""The payment service's collections and every query over them."""

from kelmah.services.payment.documents.bank import (
    BankExportDocument,
    BankLineDocument,
    BankPayoutDocument,
    BankStatementDocument,
)
from kelmah.services.payment.documents.chargebacks import ChargebackDocument
from kelmah.services.payment.documents.deposits import DepositDocument
from kelmah.services.payment.documents.disputes import DisputeDocument, DisputeFileDocument
from kelmah.services.payment.documents.entries import AccountDocument, EntryDocument
from kelmah.services.payment.documents.escrows import EscrowDocument
from kelmah.services.payment.documents.exceptions import ExceptionDocument
from kelmah.services.payment.documents.ledger import Halt
from kelmah.services.payment.documents.legacy import LegacyTransactionDocument, LegacyWalletDocument
from kelmah.services.payment.documents.methods import MethodDocument
from kelmah.services.payment.documents.parties import PartyDocument
from kelmah.services.payment.documents.referrals import ReferralDocument
from kelmah.services.payment.documents.webhooks import WebhookDocument
from kelmah.services.payment.documents.withdrawals import WithdrawalDocument

DOCUMENTS = (
    AccountDocument,
    EntryDocument,
    DepositDocument,
    EscrowDocument,
    DisputeDocument,
    DisputeFileDocument,
    MethodDocument,
    PartyDocument,
    ReferralDocument,
    WebhookDocument,
    WithdrawalDocument,
    ChargebackDocument,
    LegacyTransactionDocument,
    LegacyWalletDocument,
    BankStatementDocument,
    BankLineDocument,
    BankPayoutDocument,
    BankExportDocument,
    ExceptionDocument,
    Halt,
)

__all__ = [
    "DOCUMENTS",
    "AccountDocument",
    "ChargebackDocument",
    "DepositDocument",
    "DisputeDocument",
    "DisputeFileDocument",
    "EntryDocument",
    "EscrowDocument",
    "LegacyTransactionDocument",
    "LegacyWalletDocument",
    "MethodDocument",
    "ReferralDocument",
    "WebhookDocument",
    "WithdrawalDocument",
]
