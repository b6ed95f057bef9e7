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


class SupportJoined(Event, frozen=True, kw_only=True):
    """One of the staff joined a person's conversation with support, and can read it from now on."""

    TYPE: ClassVar[str] = "messaging.support_joined.v1"
    conversation_id: str
    user_id: str
    staff_id: str


class SupportLeft(Event, frozen=True, kw_only=True):
    """One of the staff left a person's conversation with support, and cannot read it any more."""

    TYPE: ClassVar[str] = "messaging.support_left.v1"
    conversation_id: str
    user_id: str
    staff_id: str


class SupportClosed(Event, frozen=True, kw_only=True):
    """What a person asked support is settled; the next message opens it anew."""

    TYPE: ClassVar[str] = "messaging.support_closed.v1"
    conversation_id: str
    user_id: str
    staff_id: str


class MessageFlagged(Event, frozen=True, kw_only=True):
    """A message between people without a contract seems to hold what leads away from the platform."""

    TYPE: ClassVar[str] = "messaging.message_flagged.v1"
    conversation_id: str
    message_id: str
    sender_id: str
    flags: list[str]


class ConversationReported(Event, frozen=True, kw_only=True):
    """Somebody reported a message to staff."""

    TYPE: ClassVar[str] = "messaging.conversation_reported.v1"
    report_id: str
    conversation_id: str
    message_id: str
    reporter_id: str
    sender_id: str
    reason: str


class ReportDecided(Event, frozen=True, kw_only=True):
    """Staff ruled on a report; `restricted_days` is 0 where the sender may go on writing."""

    TYPE: ClassVar[str] = "messaging.report_decided.v1"
    report_id: str
    sender_id: str
    decided_by: str
    upheld: bool
    restricted_days: int
