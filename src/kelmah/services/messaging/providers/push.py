"""Web push: encrypted for one browser (RFC 8291), signed as ours (VAPID, RFC 8292), sent to its push service."""

import asyncio
import base64
import re
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02
from pywebpush import WebPusher

from kelmah.contracts.common import Contract
from kelmah.kit import clock
from kelmah.kit.errors import BadInput
from kelmah.services.messaging.errors import DeliveryFailed, DeliveryRefused, PushGone

TIMEOUT_S = 10
#: Seconds that a push service keeps a push for a browser that is away, and that a signature is good for.
TTL_S = 86_400
SIGNED_FOR_S = 3_600


class PushTarget(Contract, frozen=True, kw_only=True):
    """One browser: where its push service takes pushes for it, and its keys in base64url."""

    endpoint: str
    p256dh: str
    auth: str


class PushSender(Protocol):
    """Pushes to browsers."""

    public_key: str

    def check(self, target: PushTarget) -> None:
        """Refuse what cannot be pushed to.

        Raises:
            BadInput: not one of the push services, or no key.
        """

    async def send(self, target: PushTarget, payload: bytes, *, topic: str) -> None:
        """Push within 10 s. A push replaces those of its topic that wait for the browser.

        Raises:
            DeliveryFailed: try again later.
            DeliveryRefused: never will.
            PushGone: the browser is no more.
        """


class WebPush:
    """Pushes through the push services that are allowed."""

    def __init__(self, private_key: str, *, contact: str, origins: Sequence[str]) -> None:
        """Make a sender.

        Args:
            private_key: P-256, 32 bytes in base64url.
            contact: ``mailto:`` or ``https:``.
            origins: such as ``https://*.push.apple.com``. Browsers say where to send to, and must not make us
                call machines of our own network.

        Raises:
            ValueError: not a key.
        """
        self._vapid = Vapid02.from_raw(private_key.encode())
        public = self._vapid.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public_key = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
        self._contact = contact
        self._origins = [re.compile(re.escape(one).replace(r"\*", r"[a-z0-9-]+(\.[a-z0-9-]+)*")) for one in origins]

    def check(self, target: PushTarget) -> None:
        """See `PushSender.check`."""
        if not any(origin.fullmatch(_origin(target.endpoint)) for origin in self._origins):
            raise BadInput.of("endpoint", "this push service is not known here")
        try:
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), base64.urlsafe_b64decode(target.p256dh + "=="))
        except ValueError:
            raise BadInput.of("keys.p256dh", "not a P-256 key") from None

    async def send(self, target: PushTarget, payload: bytes, *, topic: str) -> None:
        """See `PushSender.send`."""
        self.check(target)
        body, headers = await asyncio.to_thread(self._sealed, target, payload)
        headers |= {"ttl": str(TTL_S), "topic": topic, "urgency": "normal", "content-encoding": "aes128gcm"}
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session,
                session.post(target.endpoint, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                status = answer.status
        except (aiohttp.ClientError, TimeoutError):
            raise DeliveryFailed("the push service did not answer") from None
        if status in (404, 410):
            raise PushGone
        if status == 429 or status >= 500:
            raise DeliveryFailed(f"the push service answered {status}")
        if not 200 <= status < 300:
            raise DeliveryRefused(f"the push service answered {status}")

    def _sealed(self, target: PushTarget, payload: bytes) -> tuple[bytes, dict[str, str]]:
        keys = {"p256dh": target.p256dh, "auth": target.auth}
        encoded = WebPusher({"endpoint": target.endpoint, "keys": keys}).encode(payload)
        expires_at = int(clock.now().timestamp()) + SIGNED_FOR_S
        signed = self._vapid.sign({"aud": _origin(target.endpoint), "exp": expires_at, "sub": self._contact})
        return bytes(encoded["body"]), {"authorization": str(signed["Authorization"])}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
