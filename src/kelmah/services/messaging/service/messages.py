"""Messages: stored once, in one order for everybody, and what somebody missed."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from kelmah.contracts.common import Page
from kelmah.contracts.messaging import FileShared, MessageFlagged, MessageFrame, MessageSent, MessageView, NewMessage
from kelmah.contracts.messaging.values import MAX_TEXT_CHARS
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput
from kelmah.kit.ids import new_id
from kelmah.kit.pagination import decode_cursor, encode_cursor
from kelmah.kit.text import clean_text
from kelmah.services.messaging import mapping
from kelmah.services.messaging.documents import MessageDocument, attachments, conversations, messages
from kelmah.services.messaging.documents.messages import AlreadyStoredError
from kelmah.services.messaging.errors import AttachmentsNotUsable, ClientIdReused, ConversationNotFound
from kelmah.services.messaging.service import live
from kelmah.services.messaging.service.context import Context, charge, messages_limit
from kelmah.services.messaging.service.safety import check_may_write, flags_for
from kelmah.services.messaging.service.words import words_of

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


async def send_message(
    context: Context, conversation_id: str, new: NewMessage, *, by: Principal
) -> tuple[MessageView, bool]:
    """Store a message and tell everybody; the second value tells whether it is new.

    Raises:
        ConversationNotFound: not one of the caller's.
        ClientIdReused: another message has this client id.
        AttachmentsNotUsable: a file is not here, not the sender's, or was sent before.
        WritingRefused, WritingRestricted, StrangerLimit: see `safety.check_may_write`.
        SlowDown: the sender's limit is reached.
    """
    new = _clean(new)
    conversation = await conversations.find(conversation_id, user_id=by.user_id)
    if conversation is None:
        raise ConversationNotFound
    if (sent := await _sent_before(context, conversation_id, new, by)) is not None:
        return sent, False
    await check_may_write(context, conversation, by=by)
    await charge(context, messages_limit(context.settings), by.user_id)
    flags = await flags_for(conversation, new.text)
    if new.reply_to is not None and await messages.get(conversation_id, new.reply_to) is None:
        raise BadInput.of("replyTo", "there is no such message in this conversation")
    message_id, now = new_id(), clock.now()
    sealed = context.ring.seal(new.text, context=mapping.text_context(message_id))

    async def change() -> MessageDocument:
        counted = await conversations.take_sequence(conversation_id, sender_id=by.user_id, at=now)
        if counted is None:
            raise ConversationNotFound
        message = MessageDocument(
            id=message_id,
            conversation_id=conversation_id,
            sequence=counted.last_sequence,
            sender_id=by.user_id,
            client_id=new.client_id,
            text=sealed,
            flags=flags,
            reply_to=new.reply_to,
            words=words_of(context.ring, conversation_id, new.text),
            attachment_ids=new.attachment_ids,
            sent_at=now,
        )
        await messages.add(message)
        if not await attachments.send_with(
            new.attachment_ids, message_id=message_id, conversation_id=conversation_id, uploader_id=by.user_id
        ):
            raise AttachmentsNotUsable.of("attachmentIds", AttachmentsNotUsable.title)
        await _tell(context, message, [one for one in counted.user_ids if one != by.user_id])
        return message

    try:
        message = await context.mongo.transact(change)
    except AlreadyStoredError:
        sent = await _sent_before(context, conversation_id, new, by)
        assert sent is not None  # noqa: S101  # the twin that took the client id has committed
        return sent, False
    (view,) = await views(context, [message])
    await live.publish(context, conversation.user_ids, MessageFrame(message=view))
    return view, True


def _clean(new: NewMessage) -> NewMessage:
    try:
        text = clean_text(new.text, MAX_TEXT_CHARS)
    except ValueError as error:
        raise BadInput.of("text", str(error)) from None
    if not text and not new.attachment_ids:
        raise BadInput.of("text", "a message needs text or an attachment")
    if len(set(new.attachment_ids)) != len(new.attachment_ids):
        raise BadInput.of("attachmentIds", "a file is named twice")
    return msgspec.structs.replace(new, text=text)


async def _sent_before(context: Context, conversation_id: str, new: NewMessage, by: Principal) -> MessageView | None:
    found = await messages.find_sent(conversation_id, sender_id=by.user_id, client_id=new.client_id)
    if found is None:
        return None
    (view,) = await views(context, [found])
    is_same = found.change or (view.text == new.text and found.reply_to == new.reply_to)
    if not is_same or found.attachment_ids != new.attachment_ids:
        raise ClientIdReused
    return view


async def _tell(context: Context, message: MessageDocument, recipient_ids: list[str]) -> None:
    subject = f"conversation:{message.conversation_id}"
    await context.events.append(
        MessageSent(
            conversation_id=message.conversation_id,
            message_id=message.id,
            message_sequence=message.sequence,
            sender_id=message.sender_id,
            recipient_ids=recipient_ids,
        ),
        subject=subject,
    )
    if message.flags:
        await context.events.append(
            MessageFlagged(
                conversation_id=message.conversation_id,
                message_id=message.id,
                sender_id=message.sender_id,
                flags=list(message.flags),
            ),
            subject=subject,
        )
    for attachment_id in message.attachment_ids:
        await context.events.append(
            FileShared(
                conversation_id=message.conversation_id,
                attachment_id=attachment_id,
                sender_id=message.sender_id,
                recipient_ids=recipient_ids,
            ),
            subject=subject,
        )


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
