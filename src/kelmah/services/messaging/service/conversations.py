"""Conversations: who talks to whom, read marks, and typing."""

from datetime import datetime

from msgspec import UNSET

from kelmah.contracts.common import Page
from kelmah.contracts.messaging import (
    ConversationKind,
    ConversationRead,
    ConversationView,
    EditConversation,
    NewConversation,
    ReadFrame,
    ReadMark,
    TypingNoticeFrame,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput
from kelmah.kit.pagination import decode_cursor, encode_cursor
from kelmah.services.messaging import mapping
from kelmah.services.messaging.documents import ConversationDocument, conversations, messages, notifications, safety
from kelmah.services.messaging.errors import ConversationNotFound, PersonNotFound
from kelmah.services.messaging.service import live, rooms
from kelmah.services.messaging.service.context import CONVERSATIONS, Context, charge, people_of
from kelmah.services.messaging.service.messages import views
from kelmah.services.messaging.service.safety import check_may_meet

#: Seconds after which a typing notice is to be forgotten.
TYPING_S = 6


async def create_conversation(
    context: Context, new: NewConversation, *, by: Principal
) -> tuple[ConversationView, bool]:
    """Make a conversation or give the one that is there; the second value tells whether it is new.

    Raises:
        PersonNotFound, ContractNotFound, JobNotFound: there is nobody, or nothing of the caller's, to talk with or of.
    """
    match new.kind:
        case ConversationKind.DIRECT:
            wanted = await _direct(context, new, by)
        case ConversationKind.CONTRACT:
            wanted = await rooms.about_a_contract(context, new, by)
        case ConversationKind.JOB:
            wanted = await rooms.about_a_job(new, by)
        case _:
            wanted = rooms.with_support(new, by)
    found, made = await conversations.find_by_key(wanted.key), False
    if found is None:
        await charge(context, CONVERSATIONS, by.user_id)
        found, made = await conversations.add(wanted)
    return (await views_of(context, [found], by))[0], made


async def _direct(context: Context, new: NewConversation, by: Principal) -> ConversationDocument:
    others = set(new.participant_ids or ()) - {by.user_id}
    if len(others) != 1 or new.contract_id is not None or new.job_id is not None:
        raise BadInput.of(
            "participantIds", "a direct conversation is with one other person and about no contract or job"
        )
    (other,) = others
    if not await context.user.get_people(user_ids=[other]):
        raise PersonNotFound
    await check_may_meet(by.user_id, other)
    key = "direct:" + ":".join(sorted((by.user_id, other)))
    return rooms.document(ConversationKind.DIRECT, key, [by.user_id, other])


async def list_conversations(
    context: Context, *, archived: bool, cursor: str | None, limit: int, by: Principal
) -> Page[ConversationView]:
    """The caller's conversations, most recently active first."""
    after = None
    if cursor is not None:
        try:
            at, conversation_id = decode_cursor(cursor, (datetime, str))
        except ValueError as error:
            raise BadInput.of("cursor", str(error)) from None
        after = (at, conversation_id)
    found = await conversations.list_for(by.user_id, archived=archived, after=after, limit=limit + 1)
    shown = found[:limit]
    next_cursor = encode_cursor((shown[-1].active_at, shown[-1].id)) if len(found) > limit else None
    return Page(items=await views_of(context, shown, by), next_cursor=next_cursor)


async def views_of(context: Context, found: list[ConversationDocument], by: Principal) -> list[ConversationView]:
    """Conversations as the caller, who takes part in each, sees them."""
    people = await people_of(context, {user_id for one in found for user_id in one.user_ids})
    places = [(one.id, one.last_sequence) for one in found if one.last_sequence]
    last = {one.conversation_id: one for one in await views(context, await messages.at_places(places))}
    return [
        mapping.conversation_view(one, user_id=by.user_id, people=people, last_message=last.get(one.id))
        for one in found
    ]


async def edit_conversation(
    context: Context, conversation_id: str, edit: EditConversation, *, by: Principal
) -> ConversationView:
    """Mute, archive, or take either back, for the caller alone. A muted conversation notifies of nothing.

    Raises:
        ConversationNotFound: not one of the caller's.
    """
    given = {"muted": edit.muted, "archived": edit.archived, "private_receipts": edit.private_receipts}
    values = {name: value for name, value in given.items() if value is not UNSET}
    if not values:
        raise BadInput.of("", "nothing to change")
    found = await conversations.edit_own(conversation_id, user_id=by.user_id, values=values)
    if found is None:
        raise ConversationNotFound
    return (await views_of(context, [found], by))[0]


async def mark_read(context: Context, conversation_id: str, mark: ReadMark, *, by: Principal) -> ConversationRead:
    """Move the caller's read mark forward; a mark that stands there or further already stays.

    Raises:
        ConversationNotFound: not one of the caller's.
        BadInput: there is no such message yet.
    """

    async def change() -> tuple[ConversationDocument, bool]:
        conversation = await conversations.find(conversation_id, user_id=by.user_id)
        if conversation is None:
            raise ConversationNotFound
        if mark.up_to > conversation.last_sequence:
            raise BadInput.of("upTo", "there is no such message yet")
        own = await messages.count_by(conversation_id, sender_id=by.user_id, after_sequence=mark.up_to)
        moved = await conversations.set_read(conversation_id, user_id=by.user_id, up_to=mark.up_to, own_unread=own)
        if moved is not None and moved.unread(by.user_id) == 0:
            await notifications.mark_read_key(by.user_id, open_key=open_key(conversation_id), at=clock.now())
        return moved or conversation, moved is not None

    conversation, has_moved = await context.mongo.transact(change)
    me = conversation.participant(by.user_id)
    if has_moved:
        frame = ReadFrame(conversation_id=conversation_id, user_id=by.user_id, read_up_to=me.read_up_to)
        # Whoever tells nobody learns of nobody.
        others = [one for one in conversation.participants if not (me.private_receipts or one.private_receipts)]
        await live.publish(context, {by.user_id, *(one.user_id for one in others)}, frame)
    return ConversationRead(
        conversation_id=conversation_id, read_up_to=me.read_up_to, unread_count=conversation.unread(by.user_id)
    )


def open_key(conversation_id: str) -> str:
    """Under which unread message notifications of one conversation are collapsed."""
    return f"conversation:{conversation_id}"


async def note_typing(context: Context, conversation_id: str, *, by: Principal) -> None:
    """Tell the others that the caller types. Nothing is stored.

    Raises:
        ConversationNotFound: not one of the caller's.
    """
    conversation = await conversations.find(conversation_id, user_id=by.user_id)
    if conversation is None:
        raise ConversationNotFound
    others = [user_id for user_id in conversation.user_ids if user_id != by.user_id]
    hidden = await safety.blocked_between(by.user_id, others)
    others = [user_id for user_id in others if user_id not in hidden]
    frame = TypingNoticeFrame(conversation_id=conversation_id, user_id=by.user_id, expires_in_s=TYPING_S)
    await live.publish(context, others, frame)
