"""Actors of the messaging service."""

from kelmah.contracts.auth import PasswordChanged, SessionRevoked
from kelmah.contracts.job import (
    ApplicationAccepted,
    ApplicationReceived,
    ApplicationRejected,
    ContractSigned,
    MilestoneApproved,
    MilestoneChangesRequested,
    MilestoneSubmitted,
)
from kelmah.contracts.messaging import MessageSent
from kelmah.contracts.payment import (
    DisputeRaised,
    DisputeResolved,
    EscrowFunded,
    EscrowRefunded,
    EscrowReleased,
    PaymentProcessed,
)
from kelmah.contracts.review import ReviewRevealed
from kelmah.services.messaging import service
from kelmah.workers.registry import on_event, on_timer

on_event("messaging.notify_application_received", ApplicationReceived, service.on_application_received)
on_event("messaging.notify_application_accepted", ApplicationAccepted, service.on_application_accepted)
on_event("messaging.notify_application_rejected", ApplicationRejected, service.on_application_rejected)
on_event("messaging.notify_contract_signed", ContractSigned, service.on_contract_signed)
on_event("messaging.notify_milestone_submitted", MilestoneSubmitted, service.on_milestone_submitted)
on_event("messaging.notify_changes_requested", MilestoneChangesRequested, service.on_milestone_changes_requested)
on_event("messaging.notify_milestone_approved", MilestoneApproved, service.on_milestone_approved)
on_event("messaging.notify_escrow_funded", EscrowFunded, service.on_escrow_funded)
on_event("messaging.notify_escrow_released", EscrowReleased, service.on_escrow_released)
on_event("messaging.notify_escrow_refunded", EscrowRefunded, service.on_escrow_refunded)
on_event("messaging.notify_dispute_raised", DisputeRaised, service.on_dispute_raised)
on_event("messaging.notify_dispute_resolved", DisputeResolved, service.on_dispute_resolved)
on_event("messaging.notify_password_changed", PasswordChanged, service.on_password_changed)
on_event("messaging.notify_payment_processed", PaymentProcessed, service.on_payment_processed)
on_event("messaging.notify_message_sent", MessageSent, service.on_message_sent)
on_event("messaging.notify_review_revealed", ReviewRevealed, service.on_review_revealed)
on_event("messaging.close_session", SessionRevoked, service.on_session_revoked)

on_timer("messaging.send_delivery", service.send_delivery)
on_timer("messaging.send_digest", service.send_digest)
on_timer("messaging.scan_attachment", service.scan_attachment)
on_timer("messaging.purge_message", service.purge_message)
on_timer("messaging.discard_upload", service.discard_upload)
on_timer("messaging.drop_upload", service.drop_upload)
