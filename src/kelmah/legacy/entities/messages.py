"""Conversations with their people, messages, and notifications."""

import re
import uuid
from collections.abc import Iterator
from datetime import datetime

import msgspec

from kelmah.contracts.messaging import ConversationKind, NotificationKind
from kelmah.legacy.database import Row
from kelmah.legacy.entity import Entity, Group, Part, Reference, To
from kelmah.legacy.reading import LeftBehind, Old, Unmappable, major, old_uuid

#: As the old code called them → what they tell here. Those with an amount need one in their data.
NOTIFICATION_TYPES = {
    "application.new": NotificationKind.APPLICATION_RECEIVED,
    "application.accepted": NotificationKind.APPLICATION_ACCEPTED,
    "application.rejected": NotificationKind.APPLICATION_REJECTED,
    "contract.signed": NotificationKind.CONTRACT_SIGNED,
    "contract.active": NotificationKind.CONTRACT_ACTIVE,
    "milestone.submitted": NotificationKind.MILESTONE_SUBMITTED,
    "milestone.changes": NotificationKind.CHANGES_REQUESTED,
    "milestone.approved": NotificationKind.MILESTONE_APPROVED,
    "escrow.funded": NotificationKind.ESCROW_FUNDED,
    "escrow.released": NotificationKind.ESCROW_RELEASED,
    "escrow.refunded": NotificationKind.ESCROW_REFUNDED,
    "dispute.raised": NotificationKind.DISPUTE_RAISED,
    "dispute.resolved": NotificationKind.DISPUTE_RESOLVED,
    "wallet.deposit": NotificationKind.DEPOSIT_PROCESSED,
    "wallet.withdrawal": NotificationKind.WITHDRAWAL_PROCESSED,
    "review.new": NotificationKind.REVIEW_REVEALED,
    "password.changed": NotificationKind.PASSWORD_CHANGED,
}
_WITH_AMOUNT = frozenset(
    {
        NotificationKind.MILESTONE_APPROVED,
        NotificationKind.ESCROW_FUNDED,
        NotificationKind.ESCROW_RELEASED,
        NotificationKind.ESCROW_REFUNDED,
        NotificationKind.DEPOSIT_PROCESSED,
        NotificationKind.WITHDRAWAL_PROCESSED,
    }
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_ID = re.compile(r"[0-9a-f]{32}\Z")
_OLD_TYPES = {kind: word for word, kind in NOTIFICATION_TYPES.items()}
_KINDS = {"direct": ConversationKind.DIRECT, "contract": ConversationKind.CONTRACT}
_OLD_KINDS = {kind: word for word, kind in _KINDS.items()}


class OldParticipant(msgspec.Struct, frozen=True, kw_only=True):
    user_id: str
    is_muted: bool
    is_archived: bool


class OldConversation(msgspec.Struct, frozen=True, kw_only=True):
    """Two people, perhaps about a contract."""

    id: str
    kind: ConversationKind
    contract_id: str | None
    participants: tuple[OldParticipant, ...]
    created_at: datetime
    active_at: datetime

    def compared(self) -> "OldConversation":
        return msgspec.structs.replace(self, active_at=self.created_at)


class OldMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What one of them wrote. `read_by` are those whose read mark is at it or after; the last two are of here."""

    id: str
    conversation_id: str
    sender_id: str
    text: str
    sent_at: datetime
    read_by: tuple[str, ...] = ()
    edited_at: datetime | None = None
    deleted_at: datetime | None = None

    def compared(self) -> "OldMessage":
        return msgspec.structs.replace(self, read_by=(), edited_at=None, deleted_at=None)


class OldNotification(msgspec.Struct, frozen=True, kw_only=True):
    """What a person was told. `is_new` if that was here."""

    id: str
    user_id: str
    kind: NotificationKind
    data: dict[str, str]
    params: dict[str, str]
    at: datetime
    read_at: datetime | None
    is_new: bool = False

    def compared(self) -> "OldNotification":
        return msgspec.structs.replace(self, read_at=None)


def make_conversation(group: Group) -> OldConversation:
    row = group.root
    kind = row.choice("kind", _KINDS)
    participants = tuple(group.rows("conversation_participants", _participant))
    if len({one.user_id for one in participants}) != 2:
        raise Unmappable(f"conversations: {len(participants)} people take part, and not two")
    created_at = row.instant("created_at")
    contract_id = row.optional_id("contract_id", "contracts")
    if (kind is ConversationKind.CONTRACT) != (contract_id is not None):
        raise row.fault("contract_id", f"does not fit the kind {kind}")
    active_at = row.soft(lambda: row.optional_instant("last_message_at"), None)
    return OldConversation(
        id=row.id("id", "conversations"),
        kind=kind,
        contract_id=contract_id,
        participants=tuple(sorted(participants, key=lambda one: one.user_id)),
        created_at=created_at,
        active_at=max(created_at, active_at or created_at),
    )


def _participant(row: Old) -> OldParticipant:
    return OldParticipant(
        user_id=row.id("user_id", "users"), is_muted=row.flag("is_muted"), is_archived=row.flag("is_archived")
    )


def make_message(group: Group) -> OldMessage:
    row = group.root
    if row.raw("deleted_at") is not None:
        raise LeftBehind("deleted by its sender")
    if row.raw("takes_part") is None:
        raise row.fault("sender_id", "takes no part in the conversation")
    if row.raw("attachments") not in (None, "[]"):
        row.remarks.append("messages.attachments: files lie outside of the database")
    if row.raw("edited_at") is not None:
        row.remarks.append("messages.edited_at: what it said before the edit is not known")
    readers = row.raw("read_by")
    return OldMessage(
        id=row.id("id", "messages"),
        conversation_id=row.id("conversation_id", "conversations"),
        sender_id=row.id("sender_id", "users"),
        text=row.optional_text("body", 10_000) or "",
        sent_at=row.instant("sent_at"),
        read_by=tuple(uuid.UUID(one).hex if _UUID.match(one) else one for one in (readers or "").split(",") if one),
    )


def make_notification(group: Group) -> OldNotification:
    row = group.root
    kind = row.choice("type", NOTIFICATION_TYPES)
    data = row.json("data", dict[str, str]) if row.raw("data") else {}
    params = {}
    if kind in _WITH_AMOUNT:
        currency = data.pop("currency", "GHS")
        params["amount"] = f"{row.minor_of('data', data.pop('amount', ''), currency)} {currency}"
    return OldNotification(
        id=row.id("id", "notifications"),
        user_id=row.id("user_id", "users"),
        kind=kind,
        data={name[:40]: uuid.UUID(value).hex if _UUID.match(value) else value[:200] for name, value in data.items()},
        params=params,
        at=row.instant("created_at"),
        read_at=row.soft(lambda: row.optional_instant("read_at"), None),
    )


def conversation_rows(conversation: OldConversation) -> Iterator[tuple[str, Row]]:
    """As the old tables have it; they know no conversation with the support."""
    if conversation.kind not in _OLD_KINDS:
        return
    key = old_uuid(conversation.id)
    yield (
        "conversations",
        {
            "id": key,
            "kind": _OLD_KINDS[conversation.kind],
            "contract_id": conversation.contract_id and old_uuid(conversation.contract_id),
            "created_at": conversation.created_at,
            "last_message_at": conversation.active_at,
        },
    )
    for one in conversation.participants:
        yield (
            "conversation_participants",
            {
                "conversation_id": key,
                "user_id": old_uuid(one.user_id),
                "is_muted": one.is_muted,
                "is_archived": one.is_archived,
            },
        )


def message_rows(message: OldMessage) -> Iterator[tuple[str, Row]]:
    """As the old table has it. What was deleted keeps the text that is there."""
    text = {} if message.deleted_at else {"body": message.text}
    changed = {name: at for name in ("edited_at", "deleted_at") if (at := getattr(message, name))}
    yield (
        "messages",
        {
            "id": old_uuid(message.id),
            "conversation_id": old_uuid(message.conversation_id),
            "sender_id": old_uuid(message.sender_id),
            "sent_at": message.sent_at,
        }
        | text
        | changed,
    )


def notification_rows(notification: OldNotification) -> Iterator[tuple[str, Row]]:
    """As the old table has it; of one that came from there only whether it was read. Kinds that it lacks stay here."""
    key = {"id": old_uuid(notification.id)}
    if not notification.is_new:
        yield "notifications", key | {"read_at": notification.read_at}
    elif notification.kind in _OLD_TYPES:
        data = {name: old_uuid(value) if _ID.match(value) else value for name, value in notification.data.items()}
        amount, _, currency = notification.params.get("amount", "").partition(" ")
        if currency:
            data |= {"amount": str(major(int(amount), currency)), "currency": currency}
        yield (
            "notifications",
            {
                "user_id": old_uuid(notification.user_id),
                "type": _OLD_TYPES[notification.kind],
                "data": msgspec.json.encode(data).decode(),
                "created_at": notification.at,
                "read_at": notification.read_at,
            }
            | key,
        )


_READ_BY = """SELECT string_agg(p.user_id::text, ',' ORDER BY p.user_id) FROM {conversation_participants} p
WHERE p.conversation_id = t.conversation_id AND p.last_read_at >= t.sent_at"""
_TAKES_PART = """SELECT p.user_id FROM {conversation_participants} p
WHERE p.conversation_id = t.conversation_id AND p.user_id = t.sender_id LIMIT 1"""

CONVERSATIONS = Entity(
    name="conversations",
    service="messaging",
    make=make_conversation,
    rows=conversation_rows,
    root=Part(
        table="conversations",
        columns={
            "id": To("conversations._id", "the UUID without dashes"),
            "kind": To("conversations.kind", "a second conversation of the same two, or of a contract, is refused"),
            "contract_id": To("conversations.contract_id"),
            "created_at": To("conversations.created_at"),
            "last_message_at": To("conversations.active_at", "at least when it was made"),
        },
    ),
    children=(
        Part(
            table="conversation_participants",
            key=("conversation_id", "user_id"),
            of="conversation_id",
            columns={
                "conversation_id": To("conversations._id"),
                "user_id": To("conversations.participants.user_id", "exactly two"),
                "last_read_at": To("conversations.participants.read_up_to", "moved with the messages"),
                "is_muted": To("conversations.participants.muted"),
                "is_archived": To("conversations.participants.archived", "until the next message, as here"),
            },
        ),
    ),
)

MESSAGES = Entity(
    name="messages",
    service="messaging",
    make=make_message,
    rows=message_rows,
    order='t."conversation_id", t."sent_at", t."id"',
    references=(Reference("conversation_id", "conversations", "messaging", strict=True),),
    root=Part(
        table="messages",
        extra={"read_by": _READ_BY, "takes_part": _TAKES_PART},
        columns={
            "id": To("messages._id, client_id", "the UUID without dashes"),
            "conversation_id": To("messages.conversation_id", "with the next sequence, in the order of sending"),
            "sender_id": To("messages.sender_id"),
            "body": To("messages.text, words", "sealed; words as keyed digests"),
            "attachments": To("(remark)", "files lie outside of the database"),
            "sent_at": To("messages.sent_at"),
            "edited_at": To("(remark)", "what it said before is not known"),
            "deleted_at": To("(left behind)", "deleted ones are not moved"),
        },
    ),
)

NOTIFICATIONS = Entity(
    name="notifications",
    service="messaging",
    make=make_notification,
    rows=notification_rows,
    references=(Reference("user_id", "users", "auth", strict=True),),
    root=Part(
        table="notifications",
        columns={
            "id": To("notifications._id, event_id", "the UUID without dashes"),
            "user_id": To("notifications.user_id"),
            "type": To("notifications.kind", "see `NOTIFICATION_TYPES`; unknown ones are refused"),
            "data": To("notifications.data, params", "JSON of texts; UUIDs become ids, amount and currency params"),
            "read_at": To("notifications.read_at"),
            "created_at": To("notifications.at"),
        },
    ),
)
