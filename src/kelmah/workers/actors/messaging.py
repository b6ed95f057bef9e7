"""Actors of the messaging service."""

from kelmah.contracts.auth import AccountDeleted, SessionRevoked
from kelmah.contracts.job import ApplicationReceived, ContractSigned
from kelmah.contracts.messaging import MessageSent
from kelmah.services.messaging import service
from kelmah.workers.registry import on_event, on_timer

for event in service.NOTICES:
    on_event("messaging.notify", event, service.notify)
on_event("messaging.notify_message_sent", MessageSent, service.on_message_sent)
on_event("messaging.open_job_conversation", ApplicationReceived, service.on_application_received)
on_event("messaging.let_pair_write", ContractSigned, service.on_contract_signed)
on_event("messaging.forget_person", AccountDeleted, service.on_account_deleted)
on_event("messaging.close_session", SessionRevoked, service.on_session_revoked)

on_timer("messaging.send_delivery", service.send_delivery)
on_timer("messaging.send_digest", service.send_digest)
on_timer("messaging.scan_attachment", service.scan_attachment)
on_timer("messaging.purge_message", service.purge_message)
on_timer("messaging.discard_upload", service.discard_upload)
on_timer("messaging.drop_upload", service.drop_upload)
