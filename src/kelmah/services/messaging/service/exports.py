"""What this service keeps of a person, for the person's archive. Files are named; whoever is signed in fetches them."""

from collections.abc import Mapping
from typing import Any

from kelmah.contracts.common import Page
from kelmah.contracts.messaging import MessageView, PushSubscriptionView
from kelmah.kit.context import Principal
from kelmah.kit.exports import Lister, nested, single
from kelmah.kit.pagination import MAX_LIMIT, page, read_cursor
from kelmah.services.messaging.documents import conversations as documents
from kelmah.services.messaging.documents import deliveries
from kelmah.services.messaging.service import conversations, messages, notifications, presence, safety, subscriptions
from kelmah.services.messaging.service.context import Context


async def _conversations(context: Context, by: Principal, cursor: str | None) -> Page[Any]:
    (after,) = read_cursor(cursor, (str,)) or ("",)
    found = await documents.list_by_id(by.user_id, after=after, limit=MAX_LIMIT + 1)
    views = await conversations.views_of(context, found[:MAX_LIMIT], by)
    return Page(items=views, next_cursor=page(found, MAX_LIMIT, view=lambda one: one, last=_id).next_cursor)


def _id(one: documents.ConversationDocument) -> tuple[str]:
    return (one.id,)


async def _messages(context: Context, by: Principal, cursor: str | None) -> Page[Any]:
    async def next_conversation(after: str) -> str | None:
        found = await documents.list_by_id(by.user_id, after=after, limit=1)
        return found[0].id if found else None

    async def of(conversation_id: str, inner: str | None) -> Page[MessageView]:
        return await messages.list_messages(context, conversation_id, after=0, cursor=inner, limit=MAX_LIMIT, by=by)

    return await nested(cursor, next_parent=next_conversation, children=of)


async def _notifications(context: Context, by: Principal, cursor: str | None) -> Page[Any]:
    found = await notifications.list_notifications(
        context, cursor=cursor, limit=MAX_LIMIT, unread_only=False, languages=None, by=by
    )
    return Page(items=found.items, next_cursor=found.next_cursor)


async def _settings(context: Context, by: Principal, _cursor: str | None) -> Page[Any]:
    browsers = [
        PushSubscriptionView(id=one.id, created_at=one.created_at)
        for one in await deliveries.subscriptions_of(by.user_id)
    ]
    return single(
        {
            "delivery": await subscriptions.get_settings(context, by=by),
            "presence": await presence.get_own_presence(context, by=by),
            "browsers": browsers,
        }
    )


async def _blocks(context: Context, by: Principal, cursor: str | None) -> Page[Any]:
    return await safety.list_blocks(context, cursor=cursor, limit=MAX_LIMIT, by=by)


async def _reports(context: Context, by: Principal, cursor: str | None) -> Page[Any]:
    return await safety.list_own_reports(context, cursor=cursor, limit=MAX_LIMIT, by=by)


PARTS: Mapping[str, Lister] = {
    "conversations": _conversations,
    "messages": _messages,
    "notifications": _notifications,
    "settings": _settings,
    "blocks": _blocks,
    "reports": _reports,
}
