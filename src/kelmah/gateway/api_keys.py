"""API keys at the edge: asked for at the auth service, remembered for half a minute, and refused once revoked.

Revoked keys come on the same way as ended sessions (`kelmah.gateway.revocations`), and are remembered there for longer
than an answer is here.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import ClassVar, TypeVar

import msgspec

from kelmah.contracts.auth import ApiKeyCheck, ApiKeyHolder, Scope
from kelmah.contracts.common import Role
from kelmah.gateway.errors import ApiKeyRefused
from kelmah.gateway.limits import LocalLimiter
from kelmah.kit import clock, errors
from kelmah.kit.breaker import Monotonic
from kelmah.kit.calls import ServiceCaller
from kelmah.kit.ratelimit import Limit

#: How an API key begins; no access token does.
MARK = "kelmah_"
#: Seconds that an answer is remembered.
REMEMBERED_S = 30.0
MAX_REMEMBERED = 8_192
#: Keys that were refused are remembered apart, so that a flood of forged ones pushes no good one out.
MAX_REFUSED = 1_024
#: Keys that one address may have looked up in this process; a program's own key needs two a minute.
LOOKUPS = Limit("api-key-lookup", 60, 60)
_KEY = re.compile(r"kelmah_([0-9a-f]{32})_[A-Za-z0-9_-]{43}\Z")

ValueT = TypeVar("ValueT")
Check = Callable[[ApiKeyCheck], Awaitable[ApiKeyHolder]]


def check_at(auth: ServiceCaller) -> Check:
    """Ask the auth service by a signed call."""

    async def check(given: ApiKeyCheck) -> ApiKeyHolder:
        return await auth.call("POST", "/internal/api-keys/check", body=given, safe=True, returns=ApiKeyHolder)

    return check


class KeyClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What a key says, in the words of an access token: its id stands for the session, and nobody was there in person,
    so nothing passes that wants a fresh authentication."""

    auth_time: ClassVar[int] = 0
    amr: ClassVar[tuple[str, ...]] = ("api_key",)

    sub: str
    sid: str
    role: Role
    scopes: frozenset[Scope]
    exp: int


class ApiKeys:
    """Turns API keys into claims, or refuses them."""

    def __init__(
        self, check: Check, *, is_revoked: Callable[[str], bool], monotonic: Monotonic = clock.monotonic
    ) -> None:
        self._check = check
        self._is_revoked = is_revoked
        self._monotonic = monotonic
        self._lookups = LocalLimiter(share=1, monotonic=monotonic)
        #: By the key's digest: until when, and what was answered.
        self._remembered: OrderedDict[str, tuple[float, KeyClaims]] = OrderedDict()
        self._refused: OrderedDict[str, float] = OrderedDict()

    async def verify(self, key: str, *, address: str) -> KeyClaims:
        """The claims of a key.

        Raises:
            ApiKeyRefused: no key of ours, or not any more.
            TooManyRequests: too many keys were looked up for this address.
            Unavailable: the auth service could not be asked.
        """
        found = _KEY.match(key)
        if found is None:
            raise ApiKeyRefused
        digest, now = hashlib.sha256(key.encode()).hexdigest(), self._monotonic()
        until, claims = self._remembered.get(digest, (0.0, None))
        if claims is None or until < now:
            if self._refused.get(digest, 0.0) >= now:
                raise ApiKeyRefused
            claims = await self._look_up(found[1], digest, address)
        if self._is_revoked(claims.sid) or claims.exp <= clock.now().timestamp():
            raise ApiKeyRefused
        return claims

    async def _look_up(self, key_id: str, digest: str, address: str) -> KeyClaims:
        verdict = self._lookups.check(LOOKUPS, address)
        if not verdict.allowed:
            raise errors.TooManyRequests(retry_after_s=verdict.retry_after_s)
        until = self._monotonic() + REMEMBERED_S
        try:
            holder = await self._check(ApiKeyCheck(key_id=key_id, digest=digest))
        except errors.NotFound:
            self._remembered.pop(digest, None)
            _put(self._refused, digest, until, MAX_REFUSED)
            raise ApiKeyRefused from None
        except errors.KelmahError as error:
            raise errors.Unavailable(retry_after_s=1) from error
        claims = KeyClaims(
            sub=holder.user_id, sid=holder.key_id, role=holder.role, scopes=holder.scopes, exp=holder.expires_at
        )
        _put(self._remembered, digest, (until, claims), MAX_REMEMBERED)
        return claims


def _put(where: OrderedDict[str, ValueT], key: str, value: ValueT, most: int) -> None:
    where[key] = value
    where.move_to_end(key)
    if len(where) > most:
        where.popitem(last=False)
