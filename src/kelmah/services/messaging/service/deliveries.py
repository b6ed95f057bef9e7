"""Sends notifications out of the app: by mail, by text message, by web push, or gathered into a digest."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

import msgspec
import structlog

from kelmah.contracts.auth import Contact
from kelmah.contracts.messaging import Channel, DeliveryState
from kelmah.contracts.user import NotificationKind as Topic
from kelmah.kit import clock
from kelmah.kit.mail import MailPermanentError
from kelmah.kit.text import language_of
from kelmah.services.messaging.documents import DeliveryDocument, NotificationDocument, deliveries, notifications
from kelmah.services.messaging.errors import DeliveryFailed, DeliveryRefused, DeliveryUnknown, PushGone
from kelmah.services.messaging.service import links, texts
from kelmah.services.messaging.service.context import Context
from kelmah.services.messaging.service.plans import TOPICS, Plan, plan_of, set_timer
from kelmah.services.messaging.service.subscriptions import phone_of, targets_of

log = structlog.get_logger(__name__)

#: Lines of a digest; it says how many more there are.
MAX_DIGEST_LINES = 50
MAX_DIGEST = 1000
Outcome = tuple[DeliveryState, str | None]
_SENT: Outcome = (DeliveryState.SENT, None)


def _skipped(reason: str) -> Outcome:
    return DeliveryState.SKIPPED, reason


async def send_delivery(context: Context, delivery_id: str) -> None:
    """Make one delivery, unless there is no more reason to, and write down how it went. A timer's target.

    A crash after a mail or push went and before that was written sends it again: mails under the same Message-ID,
    pushes under the same topic. A text message costs money, so one whose answer was lost is not sent again.

    Raises:
        DeliveryFailed, MailTransientError, Unavailable: to be tried again.
    """
    delivery = await deliveries.get(delivery_id)
    if delivery is None or delivery.state not in (DeliveryState.DUE, DeliveryState.SENDING):
        return
    notification = await notifications.get(delivery.notification_id)
    if notification is None:
        await _settle(delivery, _skipped("gone"))
        return
    plan = await plan_of(context, delivery.user_id)
    if (reason := _moot(notification, delivery.channel, plan)) is not None:
        await _settle(delivery, _skipped(reason))
        return
    now = clock.now()
    if (due := plan.after_quiet(notification.kind, now)) > now:
        await _postpone(context, delivery, due)
        return
    send = {Channel.EMAIL: _mail, Channel.SMS: _text, Channel.PUSH: _push}[delivery.channel]
    await _settle(delivery, await send(context, delivery, notification, plan))


def _moot(notification: NotificationDocument, channel: Channel, plan: Plan) -> str | None:
    """Why it need not be sent any more."""
    if not plan.wants(notification.kind, channel):
        return "preference"
    if notification.read_at is not None and TOPICS[notification.kind] is not Topic.SECURITY:
        return "read"
    return None


async def _settle(delivery: DeliveryDocument, outcome: Outcome) -> None:
    state, reason = outcome
    log.info("messaging.delivery.settled", channel=delivery.channel, state=state, reason=reason)
    await deliveries.settle([delivery.id], state=state, reason=reason, at=clock.now())


async def _postpone(context: Context, delivery: DeliveryDocument, due: datetime) -> None:
    async def change() -> None:
        await deliveries.postpone(delivery.id, due_at=due)
        await set_timer(context, delivery.id, due)

    await context.mongo.transact(change)


async def _contact(context: Context, user_id: str) -> Contact | None:
    found = next(iter(await context.auth.get_contacts(user_ids=[user_id])), None)
    return found if found is not None and found.email_verified else None


async def _mail(
    context: Context, delivery: DeliveryDocument, notification: NotificationDocument, plan: Plan
) -> Outcome:
    contact = await _contact(context, delivery.user_id)
    if contact is None:
        return _skipped("no_verified_address")
    locale = language_of(plan.locale)
    text = _words(notification, locale)
    topic = TOPICS[notification.kind]
    url = None if topic is Topic.SECURITY else links.unsubscribe_url(context, delivery.user_id, topic)
    mail = texts.mail_for(text, why=texts.why(topic, locale), url=context.settings.public_url, out=url, locale=locale)
    return await _send_mail(context, contact, text.title, mail, message_id=notification.id, unsubscribe_url=url)


async def _send_mail(
    context: Context,
    contact: Contact,
    subject: str,
    mail: tuple[str, str],
    *,
    message_id: str,
    unsubscribe_url: str | None,
) -> Outcome:
    plain, html = mail
    try:
        await context.mailer.send(
            to=contact.email,
            subject=subject,
            text=plain,
            html=html,
            message_id=f"<{message_id}@{urlsplit(context.settings.public_url).hostname}>",
            unsubscribe_url=unsubscribe_url,
        )
    except MailPermanentError as error:
        return DeliveryState.REFUSED, error.code
    return _SENT


async def _text(
    context: Context, delivery: DeliveryDocument, notification: NotificationDocument, plan: Plan
) -> Outcome:
    if context.sms is None:
        return _skipped("not_set_up")
    phone = phone_of(context, plan.settings)
    if phone is None:
        return _skipped("no_proven_phone")
    if not await deliveries.start_sending(delivery.id):
        return DeliveryState.UNKNOWN, "interrupted"
    text = _words(notification, language_of(plan.locale))
    try:
        await context.sms.send(to=phone, text=f"Kelmah: {text.body}")
    except DeliveryFailed:
        await deliveries.stop_sending(delivery.id)
        raise
    except DeliveryUnknown as error:
        return DeliveryState.UNKNOWN, error.code
    except DeliveryRefused as error:
        return DeliveryState.REFUSED, error.code
    return _SENT


async def _push(
    context: Context, delivery: DeliveryDocument, notification: NotificationDocument, plan: Plan
) -> Outcome:
    if context.push is None:
        return _skipped("not_set_up")
    targets = await targets_of(context, delivery.user_id)
    if not targets:
        return _skipped("no_browser")
    text = _words(notification, language_of(plan.locale))
    fields = {"id": notification.id, "kind": notification.kind, "title": text.title, "body": text.body}
    payload = msgspec.json.encode(fields | {"data": notification.data})
    gone, failed, refused, sent = [], 0, 0, 0
    for subscription_id, target in targets:
        try:
            # The topic of RFC 8030 has at most 32 characters of base64url, as our ids have.
            await context.push.send(target, payload, topic=notification.id[-32:])
            sent += 1
        except PushGone:
            gone.append(subscription_id)
        except DeliveryRefused:
            refused += 1
        except DeliveryFailed:
            failed += 1
    if gone:
        await deliveries.drop_subscriptions(user_id=delivery.user_id, ids=gone)
    if failed and not sent:
        raise DeliveryFailed("no push service took it", retry_after_s=10)
    if sent:
        return _SENT
    return (DeliveryState.REFUSED, DeliveryRefused.code) if refused else _skipped("no_browser")


def _words(notification: NotificationDocument, locale: str) -> texts.Text:
    return texts.text_for(notification.kind, params=notification.params, count=notification.times, locale=locale)


async def send_digest(context: Context, digest_id: str) -> None:
    """Mail what waited for a digest and still matters. A timer's target; running twice sends nothing twice.

    Raises:
        MailTransientError, Unavailable: to be tried again.
    """
    waiting = await deliveries.of_digest(digest_id, limit=MAX_DIGEST)
    if not waiting:
        return
    user_id = waiting[0].user_id
    plan = await plan_of(context, user_id)
    found = await notifications.get_many([one.notification_id for one in waiting])
    wanted: list[DeliveryDocument] = []
    for one in waiting:
        notification = found.get(one.notification_id)
        reason = "gone" if notification is None else _moot(notification, Channel.EMAIL, plan)
        if reason is None:
            wanted.append(one)
        else:
            await _settle(one, _skipped(reason))
    if not wanted:
        return
    contact = await _contact(context, user_id)
    if contact is None:
        outcome = _skipped("no_verified_address")
    else:
        outcome = await _mail_digest(context, contact, [found[one.notification_id] for one in wanted])
    state, reason = outcome
    await deliveries.settle([one.id for one in wanted], state=state, reason=reason, at=clock.now())


async def _mail_digest(context: Context, contact: Contact, found: Sequence[NotificationDocument]) -> Outcome:
    locale = language_of(contact.locale)
    lines = [_words(one, locale) for one in found[:MAX_DIGEST_LINES]]
    url = links.stop_digest_url(context, contact.user_id)
    subject, mail = texts.digest_for(lines, total=len(found), url=context.settings.public_url, out=url, locale=locale)
    # The same notifications make the same mail, also after a crash; one more makes another.
    message_id = hashlib.sha256(":".join(one.id for one in found).encode()).hexdigest()[:32]
    return await _send_mail(context, contact, subject, mail, message_id=message_id, unsubscribe_url=url)
