"""Documents of the payment service as contracts."""

from kelmah.contracts.common import Balance, Money
from kelmah.contracts.payment import (
    BankAccount,
    DepositView,
    DisputeView,
    EscrowFacts,
    EscrowStatus,
    EscrowView,
    EvidenceView,
    MethodKind,
    MethodView,
    Provider,
    SettlementOffer,
    TransactionDirection,
    TransactionKind,
    TransactionView,
    WithdrawalView,
)
from kelmah.kit.crypto import KeyRing
from kelmah.services.payment.documents import (
    DepositDocument,
    DisputeDocument,
    EntryDocument,
    EscrowDocument,
    MethodDocument,
    WithdrawalDocument,
)
from kelmah.services.payment.documents.disputes import Evidence


def deposit_view(
    deposit: DepositDocument,
    *,
    client_secret: str | None = None,
    action_url: str | None = None,
    pay_to: BankAccount | None = None,
) -> DepositView:
    return DepositView(
        id=deposit.id,
        status=deposit.status,
        amount=Money(amount=deposit.amount, currency=deposit.currency),
        provider=Provider(deposit.provider),
        created_at=deposit.created_at,
        client_secret=client_secret,
        action_url=action_url,
        reference=deposit.provider_ref if deposit.provider == Provider.BANK else None,
        pay_to=pay_to,
        failure_code=deposit.failure_code,
    )


def withdrawal_view(withdrawal: WithdrawalDocument) -> WithdrawalView:
    return WithdrawalView(
        id=withdrawal.id,
        status=withdrawal.status,
        amount=Money(amount=withdrawal.amount, currency=withdrawal.currency),
        provider=Provider(withdrawal.provider),
        created_at=withdrawal.created_at,
        updated_at=withdrawal.updated_at,
        method_id=withdrawal.method_id,
        deposit_id=withdrawal.deposit_id,
        failure_code=withdrawal.failure_code,
    )


def escrow_view(escrow: EscrowDocument, *, payment: DepositView | None = None) -> EscrowView:
    is_paid = escrow.released > 0 or escrow.status in (EscrowStatus.RELEASED, EscrowStatus.SETTLED)
    was_refunded = escrow.status in (EscrowStatus.REFUNDED, EscrowStatus.SETTLED)
    return EscrowView(
        id=escrow.id,
        contract_id=escrow.contract_id,
        milestone_id=escrow.milestone_id,
        hirer_id=escrow.hirer_id,
        worker_id=escrow.worker_id,
        status=escrow.status,
        amount=Money(amount=escrow.amount, currency=escrow.currency),
        created_at=escrow.created_at,
        updated_at=escrow.updated_at,
        held=Balance(amount=escrow.held, currency=escrow.currency),
        released=Balance(amount=escrow.released, currency=escrow.currency),
        net=Balance(amount=escrow.worker_amount, currency=escrow.currency) if is_paid else None,
        fee=Balance(amount=escrow.fee_amount, currency=escrow.currency) if is_paid else None,
        tax=Balance(amount=escrow.tax_amount, currency=escrow.currency) if is_paid else None,
        payment=payment,
        refunded=Balance(amount=escrow.refunded_amount, currency=escrow.currency) if was_refunded else None,
    )


def escrow_facts(escrow: EscrowDocument) -> EscrowFacts:
    return EscrowFacts(
        id=escrow.id,
        contract_id=escrow.contract_id,
        milestone_id=escrow.milestone_id,
        status=escrow.status,
        amount=Money(amount=escrow.amount, currency=escrow.currency),
        fee_amount=escrow.fee_amount,
    )


def dispute_view(dispute: DisputeDocument, ring: KeyRing) -> DisputeView:
    return DisputeView(
        id=dispute.id,
        escrow_id=dispute.escrow_id,
        contract_id=dispute.contract_id,
        milestone_id=dispute.milestone_id,
        hirer_id=dispute.hirer_id,
        worker_id=dispute.worker_id,
        raised_by=dispute.raised_by,
        chargeback_id=next(iter(dispute.chargeback_ids), None),
        reason=dispute.reason,
        status=dispute.status,
        amount=Money(amount=dispute.amount, currency=dispute.currency),
        created_at=dispute.created_at,
        deadline_at=dispute.deadline_at,
        answer=dispute.answer,
        offers=[SettlementOffer(**offer.model_dump()) for offer in dispute.offers],
        evidence=[evidence_view(one, ring) for one in dispute.evidence],
        worker_amount=dispute.worker_amount,
        hirer_amount=dispute.hirer_amount,
        note=dispute.note,
        resolved_by=dispute.resolved_by,
        appealed_by=dispute.appealed_by,
        appeal=dispute.appeal,
        resolved_at=dispute.resolved_at,
    )


def evidence_view(evidence: Evidence, ring: KeyRing) -> EvidenceView:
    return EvidenceView(
        id=evidence.id,
        by=evidence.by,
        file_name=ring.open(evidence.file_name, context=evidence.id.encode()),
        media_type=evidence.media_type,
        size=evidence.size,
        at=evidence.at,
    )


def method_view(method: MethodDocument) -> MethodView:
    return MethodView(
        id=method.id,
        provider=Provider(method.provider),
        kind=MethodKind(method.kind),
        brand=method.brand,
        last4=method.last4,
        expires_month=method.expires_month,
        expires_year=method.expires_year,
        created_at=method.created_at,
    )


def transaction_view(entry: EntryDocument, wallets: set[str]) -> TransactionView:
    """The entry as it looks from the wallet among `wallets` that it touches."""
    posting = next(one for one in entry.postings if one.account in wallets)
    return TransactionView(
        id=entry.id,
        kind=TransactionKind(entry.kind),
        direction=TransactionDirection.IN if posting.amount > 0 else TransactionDirection.OUT,
        amount=Money(amount=abs(posting.amount), currency=posting.currency),
        balance_after=Balance(amount=posting.balance, currency=posting.currency),
        at=entry.at,
        deposit_id=entry.facts.get("deposit_id"),
        escrow_id=entry.facts.get("escrow_id"),
        dispute_id=entry.facts.get("dispute_id"),
        withdrawal_id=entry.facts.get("withdrawal_id"),
        chargeback_id=entry.facts.get("chargeback_id"),
    )
