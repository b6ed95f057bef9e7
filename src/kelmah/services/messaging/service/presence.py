"""Who is online: kept in Redis only, refreshed by the instances that hold the sockets.

`online` holds people by the instant until which they count as online; `sockets:<person>` holds the person's sockets
the same way. An instance that dies stops refreshing; any other then sees its people run out and says so.
"""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from kelmah.contracts.messaging import PresenceFrame, PresenceStatus, PresenceView, StatusUpdated
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.redis import key
from kelmah.services.messaging.documents import conversations, safety
from kelmah.services.messaging.errors import TooManySockets
from kelmah.services.messaging.service import live
from kelmah.services.messaging.service.context import Context

#: How long a refresh lasts; instances refresh three times within it.
LASTS = timedelta(seconds=45)
REFRESH_S = 15
#: Somebody whose last socket closed is offline after this, so that a page load is no coming and going.
GRACE = timedelta(seconds=20)
#: People of this many recent conversations are told of a change.
TOLD_CONVERSATIONS = 200
_EXPIRE_AT_ONCE = 100

_EXPIRE = """
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
if #gone > 0 then redis.call('ZREM', KEYS[1], unpack(gone)) end
return gone
"""


async def join(context: Context, socket_id: str, *, by: Principal) -> None:
    """Count a socket of the caller in.

    Raises:
        TooManySockets: the person has as many as one may have.
        redis.exceptions.RedisError: Redis is away.
    """
    now, until = clock.now().timestamp(), (clock.now() + LASTS).timestamp()
    own = _sockets(context, by.user_id)
    async with context.redis.pipeline(transaction=True) as pipeline:
        _ = pipeline.zremrangebyscore(own, "-inf", now)
        _ = pipeline.zadd(own, {socket_id: until})
        _ = pipeline.expire(own, int(LASTS.total_seconds()) + 1)
        _ = pipeline.zcard(own)
        count = (await pipeline.execute())[-1]
    if count > context.settings.max_sockets_per_person:
        await context.redis.zrem(own, socket_id)
        raise TooManySockets
    await _extend(context, [by.user_id], until)


async def leave(context: Context, socket_id: str, *, by: Principal) -> None:
    """Count a socket out; with the last one the person is offline after `GRACE`."""
    own = _sockets(context, by.user_id)
    async with context.redis.pipeline(transaction=True) as pipeline:
        _ = pipeline.zrem(own, socket_id)
        _ = pipeline.zcard(own)
        _, count = await pipeline.execute()
    if count == 0:
        await context.redis.zadd(_online(context), {by.user_id: (clock.now() + GRACE).timestamp()}, xx=True)


async def refresh_presence(context: Context, sockets: Mapping[str, Collection[str]]) -> None:
    """Keep the people of these sockets (by person) online for `LASTS` more."""
    until = (clock.now() + LASTS).timestamp()
    async with context.redis.pipeline(transaction=False) as pipeline:
        for user_id, socket_ids in sockets.items():
            _ = pipeline.zadd(_sockets(context, user_id), dict.fromkeys(socket_ids, until))
            _ = pipeline.expire(_sockets(context, user_id), int(LASTS.total_seconds()) + 1)
        await pipeline.execute()
    await _extend(context, list(sockets), until)


async def _extend(context: Context, user_ids: list[str], until: float) -> None:
    if not user_ids:
        return
    async with context.redis.pipeline(transaction=False) as pipeline:
        for user_id in user_ids:
            _ = pipeline.zadd(_online(context), {user_id: until})
        added = await pipeline.execute()
    for user_id, is_new in zip(user_ids, added, strict=True):
        if is_new:
            await _announce(context, user_id, PresenceStatus.ONLINE)


async def expire_presence(context: Context) -> None:
    """Tell of those who ran out. Of several instances that look, one finds each."""
    script: Any = context.redis.register_script(_EXPIRE)
    gone = await script(keys=[_online(context)], args=[clock.now().timestamp(), _EXPIRE_AT_ONCE])
    for user_id in gone:
        await _announce(context, user_id.decode(), PresenceStatus.OFFLINE)


async def _announce(context: Context, user_id: str, status: PresenceStatus) -> None:
    async def change() -> None:
        await context.events.append(StatusUpdated(user_id=user_id, status=status), subject=f"presence:{user_id}")

    await context.mongo.transact(change)
    told = await _visible(user_id, await conversations.contacts_of(user_id, conversations=TOLD_CONVERSATIONS))
    await live.publish(context, told, PresenceFrame(user_id=user_id, status=status))


async def _visible(user_id: str, others: set[str]) -> set[str]:
    """Those among the others whom no block stands between."""
    return others - await safety.blocked_between(user_id, sorted(others - {user_id}))


async def get_presence(context: Context, user_ids: Collection[str], *, by: Principal) -> list[PresenceView]:
    """The presence of those among these whom the caller has a conversation with; others are left out.

    Raises:
        redis.exceptions.RedisError: Redis is away; told to the client as 503.
    """
    known = sorted(await _visible(by.user_id, await conversations.known_among(user_ids, user_id=by.user_id)))
    if not known:
        return []
    now = clock.now().timestamp()
    until = await context.redis.zmscore(_online(context), known)
    return [
        PresenceView(user_id=user_id, status=PresenceStatus.ONLINE if score and score > now else PresenceStatus.OFFLINE)
        for user_id, score in zip(known, until, strict=True)
    ]


def _online(context: Context) -> str:
    return key(context.settings.redis_prefix, "messaging", "online")


def _sockets(context: Context, user_id: str) -> str:
    return key(context.settings.redis_prefix, "messaging", "sockets", user_id)
