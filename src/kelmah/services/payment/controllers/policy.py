"""Who may call which operation of the payment service."""

from kelmah.contracts.common import Role
from kelmah.kit import exports
from kelmah.kit.policy import PUBLIC, SIGNED_IN, Policy, roles, services

POLICY: Policy = {
    "GetWallet": SIGNED_IN,
    "CreateDeposit": roles(Role.HIRER, Role.WORKER),
    "GetDeposit": SIGNED_IN,
    "CreateWithdrawal": roles(Role.HIRER, Role.WORKER),
    "ListWithdrawals": SIGNED_IN,
    "GetWithdrawal": SIGNED_IN,
    "CancelWithdrawal": roles(Role.HIRER, Role.WORKER),
    "RefundDeposit": roles(Role.SUPPORT, Role.ADMIN),
    "GetStatement": SIGNED_IN,
    "ListTransactions": SIGNED_IN,
    "FundEscrow": roles(Role.HIRER),
    "ListEscrows": SIGNED_IN,
    "GetEscrow": SIGNED_IN,
    "ReleaseEscrow": roles(Role.HIRER),
    # Never the hirer alone: once it is funded, the worker relies on it.
    "RefundEscrow": roles(Role.WORKER, Role.SUPPORT, Role.ADMIN),
    "RaiseDispute": roles(Role.HIRER, Role.WORKER),
    "ListDisputes": SIGNED_IN,
    "GetDispute": SIGNED_IN,
    "AnswerDispute": roles(Role.HIRER, Role.WORKER),
    "AddDisputeEvidence": roles(Role.HIRER, Role.WORKER),
    "GetDisputeEvidence": SIGNED_IN,
    "GetDisputeOutcomes": SIGNED_IN,
    "OfferSettlement": roles(Role.HIRER, Role.WORKER),
    "AcceptSettlement": roles(Role.HIRER, Role.WORKER),
    "AppealRuling": roles(Role.HIRER, Role.WORKER),
    "WithdrawDispute": roles(Role.HIRER, Role.WORKER),
    # Moderators judge words; money is support's.
    "ResolveDispute": roles(Role.SUPPORT, Role.ADMIN),
    "GetReferralCode": roles(Role.HIRER, Role.WORKER),
    "NameReferrer": roles(Role.WORKER),
    "SavePaymentMethod": SIGNED_IN,
    "ListPaymentMethods": SIGNED_IN,
    "DeletePaymentMethod": SIGNED_IN,
    "ReceiveStripeWebhook": PUBLIC,  # signed by Stripe
    "ReceivePayPalWebhook": PUBLIC,  # signed by PayPal
    "ReceiveBankWebhook": PUBLIC,  # signed by the bank
    "ListExceptions": roles(Role.SUPPORT, Role.ADMIN),
    "ResolveException": roles(Role.SUPPORT, Role.ADMIN),
    "ReleaseMilestone": services("job"),
    exports.OPERATION: exports.RULE,
}
