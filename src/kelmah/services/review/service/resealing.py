"""What this service keeps sealed (`kit.resealing`)."""

from typing import Any

from kelmah.kit.crypto import KeyRing
from kelmah.kit.mongo import RawDocument
from kelmah.kit.resealing import Sealed, of_id
from kelmah.services.review.mapping import text_context
from kelmah.services.review.service.suspicion import text_fingerprint


def _fingerprint(ring: KeyRing, review: RawDocument) -> dict[str, Any]:
    # That of the device stays: from what it was made is not kept, so it is alike to none of a newer key.
    text = ring.open(review["text"], context=text_context(review["_id"]))
    return {"text_fingerprint": text_fingerprint(ring, text)}


_PLACE = of_id(text_context)
SEALED = (Sealed("reviews", {"text": _PLACE, "private_note": _PLACE, "appeal.text": _PLACE}, _fingerprint),)
