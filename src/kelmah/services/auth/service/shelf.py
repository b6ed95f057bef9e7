"""Puts half-finished business aside under a single-use token: in Redis, sealed, for minutes.

Losing it costs a person one more try, so it need not survive a restart of Redis.
"""

from typing import TypeVar

import msgspec

from kelmah.kit.crypto import digest_token, random_token
from kelmah.kit.redis import key as redis_key
from kelmah.services.auth.service.context import Context

StructT = TypeVar("StructT", bound=msgspec.Struct)


async def put(context: Context, kind: str, what: msgspec.Struct, *, life_s: int, token: str | None = None) -> str:
    """Keep something for `life_s` seconds; gives the token, a new one unless one is given."""
    token = token or random_token()
    sealed = context.ring.encrypt(msgspec.json.encode(what), context=_place(kind, token))
    await context.redis.set(_key(context, kind, token), sealed, ex=life_s)
    return token


async def look(context: Context, kind: str, token: str, of: type[StructT]) -> StructT | None:
    """What is kept under the token, left where it is."""
    return _opened(context, kind, token, of, await context.redis.get(_key(context, kind, token)))


async def take(context: Context, kind: str, token: str, of: type[StructT]) -> StructT | None:
    """What is kept under the token; of several who ask at once, one gets it."""
    return _opened(context, kind, token, of, await context.redis.getdel(_key(context, kind, token)))


def _opened(context: Context, kind: str, token: str, of: type[StructT], sealed: bytes | str | None) -> StructT | None:
    if not isinstance(sealed, bytes):
        return None
    return msgspec.json.decode(context.ring.decrypt(sealed, context=_place(kind, token)), type=of)


def _key(context: Context, kind: str, token: str) -> str:
    return redis_key(context.settings.redis_prefix, "auth", kind, digest_token(token))


def _place(kind: str, token: str) -> bytes:
    return f"auth.{kind}:{digest_token(token)}".encode()
