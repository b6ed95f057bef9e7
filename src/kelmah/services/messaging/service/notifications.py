"""Notifications in the app: one row a person and event, shown live to whoever has it open."""

from datetime import datetime

from kelmah.contracts.messaging import (
    NotificationDetail,
    NotificationFrame,
    NotificationPage,
    NotificationsRead,
    NotificationView,
    ReadNotifications,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput
from kelmah.kit.pagination import decode_cursor, encode_cursor
from kelmah.kit.text import language_of
from kelmah.services.messaging import mapping
from kelmah.services.messaging.documents import NotificationDocument, deliveries, notifications
from kelmah.services.messaging.errors import NotificationNotFound
from kelmah.services.messaging.service import live
from kelmah.services.messaging.service.context import Context
from kelmah.services.messaging.service.plans import TOPICS, Plan
from kelmah.services.messaging.service.texts import text_for, why


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
    locale = language_of(languages)
    items = [view(one, locale) for one in shown]
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


async def get_notification(
    context: Context, notification_id: str, *, languages: str | None, by: Principal
) -> NotificationDetail:
    """One notification of the caller's, why it came, and the log of how it went out.

    Raises:
        NotificationNotFound: not there, or somebody else's.
    """
    found = await notifications.find(notification_id, user_id=by.user_id)
    if found is None:
        raise NotificationNotFound
    locale, topic = language_of(languages), TOPICS[found.kind]
    log_lines = await deliveries.of_notification(notification_id)
    return NotificationDetail(
        notification=view(found, locale),
        topic=topic,
        why=why(topic, locale),
        deliveries=[mapping.delivery_view(one) for one in log_lines],
    )


def view(found: NotificationDocument, locale: str) -> NotificationView:
    """A notification in a language."""
    text = text_for(found.kind, params=found.params, count=found.times, locale=locale)
    return mapping.notification_view(found, title=text.title, body=text.body)


async def publish(context: Context, found: NotificationDocument, plan: Plan) -> None:
    """Show a notification on the person's open sockets. Best effort: the list has it."""
    if not found.in_app:
        return
    unread = await notifications.count_unread(found.user_id)
    frame = NotificationFrame(notification=view(found, language_of(plan.locale)), unread_count=unread)
    await live.publish(context, [found.user_id], frame)
