"""Signs access tokens, and turns the signing keys with an overlap in which old and new are both known."""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import UnsupportedAlgorithmError
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry

from kelmah.kit import clock
from kelmah.kit.crypto import KeyRing
from kelmah.services.auth.documents import keys as documents
from kelmah.services.auth.documents.keys import SigningKey, SigningKeysDocument
from kelmah.services.auth.errors import KeyNotYetPublished

ALGORITHM = "EdDSA"
TOKEN_TYPE = "at+jwt"  # noqa: S105  # a media type (RFC 9068)
#: Seconds that verifiers may keep the public keys.
PUBLIC_KEYS_MAX_AGE_S = 300
#: How long a process signs on with keys that another one rotated meanwhile.
_REREAD_AFTER = timedelta(seconds=60)
#: A next key that verifiers' caches may not hold yet must not sign.
_PUBLISHED_FOR = timedelta(seconds=2 * PUBLIC_KEYS_MAX_AGE_S)
#: Longer than any access token lives, and a process may sign on with the old key.
_RETIRED_FOR = timedelta(hours=1)


class _Registry(JWSRegistry):
    """EdDSA and nothing else. joserfc warns of that name since RFC 9864, but verifiers rarely know `Ed25519` yet."""

    def get_alg(self, name: str) -> JWSAlgModel:
        if name != ALGORITHM:
            raise UnsupportedAlgorithmError(f"only {ALGORITHM} signs access tokens")
        return self.algorithms[name]


_REGISTRY = _Registry(algorithms=[ALGORITHM])


class Signer:
    """The signing keys as this process last read them."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._keys: SigningKeysDocument | None = None
        self._read_at: datetime | None = None
        self._private: OKPKey | None = None

    async def keys(self) -> SigningKeysDocument:
        """All keys, made at the very first use, and read again from time to time."""
        now = clock.now()
        if self._keys is None or self._read_at is None or not timedelta(0) <= now - self._read_at < _REREAD_AFTER:
            self._take(await documents.load() or await documents.make_first(self._first()), now)
        assert self._keys is not None  # noqa: S101  # just taken
        return self._keys

    async def sign(self, claims: Mapping[str, Any]) -> str:
        """An access token with these claims."""
        keys = await self.keys()
        assert self._private is not None  # noqa: S101  # taken together with the keys
        header = {"alg": ALGORITHM, "kid": keys.active.kid, "typ": TOKEN_TYPE}
        return jwt.encode(header, dict(claims), self._private, registry=_REGISTRY)

    async def rotate(self) -> SigningKeysDocument:
        """Let the next key sign, publish a new next one, and retire the active.

        Raises:
            KeyNotYetPublished: the next key is younger than verifiers' caches, or another process rotated now.
        """
        now = clock.now()
        old = await documents.load() or await documents.make_first(self._first())
        ready_at = old.next.created_at + _PUBLISHED_FOR
        if now < ready_at:
            raise KeyNotYetPublished(retry_after_s=(ready_at - now).total_seconds())
        retired = old.active.model_copy(update={"private_sealed": None, "retired_at": now})
        new = SigningKeysDocument(
            version=old.version + 1,
            active=old.next,
            next=self._new_key(),
            retired=[retired, *(key for key in old.retired if key.retired_at and now - key.retired_at < _RETIRED_FOR)],
        )
        stored = await documents.replace(new, version=old.version)
        if stored is None:
            raise KeyNotYetPublished(retry_after_s=_PUBLISHED_FOR.total_seconds())
        self._take(stored, now)
        return stored

    def _take(self, keys: SigningKeysDocument, now: datetime) -> None:
        if self._keys is None or self._keys.active.kid != keys.active.kid:
            private = self._ring.open(keys.active.private_sealed or "", context=place_of_key(keys.active.kid))
            self._private = OKPKey.import_key(
                {"kty": "OKP", "crv": "Ed25519", "x": keys.active.x, "d": private, "kid": keys.active.kid}
            )
        self._keys, self._read_at = keys, now

    def _first(self) -> SigningKeysDocument:
        return SigningKeysDocument(version=1, active=self._new_key(), next=self._new_key())

    def _new_key(self) -> SigningKey:
        kid = secrets.token_hex(8)
        halves = OKPKey.generate_key("Ed25519").as_dict(private=True)
        return SigningKey(
            kid=kid,
            x=str(halves["x"]),
            private_sealed=self._ring.seal(str(halves["d"]), context=place_of_key(kid)),
            created_at=clock.now(),
        )


def place_of_key(kid: str) -> bytes:
    return f"auth.signing_keys.private:{kid}".encode()
