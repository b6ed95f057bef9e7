"""Actors of the review service."""

from kelmah.contracts.auth import AccountDeleted
from kelmah.services.review import service
from kelmah.workers.registry import on_event, on_timer

on_event("review.forget_person", AccountDeleted, service.on_account_deleted)

on_timer("review.reveal", service.reveal)
