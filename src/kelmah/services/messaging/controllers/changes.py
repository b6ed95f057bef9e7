"""Operations on messages that were sent: edit, delete, react, and find again."""

from typing import Annotated

from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from kelmah.contracts.common import Page
from kelmah.contracts.messaging import EditMessage, MessageView, React
from kelmah.kit.app import API_PREFIX
from kelmah.kit.context import Principal
from kelmah.kit.pagination import DEFAULT_LIMIT
from kelmah.services.messaging import service
from kelmah.services.messaging.controllers.common import MAX_JSON_BYTES, REPEATABLE, Cursor, Limit
from kelmah.services.messaging.service import Context

_MESSAGE = f"{API_PREFIX}/conversations/{{conversation_id:str}}/messages/{{message_id:str}}"


@patch(
    _MESSAGE,
    operation_id="EditMessage",
    summary="Replace the text of my message",
    tags=["Conversations"],
    request_max_body_size=MAX_JSON_BYTES,
)
async def edit_message(
    conversation_id: FromPath[str],
    message_id: FromPath[str],
    data: JSONBody[EditMessage],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> MessageView:
    return await service.edit_message(context, conversation_id, message_id, data, by=principal)


@delete(_MESSAGE, operation_id="DeleteMessage", summary="Take my message back", tags=["Conversations"])
async def delete_message(
    conversation_id: FromPath[str],
    message_id: FromPath[str],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> None:
    await service.delete_message(context, conversation_id, message_id, by=principal)


@post(
    f"{_MESSAGE}/reactions",
    operation_id="ReactToMessage",
    status_code=200,
    opt=REPEATABLE,
    summary="Put an emoji to a message, or take it away",
    tags=["Conversations"],
    request_max_body_size=MAX_JSON_BYTES,
)
async def react(
    conversation_id: FromPath[str],
    message_id: FromPath[str],
    data: JSONBody[React],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> MessageView:
    return await service.react(context, conversation_id, message_id, data, by=principal)


@get(
    f"{API_PREFIX}/conversations/{{conversation_id:str}}/changes",
    operation_id="ListChanges",
    summary="Messages that were edited, deleted or reacted to after a change",
    description="Ask again after the last item's `change` until nothing comes.",
    tags=["Conversations"],
)
async def list_changes(
    conversation_id: FromPath[str],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    after: Annotated[int, QueryParameter(ge=0, description="The last change that the client has.")] = 0,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[MessageView]:
    return await service.list_changes(context, conversation_id, after=after, limit=limit, by=principal)


@get(
    f"{API_PREFIX}/messages/search",
    operation_id="SearchMessages",
    summary="Messages of mine that hold all these words, newest first",
    description="Whole words, without regard to case and accents; in one conversation or the 50 most recent.",
    tags=["Conversations"],
)
async def search_messages(
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    wanted: Annotated[str, QueryParameter(name="q", min_length=2, max_length=200)],
    conversation_id: Annotated[str | None, QueryParameter(name="conversationId", max_length=64)] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[MessageView]:
    return await service.search_messages(
        context, wanted, conversation_id=conversation_id, cursor=cursor, limit=limit, by=principal
    )


HANDLERS = [edit_message, delete_message, react, list_changes, search_messages]
