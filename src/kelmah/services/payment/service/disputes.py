"""Disputes: either side freezes an escrow, both are heard, and they agree or support rules. The steps are a table in
`documents.disputes`; each has an event, and each that waits has a deadline on a durable timer.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from kelmah.contracts.common import Page
from kelmah.contracts.payment import (
    AnswerDispute,
    AppealRuling,
    DisputeAnswered,
    DisputeAppealed,
    DisputeEscalated,
    DisputeEvent,
    DisputeOfferMade,
    DisputeRaised,
    DisputeStatus,
    DisputeView,
    DisputeWithdrawn,
    EscrowStatus,
    OfferSettlement,
    RaiseDispute,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput, Forbidden, KelmahError
from kelmah.kit.ids import new_id
from kelmah.kit.text import clean_text
from kelmah.services.payment import mapping
from kelmah.services.payment.documents import DisputeDocument, EscrowDocument
from kelmah.services.payment.documents import disputes as documents
from kelmah.services.payment.documents import escrows as escrow_documents
from kelmah.services.payment.documents.disputes import Offer
from kelmah.services.payment.errors import (
    DisputeNotFound,
    DisputeResolvedAlready,
    DisputeStepClosed,
    LedgerError,
    RulingDoesNotAddUp,
    SettlementClosed,
)
from kelmah.services.payment.service import pages
from kelmah.services.payment.service.context import Context
from kelmah.services.payment.service.escrows import sees, why_not

EventT = TypeVar("EventT", bound=DisputeEvent)
MAX_TEXT_CHARS = 2000
DEADLINE_ACTOR = "payment.end_dispute_step"
_SATURDAY = 5


async def raise_dispute(context: Context, request: RaiseDispute, *, by: Principal) -> DisputeView:
    """Freeze a funded escrow; for either of its sides."""
    reason = text_of("reason", request.reason)

    async def change() -> DisputeView:
        seen = await escrow_documents.find_escrow(request.escrow_id, seen_by=by.user_id)
        escrow = await escrow_documents.move_escrow(request.escrow_id, EscrowStatus.DISPUTED) if seen else None
        if escrow is None:
            raise await why_not(request.escrow_id, by, may=lambda one: by.user_id in (one.hirer_id, one.worker_id))
        dispute = await _open(context, escrow, raised_by=by.user_id, reason=reason)
        view = mapping.dispute_view(dispute, context.ring)
        await context.idempotency.remember(view)
        return view

    return await context.mongo.transact(change)


async def freeze(context: Context, escrow_id: str, *, chargeback_id: str) -> None:
    """The hirer's bank took the money back: as if the hirer had raised a dispute. In a transaction."""
    escrow = await escrow_documents.move_escrow(escrow_id, EscrowStatus.DISPUTED)
    if escrow is not None:
        reason = "The hirer's bank took the payment back."
        await _open(context, escrow, raised_by=escrow.hirer_id, reason=reason, chargeback_id=chargeback_id)


async def get_dispute(context: Context, dispute_id: str, *, by: Principal) -> DisputeView:
    """A dispute that one is a side of; any for support."""
    return mapping.dispute_view(await find(dispute_id, by=by), context.ring)


async def list_disputes(context: Context, *, by: Principal, cursor: str | None, limit: int) -> Page[DisputeView]:
    """Disputes that one is a side of, the latest first; all for support."""
    found = await documents.list_disputes(sees(by), before=pages.start(cursor), limit=limit + 1)
    return pages.page(found, limit, lambda one: mapping.dispute_view(one, context.ring))


async def answer_dispute(context: Context, dispute_id: str, request: AnswerDispute, *, by: Principal) -> DisputeView:
    """Answer what the other side says; from then on both have time to agree."""
    text = text_of("text", request.text)
    until = business_days_after(clock.now(), context.settings.dispute_talks_days)

    async def change() -> DisputeView:
        dispute = await documents.move(
            dispute_id,
            DisputeStatus.ANSWERED,
            where=escrow_documents.side(by.user_id) | {"raised_by": {"$ne": by.user_id}},
            answer=text,
            deadline_at=until,
        )
        if dispute is None:
            raise _why_not_answered(await find(dispute_id, by=by), by)
        await wait(context, dispute)
        await tell(context, dispute, DisputeAnswered, answered_by=by.user_id)
        return await _remembered(context, dispute)

    return await context.mongo.transact(change)


