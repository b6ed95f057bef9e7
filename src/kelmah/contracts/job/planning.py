"""Contract templates, direct offers that are made from them, and the calendar."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from kelmah.contracts.common import Id, Location, Money, Request, Response
from kelmah.contracts.job.public import (
    MAX_MILESTONES,
    AutoApproveAfterDays,
    Description,
    Label,
    MilestoneOffer,
    ProposedMilestone,
    Skills,
    Title,
    WorkWindow,
)


class WriteTemplate(Request, frozen=True, kw_only=True):
    """Work that a hirer has done again and again. Milestones sum to the budget; without any, the whole is one."""

    name: Annotated[str, Meta(min_length=1, max_length=80)]
    title: Title
    description: Description
    category: Label
    skills: Skills
    budget: Money
    location: Location
    milestones: Annotated[list[ProposedMilestone], Meta(max_length=MAX_MILESTONES)] | None = None
    auto_approve_after_days: AutoApproveAfterDays = 14


class TemplateView(Response, frozen=True, kw_only=True):
    """A contract template, for its hirer."""

    id: str
    version: int
    name: str
    title: str
    description: str
    category: str
    skills: list[str]
    budget: Money
    location: Location
    milestones: list[MilestoneOffer]
    auto_approve_after_days: int
    created_at: datetime
    updated_at: datetime


class TemplateList(Response, frozen=True, kw_only=True):
    """All templates of a hirer; there is never a second page."""

    items: list[TemplateView]
    next_cursor: None = None


class OfferContract(Request, frozen=True, kw_only=True):
    """Offers the work of a template to one worker, who accepts or declines; then both sign."""

    worker_id: Id
    work: WorkWindow | None = None


class CalendarKind(StrEnum):
    """What an entry of the calendar is."""

    WORK = "work"
    MILESTONE_DUE = "milestone_due"
    ANSWER_DUE = "answer_due"
    APPLICATIONS_CLOSE = "applications_close"


class CalendarEntry(Response, frozen=True, kw_only=True):
    """The time of a contract's work, or an instant: a milestone is due, silence approves, or applications close.

    `isFirm` is false while the worker is not booked for the work.
    """

    id: str
    kind: CalendarKind
    title: str
    starts_at: datetime
    updated_at: datetime
    is_firm: bool = True
    ends_at: datetime | None = None
    job_id: str | None = None
    contract_id: str | None = None
    milestone_id: str | None = None


class Calendar(Response, frozen=True, kw_only=True):
    """What lies ahead of a person and what is going on, the earliest first; there is never a second page."""

    items: list[CalendarEntry]
    next_cursor: None = None


class CalendarFeed(Response, frozen=True, kw_only=True):
    """A private address of one's calendar, for programs that cannot sign in. Whoever knows it can read the calendar.

    `path` holds the token and is shown this once; opening another one ends it.
    """

    path: str
    created_at: datetime
