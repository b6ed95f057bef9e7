"""How a dispute ends: by an offer that was accepted, or a ruling that stands. Nothing else moves frozen money."""

from typing import Any

from kelmah.contracts.payment import (
    AcceptSettlement,
    DisputeOutcome,
    DisputeOutcomes,
    DisputeResolved,
    DisputeRuled,
    DisputeStatus,
    DisputeView,
    EscrowStatus,
    OutcomeKind,
    ResolveDispute,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput, KelmahError
from kelmah.services.payment import mapping
from kelmah.services.payment.documents import DisputeDocument
from kelmah.services.payment.documents import disputes as documents
from kelmah.services.payment.documents import escrows as escrow_documents
from kelmah.services.payment.documents import ledger as ledger_documents
from kelmah.services.payment.errors import (
    DisputeNotFound,
    LedgerError,
    OfferNotFound,
    SecondRulerNeeded,
    SettlementClosed,
)
from kelmah.services.payment.service import chargebacks, disputes, ledger
from kelmah.services.payment.service.context import Context


async def resolve_dispute(context: Context, dispute_id: str, request: ResolveDispute, *, by: Principal) -> DisputeView:
    """Rule how a disputed escrow is shared, to the last minor unit; for support, and after an appeal for another."""
    note = disputes.text_of("note", request.note)

    async def change() -> DisputeView:
        where = {
            "status": {"$in": list(documents.UNDECIDED)},
            "first_ruled_by": {"$ne": by.user_id},
            "amount": request.worker_amount + request.hirer_amount,
        }
        shares = (request.worker_amount, request.hirer_amount)
        dispute = await _rule(context, dispute_id, shares, note=note, by=by.user_id, where=where)
        if dispute is None:
            raise await _why_unruled(dispute_id, request, by)
        view = mapping.dispute_view(dispute, context.ring)
        await context.idempotency.remember(view, status=200)
        return view

    return await context.mongo.transact(change)


async def accept_settlement(
    context: Context, dispute_id: str, request: AcceptSettlement, *, by: Principal
) -> DisputeView:
    """Agree to the other side's offer: the escrow is shared as it says, at once."""

    async def change() -> DisputeView:
        dispute = await disputes.find(dispute_id, by=by)
        offer = next((one for one in dispute.offers if one.id == request.offer_id and one.by != by.user_id), None)
        if offer is None:
            raise OfferNotFound
        moved = await documents.move(
            dispute_id,
            DisputeStatus.RESOLVED,
            where={"status": {"$in": list(documents.UNDECIDED)}, **documents.OWN, "offers.id": offer.id},
            worker_amount=offer.worker_amount,
            hirer_amount=offer.hirer_amount,
            resolved_by=by.user_id,
            resolved_at=clock.now(),
            deadline_at=None,
        )
        done = await _share_out(context, moved)
        if done is None:
            raise SettlementClosed() if dispute.chargeback_ids else disputes.why_closed(dispute)
        view = mapping.dispute_view(done, context.ring)
        await context.idempotency.remember(view, status=200)
        return view

    return await context.mongo.transact(change)


async def end_step(context: Context, dispute_id: str) -> None:
    """A dispute's deadline came; the target of its timer. Early, late or twice, it changes nothing.

    Who did not answer is ruled against; who did not agree is ruled over; who did not appeal lets the ruling stand.
    """

    async def change() -> None:
        dispute = await documents.find_dispute(dispute_id, seen_by=None)
        if dispute is None or dispute.deadline_at is None or dispute.deadline_at > clock.now():
            return
        same = {"status": dispute.status, "deadline_at": dispute.deadline_at}
        if dispute.status is DisputeStatus.OPEN:
            await _rule(
                context,
                dispute_id,
                _of_raiser(dispute),
                note="The other side did not answer.",
                by=documents.NOBODY,
                where=same,
            )
        elif dispute.status is DisputeStatus.ANSWERED:
            await disputes.escalate(context, dispute)
        else:
            await _stand(context, dispute_id)

    await context.mongo.transact(change)


async def preview_outcomes(dispute_id: str, *, worker_amount: int | None = None, by: Principal) -> DisputeOutcomes:
    """What each side would have of all that may end a dispute now, and of giving the worker so much, if that is asked.

    It is the entry that would be posted, by the same arithmetic, to the last minor unit.
    """
    dispute = await disputes.find(dispute_id, by=by)
    if worker_amount is not None and worker_amount > dispute.amount:
        raise BadInput.of("workerAmount", f"0 to {dispute.amount}, which is what the dispute is about")
    escrow = await escrow_documents.find_escrow(dispute.escrow_id, seen_by=None)
    if escrow is None:
        raise LedgerError("a dispute without an escrow", dispute_id=dispute_id)

    def outcome(kind: OutcomeKind, worker: int, hirer: int, **more: Any) -> DisputeOutcome:
        share = ledger.split_part(escrow.released, worker, ledger.terms_of(escrow))
        return DisputeOutcome(
            kind=kind,
            worker_net=share.net,
            fee=share.fee,
            referral=share.referral,
            tax=share.tax,
            hirer_amount=hirer,
            **more,
        )

    found: list[DisputeOutcome] = []
    at = dispute.deadline_at
    if dispute.status is DisputeStatus.OPEN:
        found.append(outcome(OutcomeKind.DEADLINE, *_of_raiser(dispute), at=at))
    elif dispute.status is DisputeStatus.ANSWERED:
        found.append(DisputeOutcome(kind=OutcomeKind.DEADLINE, at=at))
    elif dispute.status is DisputeStatus.RULED:
        found.append(outcome(OutcomeKind.DEADLINE, *_ruled(dispute), at=at))
    if dispute.status in documents.UNDECIDED:
        found += [
            outcome(OutcomeKind.OFFER, one.worker_amount, one.hirer_amount, offer_id=one.id) for one in dispute.offers
        ]
        found += [outcome(OutcomeKind.RELEASE, dispute.amount, 0), outcome(OutcomeKind.REFUND, 0, dispute.amount)]
    if worker_amount is not None:
        found.append(outcome(OutcomeKind.ASKED, worker_amount, dispute.amount - worker_amount))
    return DisputeOutcomes(currency=dispute.currency, outcomes=found)


async def _rule(
    context: Context, dispute_id: str, shares: tuple[int, int], *, note: str, by: str, where: dict[str, Any]
) -> DisputeDocument | None:
    """Write a ruling. The first stands when nobody may appeal any more, the second at once."""
    days, now = context.settings.dispute_appeal_days, clock.now()
    ruling: dict[str, Any] = {"worker_amount": shares[0], "hirer_amount": shares[1], "note": note, "resolved_by": by}
    second = await documents.move(
        dispute_id,
        DisputeStatus.RESOLVED,
        where={"$and": [where, {"status": DisputeStatus.APPEALED}]},
        **ruling,
        resolved_at=now,
    )
    if await _share_out(context, second) is not None:
        return second
    until = disputes.business_days_after(now, days)
    first = await documents.move(
        dispute_id, DisputeStatus.RULED, where=where, **ruling, first_ruled_by=by, deadline_at=until
    )
    if first is None:
        return None
    await disputes.wait(context, first)
    await disputes.tell(
        context,
        first,
        DisputeRuled,
        worker_amount=shares[0],
        hirer_amount=shares[1],
        ruled_by=by,
        appeal_until=until,
    )
    return first if days else await _stand(context, dispute_id)


async def _stand(context: Context, dispute_id: str) -> DisputeDocument | None:
    """A ruling that nobody appealed against takes effect."""
    done = await documents.move(
        dispute_id,
        DisputeStatus.RESOLVED,
        where={"status": DisputeStatus.RULED},
        resolved_at=clock.now(),
        deadline_at=None,
    )
    return await _share_out(context, done)


async def _share_out(context: Context, dispute: DisputeDocument | None) -> DisputeDocument | None:
    """Move the money of a dispute that was just resolved, if one was."""
    if dispute is None:
        return None
    worker_amount, hirer_amount = _ruled(dispute)
    escrow = await escrow_documents.move_escrow(
        dispute.escrow_id, EscrowStatus.SETTLED, where={"status": EscrowStatus.DISPUTED}
    )
    if escrow is None:
        raise LedgerError("an open dispute without a disputed escrow", dispute_id=dispute.id)
    share = ledger.split_part(escrow.released, worker_amount, ledger.terms_of(escrow))
    await ledger_documents.post(
        ledger.ruling_entry(escrow, dispute_id=dispute.id, worker_gross=worker_amount, hirer=hirer_amount)
    )
    await escrow_documents.note_parts(escrow, worker=share.net, fee=share.fee, tax=share.tax, hirer=hirer_amount)
    left = hirer_amount
    for chargeback_id in dispute.chargeback_ids:
        left -= await chargebacks.recover(chargeback_id, escrow.id, left)
    await disputes.wait(context, dispute)
    await disputes.tell(
        context,
        dispute,
        DisputeResolved,
        worker_amount=worker_amount,
        hirer_amount=hirer_amount,
        fee_amount=share.fee,
        tax_amount=share.tax,
    )
    return dispute


def _of_raiser(dispute: DisputeDocument) -> tuple[int, int]:
    """All for who raised it: the worker's part, and the hirer's."""
    return (dispute.amount, 0) if dispute.raised_by == dispute.worker_id else (0, dispute.amount)


def _ruled(dispute: DisputeDocument) -> tuple[int, int]:
    if dispute.worker_amount is None or dispute.hirer_amount is None:
        raise LedgerError("a ruling without amounts", dispute_id=dispute.id)
    return dispute.worker_amount, dispute.hirer_amount


async def _why_unruled(dispute_id: str, request: ResolveDispute, by: Principal) -> KelmahError:
    dispute = await documents.find_dispute(dispute_id, seen_by=None)
    if dispute is None:
        return DisputeNotFound()
    if dispute.status not in documents.UNDECIDED:
        return disputes.why_closed(dispute)
    if dispute.first_ruled_by == by.user_id:
        return SecondRulerNeeded()
    return disputes.does_not_add_up(dispute)
