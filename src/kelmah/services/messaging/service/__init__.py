"""The rules of conversations, files, presence and notifications."""

from kelmah.services.messaging.service.attachments import (
    Download,
    discard_upload,
    open_attachment,
    upload_attachment,
)
from kelmah.services.messaging.service.context import Context
from kelmah.services.messaging.service.conversations import (
    create_conversation,
    list_conversations,
    mark_read,
    note_typing,
)
from kelmah.services.messaging.service.messages import (
    Missing,
    epoch,
    list_messages,
    missing_since,
    send_message,
)
from kelmah.services.messaging.service.notices import (
    on_application_accepted,
    on_application_received,
    on_application_rejected,
    on_contract_signed,
    on_dispute_raised,
    on_escrow_funded,
    on_escrow_refunded,
    on_escrow_released,
    on_message_sent,
    on_milestone_approved,
    on_milestone_changes_requested,
    on_milestone_submitted,
    on_payment_processed,
    on_review_revealed,
    on_session_revoked,
)
from kelmah.services.messaging.service.notifications import (
    list_notifications,
    read_notifications,
    send_notification_mail,
)
from kelmah.services.messaging.service.presence import (
    REFRESH_S,
    expire_presence,
    get_presence,
    join,
    leave,
    refresh_presence,
)
from kelmah.services.messaging.service.tickets import issue_ticket, redeem_ticket

__all__ = [
    "REFRESH_S",
    "Context",
    "Download",
    "Missing",
    "create_conversation",
    "discard_upload",
    "epoch",
    "expire_presence",
    "get_presence",
    "issue_ticket",
    "join",
    "leave",
    "list_conversations",
    "list_messages",
    "list_notifications",
    "mark_read",
    "missing_since",
    "note_typing",
    "on_application_accepted",
    "on_application_received",
    "on_application_rejected",
    "on_contract_signed",
    "on_dispute_raised",
    "on_escrow_funded",
    "on_escrow_refunded",
    "on_escrow_released",
    "on_message_sent",
    "on_milestone_approved",
    "on_milestone_changes_requested",
    "on_milestone_submitted",
    "on_payment_processed",
    "on_review_revealed",
    "on_session_revoked",
    "open_attachment",
    "read_notifications",
    "redeem_ticket",
    "refresh_presence",
    "send_message",
    "send_notification_mail",
    "upload_attachment",
]
