"""A device with passkeys, in software: what a browser and its authenticator do for `navigator.credentials`; and what
an authenticator app shows.

Each answer can be bent (`origin`, `rp_id`, `challenge`, …), for devices and pages that mean ill.
"""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from kelmah.kit import clock

_PRESENT, _VERIFIED, _ELIGIBLE, _BACKED_UP, _ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def code_of(secret: str, *, at: float = 0.0) -> str:
    """What the app shows `at` seconds from now."""
    key = base64.b32decode(secret)
    return TOTP(key, 6, SHA1(), 30).generate(int(clock.now().timestamp() + at)).decode()  # noqa: S303


@dataclass
class Passkey:
    """One credential; `counts` says whether the device counts its uses."""

    rp_id: str
    user_handle: bytes
    counts: bool = True
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    count: int = 0

    def cose(self) -> bytes:
        numbers = self.key.public_key().public_numbers()
        encoded_key: bytes = cbor2.dumps(
            {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        )
        return encoded_key


@dataclass
class Authenticator:
    """A person's device, on a page of this origin. It verifies its owner unless told not to."""

    origin: str
    verifies: bool = True
    synced: bool = False
    passkeys: list[Passkey] = field(default_factory=list)

    def create(self, options: dict[str, Any], **bent: Any) -> dict[str, Any]:
        """Make a passkey for these options; the credential as `toJSON()` gives it."""
        passkey = Passkey(rp_id=options["rp"]["id"], user_handle=decoded(options["user"]["id"]), counts=not self.synced)
        self.passkeys.append(passkey)
        attested = bytes(16) + len(passkey.id).to_bytes(2, "big") + passkey.id + passkey.cose()
        auth_data = self._auth_data(passkey, attested, **bent)
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": auth_data})
        response = {
            "clientDataJSON": encoded(self._client_data("webauthn.create", options, **bent)),
            "attestationObject": encoded(attestation),
            "transports": ["internal"],
        }
        return self._credential(passkey, response)

    def get(self, options: dict[str, Any], *, passkey: Passkey | None = None, **bent: Any) -> dict[str, Any]:
        """Answer with the passkey of the domain, as the person would pick it."""
        passkey = passkey or next(one for one in self.passkeys if one.rp_id == options["rpId"])
        if passkey.counts:
            passkey.count += 1
        auth_data = self._auth_data(passkey, b"", **bent)
        client_data = self._client_data("webauthn.get", options, **bent)
        signed = auth_data + hashlib.sha256(client_data).digest()
        response = {
            "clientDataJSON": encoded(client_data),
            "authenticatorData": encoded(auth_data),
            "signature": encoded(passkey.key.sign(signed, ec.ECDSA(SHA256()))),
            "userHandle": encoded(bent.get("user_handle", passkey.user_handle)),
        }
        return self._credential(passkey, response)

    def _client_data(self, kind: str, options: dict[str, Any], **bent: Any) -> bytes:
        content = {
            "type": bent.get("type", kind),
            "challenge": bent.get("challenge", options["challenge"]),
            "origin": bent.get("origin", self.origin),
            "crossOrigin": False,
        }
        return json.dumps(content).encode()

    def _auth_data(self, passkey: Passkey, attested: bytes, **bent: Any) -> bytes:
        flags = _PRESENT if bent.get("present", True) else 0
        flags |= _VERIFIED if bent.get("verified", self.verifies) else 0
        flags |= _ELIGIBLE | _BACKED_UP if self.synced else 0
        flags |= _ATTESTED if attested else 0
        rp_hash: bytes = hashlib.sha256(bent.get("rp_id", passkey.rp_id).encode()).digest()
        count: int = bent.get("count", passkey.count)
        return rp_hash + bytes([flags]) + count.to_bytes(4, "big") + attested

    @staticmethod
    def _credential(passkey: Passkey, response: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": encoded(passkey.id),
            "rawId": encoded(passkey.id),
            "type": "public-key",
            "response": response,
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
        }
