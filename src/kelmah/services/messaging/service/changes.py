"""What happens to a message after it was sent: edited, taken back, reacted to; and finding it again."""

import unicodedata
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from kelmah.contracts.common import Page
from kelmah.contracts.messaging import ChangeFrame, EditMessage, MessageView, React
from kelmah.contracts.messaging.values import MAX_TEXT_CHARS
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput, Conflict
from kelmah.kit.pagination import encode_cursor, read_cursor
from kelmah.kit.text import clean_text
from kelmah.services.messaging import mapping
from kelmah.services.messaging.documents import MessageDocument, attachments, conversations, messages
from kelmah.services.messaging.documents.messages import Reaction
from kelmah.services.messaging.errors import ConversationNotFound, MessageNotFound, NotYourMessage, TooLateToEdit
from kelmah.services.messaging.service import live, words
from kelmah.services.messaging.service.attachments import delete_bytes
from kelmah.services.messaging.service.context import Context, charge, messages_limit
from kelmah.services.messaging.service.messages import views
from kelmah.services.messaging.service.safety import check_may_write, flags_for, standing_in

#: How long a text may be replaced, and how often.
EDIT_FOR = timedelta(hours=24)
MAX_EDITS = 20
#: How long staff can still read what was taken back, for a report or a dispute.
KEPT_FOR = timedelta(days=90)
MAX_REACTIONS = 100
#: Conversations that a search without one looks through, the most recently active first.
SEARCHED_CONVERSATIONS = 50
_EMOJI_CATEGORIES = frozenset(("So", "Sk", "Mn", "Me", "Cf", "Sm", "Po"))


async def edit_message(
    context: Context, conversation_id: str, message_id: str, new: EditMessage, *, by: Principal
) -> MessageView:
    """Replace the text of the caller's own message. Staff can see what it said before.

    Raises:
        ConversationNotFound, MessageNotFound, NotYourMessage, TooLateToEdit: it cannot be edited.
        WritingRefused, WritingRestricted, StrangerLimit, SlowDown: as for a new message.
    """
    try:
        text = clean_text(new.text, MAX_TEXT_CHARS)
    except ValueError as error:
        raise BadInput.of("text", str(error)) from None
    if not text:
        raise BadInput.of("text", "a message needs text; delete it instead")
    conversation = await conversations.find(conversation_id, user_id=by.user_id)
    if conversation is None:
        raise ConversationNotFound
    message = await _own(conversation_id, message_id, by)
    if clock.now() - message.sent_at > EDIT_FOR or len(message.edits) >= MAX_EDITS:
        raise TooLateToEdit
    if context.ring.open(message.text, context=mapping.text_context(message_id)) == text:
        return (await views(context, [message]))[0]
    await check_may_write(context, conversation, await standing_in(conversation, by=by), by=by)
    await charge(context, messages_limit(context.settings), by.user_id)
    flags = await flags_for(conversation, text)
    sealed = context.ring.seal(text, context=mapping.text_context(message_id))
    found = words.words_of(context.ring, conversation_id, text)

    async def change(number: int) -> MessageDocument:
        edited = await messages.edit(message, text=sealed, words=found, flags=flags, at=clock.now(), number=number)
        if edited is None:
            raise Conflict("The message was changed meanwhile.")
        return edited

    return await _change(context, conversation_id, change, by)


async def delete_message(context: Context, conversation_id: str, message_id: str, *, by: Principal) -> None:
    """Take the caller's own message back: nobody but staff reads it or its files from now on.

    Raises:
        ConversationNotFound, MessageNotFound, NotYourMessage: there is nothing to take back.
    """
    if await conversations.find(conversation_id, user_id=by.user_id) is None:
        raise ConversationNotFound
    await _own(conversation_id, message_id, by)

    async def change(number: int) -> MessageDocument:
        now = clock.now()
        deleted = await messages.delete(message_id, at=now, number=number)
        if deleted is None:
            raise MessageNotFound
        await attachments.withdraw(message_id)
        await context.timers.set(f"purge:{message_id}", "messaging.purge_message", [message_id], due=now + KEPT_FOR)
        return deleted

    await _change(context, conversation_id, change, by)


async def purge_message(context: Context, message_id: str) -> None:
    """Forget what was taken back. A timer's target; running twice changes nothing."""
    for attachment_id in await attachments.of_message(message_id):
        await delete_bytes(context, attachment_id)
        await context.mongo.transact(partial(attachments.uncount, attachment_id))
    await messages.purge(message_id)


