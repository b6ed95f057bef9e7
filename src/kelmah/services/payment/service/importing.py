"""Money out of the old database: opening entries of the ledger, and the books of before as they were."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID, uuid5

from kelmah.contracts.payment import DisputeStatus, EscrowStatus, TransactionKind
from kelmah.kit.mongo import add_all
from kelmah.legacy.entities.money import OLD_DISPUTE_STATUSES, OldDispute, OldEscrow, OldTransaction, OldWallet
from kelmah.legacy.twins import Claims, without_twins
from kelmah.services.payment.documents import (
    DisputeDocument,
    EscrowDocument,
    LegacyTransactionDocument,
    LegacyWalletDocument,
)
from kelmah.services.payment.documents import ledger as ledger_documents
from kelmah.services.payment.documents import legacy as documents
from kelmah.services.payment.documents.disputes import BANK, CLOSED, NOBODY
from kelmah.services.payment.documents.entries import wallet
from kelmah.services.payment.documents.escrows import HOLDING
from kelmah.services.payment.service import ledger
from kelmah.services.payment.service.context import Context

#: Of ids that the old books have for what began here.
_NAMESPACE = UUID("6b656c6d-6168-5000-8000-626f6f6b7300")


def wallet_claims(context: Context, one: OldWallet) -> Claims:
    """What no two wallets may have."""
    return {f"{one.user_id}:{one.currency}": "wallets.currency: the person has another wallet in it"}


async def move_wallets(context: Context, old: Sequence[OldWallet]) -> dict[str, str]:
    """Open the wallets in the ledger, in the open transaction. What each had comes from `clearing:legacy`."""
    there = {f"{one.user_id}:{one.currency}" for one in await documents.wallets_of([one.user_id for one in old])}
    made, refused = without_twins(old, partial(wallet_claims, context), there)
    await add_all(
        [
            LegacyWalletDocument(id=one.id, user_id=one.user_id, currency=one.currency, balance=one.balance)
            for one in made
        ]
    )
    await ledger_documents.post_all(
        [
            ledger.opening_wallet_entry(
                wallet_id=one.id, user_id=one.user_id, amount=one.balance, currency=one.currency
            )
            for one in made
            if one.balance
        ]
    )
    return refused


async def move_transactions(context: Context, old: Sequence[OldTransaction]) -> dict[str, str]:
    """Keep old transactions for the books, in the open transaction."""
    await add_all(
        [
            LegacyTransactionDocument(
                id=one.id,
                wallet_id=one.wallet_id,
                user_id=one.user_id,
                kind=one.kind,
                amount=one.amount,
                currency=one.currency,
                status=one.status,
                reference=one.reference and context.ring.seal(one.reference, context=reference_place(one.id)),
                created_at=one.created_at,
            )
            for one in old
        ]
    )
    return {}


def escrow_claims(context: Context, one: OldEscrow) -> Claims:
    """What no two escrows may have."""
    if one.status is EscrowStatus.REFUNDED:
        return {}
    return {one.milestone_id: "escrows.milestone_id: the milestone has another escrow"}


async def move_escrows(context: Context, old: Sequence[OldEscrow]) -> dict[str, str]:
    """Make escrows with their disputes, in the open transaction. What one holds comes from `clearing:legacy`."""
    claimed = await documents.claimed_milestones([one.milestone_id for one in old])
    made, refused = without_twins(old, partial(escrow_claims, context), claimed)
    escrows = [_escrow(one) for one in made]
    await add_all(escrows)
    await add_all([_dispute(one, dispute) for one in made for dispute in one.disputes])
    await ledger_documents.post_all([ledger.opening_escrow_entry(one) for one in escrows if one.status in HOLDING])
    return refused


async def wallets_as_old(context: Context, ids: Sequence[str]) -> dict[str, OldWallet]:
    """Wallets with what the ledger opened them with."""
    references = {ledger.opening_wallet_reference(one): one for one in ids}
    opened = {
        references[entry.reference]: sum(row.amount for row in entry.postings if row.account.startswith("wallet:"))
        for entry in await documents.entries_by_reference(list(references))
    }
    return {
        one.id: OldWallet(id=one.id, user_id=one.user_id, currency=one.currency, balance=opened.get(one.id, 0))
        for one in await documents.wallets_by_id(ids)
    }


async def transactions_as_old(context: Context, ids: Sequence[str]) -> dict[str, OldTransaction]:
    """Old transactions as they were."""
    return {
        one.id: OldTransaction(
            id=one.id,
            wallet_id=one.wallet_id,
            user_id=one.user_id,
            kind=one.kind,
            amount=one.amount,
            currency=one.currency,
            status=one.status,
            reference=one.reference and context.ring.open(one.reference, context=reference_place(one.id)),
            created_at=one.created_at,
        )
        for one in await documents.transactions_by_id(ids)
    }


async def escrows_as_old(context: Context, ids: Sequence[str]) -> dict[str, OldEscrow]:
    """Escrows as the old database would have them."""
    disputes: dict[str, list[OldDispute]] = {}
    for one in await documents.disputes_of(ids):
        disputes.setdefault(one.escrow_id, []).append(_dispute_as_old(one))
    return {
        one.id: OldEscrow(
            id=one.id,
            contract_id=one.contract_id,
            milestone_id=one.milestone_id,
            hirer_id=one.hirer_id,
            worker_id=one.worker_id,
            amount=one.amount,
            fee=ledger.split(one.amount, ledger.Terms(one.fee_basis_points)).fee,
            fee_basis_points=one.fee_basis_points,
            currency=one.currency,
            status=one.status,
            created_at=one.created_at,
            updated_at=one.updated_at,
            disputes=tuple(disputes.get(one.id, ())),
        )
        for one in await documents.escrows_by_id(ids)
    }


def _escrow(old: OldEscrow) -> EscrowDocument:
    worker, hirer = {
        EscrowStatus.RELEASED: (old.amount, 0),
        EscrowStatus.REFUNDED: (0, old.amount),
        EscrowStatus.SETTLED: ((old.ruling.worker_amount or 0, old.ruling.hirer_amount or 0) if old.ruling else (0, 0)),
    }.get(old.status, (0, 0))
    share = ledger.split(worker, ledger.Terms(old.fee_basis_points))
    is_released = old.status is EscrowStatus.RELEASED
    return EscrowDocument(
        id=old.id,
        contract_id=old.contract_id,
        milestone_id=old.milestone_id,
        hirer_id=old.hirer_id,
        worker_id=old.worker_id,
        amount=old.amount,
        currency=old.currency,
        status=old.status,
        claims_milestone=old.status is not EscrowStatus.REFUNDED,
        fee_basis_points=old.fee_basis_points,
        released=old.amount if is_released else 0,
        releases=1 if is_released else 0,
        worker_amount=share.net,
        fee_amount=share.fee,
        refunded_amount=hirer,
        created_at=old.created_at,
        updated_at=old.updated_at or old.created_at,
    )


def _dispute(escrow: OldEscrow, old: OldDispute) -> DisputeDocument:
    return DisputeDocument(
        id=old.id,
        escrow_id=escrow.id,
        contract_id=escrow.contract_id,
        milestone_id=escrow.milestone_id,
        hirer_id=escrow.hirer_id,
        worker_id=escrow.worker_id,
        raised_by=old.raised_by,
        reason=old.reason,
        amount=escrow.amount,
        currency=escrow.currency,
        status=old.status,
        worker_amount=old.worker_amount,
        hirer_amount=old.hirer_amount,
        note=old.note,
        resolved_by=old.resolved_by,
        created_at=old.created_at,
        resolved_at=old.resolved_at,
    )


def _dispute_as_old(one: DisputeDocument) -> OldDispute:
    """What the old system had no word for is under review there, and who ruled is a person or nobody."""
    is_over = one.status in CLOSED
    return OldDispute(
        id=one.id,
        raised_by=one.raised_by,
        reason=one.reason,
        status=one.status if one.status in OLD_DISPUTE_STATUSES else DisputeStatus.IN_REVIEW,
        created_at=one.created_at,
        worker_amount=one.worker_amount if is_over else None,
        hirer_amount=one.hirer_amount if is_over else None,
        note=one.note,
        resolved_by=None if one.resolved_by in (NOBODY, BANK) else one.resolved_by,
        resolved_at=one.resolved_at,
    )


def reference_place(transaction_id: str) -> bytes:
    """The place that an old transaction's reference is sealed for."""
    return f"payment.legacy_transactions.reference:{transaction_id}".encode()


