"""Requests and responses of the messaging service."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, field

from kelmah.contracts.common import MAX_SAFE_INTEGER, Id, Request, Response, Role
from kelmah.contracts.messaging.safety import Flag

MAX_TEXT_CHARS = 10_000
MAX_ATTACHMENTS = 10

Sequence = Annotated[int, Meta(ge=1, le=MAX_SAFE_INTEGER, description="Counts from 1 within a conversation, no gaps.")]


class ConversationKind(StrEnum):
    """What a conversation is about."""

    DIRECT = "direct"
    JOB = "job"
    CONTRACT = "contract"
    SUPPORT = "support"


class NewConversation(Request, frozen=True, kw_only=True):
    """Whom to talk to. A conversation that is there already is given back rather than made twice."""

    kind: ConversationKind
    participant_ids: (
        Annotated[
            list[Id],
            Meta(
                min_length=1,
                max_length=2,
                description="For `direct` and a hirer's `job`: the other person; oneself may be named.",
            ),
        ]
        | None
    ) = None
    contract_id: Annotated[Id, Meta(description="For `contract`: its two sides are the participants.")] | None = None
    job_id: Annotated[Id, Meta(description="For `job`: it is open from the application on.")] | None = None


class ParticipantView(Response, frozen=True, kw_only=True):
    """A person in a conversation. Role and name are null while the user service cannot be asked."""

    user_id: str
    role: Role | None
    display_name: str | None
    read_up_to: Annotated[int, Meta(description="Null where receipts are private on either side.")] | None


class FileState(StrEnum):
    """Whether a file can be read: not while it is looked through for malware, and never where some was found.

    Where nobody looks through files, they are `unscanned`, and can be read.
    """

    SCANNING = "scanning"
    CLEAN = "clean"
    UNSCANNED = "unscanned"
    INFECTED = "infected"


class AttachmentView(Response, frozen=True, kw_only=True):
    """A file of a conversation; its bytes are at `GET /attachments/{id}`. `size` is bytes."""

    id: str
    file_name: str
    media_type: str
    size: int
    state: FileState = FileState.UNSCANNED
    #: Whether a small picture of it is at `GET /attachments/{id}/thumbnail` (WebP).
    thumbnail: bool = False


class FileLink(Response, frozen=True, kw_only=True):
    """An address that gives a file to whoever holds it, until it runs out: for a program that cannot sign in."""

    url: str
    expires_at: datetime


class UploadView(Response, frozen=True, kw_only=True):
    """A file that comes in parts: how many bytes are there, of how many, and until when it may take."""

    id: str
    offset: int
    length: int
    expires_at: datetime


class NewMessage(Request, frozen=True, kw_only=True):
    """A message to send. Sent twice under one `clientId`, it is stored once."""

    client_id: Annotated[Id, Meta(description="Chosen by the client, new for each message.")]
    text: Annotated[str, Meta(max_length=MAX_TEXT_CHARS, description="May be empty when there are attachments.")] = ""
    attachment_ids: Annotated[list[Id], Meta(max_length=MAX_ATTACHMENTS)] = field(default_factory=list)
    reply_to: Annotated[Id, Meta(description="A message of the same conversation.")] | None = None


class EditMessage(Request, frozen=True, kw_only=True):
    """Another text for one's own message."""

    text: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT_CHARS)]


class React(Request, frozen=True, kw_only=True):
    """Put an emoji to a message, or take it away. Doing it twice changes nothing."""

    emoji: Annotated[str, Meta(min_length=1, max_length=16, examples=["👍"])]
    remove: bool = False


class ReactionView(Response, frozen=True, kw_only=True):
    """Who put an emoji to a message."""

    emoji: str
    user_ids: list[str]


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
    #: What it seems to hold that leads away from the platform; a client warns its reader.
    flags: list[Flag] = field(default_factory=list)
    reply_to: str | None = None
    edited_at: datetime | None = None
    #: Set where the sender took it back: there is no text and no file any more.
    deleted_at: datetime | None = None
    reactions: list[ReactionView] = field(default_factory=list)
    #: Counts the edits, deletions and reactions of a conversation; 0 for a message as it was sent.
    change: int = 0


class ConversationView(Response, frozen=True, kw_only=True):
    """A conversation as one of its participants sees it."""

    id: str
    kind: ConversationKind
    contract_id: str | None
    participants: list[ParticipantView]
    last_sequence: int
    last_change: int
    unread_count: int
    last_message: MessageView | None
    created_at: datetime
    active_at: datetime
    muted: bool = False
    archived: bool = False
    private_receipts: bool = False
    job_id: str | None = None


class SupportCase(Response, frozen=True, kw_only=True):
    """Somebody's conversation with support, as staff finds it. It is read by those who joined it."""

    conversation_id: str
    user_id: str
    staff_ids: list[str]
    last_sequence: int
    created_at: datetime
    active_at: datetime
    #: When staff settled it; a message opens it anew.
    closed_at: datetime | None = None


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
    """Of all devices of a person, the most present: idle did nothing for 5 minutes; away is the person's choice."""

    ONLINE = "online"
    IDLE = "idle"
    AWAY = "away"
    OFFLINE = "offline"


class PresenceView(Response, frozen=True, kw_only=True):
    """The presence of one person."""

    user_id: str
    status: PresenceStatus


class PresenceChoice(Request, frozen=True, kw_only=True):
    """How the caller wants to be seen while there. Whoever hides is offline to everybody else."""

    away: bool = False
    hidden: bool = False


class OwnPresence(Response, frozen=True, kw_only=True):
    """The caller's choice, and what others see."""

    away: bool
    hidden: bool
    status: PresenceStatus
