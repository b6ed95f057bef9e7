"""Blocking, reporting, and what staff does about it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from kelmah.contracts.common import Id, Request, Response


class Flag(StrEnum):
    """What a message seems to hold that leads away from the platform before there is a contract."""

    PHONE = "phone"
    EMAIL = "email"
    LINK = "link"
    PAYMENT = "payment"


class EditConversation(Request, frozen=True, kw_only=True):
    """How the caller wants to have a conversation. What is left out stays."""

    muted: bool | UnsetType = UNSET
    archived: bool | UnsetType = UNSET
    private_receipts: bool | UnsetType = UNSET


class BlockView(Response, frozen=True, kw_only=True):
    """Somebody whom the caller blocked."""

    user_id: str
    blocked_at: datetime


class ReportReason(StrEnum):
    """What is wrong."""

    SPAM = "spam"
    FRAUD = "fraud"
    ABUSE = "abuse"
    THREAT = "threat"
    HATE = "hate"
    OFF_PLATFORM = "off_platform"
    OTHER = "other"


class NewReport(Request, frozen=True, kw_only=True):
    """A message of somebody else's, and what is wrong with it. Staff reads it and the few before it."""

    conversation_id: Id
    message_id: Id
    reason: ReportReason
    note: Annotated[str, Meta(max_length=2000)] = ""


class ReportStatus(StrEnum):
    """Whether staff looked at a report, and how it ruled."""

    OPEN = "open"
    UPHELD = "upheld"
    DISMISSED = "dismissed"


class ReportView(Response, frozen=True, kw_only=True):
    """A report as the person who made it sees it."""

    id: str
    conversation_id: str
    message_id: str
    reason: ReportReason
    status: ReportStatus
    created_at: datetime


class ReportedMessage(Response, frozen=True, kw_only=True):
    """A message around a reported one."""

    id: str
    sender_id: str
    text: str
    sent_at: datetime


class ReportCase(Response, frozen=True, kw_only=True):
    """A report as staff sees it: the reported message is the last of `messages`."""

    report: ReportView
    reporter_id: str
    sender_id: str
    note: str
    messages: list[ReportedMessage]
    decided_by: str | None
    decided_at: datetime | None
    decision_note: str | None
    restricted_until: datetime | None


class ReportDecision(Request, frozen=True, kw_only=True):
    """A ruling, once. An upheld report may keep the sender from writing for some days."""

    uphold: bool
    note: Annotated[str, Meta(min_length=3, max_length=2000)]
    restrict_days: Annotated[int, Meta(ge=0, le=365)] = 0