#: As the old books call what moves a wallet here; the rest is an adjustment.
_OLD_KINDS = {
    TransactionKind.DEPOSIT: "deposit",
    TransactionKind.WITHDRAWAL_HOLD: "withdrawal",
    TransactionKind.ESCROW_FUNDING: "escrow_hold",
    TransactionKind.ESCROW_RELEASE: "escrow_release",
    TransactionKind.ESCROW_REFUND: "escrow_refund",
}


async def movements(
    context: Context, since: datetime, *, limit: int
) -> AsyncIterator[tuple[list[OldWallet], list[OldTransaction]]]:
    """What moved wallets after the opening, as the old books would say it, with the wallets as they are now.

    The id of a transaction follows from its entry and its wallet, so it is the same whenever it is asked for.
    """
    before = None
    while entries := await documents.entries_since(since, after=before, limit=limit):
        before = entries[-1]
        moved = [
            (entry, row)
            for entry in entries
            for row in entry.postings
            if row.account.startswith("wallet:") and entry.kind != TransactionKind.OPENING
        ]
        accounts = dict.fromkeys(row.account for _, row in moved)
        known = {
            wallet(one.user_id, one.currency): one.id
            for one in await documents.wallets_of([_owner(one) for one in accounts])
        }
        wallets = {
            account: OldWallet(
                id=known.get(account) or uuid5(_NAMESPACE, account).hex,
                user_id=_owner(account),
                currency=account.rpartition(":")[2],
                balance=await ledger_documents.balance(account),
            )
            for account in accounts
        }
        yield (
            list(wallets.values()),
            [
                OldTransaction(
                    id=uuid5(_NAMESPACE, f"{entry.id}:{row.account}").hex,
                    wallet_id=wallets[row.account].id,
                    user_id=wallets[row.account].user_id,
                    kind=_OLD_KINDS.get(TransactionKind(entry.kind), "adjustment"),
                    amount=row.amount,
                    currency=row.currency,
                    status="completed",
                    reference=entry.reference[:120],
                    created_at=entry.at,
                )
                for entry, row in moved
            ],
        )


def _owner(account: str) -> str:
    return account.split(":")[1]
