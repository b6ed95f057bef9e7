"""The messaging service's HTTP operations, and who may call which."""

from typing import Annotated, Any
from urllib.parse import quote

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter
from litestar.response import Stream

from kelmah.contracts.common import Page
from kelmah.contracts.messaging import (
    AttachmentView,
    ConversationRead,
    ConversationView,
    MessageView,
    NewConversation,
    NewMessage,
    NotificationPage,
    NotificationsRead,
    PresenceView,
    ReadMark,
    ReadNotifications,
    SocketTicket,
)
from kelmah.kit.app import API_PREFIX
from kelmah.kit.context import Principal
from kelmah.kit.pagination import DEFAULT_LIMIT, MAX_LIMIT
from kelmah.kit.policy import PUBLIC, SIGNED_IN, Policy
from kelmah.services.messaging import service
from kelmah.services.messaging.service import Context

POLICY: Policy = {
    "CreateConversation": SIGNED_IN,
    "ListConversations": SIGNED_IN,
    "SendMessage": SIGNED_IN,
    "ListMessages": SIGNED_IN,
    "ReadConversation": SIGNED_IN,
    "UploadAttachment": SIGNED_IN,
    "DownloadAttachment": SIGNED_IN,
    "GetPresence": SIGNED_IN,
    "IssueSocketTicket": SIGNED_IN,
    "ListNotifications": SIGNED_IN,
    "ReadNotifications": SIGNED_IN,
    "OpenSocket": PUBLIC,  # the ticket in the query says who it is
}

#: Bytes; only files may be larger.
_MAX_JSON_BYTES = 262_144

Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Items on the page.")]
Cursor = Annotated[str | None, QueryParameter(max_length=1024, description="`nextCursor` of the page before.")]


@post(
    f"{API_PREFIX}/conversations",
    operation_id="CreateConversation",
    summary="Start a conversation, or get the one that is there",
    description="Answers 201 when it is new and 200 when the two people, or the contract, have one already.",
    tags=["Conversations"],
    request_max_body_size=_MAX_JSON_BYTES,
)
async def create_conversation(
    data: JSONBody[NewConversation], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Response[ConversationView]:
    view, is_new = await service.create_conversation(context, data, by=principal)
    return Response(view, status_code=201 if is_new else 200)


@get(
    f"{API_PREFIX}/conversations",
    operation_id="ListConversations",
    summary="My conversations, most recently active first",
    tags=["Conversations"],
)
async def list_conversations(
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[ConversationView]:
    return await service.list_conversations(context, cursor=cursor, limit=limit, by=principal)


@post(
    f"{API_PREFIX}/conversations/{{conversation_id:str}}/messages",
    operation_id="SendMessage",
    summary="Send a message",
    description="Sent again under the same `clientId`, it is stored once: 201 the first time, 200 after that.",
    tags=["Conversations"],
    request_max_body_size=_MAX_JSON_BYTES,
)
async def send_message(
    conversation_id: FromPath[str],
    data: JSONBody[NewMessage],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> Response[MessageView]:
    view, is_new = await service.send_message(context, conversation_id, data, by=principal)
    return Response(view, status_code=201 if is_new else 200)


@get(
    f"{API_PREFIX}/conversations/{{conversation_id:str}}/messages",
    operation_id="ListMessages",
    summary="History: newest first, or oldest first after a sequence",
    tags=["Conversations"],
)
async def list_messages(
    conversation_id: FromPath[str],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
    after: Annotated[
        int | None, QueryParameter(ge=0, description="Fill a gap: what came after this sequence, oldest first.")
    ] = None,
) -> Page[MessageView]:
    return await service.list_messages(context, conversation_id, after=after, cursor=cursor, limit=limit, by=principal)


@post(
    f"{API_PREFIX}/conversations/{{conversation_id:str}}/read",
    operation_id="ReadConversation",
    status_code=200,
    summary="Mark everything up to a message as read",
    tags=["Conversations"],
    request_max_body_size=_MAX_JSON_BYTES,
)
async def read_conversation(
    conversation_id: FromPath[str],
    data: JSONBody[ReadMark],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> ConversationRead:
    return await service.mark_read(context, conversation_id, data, by=principal)


@post(
    f"{API_PREFIX}/conversations/{{conversation_id:str}}/attachments",
    operation_id="UploadAttachment",
    summary="Upload a file to send with a message",
    description=(
        "The body is the file itself, as application/octet-stream; X-Filename its name, percent-encoded as UTF-8. "
        "Taken are JPEG, PNG, WebP, GIF, PDF, DOCX, XLSX, MP3, M4A, Ogg and MP4 whose name fits the content."
    ),
    tags=["Conversations"],
    opt={"streams_body": True},
)
async def upload_attachment(
    conversation_id: FromPath[str],
    request: Request[Any, Any, Any],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    file_name: Annotated[
        str, HeaderParameter(name="X-Filename", description="Percent-encoded UTF-8, at most 255 characters.")
    ] = "",
) -> AttachmentView:
    return await service.upload_attachment(
        context, conversation_id, raw_name=file_name, body=request.stream(), by=principal
    )


@get(
    f"{API_PREFIX}/attachments/{{attachment_id:str}}",
    operation_id="DownloadAttachment",
    summary="The bytes of a file",
    tags=["Conversations"],
)
async def download_attachment(
    attachment_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Stream:
    file = await service.open_attachment(context, attachment_id, by=principal)
    return Stream(
        file.chunks,
        media_type=file.view.media_type,
        headers={
            # Never shown in a page of ours: a file can be of two kinds at once.
            "content-disposition": f"attachment; filename*=UTF-8''{quote(file.view.file_name, safe='')}",
            "x-content-type-options": "nosniff",
            "cache-control": "private, no-store",
            "content-length": str(file.view.size),
        },
    )


@get(
    f"{API_PREFIX}/presence",
    operation_id="GetPresence",
    summary="Who is online, among the people I have conversations with",
    tags=["Live"],
)
async def get_presence(
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    ids: Annotated[list[str], QueryParameter(min_items=1, max_items=100, description="Repeated: ?ids=a&ids=b.")],
) -> Page[PresenceView]:
    return Page(items=await service.get_presence(context, ids, by=principal))


@post(
    f"{API_PREFIX}/ws-tickets",
    operation_id="IssueSocketTicket",
    summary="A ticket that opens one WebSocket at /api/v1/ws?ticket=…",
    tags=["Live"],
    opt={"idempotency": "off"},
    request_max_body_size=_MAX_JSON_BYTES,
)
async def issue_ticket(context: NamedDependency[Context], principal: NamedDependency[Principal]) -> SocketTicket:
    return await service.issue_ticket(context, by=principal)


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
    request_max_body_size=_MAX_JSON_BYTES,
)
async def read_notifications(
    data: JSONBody[ReadNotifications], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> NotificationsRead:
    return await service.read_notifications(context, data, by=principal)


CONTROLLERS = [
    create_conversation,
    list_conversations,
    send_message,
    list_messages,
    read_conversation,
    upload_attachment,
    download_attachment,
    get_presence,
    issue_ticket,
    list_notifications,
    read_notifications,
]
