"""What messaging does when it hears of an event: tell those whom it matters to."""

from collections.abc import Awaitable, Callable

from kelmah.contracts.auth import SessionRevoked
from kelmah.contracts.common import Event, Money
from kelmah.contracts.events import Envelope
from kelmah.contracts.job import ApplicationReceived, ContractSigned
from kelmah.contracts.messaging import MessageFrame, MessageSent
from kelmah.contracts.messaging import NotificationKind as Kind
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
from kelmah.services.messaging.service.audience import notice_of
from kelmah.services.messaging.service.context import Context
from kelmah.services.messaging.service.conversations import open_key
from kelmah.services.messaging.service.messages import views
from kelmah.services.messaging.service.notifications import publish
from kelmah.services.messaging.service.plans import Plan, plans_of, schedule
from kelmah.services.messaging.service.texts import amount_param

_CONSUMER = "messaging.notify"


async def notify(context: Context, envelope: Envelope, event: Event) -> None:
    """Store a notification for each person whom the table names, once an event."""
    notice = notice_of(event)
    amount: Money | None = getattr(event, "amount", None)
    plans = await plans_of(context, notice.people(event))

    async def effect() -> list[NotificationDocument]:
        made = []
        for user_id, plan in plans.items():
            notification = NotificationDocument(
                id=new_id(),
                user_id=user_id,
                kind=notice.kind,
                event_id=envelope.id,
                data={_camel(name): getattr(event, name) for name in notice.about},
                params={"amount": amount_param(amount)} if amount else {},
                at=envelope.time,
                in_app=plan.of(notice.kind).in_app,
            )
            await notifications.add(notification)
            await schedule(context, notification, plan)
            made.append(notification)
        return made

    await _show(context, await _consume(context, envelope, effect), plans)


async def on_contract_signed(_context: Context, _envelope: Envelope, event: ContractSigned) -> None:
    """The two sides of a contract in force may write to each other, and talk of it. Said twice, it changes nothing."""
    if event.complete:
        await safety.add_pair(event.hirer_id, event.worker_id)
        await rooms.open_for_contract(event.contract_id, hirer_id=event.hirer_id, worker_id=event.worker_id)


async def on_application_received(_context: Context, _envelope: Envelope, event: ApplicationReceived) -> None:
    """Whoever applied and the hirer can talk of the job. Said twice, it changes nothing."""
    await rooms.open_for_application(event.job_id, hirer_id=event.hirer_id, worker_id=event.worker_id)


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
