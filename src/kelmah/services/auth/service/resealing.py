"""What this service keeps sealed (`kit.resealing`).

What lives for minutes or days is left out: refresh tokens turn by use, so sessions that are idle longer than an old key
is kept end, and mails' tokens that went out before are refused.
"""

from functools import partial
from typing import Any

from kelmah.kit.crypto import KeyRing
from kelmah.kit.mongo import RawDocument
from kelmah.kit.resealing import Place, Sealed, of_id
from kelmah.kit.text import normalize_email
from kelmah.services.auth import mapping
from kelmah.services.auth.service.context import EMAIL
from kelmah.services.auth.service.signing import place_of_key


def _fields(collection: str, *names: str) -> dict[str, Place]:
    return {f"{name}_sealed": of_id(partial(mapping.place, collection, name)) for name in names}


def _email_index(ring: KeyRing, account: RawDocument) -> dict[str, Any]:
    email = ring.open(account["email_sealed"], context=mapping.place("accounts", "email", account["_id"]))
    return {"email_index": ring.blind_index(normalize_email(email), context=EMAIL)}


def _next_version(_: KeyRing, keys: RawDocument) -> dict[str, Any]:
    return {"version": keys["version"] + 1}  # so that no process turns the keys that it read before


SEALED = (
    Sealed("accounts", _fields("accounts", "email", "first_name", "last_name"), _email_index),
    Sealed("sessions", _fields("sessions", "address", "user_agent", "successor")),
    Sealed("factors", _fields("factors", "secret")),
    Sealed(
        "signing_keys",
        {
            "active.private_sealed": lambda keys, _: place_of_key(keys["active"]["kid"]),
            "next.private_sealed": lambda keys, _: place_of_key(keys["next"]["kid"]),
        },
        _next_version,
    ),
)
