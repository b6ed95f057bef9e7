"""What can go wrong with money."""

from kelmah.kit.errors import BadInput, Conflict, Forbidden, KelmahError, NotFound, Unavailable


class Declined(KelmahError):
    status_code, code, title = 402, "payment.declined", "The provider refused this payment"


class InsufficientFunds(KelmahError):
    status_code, code, title = 402, "payment.insufficient_funds", "The wallet does not hold enough"


class DepositClosed(Conflict):
    code, title = "payment.deposit_closed", "This deposit ended without a payment"


class DepositUnresolved(Conflict):
    code, title = "payment.deposit_unresolved", "A payment of this amount may have been taken; it is being asked about"


class StepUpNeeded(Forbidden):
    code, title = "payment.step_up_needed", "Sign in again to move money out"


class WithdrawalNotFound(NotFound):
    code, title = "payment.withdrawal_not_found", "There is no such withdrawal"


class WithdrawalNotCancelable(Conflict):
    code, title = "payment.withdrawal_not_cancelable", "This withdrawal is on its way or over"


class WithdrawalLimit(Conflict):
    code, title = "payment.withdrawal_limit", "This is more than may be withdrawn in 24 hours"


class HoldingPeriod(Conflict):
    code, title = "payment.holding_period", "Some of this money came in too recently to be withdrawn"


class DepositNotRefundable(Conflict):
    code, title = "payment.deposit_not_refundable", "This deposit is not paid, or less of it is left than this"


class Halted(Unavailable):
    code, title = "payment.halted", "Money does not move until a fault in the ledger is looked into"


class EscrowNotFound(NotFound):
    code, title = "payment.escrow_not_found", "There is no such escrow"


class EscrowExists(Conflict):
    code, title = "payment.escrow_exists", "This milestone's money is already held or paid"


class EscrowNotFunded(Conflict):
    code, title = "payment.escrow_not_funded", "This escrow holds no money"


class EscrowDisputed(Conflict):
    code, title = "payment.escrow_disputed", "This escrow is frozen by a dispute"


class PartyGone(Conflict):
    code, title = "payment.party_gone", "The account of one side is at rest or deleted; nothing new is begun"


class ReferralClosed(Conflict):
    code, title = "payment.referral_closed", "Who brought one is said once, before the first escrow"


class MilestoneNotFundable(Conflict):
    code, title = "payment.milestone_not_fundable", "This milestone cannot be funded now"


class DisputeNotFound(NotFound):
    code, title = "payment.dispute_not_found", "There is no such dispute"


class DisputeResolvedAlready(Conflict):
    code, title = "payment.dispute_resolved", "This dispute was already resolved"


class DisputeStepClosed(Conflict):
    code, title = "payment.dispute_step_closed", "This step of the dispute is over"


class SettlementClosed(Conflict):
    code, title = "payment.settlement_closed", "A bank took the money back: only support can share this escrow out"


class OfferNotFound(NotFound):
    code, title = "payment.offer_not_found", "The other side has no such offer"


class SecondRulerNeeded(Forbidden):
    code, title = "payment.second_ruler_needed", "An appeal is decided by somebody else than the first ruling"


class EvidenceNotFound(NotFound):
    code, title = "payment.evidence_not_found", "There is no such file"


class EvidenceFull(Conflict):
    code, title = "payment.evidence_full", "A side brings no more than ten files"


class EvidenceInfected(Forbidden):
    code, title = "payment.evidence_infected", "Malware was found in this file"


class EvidenceRefused(KelmahError):
    status_code, code, title = 415, "payment.evidence_refused", "This kind of file is not taken"


class EvidenceTooLarge(KelmahError):
    status_code, code, title = 413, "payment.evidence_too_large", "The file is too large"


class RulingDoesNotAddUp(BadInput):
    code, title = "payment.ruling_does_not_add_up", "The parts of a ruling must add up to the escrow"


class MethodNotFound(NotFound):
    code, title = "payment.method_not_found", "There is no such payment method"


class WebhookRefused(KelmahError):
    status_code, code, title = 400, "payment.webhook_refused", "The notice is not signed as it must be"


class WebhookOff(NotFound):
    code, title = "payment.webhook_off", "Notices of this provider are not taken"


class BankFileRefused(BadInput):
    code, title = "payment.bank_file_refused", "This file of a bank cannot be taken"


class BankFileKnown(Conflict):
    code, title = "payment.bank_file_known", "This statement was read before"


class EntryNotReversible(Conflict):
    code, title = "payment.entry_not_reversible", "There is no such entry, or it has another way back"


class ExceptionNotFound(NotFound):
    code, title = "payment.exception_not_found", "There is no such open difference"


class ProviderUnavailable(Unavailable):
    code, title = "payment.provider_unavailable", "The payment provider is not available"


class LedgerError(KelmahError):
    """A movement that the rules of the ledger forbid: a defect of ours, never the caller's fault."""

    code = "payment.ledger"


class AlreadyPosted(Conflict):
    code, title = "payment.already_posted", "This money has already moved"
