"""Actors of the payment service."""

from kelmah.contracts.job import MilestoneApproved
from kelmah.services.payment import service
from kelmah.workers.registry import on_event, on_timer

on_event("payment.release_escrow", MilestoneApproved, service.on_milestone_approved)
on_timer("payment.requery_deposit", service.requery_deposit)
on_timer("payment.handle_webhook", service.handle_webhook)
on_timer("payment.forget_method", service.forget_method)
on_timer("payment.send_withdrawal", service.send_withdrawal)
on_timer("payment.requery_withdrawal", service.requery_withdrawal)
