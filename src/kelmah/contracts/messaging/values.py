"""Requests and responses of the messaging service."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, field

from kelmah.contracts.common import MAX_SAFE_INTEGER, Id, Request, Response, Role

MAX_TEXT_CHARS = 10_000
MAX_ATTACHMENTS = 10

Sequence = Annotated[int, Meta(ge=1, le=MAX_SAFE_INTEGER, description="Counts from 1 within a conversation, no gaps.")]


class ConversationKind(StrEnum):
    """What a conversation is about."""

    DIRECT = "direct"
    CONTRACT = "contract"


class NewConversation(Request, frozen=True, kw_only=True):
    """Whom to talk to. A conversation that is there already is given back rather than made twice."""

    kind: ConversationKind
    participant_ids: (
        Annotated[
            list[Id],
            Meta(min_length=1, max_length=2, description="For `direct`: the other person; oneself may be named."),
        ]
        | None
    ) = None
    contract_id: Annotated[Id, Meta(description="For `contract`: its two sides are the participants.")] | None = None


class ParticipantView(Response, frozen=True, kw_only=True):
    """A person in a conversation. Role and name are null while the user service cannot be asked."""

    user_id: str
    role: Role | None
    display_name: str | None
    read_up_to: int


class AttachmentView(Response, frozen=True, kw_only=True):
    """A file of a conversation; its bytes are at `GET /attachments/{id}`. `size` is bytes."""

    id: str
    file_name: str
    media_type: str
    size: int


class NewMessage(Request, frozen=True, kw_only=True):
    """A message to send. Sent twice under one `clientId`, it is stored once."""

    client_id: Annotated[Id, Meta(description="Chosen by the client, new for each message.")]
    text: Annotated[str, Meta(max_length=MAX_TEXT_CHARS, description="May be empty when there are attachments.")] = ""
    attachment_ids: Annotated[list[Id], Meta(max_length=MAX_ATTACHMENTS)] = field(default_factory=list)


class MessageView(Response, frozen=True, kw_only=True):
    """A stored message."""

    id: str
    conversation_id: str
    sequence: int
    sender_id: str
    client_id: str
    text: str
    attachments: list[AttachmentView]
    sent_at: datetime


class ConversationView(Response, frozen=True, kw_only=True):
    """A conversation as one of its participants sees it."""

    id: str
    kind: ConversationKind
    contract_id: str | None
    participants: list[ParticipantView]
    last_sequence: int
    unread_count: int
    last_message: MessageView | None
    created_at: datetime
    active_at: datetime


class ReadMark(Request, frozen=True, kw_only=True):
    """Everything up to and including this sequence was read."""

    up_to: Sequence


class ConversationRead(Response, frozen=True, kw_only=True):
    """Where the caller's read mark stands now."""

    conversation_id: str
    read_up_to: int
    unread_count: int


class SocketTicket(Response, frozen=True, kw_only=True):
    """Opens one WebSocket within `expiresIn` seconds."""

    ticket: str
    expires_in: int


class PresenceStatus(StrEnum):
    """Whether a person has an open socket on any device."""

    ONLINE = "online"
    OFFLINE = "offline"


class PresenceView(Response, frozen=True, kw_only=True):
    """The presence of one person."""

    user_id: str
    status: PresenceStatus


class NotificationKind(StrEnum):
    """What a notification tells of."""

    APPLICATION_RECEIVED = "application_received"
    APPLICATION_ACCEPTED = "application_accepted"
    APPLICATION_REJECTED = "application_rejected"
    CONTRACT_SIGNED = "contract_signed"
    CONTRACT_ACTIVE = "contract_active"
    MILESTONE_SUBMITTED = "milestone_submitted"
    CHANGES_REQUESTED = "changes_requested"
    MILESTONE_APPROVED = "milestone_approved"
    ESCROW_FUNDED = "escrow_funded"
    ESCROW_RELEASED = "escrow_released"
    ESCROW_REFUNDED = "escrow_refunded"
    DISPUTE_RAISED = "dispute_raised"
    DEPOSIT_PROCESSED = "deposit_processed"
    WITHDRAWAL_PROCESSED = "withdrawal_processed"
    MESSAGE_RECEIVED = "message_received"
    REVIEW_REVEALED = "review_revealed"


class NotificationView(Response, frozen=True, kw_only=True):
    """Something that happened, in the reader's language. `data` names the things it is about.

    `count` is above 1 where several events of one conversation were collapsed; `at` is the time of the latest.
    """

    id: str
    kind: NotificationKind
    title: str
    body: str
    data: dict[str, str]
    count: int
    at: datetime
    read_at: datetime | None


class NotificationPage(Response, frozen=True, kw_only=True):
    """One page of notifications, newest first, and how many there are unread in all."""

    items: list[NotificationView]
    next_cursor: str | None
    unread_count: int


class ReadNotifications(Request, frozen=True, kw_only=True):
    """Which notifications were read: these, or all up to and including one. One of the two is given."""

    ids: Annotated[list[Id], Meta(min_length=1, max_length=100)] | None = None
    up_to: Id | None = None


class NotificationsRead(Response, frozen=True, kw_only=True):
    """How many notifications are unread now."""

    unread_count: int
