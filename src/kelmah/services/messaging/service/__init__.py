"""The rules of conversations, files, presence and notifications."""

from kelmah.services.messaging.service.attachments import (
    Download,
    discard_upload,
    make_link,
    open_attachment,
    open_link,
    upload_attachment,
)
from kelmah.services.messaging.service.audience import NOTICES
from kelmah.services.messaging.service.changes import (
    delete_message,
    edit_message,
    list_changes,
    purge_message,
    react,
    search_messages,
)
from kelmah.services.messaging.service.context import Context
from kelmah.services.messaging.service.conversations import (
    create_conversation,
    edit_conversation,
    list_conversations,
    mark_read,
    note_typing,
)
from kelmah.services.messaging.service.deliveries import send_delivery, send_digest
from kelmah.services.messaging.service.lifecycle import on_account_deleted
from kelmah.services.messaging.service.links import unsubscribe
from kelmah.services.messaging.service.messages import (
    Missing,
    epoch,
    list_messages,
    missing_since,
)
from kelmah.services.messaging.service.notices import (
    notify,
    on_application_received,
    on_contract_signed,
    on_message_sent,
    on_session_revoked,
)
from kelmah.services.messaging.service.notifications import (
    get_notification,
    list_notifications,
    read_notifications,
)
from kelmah.services.messaging.service.presence import (
    REFRESH_S,
    announce_coming,
    choose_presence,
    expire_presence,
    get_own_presence,
    get_presence,
    join,
    leave,
    note_activity,
    refresh_presence,
)
from kelmah.services.messaging.service.projections import projections
from kelmah.services.messaging.service.rooms import close_support, join_support, leave_support, list_support
from kelmah.services.messaging.service.safety import (
    block,
    decide_report,
    get_case,
    list_blocks,
    list_reports,
    report,
    unblock,
)
from kelmah.services.messaging.service.scans import scan_attachment
from kelmah.services.messaging.service.sending import send_message
from kelmah.services.messaging.service.subscriptions import (
    forget_phone,
    get_settings,
    prove_phone,
    push_key,
    send_phone_code,
    set_settings,
    subscribe,
    unsubscribe_browser,
)
from kelmah.services.messaging.service.texts import page_for
from kelmah.services.messaging.service.tickets import issue_ticket, redeem_ticket
from kelmah.services.messaging.service.uploads import (
    append_upload,
    cancel_upload,
    create_upload,
    drop_upload,
    get_upload,
)

__all__ = [
    "NOTICES",
    "REFRESH_S",
    "Context",
    "Download",
    "Missing",
    "announce_coming",
    "append_upload",
    "block",
    "cancel_upload",
    "choose_presence",
    "close_support",
    "create_conversation",
    "create_upload",
    "decide_report",
    "delete_message",
    "discard_upload",
    "drop_upload",
    "edit_conversation",
    "edit_message",
    "epoch",
    "expire_presence",
    "forget_phone",
    "get_case",
    "get_notification",
    "get_own_presence",
    "get_presence",
    "get_settings",
    "get_upload",
    "issue_ticket",
    "join",
    "join_support",
    "leave",
    "leave_support",
    "list_blocks",
    "list_changes",
    "list_conversations",
    "list_messages",
    "list_notifications",
    "list_reports",
    "list_support",
    "make_link",
    "mark_read",
    "missing_since",
    "note_activity",
    "note_typing",
    "notify",
    "on_account_deleted",
    "on_application_received",
    "on_contract_signed",
    "on_message_sent",
    "on_session_revoked",
    "open_attachment",
    "open_link",
    "page_for",
    "projections",
    "prove_phone",
    "purge_message",
    "push_key",
    "react",
    "read_notifications",
    "redeem_ticket",
    "refresh_presence",
    "report",
    "scan_attachment",
    "search_messages",
    "send_delivery",
    "send_digest",
    "send_message",
    "send_phone_code",
    "set_settings",
    "subscribe",
    "unblock",
    "unsubscribe",
    "unsubscribe_browser",
    "upload_attachment",
]
