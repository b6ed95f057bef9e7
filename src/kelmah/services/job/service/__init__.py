"""The rules of the job service."""

from kelmah.services.job.service.alerts import alert_workers
from kelmah.services.job.service.bookings import book_worker
from kelmah.services.job.service.consumers import (
    on_dispute_raised,
    on_dispute_resolved,
    on_dispute_withdrawn,
    on_escrow_funded,
    on_escrow_refunded,
    on_escrow_released,
)
from kelmah.services.job.service.context import Context
from kelmah.services.job.service.contracts import expire_offer
from kelmah.services.job.service.jobs import expire_job
from kelmah.services.job.service.lifecycle import on_account_deactivated, on_account_deleted
from kelmah.services.job.service.milestones import auto_approve_milestone
from kelmah.services.job.service.projections import projections
from kelmah.services.job.service.reminders import remind_milestone

__all__ = [
    "Context",
    "alert_workers",
    "auto_approve_milestone",
    "book_worker",
    "expire_job",
    "expire_offer",
    "on_account_deactivated",
    "on_account_deleted",
    "on_dispute_raised",
    "on_dispute_resolved",
    "on_dispute_withdrawn",
    "on_escrow_funded",
    "on_escrow_refunded",
    "on_escrow_released",
    "projections",
    "remind_milestone",
]
