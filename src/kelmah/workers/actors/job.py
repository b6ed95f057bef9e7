"""Actors of the job service."""

from kelmah.contracts.auth import AccountDeactivated, AccountDeleted
from kelmah.contracts.payment import (
    DisputeRaised,
    DisputeResolved,
    DisputeWithdrawn,
    EscrowFunded,
    EscrowRefunded,
    EscrowReleased,
)
from kelmah.services.job import service
from kelmah.workers.registry import on_event, on_timer

on_event("job.pause_jobs", AccountDeactivated, service.on_account_deactivated)
on_event("job.close_business", AccountDeleted, service.on_account_deleted)
on_event("job.note_escrow_funded", EscrowFunded, service.on_escrow_funded)
on_event("job.note_escrow_released", EscrowReleased, service.on_escrow_released)
on_event("job.note_escrow_refunded", EscrowRefunded, service.on_escrow_refunded)
on_event("job.note_dispute_raised", DisputeRaised, service.on_dispute_raised)
on_event("job.note_dispute_resolved", DisputeResolved, service.on_dispute_resolved)
on_event("job.note_dispute_withdrawn", DisputeWithdrawn, service.on_dispute_withdrawn)
on_timer("job.auto_approve_milestone", service.auto_approve_milestone)
on_timer("job.book_worker", service.book_worker)
on_timer("job.expire_offer", service.expire_offer)
on_timer("job.remind_milestone", service.remind_milestone)
on_timer("job.expire_job", service.expire_job)
on_timer("job.alert_workers", service.alert_workers)
