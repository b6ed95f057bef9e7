"""Signed calls between our own processes: who calls, on whose behalf, exactly what, and when.

HMAC-SHA256 under a key that only caller and callee have, over caller, callee, method, target, body digest, time,
nonce and identity. Two keys may be valid at a time, so that they can be rotated.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec
import uuid_utils
from pydantic import SecretStr

from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import Unauthenticated

SIGNATURE_HEADER = "kelmah-signature"
IDENTITY_HEADER = "kelmah-identity"
#: Seconds by which the clocks of caller and callee may differ; also how long a nonce is remembered, doubled.
MAX_AGE_S = 60
#: Stands for the digest of a body that is streamed; the callee takes it only where a route says so.
UNSIGNED_BODY = "-"


class SignatureRefused(Unauthenticated):
    code = "signature_refused"
    title = "This call is not signed by a process of ours"


class VerifiedCall(NamedTuple):
    """A call that carries a good signature."""

    caller: str
    principal: Principal | None
    nonce: str
    body_signed: bool


_EMPTY = hashlib.sha256(b"").hexdigest()


def body_digest(body: bytes) -> str:
    """The digest that is signed for a body held in memory."""
    return hashlib.sha256(body).hexdigest() if body else _EMPTY


def sign(
    *,
    caller: str,
    callee: str,
    method: str,
    target: str,
    digest: str,
    principal: Principal | None,
    keys: Mapping[str, Sequence[SecretStr]],
) -> dict[str, str]:
    """Headers that sign one call. `target` is the raw path with its query string."""
    if not keys.get(callee):
        raise RuntimeError(f"{caller} has no key to call {callee}: set outgoing_keys")
    identity = _encode(principal)
    # A nonce need not be hard to guess, only unlike any other, also where made-up data repeats the ids of `kit.ids`.
    stamp, nonce = str(int(clock.timestamp())), uuid_utils.uuid7().hex
    mac = _mac(keys[callee][0], caller, callee, method, target, digest, stamp, nonce, identity)
    return {SIGNATURE_HEADER: f"v1,{caller},{stamp},{nonce},{digest},{mac}", IDENTITY_HEADER: identity}


def verify(
    *,
    callee: str,
    method: str,
    target: str,
    body: bytes | None,
    signature: str,
    identity: str,
    keys: Mapping[str, Sequence[SecretStr]],
) -> VerifiedCall:
    """Check one call; `body` is None when it is streamed and cannot be digested beforehand.

    Raises:
        SignatureRefused: for any fault, without saying which, so that nothing is learned by trying.
    """
    parts = signature.split(",")
    if len(parts) != 6 or parts[0] != "v1":
        raise SignatureRefused
    _, caller, stamp, nonce, digest, mac = parts
    if not stamp.isdecimal() or abs(clock.timestamp() - int(stamp)) > MAX_AGE_S:
        raise SignatureRefused
    if digest != UNSIGNED_BODY and (body is None or not hmac.compare_digest(digest, body_digest(body))):
        raise SignatureRefused
    for key in keys.get(caller, ()):
        if hmac.compare_digest(mac, _mac(key, caller, callee, method, target, digest, stamp, nonce, identity)):
            return VerifiedCall(caller, _decode(identity), nonce, digest != UNSIGNED_BODY)
    raise SignatureRefused
    return VerifiedCall(caller, _decode(identity), nonce, digest != UNSIGNED_BODY)


def _mac(key: SecretStr, *parts: str) -> str:
    mac = _keyed(key.get_secret_value()).copy()
    mac.update("\n".join([f"{len(part)}:{part}" for part in parts]).encode())
    return mac.hexdigest()


@lru_cache(maxsize=64)
def _keyed(key: str) -> hmac.HMAC:
    return hmac.new(key.encode(), digestmod="sha256")


@lru_cache(maxsize=4096)  # whoever calls once calls again
def _encode(principal: Principal | None) -> str:
    return "" if principal is None else base64.urlsafe_b64encode(msgspec.json.encode(principal)).decode()


def _decode(identity: str) -> Principal | None:
    if not identity:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(identity), type=Principal)
    except ValueError as error:
        raise SignatureRefused from error


def derive_pair_key(master: str, caller: str, callee: str) -> str:
    """The key of one pair, made from a development platform's master secret; production sets each key by itself."""
    return hmac.new(master.encode(), f"{caller}>{callee}".encode(), hashlib.sha256).hexdigest()
