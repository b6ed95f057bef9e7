"""Sending: messages that come while a transaction is under way are looked at and stored together, in the next one.

A message is stored once by its client id, and its sequence is its place in the order in which they came. What keeps a
message from being sent is found before the transaction begins, so that it costs the others nothing.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from kelmah.contracts.common import Event
from kelmah.contracts.messaging import FileShared, MessageFlagged, MessageFrame, MessageSent, MessageView, NewMessage
from kelmah.contracts.messaging.values import MAX_TEXT_CHARS
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput, KelmahError
from kelmah.kit.events import Author
from kelmah.kit.ids import new_id
from kelmah.kit.text import clean_text
from kelmah.services.messaging import mapping
from kelmah.services.messaging.documents import (
    AttachmentDocument,
    ConversationDocument,
    MessageDocument,
    attachments,
    conversations,
    messages,
)
from kelmah.services.messaging.documents.messages import AlreadyStoredError
from kelmah.services.messaging.documents.sending import Grounds, Key, Wanted, grounds_of
from kelmah.services.messaging.errors import AttachmentsNotUsable, ClientIdReused, ConversationNotFound, SlowDown
from kelmah.services.messaging.service import live
from kelmah.services.messaging.service.context import Context, charge, messages_limit
from kelmah.services.messaging.service.safety import Standing, check_may_write, flags_for
from kelmah.services.messaging.service.words import words_of

#: A message as it is, and whether it is new.
Sent = tuple[MessageView, bool]
_Files = Mapping[str, AttachmentDocument]


class Draft(NamedTuple):
    """A message that somebody wants to send."""

    key: Key
    new: NewMessage
    by: Principal
    author: Author


class _New(NamedTuple):
    """A draft that may be sent, and what is to be stored of it."""

    draft: Draft
    message: MessageDocument


async def send_message(context: Context, conversation_id: str, new: NewMessage, *, by: Principal) -> Sent:
    """Store a message and tell everybody; the second value tells whether it is new.

    Raises:
        ConversationNotFound: not one of the caller's.
        ClientIdReused: another message has this client id.
        AttachmentsNotUsable: a file is not here, not the sender's, or was sent before.
        WritingRefused, WritingRestricted, StrangerLimit: see `safety.check_may_write`.
        SlowDown: the sender's limit is reached.
    """
    key = Key(conversation_id, by.user_id, new.client_id)
    draft = Draft(key, _clean(new), by, await context.events.author(actor=by.user_id))
    sent: Sent = await context.sends.do(draft, partial(_send, context))
    return sent


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


async def _send(context: Context, drafts: Sequence[Draft]) -> list[Sent | Exception]:
    """Send what may be sent; the outcome of each."""
    grounds, charges = await asyncio.gather(
        grounds_of([Wanted(one.key, one.new.reply_to) for one in drafts], at=clock.now()),
        asyncio.gather(*(_charge(context, one) for one in drafts)),
    )
    named = [one.new.attachment_ids for one in drafts] + [one.attachment_ids for one in grounds.sent.values()]
    files = await attachments.find_many({file_id for ids in named for file_id in ids})
    judged = await asyncio.gather(
        *(_judge(context, one, refused, grounds, files) for one, refused in zip(drafts, charges, strict=True))
    )
    new: dict[Key, _New] = {}
    for draft, found in zip(drafts, judged, strict=True):
        if isinstance(found, MessageDocument):
            new.setdefault(draft.key, _New(draft, found))  # its twin is answered as if it had come later
    if new:
        try:
            await context.mongo.transact(partial(_store, context, list(new.values())))
        except AlreadyStoredError:  # by a twin that came to another instance, and is found now
            return await _send(context, drafts)
    known = grounds.sent | {key: one.message for key, one in new.items()}
    views = {key: mapping.message_view(message, files, context.ring) for key, message in known.items()}
    people = {one.id: one.user_ids for one in grounds.conversations.values()}
    await live.publish_all(context, [(people[key.conversation_id], MessageFrame(message=views[key])) for key in new])
    outcomes: list[Sent | Exception] = []
    for draft, found in zip(drafts, judged, strict=True):
        if isinstance(found, KelmahError):
            outcomes.append(found)
        elif found is known[draft.key]:
            outcomes.append((views[draft.key], True))
        elif _is_same(draft.new, known[draft.key], views[draft.key]):
            outcomes.append((views[draft.key], False))
        else:
            outcomes.append(ClientIdReused())
    return outcomes


def _is_same(new: NewMessage, before: MessageDocument, view: MessageView) -> bool:
    """Whether this is what was sent before, which may have been changed since."""
    says_so = before.change or (view.text == new.text and before.reply_to == new.reply_to)
    return bool(says_so) and before.attachment_ids == new.attachment_ids


async def _charge(context: Context, draft: Draft) -> SlowDown | None:
    """Take from the sender's limit, whatever becomes of it."""
    try:
        await charge(context, messages_limit(context.settings), draft.by.user_id)
    except SlowDown as refusal:
        return refusal
    return None


