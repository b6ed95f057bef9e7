"""By which channels a person is told of what, and when: preferences, quiet hours and digests."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kelmah.contracts.messaging import Channel, DeliveryState, Digest
from kelmah.contracts.messaging import NotificationKind as Kind
from kelmah.contracts.user import Channels
from kelmah.contracts.user import NotificationKind as Topic
from kelmah.kit import clock
from kelmah.kit.errors import NotFound
from kelmah.services.messaging.documents import DeliveryDocument, NotificationDocument, deliveries
from kelmah.services.messaging.documents.deliveries import DeliverySettingsDocument, Quiet
from kelmah.services.messaging.service.context import Context

#: What a person chooses channels for, by what happened.
TOPICS: dict[Kind, Topic] = {
    Kind.APPLICATION_RECEIVED: Topic.APPLICATIONS,
    Kind.APPLICATION_ACCEPTED: Topic.APPLICATIONS,
    Kind.APPLICATION_REJECTED: Topic.APPLICATIONS,
    Kind.APPLICATION_SHORTLISTED: Topic.APPLICATIONS,
    Kind.APPLICATION_WITHDRAWN: Topic.APPLICATIONS,
    Kind.COUNTER_OFFER_MADE: Topic.APPLICATIONS,
    Kind.COUNTER_OFFER_TAKEN: Topic.APPLICATIONS,
    Kind.COUNTER_OFFER_LEFT: Topic.APPLICATIONS,
    Kind.JOB_EXPIRED: Topic.APPLICATIONS,
    Kind.JOB_INVITATION: Topic.INVITATIONS,
    Kind.INVITATION_DECLINED: Topic.INVITATIONS,
    Kind.JOB_ALERT: Topic.RECOMMENDATIONS,
    Kind.CONTRACT_TERMS_CHANGED: Topic.CONTRACTS,
    Kind.CONTRACT_OFFERED: Topic.CONTRACTS,
    Kind.CONTRACT_OFFER_TAKEN: Topic.CONTRACTS,
    Kind.CONTRACT_OFFER_DECLINED: Topic.CONTRACTS,
    Kind.CONTRACT_OFFER_EXPIRED: Topic.CONTRACTS,
    Kind.BOOKING_REFUSED: Topic.CONTRACTS,
    Kind.CONTRACT_CANCELLED: Topic.CONTRACTS,
    Kind.CONTRACT_COMPLETED: Topic.CONTRACTS,
    Kind.AMENDMENT_PROPOSED: Topic.CONTRACTS,
    Kind.AMENDMENT_SIGNED: Topic.CONTRACTS,
    Kind.AMENDMENT_DROPPED: Topic.CONTRACTS,
    Kind.CONTRACT_SIGNED: Topic.CONTRACTS,
    Kind.CONTRACT_ACTIVE: Topic.CONTRACTS,
    Kind.MILESTONE_DUE: Topic.MILESTONES,
    Kind.MILESTONE_LATE: Topic.MILESTONES,
    Kind.MILESTONE_SUBMITTED: Topic.MILESTONES,
    Kind.CHANGES_REQUESTED: Topic.MILESTONES,
    Kind.MILESTONE_APPROVED: Topic.MILESTONES,
    Kind.ESCROW_FUNDED: Topic.PAYMENTS,
    Kind.ESCROW_RELEASED: Topic.PAYMENTS,
    Kind.ESCROW_REFUNDED: Topic.PAYMENTS,
    Kind.DEPOSIT_PROCESSED: Topic.PAYMENTS,
    Kind.WITHDRAWAL_PROCESSED: Topic.PAYMENTS,
    Kind.WITHDRAWAL_FAILED: Topic.PAYMENTS,
    Kind.CHARGEBACK_OPENED: Topic.PAYMENTS,
    Kind.CHARGEBACK_WON: Topic.PAYMENTS,
    Kind.CHARGEBACK_LOST: Topic.PAYMENTS,
    Kind.DISPUTE_RAISED: Topic.DISPUTES,
    Kind.DISPUTE_ANSWERED: Topic.DISPUTES,
    Kind.DISPUTE_EVIDENCE_ADDED: Topic.DISPUTES,
    Kind.DISPUTE_OFFER_MADE: Topic.DISPUTES,
    Kind.DISPUTE_ESCALATED: Topic.DISPUTES,
    Kind.DISPUTE_RULED: Topic.DISPUTES,
    Kind.DISPUTE_APPEALED: Topic.DISPUTES,
    Kind.DISPUTE_RESOLVED: Topic.DISPUTES,
    Kind.DISPUTE_WITHDRAWN: Topic.DISPUTES,
    Kind.MESSAGE_RECEIVED: Topic.MESSAGES,
    Kind.REVIEW_REVEALED: Topic.REVIEWS,
    Kind.REVIEW_HELD: Topic.REVIEWS,
    Kind.REVIEW_DECIDED: Topic.REVIEWS,
    Kind.CERTIFICATE_EXPIRING: Topic.CERTIFICATES,
    Kind.CERTIFICATE_VERIFIED: Topic.CERTIFICATES,
    Kind.CERTIFICATE_REJECTED: Topic.CERTIFICATES,
    Kind.PASSWORD_CHANGED: Topic.SECURITY,
    Kind.DATA_EXPORT_READY: Topic.SECURITY,
}
#: What never waits for a digest: money, and what has a legal or safety side.
URGENT = frozenset({Topic.CONTRACTS, Topic.PAYMENTS, Topic.DISPUTES, Topic.SECURITY})
_NOBODY = Channels(in_app=True, email=False, sms=False, push=False)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One person's choices."""

    user_id: str
    locale: str
    zone: tzinfo
    channels: dict[Topic, Channels]
    settings: DeliverySettingsDocument

    def of(self, kind: Kind) -> Channels:
        """The channels for what happened."""
        return self.channels.get(TOPICS[kind], _NOBODY)

    def wants(self, kind: Kind, channel: Channel) -> bool:
        chosen = self.of(kind)
        return {Channel.EMAIL: chosen.email, Channel.SMS: chosen.sms, Channel.PUSH: chosen.push}[channel]

    def after_quiet(self, kind: Kind, at: datetime) -> datetime:
        """The first instant from `at` on at which the person may be disturbed."""
        if self.settings.quiet_hours is None or TOPICS[kind] is Topic.SECURITY:
            return at
        return _after_quiet(self.settings.quiet_hours, at, self.zone)

    def next_digest(self, at: datetime) -> datetime:
        """The next hour of the digest after `at`."""
        local = at.astimezone(self.zone)
        due = local.replace(hour=self.settings.digest_hour, minute=0, second=0, microsecond=0)
        if due <= local:
            due = datetime.combine(local.date() + timedelta(days=1), time(self.settings.digest_hour), tzinfo=self.zone)
        return due.astimezone(at.tzinfo)


