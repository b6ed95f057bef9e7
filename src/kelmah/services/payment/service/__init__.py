"""The rules of the payment service."""

from kelmah.services.payment.service.bank import export_payouts, import_file
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
from kelmah.services.payment.service.disputes import (
    answer_dispute,
    appeal_ruling,
    get_dispute,
    list_disputes,
    offer_settlement,
    raise_dispute,
    withdraw_dispute,
)
from kelmah.services.payment.service.escrows import (
    get_escrow,
    list_escrows,
    on_contract_cancelled,
    on_milestone_approved,
    refund_escrow,
    release_escrow,
    release_milestone,
)
from kelmah.services.payment.service.evidence import add_evidence, read_evidence
from kelmah.services.payment.service.exceptions import list_exceptions, resolve_exception
from kelmah.services.payment.service.freshness import require_step_up
from kelmah.services.payment.service.funding import fund_escrow
from kelmah.services.payment.service.history import get_past_escrow, get_past_wallet
from kelmah.services.payment.service.lifecycle import (
    on_account_deactivated,
    on_account_deleted,
    on_account_reactivated,
)
from kelmah.services.payment.service.methods import delete_method, forget_method, list_methods, save_method
from kelmah.services.payment.service.projections import projections
from kelmah.services.payment.service.reconciliation import (
    Reconciliation,
    reconcile,
    reconcile_daily,
    schedule_reconciliation,
    unreconciled,
)
from kelmah.services.payment.service.referrals import name_referrer, referral_code
from kelmah.services.payment.service.reversals import reverse_entry
from kelmah.services.payment.service.rulings import accept_settlement, end_step, preview_outcomes, resolve_dispute
from kelmah.services.payment.service.statements import as_csv, as_pdf, read_statement
from kelmah.services.payment.service.wallets import get_wallet, list_transactions
from kelmah.services.payment.service.webhooks import handle_webhook, list_webhooks, receive_webhook, replay_webhooks
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
    "Reconciliation",
    "accept_settlement",
    "add_evidence",
    "answer_dispute",
    "appeal_ruling",
    "as_csv",
    "as_pdf",
    "balance_at",
    "cancel_withdrawal",
    "check_ledger",
    "create_deposit",
    "create_withdrawal",
    "delete_method",
    "end_step",
    "export_payouts",
    "forget_method",
    "fund_escrow",
    "get_deposit",
    "get_dispute",
    "get_escrow",
    "get_past_escrow",
    "get_past_wallet",
    "get_wallet",
    "get_withdrawal",
    "handle_webhook",
    "import_file",
    "list_disputes",
    "list_escrows",
    "list_exceptions",
    "list_methods",
    "list_transactions",
    "list_webhooks",
    "list_withdrawals",
    "name_referrer",
    "offer_settlement",
    "on_account_deactivated",
    "on_account_deleted",
    "on_account_reactivated",
    "on_contract_cancelled",
    "on_milestone_approved",
    "preview_outcomes",
    "projections",
    "raise_dispute",
    "read_evidence",
    "read_statement",
    "receive_webhook",
    "reconcile",
    "reconcile_daily",
    "referral_code",
    "refund_deposit",
    "refund_escrow",
    "release_escrow",
    "release_milestone",
    "replay_webhooks",
    "requery_deposit",
    "requery_withdrawal",
    "require_step_up",
    "resolve_dispute",
    "resolve_exception",
    "resume_ledger",
    "reverse_entry",
    "save_method",
    "schedule_check",
    "schedule_reconciliation",
    "send_withdrawal",
    "settle",
    "show_account",
    "unreconciled",
    "verify_ledger",
    "withdraw_dispute",
]
