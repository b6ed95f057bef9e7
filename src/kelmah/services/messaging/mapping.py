"""Turns documents into what clients see; opens what is sealed."""

from collections.abc import Mapping
from typing import Any

from kelmah.contracts.messaging import (
    AttachmentView,
    ConversationView,
    DeliveryView,
    MessageView,
    NotificationView,
    ParticipantView,
    ReactionView,
)
from kelmah.contracts.user import Person
from kelmah.kit.crypto import KeyRing
from kelmah.services.messaging.documents import (
    AttachmentDocument,
    ConversationDocument,
    DeliveryDocument,
    MessageDocument,
    NotificationDocument,
)


def text_context(message_id: str) -> bytes:
    """Where a message's text is sealed for."""
    return b"messaging.message.text:" + message_id.encode()


def file_name_context(attachment_id: str) -> bytes:
    """Where an attachment's name is sealed for."""
    return b"messaging.attachment.file_name:" + attachment_id.encode()


def attachment_view(attachment: AttachmentDocument, ring: KeyRing) -> AttachmentView:
    """A file without its bytes."""
    return AttachmentView(
        id=attachment.id,
        file_name=ring.open(attachment.file_name, context=file_name_context(attachment.id)),
        media_type=attachment.media_type,
        size=attachment.size,
        state=attachment.state,
        thumbnail=attachment.thumbnail,
    )


def message_view(message: MessageDocument, attachments: Mapping[str, AttachmentDocument], ring: KeyRing) -> MessageView:
    """A message with the files it was sent with, in their order."""
    is_deleted = message.deleted_at is not None
    reactions: dict[str, list[str]] = {}
    for one in message.reactions:
        reactions.setdefault(one.emoji, []).append(one.user_id)
    return MessageView(
        id=message.id,
        conversation_id=message.conversation_id,
        sequence=message.sequence,
        sender_id=message.sender_id,
        client_id=message.client_id,
        text="" if is_deleted else ring.open(message.text, context=text_context(message.id)),
        attachments=[]
        if is_deleted
        else [attachment_view(attachments[one], ring) for one in message.attachment_ids if one in attachments],
        sent_at=message.sent_at,
        flags=[] if is_deleted else message.flags,
        reply_to=message.reply_to,
        edited_at=message.edits[-1].at if message.edits else None,
        deleted_at=message.deleted_at,
        reactions=[ReactionView(emoji=emoji, user_ids=user_ids) for emoji, user_ids in reactions.items()],
        change=message.change,
    )


def conversation_view(
    conversation: ConversationDocument,
    *,
    user_id: str,
    people: Mapping[str, Person],
    last_message: MessageView | None,
) -> ConversationView:
    """A conversation as `user_id` sees it."""
    me = conversation.participant(user_id)
    return ConversationView(
        id=conversation.id,
        kind=conversation.kind,
        contract_id=conversation.contract_id,
        job_id=conversation.job_id,
        participants=[
            ParticipantView(
                user_id=one.user_id,
                role=people[one.user_id].role if one.user_id in people else None,
                display_name=people[one.user_id].display_name if one.user_id in people else None,
                read_up_to=one.read_up_to if one is me or not (one.private_receipts or me.private_receipts) else None,
            )
            for one in conversation.participants
        ],
        last_sequence=conversation.last_sequence,
        last_change=conversation.last_change,
        unread_count=conversation.unread(user_id),
        last_message=last_message,
        created_at=conversation.created_at,
        active_at=conversation.active_at,
        muted=me.muted,
        archived=me.archived,
        private_receipts=me.private_receipts,
    )


def notification_view(notification: NotificationDocument, *, title: str, body: str) -> NotificationView:
    """A notification with its texts in the reader's language."""
    fields: dict[str, Any] = {name: getattr(notification, name) for name in ("id", "kind", "data", "at", "read_at")}
    return NotificationView(title=title, body=body, count=notification.times, **fields)


def delivery_view(delivery: DeliveryDocument) -> DeliveryView:
    """A line of the delivery log."""
    return DeliveryView(
        channel=delivery.channel, state=delivery.state, reason=delivery.reason, due_at=delivery.due_at, at=delivery.at
    )
