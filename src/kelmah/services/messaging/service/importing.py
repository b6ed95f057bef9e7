"""Conversations, messages and notifications out of the old database, and back into its shape."""

from collections.abc import Sequence
from functools import partial

from kelmah.contracts.messaging import ConversationKind
from kelmah.kit.errors import Conflict
from kelmah.kit.mongo import add_all
from kelmah.legacy.entities.messages import OldConversation, OldMessage, OldNotification, OldParticipant
from kelmah.legacy.twins import Claims, without_twins
from kelmah.services.messaging import mapping
from kelmah.services.messaging.documents import ConversationDocument, MessageDocument, NotificationDocument
from kelmah.services.messaging.documents import legacy as documents
from kelmah.services.messaging.documents.conversations import Participant
from kelmah.services.messaging.service import words
from kelmah.services.messaging.service.context import Context


def conversation_claims(context: Context, one: OldConversation) -> Claims:
    """What no two conversations may have."""
    return {_key(one): "conversations: the same two, or the contract, have another conversation"}


async def move_conversations(context: Context, old: Sequence[OldConversation]) -> dict[str, str]:
    """Make conversations in the open transaction, and tell of those that cannot be made: id → reason."""
    taken = await documents.taken_keys([_key(one) for one in old])
    made, refused = without_twins(old, partial(conversation_claims, context), taken)
    await add_all([_conversation(one) for one in made])
    return refused


async def move_messages(context: Context, old: Sequence[OldMessage]) -> dict[str, str]:
    """Store messages in the open transaction, each with the next place of its conversation."""
    found = await documents.conversations_by_id(list({one.conversation_id for one in old}))
    conversations = {one.id: one for one in found}
    before = {one.id: one.last_sequence for one in found}
    made = [_message(context, one, conversations[one.conversation_id]) for one in old]
    await add_all(made)
    if not await documents.note_moved(found, before=before):
        raise Conflict
    return {}


async def move_notifications(context: Context, old: Sequence[OldNotification]) -> dict[str, str]:
    """Store notifications in the open transaction. Nobody is told of them anew."""
    await add_all(
        [
            NotificationDocument(
                id=one.id,
                user_id=one.user_id,
                kind=one.kind,
                event_id=_event_id(one.id),
                data=one.data,
                params=one.params,
                at=one.at,
                read_at=one.read_at,
            )
            for one in old
        ]
    )
    return {}


async def conversations_as_old(context: Context, ids: Sequence[str]) -> dict[str, OldConversation]:
    """Conversations as the old database would have them."""
    return {
        one.id: OldConversation(
            id=one.id,
            kind=one.kind,
            contract_id=one.contract_id,
            participants=tuple(
                OldParticipant(user_id=part.user_id, is_muted=part.muted, is_archived=part.archived)
                for part in sorted(one.participants, key=lambda part: part.user_id)
            ),
            created_at=one.created_at,
            active_at=one.active_at,
        )
        for one in await documents.conversations_by_id(ids)
    }


async def messages_as_old(context: Context, ids: Sequence[str]) -> dict[str, OldMessage]:
    """Messages as the old database would have them."""
    return {
        one.id: OldMessage(
            id=one.id,
            conversation_id=one.conversation_id,
            sender_id=one.sender_id,
            # What was deleted here is purged in the end.
            text=context.ring.open(one.text, context=mapping.text_context(one.id)) if one.text else "",
            sent_at=one.sent_at,
            edited_at=one.edits[-1].at if one.edits else None,
            deleted_at=one.deleted_at,
        )
        for one in await documents.messages_by_id(ids)
    }


async def notifications_as_old(context: Context, ids: Sequence[str]) -> dict[str, OldNotification]:
    """Notifications as the old database would have them."""
    return {
        one.id: OldNotification(
            id=one.id,
            user_id=one.user_id,
            kind=one.kind,
            data=one.data,
            params=one.params,
            at=one.at,
            read_at=one.read_at,
            is_new=one.event_id != _event_id(one.id),
        )
        for one in await documents.notifications_by_id(ids)
    }


def _key(old: OldConversation) -> str:
    if old.kind is ConversationKind.CONTRACT:
        return f"contract:{old.contract_id}"
    return "direct:" + ":".join(sorted(one.user_id for one in old.participants))


def _event_id(notification_id: str) -> str:
    return f"legacy:{notification_id}"


def _conversation(old: OldConversation) -> ConversationDocument:
    return ConversationDocument(
        id=old.id,
        kind=old.kind,
        key=_key(old),
        contract_id=old.contract_id,
        participants=[
            Participant(user_id=one.user_id, muted=one.is_muted, archived=one.is_archived) for one in old.participants
        ],
        created_at=old.created_at,
        active_at=old.active_at,
    )


def _message(context: Context, old: OldMessage, conversation: ConversationDocument) -> MessageDocument:
    """The document; the conversation is counted on."""
    conversation.last_sequence += 1
    conversation.active_at = max(conversation.active_at, old.sent_at)
    for person in conversation.participants:
        if person.user_id in old.read_by:
            person.read_up_to, person.own_unread = conversation.last_sequence, 0
        elif person.user_id == old.sender_id:
            person.own_unread += 1
        person.notified_up_to = conversation.last_sequence
    return MessageDocument(
        id=old.id,
        conversation_id=old.conversation_id,
        sequence=conversation.last_sequence,
        sender_id=old.sender_id,
        client_id=old.id,
        text=context.ring.seal(old.text, context=mapping.text_context(old.id)),
        attachment_ids=[],
        sent_at=old.sent_at,
        words=words.words_of(context.ring, old.conversation_id, old.text),
    )
