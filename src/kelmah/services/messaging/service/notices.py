"""What messaging does when it hears of an event: tell those whom it matters to. One function an event."""

from collections.abc import Awaitable, Callable, Sequence

from kelmah.contracts.auth import PasswordChanged, SessionRevoked
from kelmah.contracts.common import Event, Money
from kelmah.contracts.events import Envelope
from kelmah.contracts.job import (
    ApplicationAccepted,
    ApplicationReceived,
    ApplicationRejected,
    ContractSigned,
    MilestoneApproved,
    MilestoneChangesRequested,
    MilestoneSubmitted,
)
from kelmah.contracts.messaging import MessageFrame, MessageSent
from kelmah.contracts.messaging import NotificationKind as Kind
from kelmah.contracts.payment import (
    DisputeRaised,
    DisputeResolved,
    EscrowFunded,
    EscrowRefunded,
    EscrowReleased,
    PaymentProcessed,
)
from kelmah.contracts.review import ReviewRevealed
from kelmah.kit.ids import new_id
from kelmah.services.messaging.documents import (
    NotificationDocument,
    conversations,
    deliveries,
    messages,
    notifications,
    safety,
)
from kelmah.services.messaging.service import live, rooms, tickets
from kelmah.services.messaging.service.context import Context
from kelmah.services.messaging.service.conversations import open_key
from kelmah.services.messaging.service.messages import views
from kelmah.services.messaging.service.notifications import publish
from kelmah.services.messaging.service.plans import Plan, plans_of, schedule
from kelmah.services.messaging.service.texts import amount_param

_CONSUMER = "messaging.notify"


async def _notify(
    context: Context,
    envelope: Envelope,
    user_ids: Sequence[str],
    kind: Kind,
    event: Event,
    *,
    ids: Sequence[str],
    amount: Money | None = None,
) -> None:
    """Store a notification for each person, once an event. `ids` names the fields of the event that go with it."""

    plans = await plans_of(context, user_ids)

    async def effect() -> list[NotificationDocument]:
        made = []
        for user_id, plan in plans.items():
            notification = NotificationDocument(
                id=new_id(),
                user_id=user_id,
                kind=kind,
                event_id=envelope.id,
                data={_camel(name): getattr(event, name) for name in ids},
                params={"amount": amount_param(amount)} if amount else {},
                at=envelope.time,
                in_app=plan.of(kind).in_app,
            )
            await notifications.add(notification)
            await schedule(context, notification, plan)
            made.append(notification)
        return made

    await _show(context, await _consume(context, envelope, effect), plans)


async def _consume(
    context: Context, envelope: Envelope, effect: Callable[[], Awaitable[list[NotificationDocument]]]
) -> list[NotificationDocument]:
    """Run the effect once an event; what it made, or nothing the second time."""
    made: list[NotificationDocument] = []

    async def run() -> None:
        made[:] = await effect()  # the body may run again on a conflict

    await context.events.consume(_CONSUMER, envelope.id, run)
    return made


async def _show(context: Context, made: list[NotificationDocument], plans: dict[str, Plan]) -> None:
    for notification in made:
        await publish(context, notification, plans[notification.user_id])


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _other(event: ContractSigned | DisputeRaised, actor_id: str) -> str:
    return event.worker_id if actor_id == event.hirer_id else event.hirer_id


_APPLICATION = ("application_id", "job_id")
_MILESTONE = ("contract_id", "milestone_id")
_ESCROW = ("escrow_id", "contract_id", "milestone_id")


async def on_application_received(context: Context, envelope: Envelope, event: ApplicationReceived) -> None:
    await rooms.open_for_application(event.job_id, hirer_id=event.hirer_id, worker_id=event.worker_id)
    await _notify(context, envelope, [event.hirer_id], Kind.APPLICATION_RECEIVED, event, ids=_APPLICATION)


async def on_application_accepted(context: Context, envelope: Envelope, event: ApplicationAccepted) -> None:
    ids = (*_APPLICATION, "contract_id")
    await _notify(context, envelope, [event.worker_id], Kind.APPLICATION_ACCEPTED, event, ids=ids)


async def on_application_rejected(context: Context, envelope: Envelope, event: ApplicationRejected) -> None:
    await _notify(context, envelope, [event.worker_id], Kind.APPLICATION_REJECTED, event, ids=_APPLICATION)


async def on_contract_signed(context: Context, envelope: Envelope, event: ContractSigned) -> None:
    ids = ("contract_id", "job_id")
    if event.complete:
        both = [event.hirer_id, event.worker_id]
        await safety.add_pair(*both)
        await rooms.open_for_contract(event.contract_id, hirer_id=event.hirer_id, worker_id=event.worker_id)
        await _notify(context, envelope, both, Kind.CONTRACT_ACTIVE, event, ids=ids)
    else:
        await _notify(context, envelope, [_other(event, event.signed_by)], Kind.CONTRACT_SIGNED, event, ids=ids)