async def offer_settlement(
    context: Context, dispute_id: str, request: OfferSettlement, *, by: Principal
) -> DisputeView:
    """Offer the other side how to share the escrow out; one's last offer is gone."""
    offer = Offer(
        id=new_id(),
        by=by.user_id,
        worker_amount=request.worker_amount,
        hirer_amount=request.hirer_amount,
        at=clock.now(),
    )

    async def change() -> DisputeView:
        dispute = await documents.put_offer(dispute_id, offer)
        if dispute is None:
            raise _why_not_offered(await find(dispute_id, by=by), request)
        await tell(
            context,
            dispute,
            DisputeOfferMade,
            offer_id=offer.id,
            offered_by=by.user_id,
            worker_amount=offer.worker_amount,
            hirer_amount=offer.hirer_amount,
        )
        return await _remembered(context, dispute)

    return await context.mongo.transact(change)


async def appeal_ruling(context: Context, dispute_id: str, request: AppealRuling, *, by: Principal) -> DisputeView:
    """Ask for a second ruling, before the first takes effect; once in a dispute."""
    reason = text_of("reason", request.reason)

    async def change() -> DisputeView:
        dispute = await documents.move(
            dispute_id,
            DisputeStatus.APPEALED,
            where=escrow_documents.side(by.user_id) | {"deadline_at": {"$gt": clock.now()}},
            appealed_by=by.user_id,
            appeal=reason,
            deadline_at=None,
        )
        if dispute is None:
            raise why_closed(await find(dispute_id, by=by))
        await wait(context, dispute)
        await tell(context, dispute, DisputeAppealed, appealed_by=by.user_id)
        return await _remembered(context, dispute)

    return await context.mongo.transact(change)


async def withdraw_dispute(context: Context, dispute_id: str, *, by: Principal) -> DisputeView:
    """Take one's own dispute back, before anybody ruled: the escrow is as it was."""

    async def change() -> DisputeView:
        own = {"raised_by": by.user_id, **documents.OWN}
        dispute = await lift(context, dispute_id, where=own, by=by.user_id)
        if dispute is None:
            raise _why_not_withdrawn(await find(dispute_id, by=by), by)
        return await _remembered(context, dispute)

    return await context.mongo.transact(change)


async def lift(
    context: Context, dispute_id: str, *, by: str, where: Mapping[str, Any] | None = None
) -> DisputeDocument | None:
    """Unfreeze the escrow of a dispute that nobody ruled over. In a transaction. None when it is no such dispute."""
    dispute = await documents.move(
        dispute_id,
        DisputeStatus.WITHDRAWN,
        where=where,
        deadline_at=None,
        resolved_by=by,
        resolved_at=clock.now(),
    )
    if dispute is None:
        return None
    frozen = {"status": EscrowStatus.DISPUTED}
    if await escrow_documents.move_escrow(dispute.escrow_id, EscrowStatus.FUNDED, where=frozen) is None:
        raise LedgerError("an open dispute without a disputed escrow", dispute_id=dispute.id)
    await wait(context, dispute)
    await tell(context, dispute, DisputeWithdrawn, withdrawn_by=by)
    return dispute


async def escalate(context: Context, dispute: DisputeDocument) -> None:
    """The sides did not agree in time: it is support's. In a transaction."""
    moved = await documents.move(
        dispute.id, DisputeStatus.IN_REVIEW, where={"deadline_at": dispute.deadline_at}, deadline_at=None
    )
    if moved is not None:
        await tell(context, moved, DisputeEscalated)


async def find(dispute_id: str, *, by: Principal) -> DisputeDocument:
    """A dispute that one is a side of; any for support.

    Raises:
        DisputeNotFound: there is no such dispute for this person.
    """
    dispute = await documents.find_dispute(dispute_id, seen_by=sees(by))
    if dispute is None:
        raise DisputeNotFound
    return dispute


