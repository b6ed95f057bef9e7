"""The rules of posting: which entry each movement of money makes. Pure; `documents.ledger` stores them."""

from collections import Counter
from typing import NamedTuple

from kelmah.contracts.payment import Provider, TransactionKind
from kelmah.services.payment.documents.chargebacks import ChargebackDocument
from kelmah.services.payment.documents.deposits import DepositDocument
from kelmah.services.payment.documents.entries import Entry, EntryDocument, Posting, wallet
from kelmah.services.payment.documents.escrows import EscrowDocument
from kelmah.services.payment.documents.exceptions import ExceptionDocument
from kelmah.services.payment.documents.withdrawals import WithdrawalDocument
from kelmah.services.payment.providers.base import Movement

BASIS_POINTS = 10_000


class Terms(NamedTuple):
    """What is taken of a gross amount, in basis points: of the gross, of what is left of it, of the fee."""

    fee: int
    tax: int = 0
    referral: int = 0


class Split(NamedTuple):
    """How a gross amount is shared: `net + fee + tax` is the gross exactly; `referral` is a part of the fee."""

    net: int
    fee: int
    tax: int = 0
    referral: int = 0


def split(gross: int, terms: Terms) -> Split:
    """Take fee and tax from `gross` minor units. Each is rounded down, so that fractions stay with the worker."""
    fee = gross * terms.fee // BASIS_POINTS
    tax = (gross - fee) * terms.tax // BASIS_POINTS
    return Split(gross - fee - tax, fee, tax, fee * terms.referral // BASIS_POINTS)


def split_part(before: int, gross: int, terms: Terms) -> Split:
    """The share of `gross` more after `before` was released: parts cost together what the whole costs.

    No share is negative: each of `split` grows with the gross, and by no more than it.
    """
    later, earlier = split(before + gross, terms), split(before, terms)
    return Split(*(one - other for one, other in zip(later, earlier, strict=True)))


def terms_of(escrow: EscrowDocument) -> Terms:
    """The terms that an escrow was funded under; without somebody who brought the worker, nobody shares the fee."""
    referral = escrow.referral_basis_points if escrow.referrer_id else 0
    return Terms(escrow.fee_basis_points, escrow.tax_basis_points, referral)


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


def opening_wallet_reference(wallet_id: str) -> str:
    return f"opening:wallet:{wallet_id}"


def opening_wallet_entry(*, wallet_id: str, user_id: str, amount: int, currency: str) -> Entry:
    """What a person had in the old system: it owes us what we owe the person now."""
    return Entry(
        reference=opening_wallet_reference(wallet_id),
        kind=TransactionKind.OPENING,
        postings=(Posting(f"clearing:legacy:{currency}", -amount), Posting(wallet(user_id, currency), amount)),
        facts={"legacy_id": wallet_id},
    )


def opening_escrow_entry(escrow: EscrowDocument) -> Entry:
    """What an escrow of the old system holds. It takes the name of the funding: an escrow is filled once."""
    return Entry(
        reference=f"escrow:{escrow.id}:fund",
        kind=TransactionKind.OPENING,
        postings=(
            Posting(f"clearing:legacy:{escrow.currency}", -escrow.amount),
            Posting(escrow_account(escrow), escrow.amount),
        ),
        facts={"escrow_id": escrow.id, "legacy_id": escrow.id},
    )


def suspense_reference(provider: str, ref: str) -> str:
    return f"suspense:{provider}:{ref}"


def suspense_entry(*, provider: str, ref: str, amount: int, currency: str, deposit_id: str | None = None) -> Entry:
    """Money came in at the provider, or out of it, that fits nothing: nobody's until a person looks into it."""
    return Entry(
        reference=suspense_reference(provider, ref),
        kind=TransactionKind.SUSPENSE,
        postings=(
            Posting(f"clearing:{provider}:{currency}", -amount),
            Posting(f"suspense:{provider}:{currency}", amount),
        ),
        facts={"deposit_id": deposit_id} if deposit_id else {},
    )


def cleared_entry(exception: ExceptionDocument, user_id: str) -> Entry:
    """Somebody found out whose money in suspense is."""
    return Entry(
        reference=f"exception:{exception.id}:cleared",
        kind=TransactionKind.SUSPENSE_CLEARED,
        postings=(
            Posting(f"suspense:{exception.provider}:{exception.currency}", -exception.amount),
            Posting(wallet(user_id, exception.currency), exception.amount),
        ),
        facts={"exception_id": exception.id},
    )


def fee_entry(*, provider: str, movement: Movement) -> Entry:
    """What a provider kept for itself is our cost, and it owes us that much less."""
    return Entry(
        reference=f"provider_fee:{provider}:{movement.id}",
        kind=TransactionKind.PROVIDER_FEE,
        postings=(
            Posting(f"clearing:{provider}:{movement.currency}", movement.fee),
            Posting(f"costs:{movement.currency}", -movement.fee),
        ),
        facts={"movement_id": movement.id},
    )


def settlement_entry(*, provider: str, movement: Movement) -> Entry:
    """What a provider sent to our bank lies there in suspense, until it is known to come from it."""
    return Entry(
        reference=f"settlement:{provider}:{movement.id}",
        kind=TransactionKind.SETTLEMENT,
        postings=(
            Posting(f"clearing:{provider}:{movement.currency}", -movement.amount),
            Posting(f"suspense:{Provider.BANK}:{movement.currency}", movement.amount),
        ),
        facts={"movement_id": movement.id},
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


def release_entry(escrow: EscrowDocument, gross: int) -> Entry:
    """Part of an escrow, or the rest of it, to the worker, less fee and tax. `escrow` is as it was before."""
    return Entry(
        reference=_leaving(escrow) if gross == escrow.amount - escrow.released else _part(escrow),
        kind=TransactionKind.ESCROW_RELEASE,
        postings=_payout(escrow, worker_gross=gross, hirer=0),
        facts={"escrow_id": escrow.id},
    )


def refund_entry(escrow: EscrowDocument) -> Entry:
    """All that an escrow still holds back to the hirer; no fee."""
    return Entry(
        reference=_leaving(escrow),
        kind=TransactionKind.ESCROW_REFUND,
        postings=_payout(escrow, worker_gross=0, hirer=escrow.amount - escrow.released),
        facts={"escrow_id": escrow.id},
    )


def ruling_entry(escrow: EscrowDocument, *, dispute_id: str, worker_gross: int, hirer: int) -> Entry:
    """What an escrow still holds, shared out by a ruling. The fee is taken from the worker's part."""
    return Entry(
        reference=_leaving(escrow),
        kind=TransactionKind.DISPUTE_RULING,
        postings=_payout(escrow, worker_gross=worker_gross, hirer=hirer),
        facts={"escrow_id": escrow.id, "dispute_id": dispute_id},
    )


def reversal_entry(entry: EntryDocument, reason: str) -> Entry:
    """The opposite of an entry: nothing is edited, and the reference lets it happen once."""
    return Entry(
        reference=f"reversal:{entry.reference}",
        kind=TransactionKind.REVERSAL,
        postings=tuple(Posting(row.account, -row.amount) for row in entry.postings),
        facts=entry.facts | {"reverses": entry.reference, "reason": reason},
    )


def hold_entry(withdrawal: WithdrawalDocument) -> Entry:
    """Out of the wallet, on its way: the first of two phases."""
    return Entry(
        reference=f"withdrawal:{withdrawal.id}:hold",
        kind=TransactionKind.WITHDRAWAL_HOLD,
        postings=(
            Posting(wallet(withdrawal.user_id, withdrawal.currency), -withdrawal.amount),
            Posting(_transit(withdrawal), withdrawal.amount),
        ),
        facts=_withdrawal_facts(withdrawal),
    )


def paid_entry(withdrawal: WithdrawalDocument) -> Entry:
    """It arrived: what the provider holds for us is less."""
    return Entry(
        reference=_ending(withdrawal),
        kind=TransactionKind.WITHDRAWAL_PAID,
        postings=(
            Posting(_transit(withdrawal), -withdrawal.amount),
            Posting(f"clearing:{withdrawal.provider}:{withdrawal.currency}", withdrawal.amount),
        ),
        facts=_withdrawal_facts(withdrawal),
    )


def void_entry(withdrawal: WithdrawalDocument) -> Entry:
    """It was never sent: back into the wallet."""
    return Entry(
        reference=_ending(withdrawal),
        kind=TransactionKind.WITHDRAWAL_VOID,
        postings=(
            Posting(_transit(withdrawal), -withdrawal.amount),
            Posting(wallet(withdrawal.user_id, withdrawal.currency), withdrawal.amount),
        ),
        facts=_withdrawal_facts(withdrawal),
    )


def return_entry(withdrawal: WithdrawalDocument) -> Entry:
    """It arrived and came back."""
    return Entry(
        reference=f"withdrawal:{withdrawal.id}:return",
        kind=TransactionKind.WITHDRAWAL_RETURN,
        postings=(
            Posting(f"clearing:{withdrawal.provider}:{withdrawal.currency}", -withdrawal.amount),
            Posting(wallet(withdrawal.user_id, withdrawal.currency), withdrawal.amount),
        ),
        facts=_withdrawal_facts(withdrawal),
    )


def chargeback_entry(chargeback: ChargebackDocument) -> Entry:
    """The payer's bank took a deposit back: what the wallet still has of it is held, the rest is our loss."""
    return Entry(
        reference=f"chargeback:{chargeback.id}:open",
        kind=TransactionKind.CHARGEBACK_OPEN,
        postings=(*_payer_parts(chargeback, -1), Posting(_chargebacks(chargeback), chargeback.amount)),
        facts=_chargeback_facts(chargeback),
    )


def chargeback_end_entry(chargeback: ChargebackDocument, *, won: bool) -> Entry:
    """The bank gave the money back to us, and we to the payer; or it kept it."""
    clearing = Posting(f"clearing:{chargeback.provider}:{chargeback.currency}", chargeback.amount)
    return Entry(
        reference=f"chargeback:{chargeback.id}:end",
        kind=TransactionKind.CHARGEBACK_WON if won else TransactionKind.CHARGEBACK_LOST,
        postings=(
            Posting(_chargebacks(chargeback), -chargeback.amount),
            *(_payer_parts(chargeback, 1) if won else (clearing,)),
        ),
        facts=_chargeback_facts(chargeback),
    )


def recovery_entry(chargeback: ChargebackDocument, escrow_id: str, amount: int) -> Entry:
    """What a ruling gave the payer pays for what the platform lost."""
    return Entry(
        reference=f"chargeback:{chargeback.id}:recovery:{escrow_id}",
        kind=TransactionKind.CHARGEBACK_RECOVERY,
        postings=(
            Posting(wallet(chargeback.user_id, chargeback.currency), -amount),
            Posting(f"losses:{chargeback.currency}", amount),
        ),
        facts=_chargeback_facts(chargeback) | {"escrow_id": escrow_id},
    )


def _payer_parts(chargeback: ChargebackDocument, sign: int) -> tuple[Posting, ...]:
    parts = (
        Posting(wallet(chargeback.user_id, chargeback.currency), sign * chargeback.from_wallet),
        Posting(f"losses:{chargeback.currency}", sign * (chargeback.amount - chargeback.from_wallet)),
    )
    return tuple(part for part in parts if part.amount)


def _chargebacks(chargeback: ChargebackDocument) -> str:
    return f"chargebacks:{chargeback.provider}:{chargeback.currency}"


def _chargeback_facts(chargeback: ChargebackDocument) -> dict[str, str]:
    return {"chargeback_id": chargeback.id, "deposit_id": chargeback.deposit_id}


def _transit(withdrawal: WithdrawalDocument) -> str:
    return f"transit:{withdrawal.provider}:{withdrawal.currency}"


def _ending(withdrawal: WithdrawalDocument) -> str:
    # One name for both ends: a withdrawal is paid or voided, never both.
    return f"withdrawal:{withdrawal.id}:end"


def _withdrawal_facts(withdrawal: WithdrawalDocument) -> dict[str, str]:
    facts = {"withdrawal_id": withdrawal.id}
    return facts if withdrawal.deposit_id is None else facts | {"deposit_id": withdrawal.deposit_id}


def escrow_account(escrow: EscrowDocument) -> str:
    return f"escrow:{escrow.id}:{escrow.currency}"


def _leaving(escrow: EscrowDocument) -> str:
    # One name for all the ways out of an escrow: whatever else fails, only one of them can ever be posted.
    return f"escrow:{escrow.id}:leave"


def _part(escrow: EscrowDocument) -> str:
    return f"escrow:{escrow.id}:part:{escrow.releases + 1}"


def _payout(escrow: EscrowDocument, *, worker_gross: int, hirer: int) -> tuple[Posting, ...]:
    share = split_part(escrow.released, worker_gross, terms_of(escrow))
    parts: Counter[str] = Counter()  # the same person may be there twice: an entry touches an account once
    for account, amount in (
        (escrow_account(escrow), -worker_gross - hirer),
        (wallet(escrow.worker_id, escrow.currency), share.net),
        (f"fees:{escrow.currency}", share.fee - share.referral),
        (f"tax:{escrow.currency}", share.tax),
        (wallet(escrow.hirer_id, escrow.currency), hirer),
        *([(wallet(escrow.referrer_id, escrow.currency), share.referral)] if escrow.referrer_id else []),
    ):
        parts[account] += amount
    return tuple(Posting(account, amount) for account, amount in parts.items() if amount)