async def on_milestone_submitted(context: Context, envelope: Envelope, event: MilestoneSubmitted) -> None:
    await _notify(context, envelope, [event.hirer_id], Kind.MILESTONE_SUBMITTED, event, ids=_MILESTONE)


async def on_milestone_changes_requested(
    context: Context, envelope: Envelope, event: MilestoneChangesRequested
) -> None:
    await _notify(context, envelope, [event.worker_id], Kind.CHANGES_REQUESTED, event, ids=_MILESTONE)


async def on_milestone_approved(context: Context, envelope: Envelope, event: MilestoneApproved) -> None:
    await _notify(
        context, envelope, [event.worker_id], Kind.MILESTONE_APPROVED, event, ids=_MILESTONE, amount=event.amount
    )


async def on_escrow_funded(context: Context, envelope: Envelope, event: EscrowFunded) -> None:
    await _notify(context, envelope, [event.worker_id], Kind.ESCROW_FUNDED, event, ids=_ESCROW, amount=event.amount)


async def on_escrow_released(context: Context, envelope: Envelope, event: EscrowReleased) -> None:
    both = [event.worker_id, event.hirer_id]
    await _notify(context, envelope, both, Kind.ESCROW_RELEASED, event, ids=_ESCROW, amount=event.amount)


async def on_escrow_refunded(context: Context, envelope: Envelope, event: EscrowRefunded) -> None:
    both = [event.worker_id, event.hirer_id]
    await _notify(context, envelope, both, Kind.ESCROW_REFUNDED, event, ids=_ESCROW, amount=event.amount)


async def on_dispute_raised(context: Context, envelope: Envelope, event: DisputeRaised) -> None:
    other = _other(event, event.raised_by)
    await _notify(context, envelope, [other], Kind.DISPUTE_RAISED, event, ids=("dispute_id", *_ESCROW))


async def on_dispute_resolved(context: Context, envelope: Envelope, event: DisputeResolved) -> None:
    both = [event.worker_id, event.hirer_id]
    await _notify(context, envelope, both, Kind.DISPUTE_RESOLVED, event, ids=("dispute_id", *_ESCROW))


async def on_password_changed(context: Context, envelope: Envelope, event: PasswordChanged) -> None:
    await _notify(context, envelope, [event.user_id], Kind.PASSWORD_CHANGED, event, ids=())


async def on_payment_processed(context: Context, envelope: Envelope, event: PaymentProcessed) -> None:
    kind = Kind.WITHDRAWAL_PROCESSED if event.purpose == "withdrawal" else Kind.DEPOSIT_PROCESSED
    await _notify(context, envelope, [event.user_id], kind, event, ids=("transaction_id",), amount=event.amount)


async def on_review_revealed(context: Context, envelope: Envelope, event: ReviewRevealed) -> None:
    ids = ("review_id", "contract_id")
    await _notify(context, envelope, [event.subject_id], Kind.REVIEW_REVEALED, event, ids=ids)


async def on_message_sent(context: Context, envelope: Envelope, event: MessageSent) -> None:
    """One unread row a conversation; and the frame once more, for whom Redis lost the first.

    Raises:
        redis.exceptions.RedisError: the frame may not have come; to be tried again.
    """
    plans = await plans_of(context, event.recipient_ids)

    async def effect() -> list[NotificationDocument]:
        made = []
        for user_id, plan in plans.items():
            conversation = await conversations.set_notified(
                event.conversation_id, user_id=user_id, sequence=event.message_sequence
            )
            if conversation is None or conversation.participant(user_id).muted:
                continue
            notification, is_new = await notifications.collapse(
                user_id,
                open_key=open_key(event.conversation_id),
                kind=Kind.MESSAGE_RECEIVED,
                event_id=envelope.id,
                data={"conversationId": event.conversation_id, "messageId": event.message_id},
                times=conversation.unread(user_id),
                at=envelope.time,
                in_app=plan.of(Kind.MESSAGE_RECEIVED).in_app,
            )
            if is_new:
                await schedule(context, notification, plan)
            made.append(notification)
        return made

    await _show(context, await _consume(context, envelope, effect), plans)
    message = await messages.find_at(event.conversation_id, event.message_sequence)
    if message is not None:
        (view,) = await views(context, [message])
        await live.publish_surely(context, [event.sender_id, *event.recipient_ids], MessageFrame(message=view))


async def on_session_revoked(context: Context, envelope: Envelope, event: SessionRevoked) -> None:
    """Close the session's sockets and push no more to its browser. Doing it twice changes nothing."""
    await deliveries.drop_subscriptions(user_id=event.user_id, session_id=event.session_id)
    await tickets.end_session(context, event.user_id, event.session_id)