async def wait(context: Context, dispute: DisputeDocument) -> None:
    """Set the timer of the dispute's deadline, or take it away. In a transaction."""
    key = f"dispute:{dispute.id}"
    if dispute.deadline_at is None:
        await context.timers.cancel(key)
    else:
        await context.timers.set(key, DEADLINE_ACTOR, [dispute.id], due=dispute.deadline_at)


async def tell(context: Context, dispute: DisputeDocument, kind: type[EventT], **facts: Any) -> None:
    """Append an event of a dispute to its escrow's stream."""
    event = kind(
        dispute_id=dispute.id,
        escrow_id=dispute.escrow_id,
        contract_id=dispute.contract_id,
        milestone_id=dispute.milestone_id,
        hirer_id=dispute.hirer_id,
        worker_id=dispute.worker_id,
        **facts,
    )
    await context.events.append(event, subject=f"escrow:{dispute.escrow_id}")


def why_closed(dispute: DisputeDocument) -> KelmahError:
    """Why a step of a dispute, which its own side asked for, was not possible."""
    return DisputeResolvedAlready() if dispute.status in documents.CLOSED else DisputeStepClosed()


def does_not_add_up(dispute: DisputeDocument) -> KelmahError:
    return RulingDoesNotAddUp.of("workerAmount", f"workerAmount and hirerAmount must add up to {dispute.amount}")


def business_days_after(start: datetime, days: int) -> datetime:
    """The same time of day, so many days from Monday to Friday later. Public holidays count as any day."""
    end = start
    while days:
        end += timedelta(days=1)
        days -= end.weekday() < _SATURDAY
    return end


def text_of(field: str, text: str) -> str:
    """What somebody wrote, cleaned.

    Raises:
        BadInput: it is blank, too long, or holds what no text may.
    """
    try:
        cleaned = clean_text(text, MAX_TEXT_CHARS)
    except ValueError as error:
        raise BadInput.of(field, str(error)) from None
    if not cleaned:
        raise BadInput.of(field, "must not be blank")
    return cleaned


def _why_not_answered(dispute: DisputeDocument, by: Principal) -> KelmahError:
    # Who raised it has said what there is to say.
    is_own = dispute.status is DisputeStatus.OPEN and dispute.raised_by == by.user_id
    return Forbidden() if is_own else why_closed(dispute)


def _why_not_withdrawn(dispute: DisputeDocument, by: Principal) -> KelmahError:
    if dispute.raised_by != by.user_id:
        return Forbidden()
    return SettlementClosed() if dispute.chargeback_ids else why_closed(dispute)


def _why_not_offered(dispute: DisputeDocument, request: OfferSettlement) -> KelmahError:
    if dispute.status not in documents.UNDECIDED:
        return why_closed(dispute)
    if dispute.chargeback_ids:
        return SettlementClosed()
    return does_not_add_up(dispute)


async def _open(
    context: Context, escrow: EscrowDocument, *, raised_by: str, reason: str, chargeback_id: str | None = None
) -> DisputeDocument:
    now = clock.now()
    dispute = DisputeDocument(
        id=new_id(),
        escrow_id=escrow.id,
        contract_id=escrow.contract_id,
        milestone_id=escrow.milestone_id,
        hirer_id=escrow.hirer_id,
        worker_id=escrow.worker_id,
        raised_by=raised_by,
        reason=reason,
        amount=escrow.held,
        currency=escrow.currency,
        chargeback_ids=[chargeback_id] if chargeback_id else [],
        by_bank=chargeback_id is not None,
        deadline_at=business_days_after(now, context.settings.dispute_answer_days),
        created_at=now,
    )
    await documents.insert_dispute(dispute)
    await wait(context, dispute)
    await tell(context, dispute, DisputeRaised, raised_by=raised_by)
    return dispute


async def _remembered(context: Context, dispute: DisputeDocument) -> DisputeView:
    view = mapping.dispute_view(dispute, context.ring)
    await context.idempotency.remember(view, status=200)
    return view
