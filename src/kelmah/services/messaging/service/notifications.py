"""Notifications: one row a person and event, shown in the app, and mailed by a durable timer."""

from datetime import datetime
from urllib.parse import urlsplit

import structlog

from kelmah.contracts.messaging import NotificationPage, NotificationsRead, ReadNotifications
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput
from kelmah.kit.mail import MailPermanentError
from kelmah.kit.pagination import decode_cursor, encode_cursor
from kelmah.services.messaging import mapping
from kelmah.services.messaging.documents import NotificationDocument, notifications
from kelmah.services.messaging.documents.notifications import MAIL_DUE, MAIL_REFUSED, MAIL_SENT, MAIL_SKIPPED
from kelmah.services.messaging.service.context import Context
from kelmah.services.messaging.service.texts import locale_of, mail_for, text_for

log = structlog.get_logger(__name__)


async def list_notifications(
    context: Context, *, cursor: str | None, limit: int, unread_only: bool, languages: str | None, by: Principal
) -> NotificationPage:
    """The caller's notifications, newest first, in the first of `languages` (Accept-Language) that we have."""
    after = None
    if cursor is not None:
        try:
            at, notification_id = decode_cursor(cursor, (datetime, str))
        except ValueError as error:
            raise BadInput.of("cursor", str(error)) from None
        after = (at, notification_id)
    found = await notifications.list_for(by.user_id, after=after, unread_only=unread_only, limit=limit + 1)
    shown = found[:limit]
    locale = locale_of(languages)
    items = []
    for one in shown:
        text = text_for(one.kind, params=one.params, count=one.times, locale=locale)
        items.append(mapping.notification_view(one, title=text.title, body=text.body))
    return NotificationPage(
        items=items,
        next_cursor=encode_cursor((shown[-1].at, shown[-1].id)) if len(found) > limit else None,
        unread_count=await notifications.count_unread(by.user_id),
    )


async def read_notifications(context: Context, read: ReadNotifications, *, by: Principal) -> NotificationsRead:
    """Mark notifications of the caller as read; those of others are left alone without a word."""
    if (read.ids is None) == (read.up_to is None):
        raise BadInput.of("ids", "give either ids or upTo")
    if read.ids is not None:
        await notifications.mark_read(by.user_id, ids=read.ids, at=clock.now())
    elif read.up_to is not None and not await notifications.mark_read_up_to(
        by.user_id, notification_id=read.up_to, at=clock.now()
    ):
        raise BadInput.of("upTo", "there is no such notification of yours")
    return NotificationsRead(unread_count=await notifications.count_unread(by.user_id))


async def send_notification_mail(context: Context, notification_id: str) -> None:
    """Mail what a notification says, and write down that it went. A timer's target.

    A crash after the mail went and before that was written sends it again under the same Message-ID.

    Raises:
        MailTransientError, Unavailable: to be tried again.
    """
    found = await notifications.get(notification_id)
    if found is None or found.mail != MAIL_DUE:
        return
    contact = next(iter(await context.auth.get_contacts(user_ids=[found.user_id])), None)
    if contact is None or not contact.email_verified:
        await notifications.set_mail(notification_id, state=MAIL_SKIPPED, at=clock.now())
        return
    url = context.settings.public_url
    locale = locale_of(contact.locale)
    text = text_for(found.kind, params=found.params, count=found.times, locale=locale)
    plain, html = mail_for(text, url=url, locale=locale)
    try:
        await context.mailer.send(
            to=contact.email,
            subject=text.title,
            text=plain,
            html=html,
            message_id=f"<{notification_id}@{urlsplit(url).hostname}>",
        )
    except MailPermanentError as error:
        log.warning("messaging.mail.refused", notification_id=notification_id, reason=error.code)
        await notifications.set_mail(notification_id, state=MAIL_REFUSED, at=clock.now())
        return
    await notifications.set_mail(notification_id, state=MAIL_SENT, at=clock.now())


async def add_with_mail(context: Context, notification: NotificationDocument) -> None:
    """Store a notification and have it mailed. Joins the open transaction."""
    notification.mail = MAIL_DUE
    await notifications.add(notification)
    await context.timers.set(
        f"notification-mail:{notification.id}", "messaging.send_notification_mail", [notification.id]
    )
