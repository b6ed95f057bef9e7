"""Messages as they are read, and what somebody missed; `service.sending` stores them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from kelmah.contracts.common import Page
from kelmah.contracts.messaging import MessageView
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput
from kelmah.kit.pagination import decode_cursor, encode_cursor
from kelmah.services.messaging import mapping
from kelmah.services.messaging.documents import MessageDocument, attachments, conversations, messages
from kelmah.services.messaging.errors import ConversationNotFound
from kelmah.services.messaging.service.context import Context

#: A resume that misses more messages of one conversation, or in all, is told to fetch them over HTTP.
MAX_RESENT = 200
MAX_RESENT_IN_ALL = 1000


class Missing(NamedTuple):
    """What a socket missed of one conversation. `messages` is None where it has to fetch them over HTTP."""

    last_sequence: int
    messages: list[MessageView] | None


async def epoch(context: Context) -> str:
    """Names the life of this database: sequences of different epochs cannot be compared."""
    return await conversations.epoch()


async def list_messages(
    context: Context, conversation_id: str, *, after: int | None, cursor: str | None, limit: int, by: Principal
) -> Page[MessageView]:
    """History, newest first; or, with `after`, what came after that sequence, oldest first.

    Raises:
        ConversationNotFound: not one of the caller's.
    """
    if await conversations.find(conversation_id, user_id=by.user_id) is None:
        raise ConversationNotFound
    is_forward, start = after is not None, after
    if cursor is not None:
        try:
            is_forward, start = decode_cursor(cursor, (bool, int))
        except ValueError as error:
            raise BadInput.of("cursor", str(error)) from None
    if is_forward:
        found = await messages.after(conversation_id, sequence=start or 0, limit=limit + 1)
    else:
        found = await messages.before(conversation_id, sequence=start, limit=limit + 1)
    shown = found[:limit]
    next_cursor = encode_cursor((is_forward, shown[-1].sequence)) if len(found) > limit else None
    return Page(items=await views(context, shown), next_cursor=next_cursor)


async def missing_since(
    context: Context, known: Mapping[str, int], *, by: Principal
) -> AsyncIterator[tuple[str, Missing]]:
    """What came after these sequences, for each conversation that is the caller's; all of it or none."""
    left = MAX_RESENT_IN_ALL
    for conversation in await conversations.find_many(known, user_id=by.user_id):
        start = known[conversation.id]
        late: list[MessageDocument] | None = None
        # A sequence that was never given out comes from another life of the database.
        if 0 <= conversation.last_sequence - start <= min(left, MAX_RESENT):
            late = await messages.after(conversation.id, sequence=start, limit=MAX_RESENT + 1)
        if late is None or len(late) > MAX_RESENT:
            yield conversation.id, Missing(conversation.last_sequence, None)
            continue
        left -= len(late)
        yield conversation.id, Missing(late[-1].sequence if late else start, await views(context, late))


async def views(context: Context, found: Sequence[MessageDocument]) -> list[MessageView]:
    """Messages with their files."""
    files = await attachments.find_many({file_id for one in found for file_id in one.attachment_ids})
    return [mapping.message_view(one, files, context.ring) for one in found]
