"""Where jobs, applications, contracts and milestones can stand; the legal steps are tables in the job service."""

from enum import StrEnum


class JobStatus(StrEnum):
    """Where a job stands. Only an `open` one is found and takes applications; an `expired` one may be answered."""

    DRAFT = "draft"
    OPEN = "open"
    PAUSED = "paused"
    EXPIRED = "expired"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class ApplicationStatus(StrEnum):
    """Where an application stands. `submitted` and `shortlisted` ones are live."""

    SUBMITTED = "submitted"
    SHORTLISTED = "shortlisted"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class ContractStatus(StrEnum):
    """Where a contract stands; the legal steps are one table in the job service."""

    OFFERED = "offered"
    AWAITING_SIGNATURES = "awaiting_signatures"
    ACTIVE = "active"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class MilestoneStatus(StrEnum):
    """Where a milestone stands; the legal steps are one table in the job service."""

    AGREED = "agreed"
    FUNDED = "funded"
    SUBMITTED = "submitted"
    CHANGES_REQUESTED = "changes_requested"
    APPROVED = "approved"
    RELEASED = "released"
    DISPUTED = "disputed"
    REFUNDED = "refunded"


class BookingStatus(StrEnum):
    """Where the booking of the worker's time for a contract stands. A `refused` one waits for other dates."""

    PENDING = "pending"
    BOOKED = "booked"
    REFUSED = "refused"


class InvitationStatus(StrEnum):
    """Where an invitation stands; applying answers it."""

    SENT = "sent"
    DECLINED = "declined"
    APPLIED = "applied"
