"""Whether a notice is PayPal's: our own check, since the SDK's always fails and fetches any address it is given."""

import base64
import binascii
import zlib
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

import requests
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from kelmah.kit import clock

#: How old a notice may be, in seconds.
TOLERANCE_S = 300
#: Certificates that are remembered. PayPal uses one or two at a time.
MAX_CERTIFICATES = 8
MAX_CERTIFICATE_BYTES = 65_536
ALGORITHM = "SHA256withRSA"


class Certificates:
    """PayPal's signing certificates, fetched from its own addresses only, and remembered."""

    def __init__(self, origins: list[str], *, timeout_s: float) -> None:
        self._origins = {urlsplit(one)[:2] for one in origins}
        self._timeout_s = timeout_s
        self._known: dict[str, x509.Certificate] = {}

    def get(self, url: str) -> x509.Certificate | None:
        """The certificate at an address, or None when it is not PayPal's or holds none. Blocks.

        Raises:
            requests.RequestException: it could not be fetched; the notice may come again.
        """
        if url in self._known:
            return self._known[url]
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        if parts[:2] not in self._origins or not parts.path.startswith("/v1/notifications/certs/") or parts.query:
            return None
        with requests.get(url, timeout=self._timeout_s, allow_redirects=False, stream=True) as answer:
            if answer.status_code != 200:
                return None
            pem = answer.raw.read(MAX_CERTIFICATE_BYTES, decode_content=True)
        try:
            certificate = x509.load_pem_x509_certificate(pem)
        except ValueError:
            return None
        if len(self._known) >= MAX_CERTIFICATES:
            self._known.clear()
        self._known[url] = certificate
        return certificate


def is_signed(body: bytes, headers: Mapping[str, str], certificate: x509.Certificate, webhook_ids: list[str]) -> bool:
    """Whether the body, sent at most `TOLERANCE_S` ago to one of our webhooks, is signed with the certificate's key."""
    key, at = certificate.public_key(), clock.now()
    if not isinstance(key, rsa.RSAPublicKey) or headers.get("paypal-auth-algo") != ALGORITHM:
        return False
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        return False
    sent, transmission = headers.get("paypal-transmission-time", ""), headers.get("paypal-transmission-id", "")
    try:
        moment = datetime.fromisoformat(sent)
        signature = base64.b64decode(headers.get("paypal-transmission-sig", ""), validate=True)
    except (ValueError, binascii.Error):
        return False
    if moment.tzinfo is None or abs((at - moment).total_seconds()) > TOLERANCE_S:
        return False
    for webhook_id in webhook_ids:
        message = f"{transmission}|{sent}|{webhook_id}|{zlib.crc32(body)}".encode()
        try:
            key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            continue
        return True
    return False
