"""The events of the messaging service."""

from typing import ClassVar

from kelmah.contracts.common import Event


class MessageSent(Event, frozen=True, kw_only=True):
    """A message was stored at `sequence` of its conversation."""

    TYPE: ClassVar[str] = "messaging.message_sent.v1"
    conversation_id: str
    message_id: str
    message_sequence: int
    sender_id: str
    recipient_ids: list[str]


class FileShared(Event, frozen=True, kw_only=True):
    """A file was attached to a conversation."""

    TYPE: ClassVar[str] = "messaging.file_shared.v1"
    conversation_id: str
    attachment_id: str
    sender_id: str
    recipient_ids: list[str]


class StatusUpdated(Event, frozen=True, kw_only=True):
    """A person came online or went away."""

    TYPE: ClassVar[str] = "messaging.status_updated.v1"
    user_id: str
    status: str
