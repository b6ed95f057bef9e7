"""What the payment service says: wallets, escrow and the ledger."""

from kelmah.contracts.payment.disputes import (
    DisputeStatus,
    DisputeView,
    RaiseDispute,
    ResolveDispute,
)
from kelmah.contracts.payment.escrows import (
    EscrowStatus,
    EscrowView,
    FundEscrow,
    ReleaseEscrow,
)
from kelmah.contracts.payment.events import (
    ChargebackChanged,
    DisputeRaised,
    DisputeResolved,
    EscrowFunded,
    EscrowRefunded,
    EscrowReleased,
    ExceptionResolved,
    PaymentProcessed,
    WithdrawalFailed,
)
from kelmah.contracts.payment.internal import (
    EscrowFacts,
)
from kelmah.contracts.payment.methods import (
    MethodKind,
    MethodView,
    SaveMethod,
)
from kelmah.contracts.payment.operations import ExceptionKind, ExceptionView, ResolveException, WebhookReceived
from kelmah.contracts.payment.wallets import (
    BankAccount,
    CreateDeposit,
    CreateWithdrawal,
    DepositStatus,
    DepositView,
    Provider,
    RefundDeposit,
    TransactionDirection,
    TransactionKind,
    TransactionView,
    WalletBalance,
    WalletView,
    WithdrawalStatus,
    WithdrawalView,
)

__all__ = [
    "BankAccount",
    "ChargebackChanged",
    "CreateDeposit",
    "CreateWithdrawal",
    "DepositStatus",
    "DepositView",
    "DisputeRaised",
    "DisputeResolved",
    "DisputeStatus",
    "DisputeView",
    "EscrowFacts",
    "EscrowFunded",
    "EscrowRefunded",
    "EscrowReleased",
    "EscrowStatus",
    "EscrowView",
    "ExceptionKind",
    "ExceptionResolved",
    "ExceptionView",
    "FundEscrow",
    "MethodKind",
    "MethodView",
    "PaymentProcessed",
    "Provider",
    "RaiseDispute",
    "RefundDeposit",
    "ReleaseEscrow",
    "ResolveDispute",
    "ResolveException",
    "SaveMethod",
    "TransactionDirection",
    "TransactionKind",
    "TransactionView",
    "WalletBalance",
    "WalletView",
    "WebhookReceived",
    "WithdrawalFailed",
    "WithdrawalStatus",
    "WithdrawalView",
]
