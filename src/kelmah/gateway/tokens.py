"""Access tokens, checked strictly against the keys that the auth service publishes.

Stricter than the libraries are by themselves: one algorithm, one header form, canonical base64url, no key that a token
brings or points to.
"""

import asyncio
import base64
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Annotated, ClassVar, Literal

import msgspec
import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Meta

from kelmah.contracts.common import Id, Role
from kelmah.gateway.api_keys import MARK, ApiKeys, KeyClaims
from kelmah.gateway.errors import SessionEnded, TokenExpired, TokenRefused
from kelmah.kit import clock, errors
from kelmah.kit.breaker import Monotonic
from kelmah.kit.calls import ServiceCaller

log = structlog.get_logger(__name__)

AUDIENCE = "kelmah"
ALGORITHM = "EdDSA"
#: Seconds by which the clocks of issuer and gateway may differ.
SKEW_S = 60
MAX_TOKEN_CHARS = 4_096
#: Checked tokens that are remembered, so that a signature is checked once and not at every request.
MAX_REMEMBERED = 8_192
#: Seconds between two looks at the published keys, and until a look that failed is repeated.
REFRESH_S, RETRY_S = 300.0, 1.0
#: Seconds that must pass between two looks on behalf of tokens with unknown keys, however many come.
LOOK_AGAIN_S = 5.0
#: Seconds that an unknown key is taken to stay unknown.
UNKNOWN_S = 60.0
MAX_UNKNOWN = 1_024
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")
#: 32 bytes in base64url.
_KEY = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([\x21-\x7e]+)\Z")


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    alg: Literal["EdDSA"]
    typ: Literal["at+jwt"]
    kid: Annotated[str, Meta(min_length=1, max_length=128)]


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What an access token says."""

    iss: str
    aud: str | list[str]
    sub: Id
    sid: Id
    role: Role
    exp: int
    iat: int
    jti: Annotated[str, Meta(min_length=1, max_length=128)]
    nbf: int = 0
    auth_time: int = 0
    amr: tuple[str, ...] = ()
    #: A person may do all that the role may; a program is held to the scopes of its key.
    scopes: ClassVar[None] = None


class PublishedKey(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the JWKS. Only Ed25519 keys for signatures are used."""

    kty: str
    kid: str = ""
    crv: str = ""
    x: str = ""
    use: str = "sig"
    alg: str = ALGORITHM


class PublishedKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The JWKS document."""

    keys: list[PublishedKey]


Fetch = Callable[[], Awaitable[PublishedKeys]]


def fetch_from(auth: ServiceCaller) -> Fetch:
    """Get the keys from the auth service by a signed call."""

    async def fetch() -> PublishedKeys:
        return await auth.call("GET", "/.well-known/jwks.json", returns=PublishedKeys)

    return fetch


class KeyStore:
    """The auth service's public keys, kept fresh; an unknown one makes it look again, within bounds."""

    def __init__(self, fetch: Fetch, *, monotonic: Monotonic = clock.monotonic) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._published: dict[str, PublishedKey] = {}
        self._looked_at: float | None = None
        self._failed_at: float | None = None
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._looking = asyncio.Lock()
        #: Grows when the keys change, so that what was checked with a withdrawn key is checked again.
        self.generation = 0

    @property
    def is_loaded(self) -> bool:
        """Whether any key is known."""
        return bool(self._keys)

    async def get(self, kid: str) -> Ed25519PublicKey | None:
        """The key of this id, or None where the auth service has none.

        Raises:
            KelmahError: the auth service could not be asked.
        """
        if kid not in self._keys and self._unknown.get(kid, 0.0) < self._monotonic():
            await self._look(older_than_s=LOOK_AGAIN_S)
            if kid not in self._keys:
                self._unknown[kid] = self._monotonic() + UNKNOWN_S
                if len(self._unknown) > MAX_UNKNOWN:
                    self._unknown.popitem(last=False)
        return self._keys.get(kid)

    async def stay_fresh(self) -> None:
        """Look at the published keys now and from time to time, for as long as the gateway runs."""
        while True:
            try:
                await self._look(older_than_s=REFRESH_S / 2)
            except Exception as error:
                log.warning("keys.unavailable", error=type(error).__name__)
                await asyncio.sleep(RETRY_S)
            else:
                await asyncio.sleep(REFRESH_S)

    async def _look(self, *, older_than_s: float) -> None:
        async with self._looking:
            if self._looked_at is not None and self._monotonic() - self._looked_at < older_than_s:
                return  # somebody looked while we waited, or just before
            if self._failed_at is not None and self._monotonic() - self._failed_at < RETRY_S / 2:
                raise errors.Unavailable  # those who wait in line share one failure
            try:
                published = await self._fetch()
            except errors.KelmahError:
                self._failed_at = self._monotonic()
                raise
            self._looked_at = self._monotonic()
            usable = {key.kid: key for key in published.keys if _is_usable(key)}
            if usable != self._published:
                log.info("keys.changed", count=len(usable))
                self._keys = {kid: _import(key) for kid, key in usable.items()}
                self._published = usable
                self._unknown.clear()
                self.generation += 1


