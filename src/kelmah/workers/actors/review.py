"""Actors of the review service."""

from kelmah.contracts.auth import AccountDeleted
from kelmah.contracts.payment import DisputeResolved
from kelmah.services.review import service
from kelmah.workers.registry import on_event, on_timer

on_event("review.forget_person", AccountDeleted, service.on_account_deleted)

on_event("review.note_ruling", DisputeResolved, service.on_dispute_resolved)
on_timer("review.reveal", service.reveal)
on_timer("review.age_reputation", service.age_reputation)
