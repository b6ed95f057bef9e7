"""Operations on conversations, files, presence and tickets."""

from typing import Annotated, Any
from urllib.parse import quote

from litestar import Request, Response, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter
from litestar.response import Stream

from kelmah.contracts.common import Page
from kelmah.contracts.messaging import (
    AttachmentView,
    ConversationRead,
    ConversationView,
    EditConversation,
    FileLink,
    MessageView,
    NewConversation,
    NewMessage,
    OwnPresence,
    PresenceChoice,
    PresenceView,
    ReadMark,
    SocketTicket,
    SupportCase,
)
from kelmah.kit.app import API_PREFIX
from kelmah.kit.context import Principal
from kelmah.kit.pagination import DEFAULT_LIMIT
from kelmah.services.messaging import service
from kelmah.services.messaging.controllers.common import MAX_JSON_BYTES, REPEATABLE, Cursor, Limit
from kelmah.services.messaging.service import Context


@post(
    f"{API_PREFIX}/conversations",
    operation_id="CreateConversation",
    summary="Start a conversation, or get the one that is there",
    description="Answers 201 when it is new and 200 when the two people, or the contract, have one already.",
    tags=["Conversations"],
    request_max_body_size=MAX_JSON_BYTES,
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
    archived: Annotated[bool, QueryParameter(description="Those that I archived, instead of the others.")] = False,
) -> Page[ConversationView]:
    return await service.list_conversations(context, archived=archived, cursor=cursor, limit=limit, by=principal)


@patch(
    f"{API_PREFIX}/conversations/{{conversation_id:str}}",
    operation_id="EditConversation",
    summary="Mute or archive a conversation, for me alone",
    tags=["Conversations"],
    request_max_body_size=MAX_JSON_BYTES,
)
async def edit_conversation(
    conversation_id: FromPath[str],
    data: JSONBody[EditConversation],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> ConversationView:
    return await service.edit_conversation(context, conversation_id, data, by=principal)


@post(
    f"{API_PREFIX}/conversations/{{conversation_id:str}}/messages",
    operation_id="SendMessage",
    opt=REPEATABLE,
    summary="Send a message",
    description="Sent again under the same `clientId`, it is stored once: 201 the first time, 200 after that.",
    tags=["Conversations"],
    request_max_body_size=MAX_JSON_BYTES,
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
    opt=REPEATABLE,
    summary="Mark everything up to a message as read",
    tags=["Conversations"],
    request_max_body_size=MAX_JSON_BYTES,
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
        "Taken are JPEG, PNG, WebP, GIF, PDF, DOCX, XLSX, MP3, M4A, Ogg and MP4 whose name fits the content. "
        "Of pictures the pixels are kept, and nothing of where and when they were taken."
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
    return _download(await service.open_attachment(context, attachment_id, user_id=principal.user_id))


@post(
    f"{API_PREFIX}/attachments/{{attachment_id:str}}/links",
    operation_id="LinkAttachment",
    summary="An address of a file for a program that cannot sign in, good for five minutes",
    description="It gives the file to whoever holds it, as long as the caller may read it.",
    tags=["Conversations"],
    opt={"idempotency": "off"},
)
async def link_attachment(
    attachment_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> FileLink:
    return await service.make_link(context, attachment_id, by=principal)


@get(
    f"{API_PREFIX}/attachments/{{attachment_id:str}}/file",
    operation_id="DownloadLinkedAttachment",
    summary="The bytes of a file, for whoever has a link to it",
    tags=["Conversations"],
)
async def download_linked(
    attachment_id: FromPath[str],
    context: NamedDependency[Context],
    token: Annotated[str, QueryParameter(max_length=1_000, description="As the link says.")] = "",
) -> Stream:
    return _download(await service.open_link(context, attachment_id, token))


def _download(file: service.Download) -> Stream:
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
    f"{API_PREFIX}/attachments/{{attachment_id:str}}/thumbnail",
    operation_id="DownloadThumbnail",
    summary="A small picture of a file that is one",
    tags=["Conversations"],
)
async def download_thumbnail(
    attachment_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Stream:
    file = await service.open_attachment(context, attachment_id, thumbnail=True, user_id=principal.user_id)
    headers = {"x-content-type-options": "nosniff", "cache-control": "private, no-store"}
    return Stream(file.chunks, media_type="image/webp", headers=headers)


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


@get(
    f"{API_PREFIX}/presence/me",
    operation_id="GetOwnPresence",
    summary="How I am seen, and how I chose to be",
    tags=["Live"],
)
async def get_own_presence(context: NamedDependency[Context], principal: NamedDependency[Principal]) -> OwnPresence:
    return await service.get_own_presence(context, by=principal)


@put(
    f"{API_PREFIX}/presence/me",
    operation_id="ChoosePresence",
    summary="Be away, or be seen by nobody",
    tags=["Live"],
    request_max_body_size=MAX_JSON_BYTES,
)
async def choose_presence(
    data: JSONBody[PresenceChoice], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> OwnPresence:
    return await service.choose_presence(context, data, by=principal)


@get(
    f"{API_PREFIX}/moderation/support-conversations",
    operation_id="ListSupportConversations",
    summary="Conversations with support, the longest untouched first",
    tags=["Conversations"],
)
async def list_support(
    context: NamedDependency[Context], limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Page[SupportCase]:
    return await service.list_support(context, cursor=cursor, limit=limit)


@post(
    f"{API_PREFIX}/moderation/support-conversations/{{conversation_id:str}}/join",
    operation_id="JoinSupportConversation",
    status_code=200,
    summary="Join somebody's conversation with support, to read and answer it",
    description="Who joined is written into the audit trail. Joining twice changes nothing.",
    tags=["Conversations"],
    request_max_body_size=MAX_JSON_BYTES,
)
async def join_support(
    conversation_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> SupportCase:
    return await service.join_support(context, conversation_id, by=principal)


@post(
    f"{API_PREFIX}/moderation/support-conversations/{{conversation_id:str}}/leave",
    operation_id="LeaveSupportConversation",
    summary="Be a participant of somebody's conversation with support no more",
    tags=["Moderation"],
    status_code=204,
)
async def leave_support(
    conversation_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> None:
    await service.leave_support(context, conversation_id, by=principal)


@post(
    f"{API_PREFIX}/moderation/support-conversations/{{conversation_id:str}}/close",
    operation_id="CloseSupportConversation",
    summary="Settle a conversation with support that I joined; a message opens it anew",
    tags=["Moderation"],
    status_code=200,
)
async def close_support(
    conversation_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> SupportCase:
    return await service.close_support(context, conversation_id, by=principal)


@post(
    f"{API_PREFIX}/ws-tickets",
    operation_id="IssueSocketTicket",
    summary="A ticket that opens one WebSocket at /api/v1/ws?ticket=…",
    tags=["Live"],
    opt={"idempotency": "off"},
    request_max_body_size=MAX_JSON_BYTES,
)
async def issue_ticket(context: NamedDependency[Context], principal: NamedDependency[Principal]) -> SocketTicket:
    return await service.issue_ticket(context, by=principal)


HANDLERS = [
    edit_conversation,
    create_conversation,
    list_conversations,
    send_message,
    list_messages,
    read_conversation,
    upload_attachment,
    download_attachment,
    link_attachment,
    download_linked,
    download_thumbnail,
    get_presence,
    get_own_presence,
    choose_presence,
    list_support,
    join_support,
    leave_support,
    close_support,
    issue_ticket,
]