async def react(context: Context, conversation_id: str, message_id: str, new: React, *, by: Principal) -> MessageView:
    """Put an emoji to a message or take it away; what is so already stays so.

    Raises:
        ConversationNotFound, MessageNotFound: not there, or not for the caller.
        WritingRefused, WritingRestricted, StrangerLimit, SlowDown: as for a new message.
    """
    if not _is_emoji(new.emoji):
        raise BadInput.of("emoji", "one emoji is needed")
    conversation = await conversations.find(conversation_id, user_id=by.user_id)
    if conversation is None:
        raise ConversationNotFound
    message = await messages.get(conversation_id, message_id)
    if message is None or message.deleted_at is not None:
        raise MessageNotFound
    reaction = Reaction(emoji=new.emoji, user_id=by.user_id)
    if (reaction in message.reactions) is not new.remove:
        return (await views(context, [message]))[0]
    if not new.remove:
        await check_may_write(context, conversation, await standing_in(conversation, by=by), by=by)
        if len(message.reactions) >= MAX_REACTIONS:
            raise BadInput.of("emoji", "this message has as many as one can have")
    await charge(context, messages_limit(context.settings), by.user_id)

    async def change(number: int) -> MessageDocument:
        if new.remove:
            changed = await messages.unreact(message_id, reaction, number=number)
        else:
            changed = await messages.react(message_id, reaction, most=MAX_REACTIONS, number=number)
        if changed is None:
            raise _Unchanged
        return changed

    try:
        return await _change(context, conversation_id, change, by)
    except _Unchanged:  # its twin was faster
        now = await messages.get(conversation_id, message_id)
        if now is None or now.deleted_at is not None:
            raise MessageNotFound from None
        return (await views(context, [now]))[0]


class _Unchanged(Exception):
    pass


def _is_emoji(text: str) -> bool:
    kinds = [unicodedata.category(char) for char in text]
    return "So" in kinds and _EMOJI_CATEGORIES.issuperset(kinds)


async def _own(conversation_id: str, message_id: str, by: Principal) -> MessageDocument:
    message = await messages.get(conversation_id, message_id)
    if message is None or message.deleted_at is not None:
        raise MessageNotFound
    if message.sender_id != by.user_id:
        raise NotYourMessage
    return message


async def _change(
    context: Context, conversation_id: str, change: Callable[[int], Awaitable[MessageDocument]], by: Principal
) -> MessageView:
    """Make a change under the conversation's next number, and show it to everybody."""

    async def body() -> tuple[MessageDocument, list[str]]:
        conversation = await conversations.take_change(conversation_id, user_id=by.user_id)
        if conversation is None:
            raise ConversationNotFound
        return await change(conversation.last_change), conversation.user_ids

    message, user_ids = await context.mongo.transact(body)
    (view,) = await views(context, [message])
    await live.publish(context, user_ids, ChangeFrame(message=view))
    return view


async def list_changes(
    context: Context, conversation_id: str, *, after: int, limit: int, by: Principal
) -> Page[MessageView]:
    """Messages that were edited, deleted or reacted to after a change, each as it is now, oldest change first.

    Raises:
        ConversationNotFound: not one of the caller's.
    """
    if await conversations.find(conversation_id, user_id=by.user_id) is None:
        raise ConversationNotFound
    found = await messages.changed_after(conversation_id, change=after, limit=limit)
    return Page(items=await views(context, found))


async def search_messages(
    context: Context, query: str, *, conversation_id: str | None, cursor: str | None, limit: int, by: Principal
) -> Page[MessageView]:
    """Messages of the caller's conversations that hold every word of the query, newest first.

    Raises:
        ConversationNotFound: not one of the caller's.
        BadInput: no word to look for, or too many.
    """
    wanted = words.split(query)
    if not 1 <= len(wanted) <= words.MAX_QUERY_WORDS:
        raise BadInput.of("q", f"1 to {words.MAX_QUERY_WORDS} words of at least two letters are looked for")
    before = read_cursor(cursor, (str,))
    if conversation_id is None:
        mine = await conversations.list_for(by.user_id, archived=None, after=None, limit=SEARCHED_CONVERSATIONS)
        ids = [one.id for one in mine]
    elif await conversations.find(conversation_id, user_id=by.user_id) is None:
        raise ConversationNotFound
    else:
        ids = [conversation_id]
    if not ids:
        return Page(items=[])
    choices = [one for each in ids for one in words.queries(context.ring, each, wanted)]
    found = await messages.with_words(choices, before=before[0] if before else None, limit=limit + 1)
    shown = found[:limit]
    next_cursor = encode_cursor((shown[-1].id,)) if len(found) > limit else None
    return Page(items=await views(context, shown), next_cursor=next_cursor)
