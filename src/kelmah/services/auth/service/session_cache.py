"""What Redis keeps of sessions, so that refreshing one reads MongoDB no more than it must.

One key a session says either that the session ended, which stays true, or the role of its owner, which stays the same
for as long as the session lives: another role ends it. Whether it lives is MongoDB's alone to say, where the refresh
token turns, so nothing here that is stale or lost lets anybody in. Roles are sealed: who writes to Redis makes nobody
an administrator.
"""

import asyncio

import structlog
from redis.exceptions import RedisError

from kelmah.contracts.common import Role
from kelmah.kit.crypto import DecryptionError
from kelmah.kit.redis import key as redis_key
from kelmah.services.auth.errors import RefreshRefused
from kelmah.services.auth.service.context import Context

log = structlog.get_logger(__name__)

#: Seconds that an entry lives after its last use; a session at work refreshes every ten minutes.
LIFE_S = 3_600
#: Redis answers in less, or MongoDB is asked.
TIMEOUT_S = 0.25
ENDED = b"ended"


def entry_key(context: Context, session_id: str) -> str:
    return redis_key(context.settings.redis_prefix, "auth", "session", session_id)


async def role_of(context: Context, session_id: str) -> Role | None:
    """The role of a session's owner; None when MongoDB has to be asked.

    Raises:
        RefreshRefused: the session has ended.
    """
    try:
        async with asyncio.timeout(TIMEOUT_S):
            kept = await context.redis.getex(entry_key(context, session_id), ex=LIFE_S)
    except (RedisError, OSError, TimeoutError) as error:
        log.warning("auth.session_cache.unavailable", error=type(error).__name__)
        return None
    if not isinstance(kept, bytes):
        return None
    if kept == ENDED:
        raise RefreshRefused
    try:
        return Role(context.ring.decrypt(kept, context=_place(session_id)).decode())
    except DecryptionError:
        return None  # of a key that is gone, or not ours


async def keep(context: Context, session_id: str, role: Role) -> None:
    """Note the role; not over an end that was noted meanwhile."""
    sealed = context.ring.encrypt(role.encode(), context=_place(session_id))
    await _note(context, session_id, sealed, only_new=True)


async def note_end(context: Context, session_id: str) -> None:
    """Note an end that MongoDB told of; `revocations.publish` notes each as it comes about, unless Redis was away."""
    await _note(context, session_id, ENDED, only_new=False)


async def _note(context: Context, session_id: str, what: bytes, *, only_new: bool) -> None:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await context.redis.set(entry_key(context, session_id), what, ex=LIFE_S, nx=only_new)
    except (RedisError, OSError, TimeoutError) as error:
        log.warning("auth.session_cache.unavailable", error=type(error).__name__)


def _place(session_id: str) -> bytes:
    return f"auth.session_cache.role:{session_id}".encode()
