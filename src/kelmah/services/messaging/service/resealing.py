"""What this service keeps sealed (`kit.resealing`)."""

from typing import Any

from kelmah.kit.crypto import KeyRing
from kelmah.kit.mongo import RawDocument
from kelmah.kit.resealing import Sealed, of_id
from kelmah.services.messaging.mapping import file_name_context, text_context
from kelmah.services.messaging.service.safety import note_context
from kelmah.services.messaging.service.subscriptions import phone_context, push_context
from kelmah.services.messaging.service.words import words_of


def _words(ring: KeyRing, message: RawDocument) -> dict[str, Any]:
    if not message["words"]:  # deleted, or of files alone
        return {}
    text = ring.open(message["text"], context=text_context(message["_id"]))
    return {"words": words_of(ring, message["conversation_id"], text)}


SEALED = (
    Sealed("messages", {"text": of_id(text_context), "edits.text": of_id(text_context)}, _words),
    Sealed("attachments", {"file_name": of_id(file_name_context)}),
    Sealed("delivery_settings", {"phone": of_id(phone_context), "proof.phone": of_id(phone_context)}),
    Sealed("push_subscriptions", {"sealed": of_id(push_context)}),
    Sealed("reports", {"note": of_id(note_context)}),
)
