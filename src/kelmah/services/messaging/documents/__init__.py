"""The documents of the messaging service and every query on them."""

from kelmah.services.messaging.documents.attachments import AttachmentDocument, FileUsageDocument
from kelmah.services.messaging.documents.conversations import ConversationDocument, EpochDocument
from kelmah.services.messaging.documents.deliveries import (
    DeliveryDocument,
    DeliverySettingsDocument,
    PushSubscriptionDocument,
)
from kelmah.services.messaging.documents.messages import MessageDocument
from kelmah.services.messaging.documents.notifications import NotificationDocument
from kelmah.services.messaging.documents.presence import PresenceChoiceDocument
from kelmah.services.messaging.documents.safety import (
    BlockDocument,
    PairDocument,
    ReportDocument,
    RestrictionDocument,
)
from kelmah.services.messaging.documents.uploads import UploadDocument

__all__ = [
    "DOCUMENTS",
    "AttachmentDocument",
    "BlockDocument",
    "ConversationDocument",
    "DeliveryDocument",
    "DeliverySettingsDocument",
    "EpochDocument",
    "FileUsageDocument",
    "MessageDocument",
    "NotificationDocument",
    "PairDocument",
    "PresenceChoiceDocument",
    "PushSubscriptionDocument",
    "ReportDocument",
    "RestrictionDocument",
    "UploadDocument",
]

DOCUMENTS = (
    ConversationDocument,
    MessageDocument,
    AttachmentDocument,
    NotificationDocument,
    DeliveryDocument,
    DeliverySettingsDocument,
    PushSubscriptionDocument,
    EpochDocument,
    BlockDocument,
    PairDocument,
    RestrictionDocument,
    ReportDocument,
    PresenceChoiceDocument,
    FileUsageDocument,
    UploadDocument,
)
