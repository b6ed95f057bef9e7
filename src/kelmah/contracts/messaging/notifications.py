"""Notifications as clients meet them: what happened, by which ways it is told, and when."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from kelmah.contracts.common import Id, Request, Response

TimeOfDay = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z", examples=["22:00"])]


class NotificationKind(StrEnum):
    """What a notification tells of."""

    APPLICATION_RECEIVED = "application_received"
    APPLICATION_ACCEPTED = "application_accepted"
    APPLICATION_REJECTED = "application_rejected"
    CONTRACT_SIGNED = "contract_signed"
    CONTRACT_ACTIVE = "contract_active"
    MILESTONE_SUBMITTED = "milestone_submitted"
    CHANGES_REQUESTED = "changes_requested"
    MILESTONE_APPROVED = "milestone_approved"
    ESCROW_FUNDED = "escrow_funded"
    ESCROW_RELEASED = "escrow_released"
    ESCROW_REFUNDED = "escrow_refunded"
    DISPUTE_RAISED = "dispute_raised"
    DISPUTE_ANSWERED = "dispute_answered"
    DISPUTE_EVIDENCE_ADDED = "dispute_evidence_added"
    DISPUTE_OFFER_MADE = "dispute_offer_made"
    DISPUTE_ESCALATED = "dispute_escalated"
    DISPUTE_RULED = "dispute_ruled"
    DISPUTE_APPEALED = "dispute_appealed"
    DEPOSIT_PROCESSED = "deposit_processed"
    WITHDRAWAL_PROCESSED = "withdrawal_processed"
    WITHDRAWAL_FAILED = "withdrawal_failed"
    CHARGEBACK_OPENED = "chargeback_opened"
    CHARGEBACK_WON = "chargeback_won"
    CHARGEBACK_LOST = "chargeback_lost"
    MESSAGE_RECEIVED = "message_received"
    DISPUTE_RESOLVED = "dispute_resolved"
    DISPUTE_WITHDRAWN = "dispute_withdrawn"
    REVIEW_REVEALED = "review_revealed"
    REVIEW_HELD = "review_held"
    REVIEW_DECIDED = "review_decided"
    JOB_INVITATION = "job_invitation"
    JOB_ALERT = "job_alert"
    JOB_EXPIRED = "job_expired"
    INVITATION_DECLINED = "invitation_declined"
    APPLICATION_SHORTLISTED = "application_shortlisted"
    APPLICATION_WITHDRAWN = "application_withdrawn"
    COUNTER_OFFER_MADE = "counter_offer_made"
    COUNTER_OFFER_TAKEN = "counter_offer_taken"
    COUNTER_OFFER_LEFT = "counter_offer_left"
    CONTRACT_TERMS_CHANGED = "contract_terms_changed"
    CONTRACT_OFFERED = "contract_offered"
    CONTRACT_OFFER_TAKEN = "contract_offer_taken"
    CONTRACT_OFFER_DECLINED = "contract_offer_declined"
    CONTRACT_OFFER_EXPIRED = "contract_offer_expired"
    MILESTONE_DUE = "milestone_due"
    MILESTONE_LATE = "milestone_late"
    CERTIFICATE_EXPIRING = "certificate_expiring"
    CERTIFICATE_VERIFIED = "certificate_verified"
    CERTIFICATE_REJECTED = "certificate_rejected"
    BOOKING_REFUSED = "booking_refused"
    CONTRACT_CANCELLED = "contract_cancelled"
    CONTRACT_COMPLETED = "contract_completed"
    AMENDMENT_PROPOSED = "amendment_proposed"
    AMENDMENT_SIGNED = "amendment_signed"
    AMENDMENT_DROPPED = "amendment_dropped"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  # what happened, not a secret
    DATA_EXPORT_READY = "data_export_ready"


class NotificationView(Response, frozen=True, kw_only=True):
    """Something that happened, in the reader's language. `data` names the things it is about.

    `count` is above 1 where several events of one conversation were collapsed; `at` is the time of the latest.
    """

    id: str
    kind: NotificationKind
    title: str
    body: str
    data: dict[str, str]
    count: int
    at: datetime
    read_at: datetime | None


class NotificationPage(Response, frozen=True, kw_only=True):
    """One page of notifications, newest first, and how many there are unread in all."""

    items: list[NotificationView]
    next_cursor: str | None
    unread_count: int


class ReadNotifications(Request, frozen=True, kw_only=True):
    """Which notifications were read: these, or all up to and including one. One of the two is given."""

    ids: Annotated[list[Id], Meta(min_length=1, max_length=100)] | None = None
    up_to: Id | None = None


class NotificationsRead(Response, frozen=True, kw_only=True):
    """How many notifications are unread now."""

    unread_count: int


class Channel(StrEnum):
    """A way out of the app."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"


