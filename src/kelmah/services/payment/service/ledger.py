"""The rules of posting: which entry each movement of money makes. Pure; `documents.ledger` stores them."""

from typing import NamedTuple

from kelmah.contracts.payment import TransactionKind
from kelmah.services.payment.documents.deposits import DepositDocument
from kelmah.services.payment.documents.escrows import EscrowDocument
from kelmah.services.payment.documents.ledger import Entry, Posting, wallet

BASIS_POINTS = 10_000


class Split(NamedTuple):
    """How a gross amount is shared; the parts add up to it exactly."""

    net: int
    fee: int


def split(gross: int, basis_points: int) -> Split:
    """Take the platform's fee from `gross` minor units. A fraction of a minor unit stays with the worker."""
    fee = gross * basis_points // BASIS_POINTS
    return Split(gross - fee, fee)


def deposit_entry(deposit: DepositDocument) -> Entry:
    """The provider owes us what we owe the payer."""
    return Entry(
        reference=f"deposit:{deposit.id}",
        kind=TransactionKind.DEPOSIT,
        postings=(
            Posting(f"clearing:{deposit.provider}:{deposit.currency}", -deposit.amount),
            Posting(wallet(deposit.user_id, deposit.currency), deposit.amount),
        ),
        facts={"deposit_id": deposit.id},
    )


def suspense_reference(provider: str, ref: str) -> str:
    return f"suspense:{provider}:{ref}"


def suspense_entry(*, provider: str, ref: str, amount: int, currency: str, deposit_id: str) -> Entry:
    """The provider received money that fits no deposit: it is nobody's until a person looks into it."""
    return Entry(
        reference=suspense_reference(provider, ref),
        kind=TransactionKind.SUSPENSE,
        postings=(
            Posting(f"clearing:{provider}:{currency}", -amount),
            Posting(f"suspense:{provider}:{currency}", amount),
        ),
        facts={"deposit_id": deposit_id},
    )


def funding_entry(escrow: EscrowDocument) -> Entry:
    """From the hirer's wallet into escrow."""
    return Entry(
        reference=f"escrow:{escrow.id}:fund",
        kind=TransactionKind.ESCROW_FUNDING,
        postings=(
            Posting(wallet(escrow.hirer_id, escrow.currency), -escrow.amount),
            Posting(escrow_account(escrow), escrow.amount),
        ),
        facts={"escrow_id": escrow.id},
    )


def release_entry(escrow: EscrowDocument) -> Entry:
    """All of an escrow to the worker, less the fee."""
    return Entry(
        reference=_leaving(escrow),
        kind=TransactionKind.ESCROW_RELEASE,
        postings=_payout(escrow, worker_gross=escrow.amount, hirer=0),
        facts={"escrow_id": escrow.id},
    )


def refund_entry(escrow: EscrowDocument) -> Entry:
    """All of an escrow back to the hirer; no fee."""
    return Entry(
        reference=_leaving(escrow),
        kind=TransactionKind.ESCROW_REFUND,
        postings=_payout(escrow, worker_gross=0, hirer=escrow.amount),
        facts={"escrow_id": escrow.id},
    )


def ruling_entry(escrow: EscrowDocument, *, dispute_id: str, worker_gross: int, hirer: int) -> Entry:
    """An escrow shared out by a ruling. The fee is taken from the worker's part."""
    return Entry(
        reference=_leaving(escrow),
        kind=TransactionKind.DISPUTE_RULING,
        postings=_payout(escrow, worker_gross=worker_gross, hirer=hirer),
        facts={"escrow_id": escrow.id, "dispute_id": dispute_id},
    )


def escrow_account(escrow: EscrowDocument) -> str:
    return f"escrow:{escrow.id}:{escrow.currency}"


def _leaving(escrow: EscrowDocument) -> str:
    # One name for all the ways out of an escrow: whatever else fails, only one of them can ever be posted.
    return f"escrow:{escrow.id}:leave"


def _payout(escrow: EscrowDocument, *, worker_gross: int, hirer: int) -> tuple[Posting, ...]:
    net, fee = split(worker_gross, escrow.fee_basis_points)
    parts = (
        Posting(escrow_account(escrow), -escrow.amount),
        Posting(wallet(escrow.worker_id, escrow.currency), net),
        Posting(f"fees:{escrow.currency}", fee),
        Posting(wallet(escrow.hirer_id, escrow.currency), hirer),
    )
    return tuple(part for part in parts if part.amount)
