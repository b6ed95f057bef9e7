"""What a contract is made of, kept inside its document."""

from datetime import datetime

from pydantic import BaseModel, Field

from kelmah.contracts.job import BookingStatus, MilestoneStatus


class Signature(BaseModel):
    """A side's signature under the terms with this hash."""

    user_id: str
    terms_hash: str
    signed_at: datetime


class Submission(BaseModel):
    """One hand-over of work; they count from 1 and are never altered, but for the hirer's answer."""

    number: int
    note: str | None = None
    submitted_at: datetime


class Milestone(BaseModel):
    """A part of the work with its price in minor units of the contract's currency."""

    id: str
    title: str
    amount: int
    status: MilestoneStatus = MilestoneStatus.AGREED
    due_at: datetime | None = None
    #: Whether both sides heard of its time: False within a day of it, True when it was over.
    reminded: bool | None = None
    submissions: list[Submission] = Field(default_factory=list)
    auto_approves_at: datetime | None = None
    changes_requested: str | None = None
    approved_at: datetime | None = None
    auto_approved: bool = False
    escrow_id: str | None = None
    #: What it was when a dispute froze it, and the sequence of the latest news of one.
    before_dispute: MilestoneStatus | None = None
    dispute_sequence: int = 0


class Window(BaseModel):
    """When the work is done, in the precision of the database."""

    starts_at: datetime
    ends_at: datetime


class BookingState(BaseModel):
    """The booking of the worker's time with the user service. `replaces` is one that is to be released before."""

    id: str
    status: BookingStatus = BookingStatus.PENDING
    replaces: str | None = None
    code: str | None = None


class Amendment(BaseModel):
    """What one side wants to change of an active contract, and the whole terms as they would then read."""

    proposed_by: str
    proposed_at: datetime
    reason: str
    milestones: list[Milestone]
    auto_approve_after_days: int | None = None
    work: Window | None = None
    terms: str
    terms_hash: str