async def _judge(
    context: Context, draft: Draft, too_many: SlowDown | None, grounds: Grounds, files: _Files
) -> MessageDocument | KelmahError | None:
    """What is to be stored of a draft, or why it is not; None where it was sent before."""
    conversation = grounds.conversations.get(draft.key.conversation_id)
    if conversation is None or draft.by.user_id not in conversation.user_ids:
        return ConversationNotFound()
    if draft.key in grounds.sent:
        return None
    try:
        await _check(context, draft, too_many, conversation, grounds, files)
        return await _message(context, draft, conversation)
    except KelmahError as refusal:
        return refusal


async def _check(
    context: Context,
    draft: Draft,
    too_many: SlowDown | None,
    conversation: ConversationDocument,
    grounds: Grounds,
    files: _Files,
) -> None:
    new, sender_id = draft.new, draft.by.user_id
    standing = Standing(sender_id in grounds.restricted, conversation.id in grounds.blocked)
    await check_may_write(context, conversation, standing, by=draft.by)
    conversation.last_sequence += 1  # those that are judged after it come after it
    if too_many is not None:
        raise too_many
    if new.reply_to is not None and (conversation.id, new.reply_to) not in grounds.replied:
        raise BadInput.of("replyTo", "there is no such message in this conversation")
    for attachment_id in new.attachment_ids:
        file = files.get(attachment_id)
        if file is None or (file.conversation_id, file.uploader_id, file.message_id) != (
            conversation.id,
            sender_id,
            None,
        ):
            raise _not_usable()


def _not_usable() -> BadInput:
    return AttachmentsNotUsable.of("attachmentIds", AttachmentsNotUsable.title)


async def _message(context: Context, draft: Draft, conversation: ConversationDocument) -> MessageDocument:
    """A message without its sequence, which it is given when it is stored."""
    new, message_id = draft.new, new_id()
    return MessageDocument(
        id=message_id,
        conversation_id=conversation.id,
        sequence=0,
        sender_id=draft.by.user_id,
        client_id=new.client_id,
        text=context.ring.seal(new.text, context=mapping.text_context(message_id)),
        flags=await flags_for(conversation, new.text),
        reply_to=new.reply_to,
        words=words_of(context.ring, conversation.id, new.text),
        attachment_ids=new.attachment_ids,
        sent_at=clock.now(),
    )


async def _store(context: Context, new: Sequence[_New]) -> None:
    """Store messages and their events, in the open transaction."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for one in new:
        counts[one.message.conversation_id][one.message.sender_id] += 1
    counted = await conversations.take_sequences(counts, at=new[-1].message.sent_at)
    if not counted:
        raise ConversationNotFound  # somebody left it meanwhile; who, is found one by one
    last = {one.id: one.last_sequence - counts[one.id].total() for one in counted.values()}
    events: list[tuple[Event, str, Author]] = []
    for draft, message in new:
        last[message.conversation_id] += 1
        message.sequence = last[message.conversation_id]
        recipient_ids = [one for one in counted[message.conversation_id].user_ids if one != message.sender_id]
        subject = f"conversation:{message.conversation_id}"
        events += [(event, subject, draft.author) for event in _news(message, recipient_ids)]
        if not await attachments.send_with(message):
            raise _not_usable()
    await messages.add_all([one.message for one in new])
    await context.events.append_all(events)


def _news(message: MessageDocument, recipient_ids: list[str]) -> Iterator[Event]:
    """What a message is told of by."""
    yield MessageSent(
        conversation_id=message.conversation_id,
        message_id=message.id,
        message_sequence=message.sequence,
        sender_id=message.sender_id,
        recipient_ids=recipient_ids,
    )
    if message.flags:
        yield MessageFlagged(
            conversation_id=message.conversation_id,
            message_id=message.id,
            sender_id=message.sender_id,
            flags=list(message.flags),
        )
    for attachment_id in message.attachment_ids:
        yield FileShared(
            conversation_id=message.conversation_id,
            attachment_id=attachment_id,
            sender_id=message.sender_id,
            recipient_ids=recipient_ids,
        )
