"""The frames of the WebSocket, one JSON object each, told apart by `type`."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, field

from kelmah.contracts.common import MAX_SAFE_INTEGER, Contract, FieldError, Id
from kelmah.contracts.messaging.notifications import NotificationView
from kelmah.contracts.messaging.values import MAX_ATTACHMENTS, MAX_TEXT_CHARS, MessageView, PresenceStatus, Sequence

#: Conversations that one resume may name.
MAX_RESUMED = 100


class FromClient(Contract, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """What a client sends."""


class FromServer(Contract, frozen=True, kw_only=True, tag_field="type"):
    """What the server sends."""


class SendFrame(FromClient, frozen=True, kw_only=True, tag="send"):
    """Send a message; answered by `ack`, or by `error` with the same `clientId`."""

    conversation_id: Id
    client_id: Id
    text: Annotated[str, Meta(max_length=MAX_TEXT_CHARS)] = ""
    attachment_ids: Annotated[list[Id], Meta(max_length=MAX_ATTACHMENTS)] = field(default_factory=list)
    reply_to: Id | None = None


class ReadMarkFrame(FromClient, frozen=True, kw_only=True, tag="read"):
    """Everything up to and including this sequence was read."""

    conversation_id: Id
    up_to: Sequence


class TypingFrame(FromClient, frozen=True, kw_only=True, tag="typing"):
    """The person types; send again every few seconds while it goes on."""

    conversation_id: Id


class PingFrame(FromClient, frozen=True, kw_only=True, tag="ping"):
    """Due within every `heartbeatS` seconds; a socket that is silent for longer than twice that is closed."""


class ResumeFrame(FromClient, frozen=True, kw_only=True, tag="resume"):
    """What the client has: the epoch it came from and the last sequence of each conversation (0 for none).

    Answered, for each conversation, by all messages that are missing, or by one `gap`; never by a part. `resumed`
    ends the answer.
    """

    epoch: Annotated[str, Meta(max_length=64)]
    conversations: Annotated[dict[Id, Annotated[int, Meta(ge=0, le=MAX_SAFE_INTEGER)]], Meta(max_length=MAX_RESUMED)]


ClientFrame = SendFrame | ReadMarkFrame | TypingFrame | PingFrame | ResumeFrame


class HelloFrame(FromServer, frozen=True, kw_only=True, tag="hello"):
    """The first frame. Sequences are only comparable within one epoch."""

    epoch: str
    user_id: str
    heartbeat_s: int
    max_frame_bytes: int
    frames_per_s: int
    server_time: datetime


class MessageFrame(FromServer, frozen=True, kw_only=True, tag="message"):
    """A message, also one's own. A client shows each sequence once and in order."""

    message: MessageView


class ChangeFrame(FromServer, frozen=True, kw_only=True, tag="change"):
    """A message was edited, deleted or reacted to. The higher `change` counts; missed ones are fetched over HTTP."""

    message: MessageView


class AckFrame(FromServer, frozen=True, kw_only=True, tag="ack"):
    """The message is stored."""

    client_id: str
    message: MessageView


class ReadFrame(FromServer, frozen=True, kw_only=True, tag="read"):
    """A participant's read mark moved."""

    conversation_id: str
    user_id: str
    read_up_to: int


class TypingNoticeFrame(FromServer, frozen=True, kw_only=True, tag="typing"):
    """A participant types; forget it after `expiresInS` seconds."""

    conversation_id: str
    user_id: str
    expires_in_s: int


class PresenceFrame(FromServer, frozen=True, kw_only=True, tag="presence"):
    """Somebody one talks with came online or went offline."""

    user_id: str
    status: PresenceStatus


class NotificationFrame(FromServer, frozen=True, kw_only=True, tag="notification"):
    """Something happened, or happened again: a notification replaces the one of its id."""

    notification: NotificationView
    unread_count: int


class ErrorFrame(FromServer, frozen=True, kw_only=True, tag="error", omit_defaults=True):
    """A frame was refused; `code` is one of the API's error codes."""

    code: str
    detail: str | None = None
    client_id: str | None = None
    retry_after_s: float | None = None
    errors: list[FieldError] | None = None


class PongFrame(FromServer, frozen=True, kw_only=True, tag="pong"):
    """Answers `ping`."""

    server_time: datetime


class GapFrame(FromServer, frozen=True, kw_only=True, tag="gap"):
    """Frames may be missing: fetch this conversation's messages over HTTP, or, where it is null, resume all."""

    conversation_id: str | None = None
    last_sequence: int | None = None


class ResumedFrame(FromServer, frozen=True, kw_only=True, tag="resumed"):
    """Ends the answer to `resume`: of these conversations, the client was sent everything up to these sequences.

    Those that are left out had a `gap`, or are not the person's.
    """

    conversations: dict[str, int]


ServerFrame = (
    HelloFrame
    | MessageFrame
    | ChangeFrame
    | AckFrame
    | ReadFrame
    | TypingNoticeFrame
    | PresenceFrame
    | NotificationFrame
    | ErrorFrame
    | PongFrame
    | GapFrame
    | ResumedFrame
)
