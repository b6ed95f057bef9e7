"""Actors of the review service."""

from kelmah.services.review import service
from kelmah.workers.registry import on_timer

on_timer("review.reveal", service.reveal)