class DeliveryState(StrEnum):
    """How far a delivery is. `held` waits for a digest; `unknown` was sent without an answer and is not sent again."""

    DUE = "due"
    HELD = "held"
    SENDING = "sending"
    SENT = "sent"
    SKIPPED = "skipped"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class DeliveryView(Response, frozen=True, kw_only=True):
    """One line of the delivery log. `reason` says why it was skipped or refused; `at` is when that was settled."""

    channel: Channel
    state: DeliveryState
    reason: str | None
    due_at: datetime
    at: datetime | None


class NotificationDetail(Response, frozen=True, kw_only=True):
    """One notification, why its reader got it, and how it went out. `topic` is the kind that preferences name."""

    notification: NotificationView
    topic: str
    why: str
    deliveries: list[DeliveryView]


class QuietHours(Request, frozen=True, kw_only=True):
    """When nothing but security is sent out of the app, in the person's time zone; may span midnight."""

    start: TimeOfDay
    end: TimeOfDay


class Digest(StrEnum):
    """Whether mails that can wait are gathered into one."""

    OFF = "off"
    DAILY = "daily"


class SetDeliverySettings(Request, frozen=True, kw_only=True):
    """The whole choice; what is left out has its default. What goes by which channel is a preference of the user."""

    quiet_hours: QuietHours | None = None
    digest: Digest = Digest.OFF
    digest_hour: Annotated[int, Meta(ge=0, le=23, description="In the person's time zone.")] = 8


class DeliverySettings(Response, frozen=True, kw_only=True):
    """When things are sent to the caller, and the proven number that text messages go to."""

    quiet_hours: QuietHours | None
    digest: Digest
    digest_hour: int
    phone: str | None


class PhoneToProve(Request, frozen=True, kw_only=True):
    """A number to send a code to."""

    phone: Annotated[str, Meta(min_length=3, max_length=32, examples=["024 123 4567"])]


class PhoneCode(Request, frozen=True, kw_only=True):
    """The code that came to the phone."""

    code: Annotated[str, Meta(pattern=r"^[0-9]{7}\Z", examples=["0123456"])]


class PushKeys(Request, frozen=True, kw_only=True):
    """The browser's keys, as `PushSubscription.toJSON()` gives them (base64url)."""

    p256dh: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{87}=?\Z")]
    auth: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{22}(==)?\Z")]


class NewPushSubscription(Request, frozen=True, kw_only=True):
    """A browser that asks to be pushed to (W3C Push API)."""

    endpoint: Annotated[str, Meta(min_length=12, max_length=1000, pattern=r"^https?://[!-~]+\Z")]
    keys: PushKeys
    expiration_time: int | None = None


class PushSubscriptionView(Response, frozen=True, kw_only=True):
    """A subscription; DELETE it by this id when the browser signs out."""

    id: str
    created_at: datetime


class PushKey(Response, frozen=True, kw_only=True):
    """The `applicationServerKey` to subscribe with (VAPID, RFC 8292)."""

    public_key: str
