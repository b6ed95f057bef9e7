"""What the auth service works with, and who calls it."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from kelmah.clients.exports import ExportClient
from kelmah.clients.user import UserClient
from kelmah.kit.blobs import BlobStore
from kelmah.kit.crypto import digest_token
from kelmah.kit.mail import Mailer
from kelmah.kit.places import Places
from kelmah.kit.ratelimit import Limiter
from kelmah.kit.resources import Resources
from kelmah.kit.text import LANGUAGES, language_of, normalize_email
from kelmah.legacy.bridge import Bridge
from kelmah.services.auth.service.breaches import Breaches
from kelmah.services.auth.service.hashing import PasswordHasher
from kelmah.services.auth.service.oidc import Provider
from kelmah.services.auth.service.signing import Signer
from kelmah.services.auth.settings import AuthSettings

EMAIL = b"auth.accounts.email"
_MAX_USER_AGENT_CHARS = 256


@dataclass(frozen=True, kw_only=True)
class Context(Resources):
    """The service's own pieces beside those that every service has."""

    settings: AuthSettings
    hasher: PasswordHasher
    signer: Signer
    limiter: Limiter
    mailer: Mailer
    providers: Mapping[str, Provider]
    blobs: BlobStore
    exports: Mapping[str, ExportClient]
    user: UserClient | None = None
    bridge: Bridge | None = None
    breaches: Breaches | None = None
    places: Places | None = None

    def email_indexes(self, email: str) -> list[str]:
        """The values by which an account with this address is found; the first is the one to store.

        Raises:
            ValueError: not a mail address.
        """
        return self.ring.blind_indexes(normalize_email(email), context=EMAIL)


@dataclass(frozen=True, kw_only=True)
class Client:
    """The program that calls, as far as one can know: its address, its name, and the device id that it keeps."""

    address: str | None = None
    user_agent: str | None = None
    device_hash: str | None = None
    #: What its person reads, as far as it says.
    language: str = LANGUAGES[0]

    @property
    def network(self) -> str:
        """What limits count by: an IPv4 address, or the /64 that one IPv6 customer has."""
        if self.address is None:
            return "unknown"
        address = ip_address(self.address)
        return str(IPv6Network((address, 64), strict=False)) if isinstance(address, IPv6Address) else str(address)


def client_of(
    *, forwarded_for: str | None, user_agent: str | None, device: str | None, languages: str | None = None
) -> Client:
    """The client as the gateway saw it. An address that is none, and what does not print, is left out."""
    agent = "".join(char for char in user_agent or "" if char.isprintable())[:_MAX_USER_AGENT_CHARS]
    return Client(
        address=_address(forwarded_for),
        user_agent=agent or None,
        device_hash=digest_token(device) if device else None,
        language=language_of(languages),
    )


def _address(text: str | None) -> str | None:
    try:
        address: IPv4Address | IPv6Address = ip_address((text or "").strip())
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        address = IPv6Address(int(address))  # without a zone
    return str(address)