def _is_usable(key: PublishedKey) -> bool:
    kind = (key.kty, key.crv, key.use, key.alg)
    return bool(key.kid) and kind == ("OKP", "Ed25519", "sig", ALGORITHM) and _KEY.fullmatch(key.x) is not None


def _import(key: PublishedKey) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key.x + "="))


class TokenVerifier:
    """Turns an Authorization header into claims, or refuses it."""

    def __init__(
        self,
        keys: KeyStore,
        *,
        issuer: str,
        is_revoked: Callable[[str], bool],
        api_keys: ApiKeys | None = None,
    ) -> None:
        self._keys = keys
        self._api_keys = api_keys
        self._issuer = issuer
        self._is_revoked = is_revoked
        #: By the whole header.
        self._remembered: OrderedDict[bytes, Claims] = OrderedDict()
        self._generation = 0

    async def verify(self, authorization: bytes, *, address: str = "") -> Claims | KeyClaims:
        """The claims of the access token or API key in this header; `address` is whose look-ups are counted.

        Raises:
            TokenRefused: no `Bearer` token of ours, for whatever reason.
            ApiKeyRefused: no API key of ours, or not any more.
            TokenExpired: it was good once.
            SessionEnded: its session was ended before it expired.
            KelmahError: the auth service's keys could not be had.
        """
        if (known := self.recall(authorization)) is not None:
            return known
        token = _bearer(authorization)
        if self._api_keys is not None and token.startswith(MARK):
            return await self._api_keys.verify(token, address=address)
        claims = self._remembered[authorization] = await self._check(token)
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return self._in_force(claims)

    def recall(self, authorization: bytes) -> Claims | None:
        """The claims of an access token that was checked before; None where `verify` must be asked.

        Raises:
            TokenExpired, SessionEnded: as `verify`.
        """
        if self._generation != self._keys.generation:
            self._remembered.clear()
            self._generation = self._keys.generation
        claims = self._remembered.get(authorization)
        return None if claims is None else self._in_force(claims)

    def _in_force(self, claims: Claims) -> Claims:
        now = clock.timestamp()
        if claims.exp + SKEW_S <= now:
            raise TokenExpired
        if max(claims.nbf, claims.iat) - SKEW_S > now:
            raise TokenRefused
        if self._is_revoked(claims.sid):
            raise SessionEnded
        return claims

    async def _check(self, token: str) -> Claims:
        if not _TOKEN.match(token):
            raise TokenRefused
        signed, _, _ = token.rpartition(".")
        try:
            header, payload, signature = (_decode(part) for part in token.split("."))
            kid = msgspec.json.decode(header, type=_Header).kid
            claims = msgspec.json.decode(payload, type=Claims)
        except ValueError as error:
            raise TokenRefused from error
        key = await self._key(kid)
        if key is None:
            raise TokenRefused
        # Not by joserfc's decoder: it warns at every call since RFC 9864 gave this algorithm a new name, and the header
        # was read more strictly above than it would.
        try:
            key.verify(signature, signed.encode("ascii"))
        except InvalidSignature as error:
            raise TokenRefused from error
        if claims.iss != self._issuer or AUDIENCE not in ([claims.aud] if isinstance(claims.aud, str) else claims.aud):
            raise TokenRefused
        return claims

    async def _key(self, kid: str) -> Ed25519PublicKey | None:
        try:
            return await self._keys.get(kid)
        except errors.KelmahError as error:
            # A token that cannot be checked is neither good nor bad: the client may come again with it.
            raise errors.Unavailable(retry_after_s=1) from error


def _bearer(authorization: bytes) -> str:
    found = _BEARER.match(authorization)
    if not found or len(authorization) > len("Bearer ") + MAX_TOKEN_CHARS:
        raise TokenRefused
    return found[1].decode("ascii")


def _decode(part: str) -> bytes:
    """Decode base64url, refusing a second spelling of the same bytes."""
    raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != part:
        raise ValueError("not canonical base64url")
    return raw
