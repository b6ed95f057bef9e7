"""Operations on notifications, on how they are sent, and on the links in mails."""

from typing import Annotated

from litestar import MediaType, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from kelmah.contracts.messaging import (
    DeliverySettings,
    NewPushSubscription,
    NotificationDetail,
    NotificationPage,
    NotificationsRead,
    PhoneCode,
    PhoneToProve,
    PushKey,
    PushSubscriptionView,
    ReadNotifications,
    SetDeliverySettings,
)
from kelmah.kit.app import API_PREFIX
from kelmah.kit.context import Principal
from kelmah.kit.pagination import DEFAULT_LIMIT
from kelmah.services.messaging import service
from kelmah.services.messaging.controllers.common import MAX_JSON_BYTES, Cursor, Limit
from kelmah.services.messaging.service import Context


@get(
    f"{API_PREFIX}/notifications",
    operation_id="ListNotifications",
    summary="My notifications, newest first",
    tags=["Notifications"],
)
async def list_notifications(
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
    unread: Annotated[bool, QueryParameter(description="Only those that are unread.")] = False,
    languages: Annotated[str | None, HeaderParameter(name="Accept-Language", max_length=200)] = None,
) -> NotificationPage:
    return await service.list_notifications(
        context, cursor=cursor, limit=limit, unread_only=unread, languages=languages, by=principal
    )


@post(
    f"{API_PREFIX}/notifications/read",
    operation_id="ReadNotifications",
    status_code=200,
    summary="Mark notifications as read",
    tags=["Notifications"],
    request_max_body_size=MAX_JSON_BYTES,
)
async def read_notifications(
    data: JSONBody[ReadNotifications], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> NotificationsRead:
    return await service.read_notifications(context, data, by=principal)


@get(
    f"{API_PREFIX}/notifications/{{notification_id:str}}",
    operation_id="GetNotification",
    summary="One notification, why it came, and how it went out",
    tags=["Notifications"],
)
async def get_notification(
    notification_id: FromPath[str],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    languages: Annotated[str | None, HeaderParameter(name="Accept-Language", max_length=200)] = None,
) -> NotificationDetail:
    return await service.get_notification(context, notification_id, languages=languages, by=principal)


@get(
    f"{API_PREFIX}/notifications/settings",
    operation_id="GetDeliverySettings",
    summary="My quiet hours, digest and phone",
    tags=["Notifications"],
)
async def get_settings(context: NamedDependency[Context], principal: NamedDependency[Principal]) -> DeliverySettings:
    return await service.get_settings(context, by=principal)


@put(
    f"{API_PREFIX}/notifications/settings",
    operation_id="SetDeliverySettings",
    summary="Replace my quiet hours and digest",
    tags=["Notifications"],
    request_max_body_size=MAX_JSON_BYTES,
)
async def set_settings(
    data: JSONBody[SetDeliverySettings], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> DeliverySettings:
    return await service.set_settings(context, data, by=principal)


@post(
    f"{API_PREFIX}/notifications/phone",
    operation_id="SendPhoneCode",
    status_code=204,
    summary="Send a code to my phone, to prove that it is mine",
    tags=["Notifications"],
    request_max_body_size=MAX_JSON_BYTES,
)
async def send_phone_code(
    data: JSONBody[PhoneToProve], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> None:
    await service.send_phone_code(context, data, by=principal)


@post(
    f"{API_PREFIX}/notifications/phone/verify",
    operation_id="ProvePhone",
    status_code=200,
    summary="Give the code; text messages go to this phone from now on",
    tags=["Notifications"],
    request_max_body_size=MAX_JSON_BYTES,
)
async def prove_phone(
    data: JSONBody[PhoneCode], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> DeliverySettings:
    return await service.prove_phone(context, data, by=principal)


@delete(
    f"{API_PREFIX}/notifications/phone",
    operation_id="ForgetPhone",
    summary="Send me no more text messages",
    tags=["Notifications"],
)
async def forget_phone(context: NamedDependency[Context], principal: NamedDependency[Principal]) -> None:
    await service.forget_phone(context, by=principal)


Token = Annotated[str, QueryParameter(min_length=1, max_length=1000, description="From the link in a mail.")]


@get(
    f"{API_PREFIX}/notifications/unsubscribe",
    operation_id="ShowUnsubscribe",
    summary="The page behind the link in a mail: nothing ends until its button is pressed",
    tags=["Notifications"],
    media_type=MediaType.HTML,
)
async def show_unsubscribe(
    token: Token, languages: Annotated[str | None, HeaderParameter(name="Accept-Language", max_length=200)] = None
) -> Response[str]:
    return _page(token, languages, is_done=False)


@post(
    f"{API_PREFIX}/notifications/unsubscribe",
    operation_id="Unsubscribe",
    status_code=200,
    summary="End mails of a kind at one click, without signing in (RFC 8058)",
    tags=["Notifications"],
    media_type=MediaType.HTML,
    request_max_body_size=MAX_JSON_BYTES,
)
async def unsubscribe(
    token: Token,
    context: NamedDependency[Context],
    languages: Annotated[str | None, HeaderParameter(name="Accept-Language", max_length=200)] = None,
) -> Response[str]:
    await service.unsubscribe(context, token)
    return _page(token, languages, is_done=True)


def _page(token: str, languages: str | None, *, is_done: bool) -> Response[str]:
    headers = {
        "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    }
    page = service.page_for(token=token, is_done=is_done, languages=languages)
    return Response(page, media_type=MediaType.HTML, headers=headers)


@get(
    f"{API_PREFIX}/push-subscriptions/key",
    operation_id="GetPushKey",
    summary="The key that a browser subscribes with",
    tags=["Notifications"],
)
async def get_push_key(context: NamedDependency[Context]) -> PushKey:
    return service.push_key(context)


@post(
    f"{API_PREFIX}/push-subscriptions",
    operation_id="AddPushSubscription",
    summary="Push to this browser from now on, until it signs out",
    tags=["Notifications"],
    opt={"idempotency": "off"},
    request_max_body_size=MAX_JSON_BYTES,
)
async def add_push_subscription(
    data: JSONBody[NewPushSubscription], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> PushSubscriptionView:
    return await service.subscribe(context, data, by=principal)


@delete(
    f"{API_PREFIX}/push-subscriptions/{{subscription_id:str}}",
    operation_id="RemovePushSubscription",
    summary="Push no more to a browser of mine",
    tags=["Notifications"],
)
async def remove_push_subscription(
    subscription_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> None:
    await service.unsubscribe_browser(context, subscription_id, by=principal)


HANDLERS = [
    list_notifications,
    read_notifications,
    get_notification,
    get_settings,
    set_settings,
    send_phone_code,
    prove_phone,
    forget_phone,
    show_unsubscribe,
    unsubscribe,
    get_push_key,
    add_push_subscription,
    remove_push_subscription,
]
