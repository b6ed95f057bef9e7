"""Encrypts fields before they reach the database, and makes keyed look-up values for those found by value."""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kelmah.kit.errors import KelmahError

KEY_BYTES = 32
_VERSION = b"\x01"
_KEY_ID_BYTES = 4
_HEADER_BYTES = len(_VERSION) + _KEY_ID_BYTES
_NONCE_BYTES = 12
_TAG_BYTES = 16
_PREFIX = "k1."


class DecryptionError(KelmahError):
    """A stored value was tampered with, belongs to another place, or its key is no longer in the ring."""

    status_code = 500
    code = "kit.undecryptable"
    title = "A stored value could not be decrypted"


class _Key(NamedTuple):
    id: bytes
    cipher: AESGCM
    index_secret: bytes


def _derive(key: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=b"kelmah.kit.crypto/" + purpose).derive(key)


class KeyRing:
    """The master keys of one service, newest first; the newest encrypts, each of them decrypts.

    Every use has its own subkey (HKDF-SHA256), so a master key is never used directly. One key may encrypt
    2**32 values before its random 96-bit nonces become a risk: rotate long before that.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Take the master keys, newest first.

        Args:
            keys: at least one key of 32 random bytes, all different.

        Raises:
            ValueError: no key, a key of the wrong length, or the same key twice.
        """
        if not keys:
            raise ValueError("a key ring needs at least one key")
        if any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"every key must be {KEY_BYTES} bytes long")
        self._keys = [
            _Key(
                id=_derive(key, b"key-id", _KEY_ID_BYTES),
                cipher=AESGCM(_derive(key, b"encrypt", KEY_BYTES)),
                index_secret=_derive(key, b"blind-index", KEY_BYTES),
            )
            for key in keys
        ]
        self._by_id = {key.id: key for key in self._keys}
        if len(self._by_id) != len(self._keys):
            raise ValueError("the same key is in the ring twice")

    @property
    def key_ids(self) -> list[str]:
        """What names each key without telling of it, newest first."""
        return [key.id.hex() for key in self._keys]

    def encrypt(self, plaintext: bytes, *, context: bytes) -> bytes:
        """Encrypt with the newest key (AES-256-GCM).

        Args:
            plaintext: up to 2 GiB.
            context: names the value's place, such as ``b"auth.user.phone:<id>"``; a value copied elsewhere
                does not decrypt there.
        """
        key = self._keys[0]
        header = _VERSION + key.id
        nonce = os.urandom(_NONCE_BYTES)
        return header + nonce + key.cipher.encrypt(nonce, plaintext, header + context)

    def decrypt(self, ciphertext: bytes, *, context: bytes) -> bytes:
        """Decrypt what `encrypt` made with any key of the ring in the same context.

        Raises:
            DecryptionError: tampered, another context, or an unknown key.
        """
        key = self._key_of(ciphertext)
        header, sealed = ciphertext[:_HEADER_BYTES], ciphertext[_HEADER_BYTES:]
        try:
            return key.cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], header + context)
        except InvalidTag:
            raise DecryptionError("the value was changed or belongs to another place") from None

    def seal(self, text: str, *, context: bytes) -> str:
        """Encrypt text to a base64url token with a version prefix."""
        return _PREFIX + _to_base64url(self.encrypt(text.encode(), context=context))

    def open(self, token: str, *, context: bytes) -> str:
        """Decrypt a token made by `seal` in the same context.

        Raises:
            DecryptionError: not a token, tampered, another context, or an unknown key.
        """
        return self.decrypt(_from_token(token), context=context).decode()

    def renewed(self, value: str | bytes, *, context: bytes) -> str | bytes | None:
        """What `seal` or `encrypt` made, under the newest key; None when it is under that already.

        Raises:
            DecryptionError: not such a value, tampered, another context, or an unknown key.
        """
        if isinstance(value, bytes):
            is_new = self._key_of(value) is self._keys[0]
            return None if is_new else self.encrypt(self.decrypt(value, context=context), context=context)
        is_new = self._key_of(_from_token(value)) is self._keys[0]
        return None if is_new else self.seal(self.open(value, context=context), context=context)

    def blind_index(self, text: str, *, context: bytes) -> str:
        """Make the value stored beside an encrypted field so that it can be found by equality.

        HMAC-SHA256 under the newest key's own subkey, base64url, 43 characters. Normalise the text first.

        Args:
            text: the whole normalised field.
            context: names the field, such as ``b"auth.user.phone"``, without the row's id.
        """
        return _index(self._keys[0].index_secret, text, context)

    def blind_indexes(self, text: str, *, context: bytes) -> list[str]:
        """Make the values to look for (``$in``), one a key, newest first.

        A unique database index compares values of one key only: while a rotation is under way, look for all
        of these before inserting.
        """
        return [_index(key.index_secret, text, context) for key in self._keys]

    def _key_of(self, ciphertext: bytes) -> _Key:
        if len(ciphertext) < _HEADER_BYTES + _NONCE_BYTES + _TAG_BYTES or ciphertext[:1] != _VERSION:
            raise DecryptionError("the value is not one that this program encrypted")
        key = self._by_id.get(ciphertext[1:_HEADER_BYTES])
        if key is None:
            raise DecryptionError("the value's key is not in the key ring")
        return key


def _index(key: bytes, text: str, context: bytes) -> str:
    # The length keeps (context "a", text "bc") apart from (context "ab", text "c").
    message = len(context).to_bytes(4, "big") + context + text.encode()
    return _to_base64url(hmac.digest(key, message, "sha256"))


def _to_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _from_token(token: str) -> bytes:
    body = token.removeprefix(_PREFIX)
    if body == token:
        raise DecryptionError("the value is not one that this program sealed")
    try:
        data = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise DecryptionError("the value is not one that this program sealed") from None
    # Unused bits of the last character would let two spellings stand for one token.
    if _to_base64url(data) != body:
        raise DecryptionError("the value is not one that this program sealed")
    return data


def random_token(size: int = 32) -> str:
    """Make an opaque url-safe token.

    Args:
        size: bytes of randomness, at least 16.

    Raises:
        ValueError: fewer than 16 bytes could be guessed.
    """
    if size < 16:
        raise ValueError("a token needs at least 16 random bytes")
    return secrets.token_urlsafe(size)


def digest_token(token: str) -> str:
    """Hash an opaque token for storage: SHA-256, 64 hex digits. Only for tokens of full randomness."""
    return hashlib.sha256(token.encode()).hexdigest()


def constant_time_equal(left: str | bytes, right: str | bytes) -> bool:
    """Compare two secrets in time that does not tell where they differ."""
    return hmac.compare_digest(_as_bytes(left), _as_bytes(right))


def _as_bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