def _after_quiet(quiet: Quiet, at: datetime, zone: tzinfo) -> datetime:
    start, end = time.fromisoformat(quiet.start), time.fromisoformat(quiet.end)
    local = at.astimezone(zone)
    now = local.time()
    if start == end or not ((start <= now < end) if start < end else (now >= start or now < end)):
        return at
    day = local.date() if now < end else local.date() + timedelta(days=1)
    return datetime.combine(day, end, tzinfo=zone).astimezone(at.tzinfo)


async def plan_of(context: Context, user_id: str) -> Plan:
    """What the person chose. Whoever is unknown to the user service is told in the app alone.

    Raises:
        Unavailable: the user service cannot be asked; to be tried again.
    """
    settings = await deliveries.settings_of(user_id)
    try:
        found = await context.user.get_preferences(user_id=user_id)
    except NotFound:
        return Plan(user_id=user_id, locale="en", zone=ZoneInfo("UTC"), channels={}, settings=settings)
    try:
        zone: tzinfo = ZoneInfo(found.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    return Plan(user_id=user_id, locale=found.locale, zone=zone, channels=dict(found.channels), settings=settings)


async def plans_of(context: Context, user_ids: Iterable[str]) -> dict[str, Plan]:
    """The plans of several people; those whose account was deleted are told of nothing any more."""
    found = await asyncio.gather(*[plan_of(context, user_id) for user_id in set(user_ids)])
    return {plan.user_id: plan for plan in found if not plan.settings.is_gone}


async def schedule(context: Context, notification: NotificationDocument, plan: Plan) -> None:
    """Have a new notification sent out by every channel that the person chose. Joins the open transaction."""
    now = clock.now()
    is_message = notification.kind is Kind.MESSAGE_RECEIVED
    for channel in Channel:
        if not plan.wants(notification.kind, channel):
            continue
        due = now
        # Most messages are read within minutes, in the app or where they were pushed to.
        if is_message and channel is not Channel.PUSH:
            due = now + timedelta(seconds=context.settings.unread_mail_after_s)
        due = plan.after_quiet(notification.kind, due)
        delivery = DeliveryDocument(
            id=f"{notification.id}:{channel}",
            notification_id=notification.id,
            user_id=notification.user_id,
            channel=channel,
            state=DeliveryState.DUE,
            due_at=due,
        )
        if (
            channel is Channel.EMAIL
            and plan.settings.digest is Digest.DAILY
            and TOPICS[notification.kind] not in URGENT
        ):
            delivery.due_at = plan.next_digest(due)
            delivery.state = DeliveryState.HELD
            delivery.digest_id = f"{notification.user_id}:{delivery.due_at.isoformat()}"
            await context.timers.set(
                f"digest:{delivery.digest_id}", "messaging.send_digest", [delivery.digest_id], due=delivery.due_at
            )
        else:
            await set_timer(context, delivery.id, due)
        await deliveries.add(delivery)


async def set_timer(context: Context, delivery_id: str, due: datetime) -> None:
    """Have a delivery made at its time. Joins the open transaction."""
    await context.timers.set(f"delivery:{delivery_id}", "messaging.send_delivery", [delivery_id], due=due)
