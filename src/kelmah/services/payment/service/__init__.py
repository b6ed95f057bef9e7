"""The rules of the payment service."""

from kelmah.services.payment.service.checks import (
    LedgerFault,
    LedgerReport,
    balance_at,
    check_ledger,
    resume_ledger,
    schedule_check,
    show_account,
    verify_ledger,
)
from kelmah.services.payment.service.context import Context
from kelmah.services.payment.service.deposits import create_deposit, get_deposit, settle
from kelmah.services.payment.service.deposits import requery as requery_deposit
from kelmah.services.payment.service.disputes import get_dispute, list_disputes, raise_dispute, resolve_dispute
from kelmah.services.payment.service.escrows import (
    fund_escrow,
    get_escrow,
    list_escrows,
    on_contract_cancelled,
    on_milestone_approved,
    refund_escrow,
    release_escrow,
    release_milestone,
)
from kelmah.services.payment.service.lifecycle import (
    on_account_deactivated,
    on_account_deleted,
    on_account_reactivated,
)
from kelmah.services.payment.service.methods import delete_method, forget_method, list_methods, save_method
from kelmah.services.payment.service.wallets import get_wallet, list_transactions
from kelmah.services.payment.service.webhooks import handle_webhook, receive_webhook
from kelmah.services.payment.service.withdrawals import (
    cancel_withdrawal,
    create_withdrawal,
    get_withdrawal,
    list_withdrawals,
    refund_deposit,
    requery_withdrawal,
    send_withdrawal,
)

__all__ = [
    "Context",
    "LedgerFault",
    "LedgerReport",
    "balance_at",
    "cancel_withdrawal",
    "check_ledger",
    "create_deposit",
    "create_withdrawal",
    "delete_method",
    "forget_method",
    "fund_escrow",
    "get_deposit",
    "get_dispute",
    "get_escrow",
    "get_wallet",
    "get_withdrawal",
    "handle_webhook",
    "list_disputes",
    "list_escrows",
    "list_methods",
    "list_transactions",
    "list_withdrawals",
    "on_account_deactivated",
    "on_account_deleted",
    "on_account_reactivated",
    "on_contract_cancelled",
    "on_milestone_approved",
    "raise_dispute",
    "receive_webhook",
    "refund_deposit",
    "refund_escrow",
    "release_escrow",
    "release_milestone",
    "requery_deposit",
    "requery_withdrawal",
    "resolve_dispute",
    "resume_ledger",
    "save_method",
    "schedule_check",
    "send_withdrawal",
    "settle",
    "show_account",
    "verify_ledger",
]
