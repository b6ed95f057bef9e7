"""Who is there: kept in Redis only, refreshed by the instances that hold the sockets.

`online` holds people by the instant until which they count as online; `sockets:<person>` holds the person's sockets
the same way; `active` holds those who did something lately, on any device, by when. An instance that dies stops
refreshing; any other then sees its people run out and says so. What a person chose is in the database.
"""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from kelmah.contracts.messaging import (
    OwnPresence,
    PresenceChoice,
    PresenceFrame,
    PresenceStatus,
    PresenceView,
    StatusUpdated,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.redis import key
from kelmah.services.messaging.documents import PresenceChoiceDocument, conversations, presence, safety
from kelmah.services.messaging.errors import TooManySockets
from kelmah.services.messaging.service import live
from kelmah.services.messaging.service.context import Context

#: How long a refresh lasts; instances refresh three times within it.
LASTS = timedelta(seconds=45)
REFRESH_S = 15
#: Somebody whose last socket closed is offline after this, so that a page load is no coming and going.
GRACE = timedelta(seconds=30)
#: Somebody who does nothing for so long is idle.
IDLE_AFTER = timedelta(minutes=5)
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
    await note_activity(context, by=by)
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


async def note_activity(context: Context, *, by: Principal) -> None:
    """The caller did something. Whoever was idle is told of as back.

    Raises:
        redis.exceptions.RedisError: Redis is away.
    """
    async with context.redis.pipeline(transaction=False) as pipeline:
        _ = pipeline.zadd(_active(context), {by.user_id: clock.now().timestamp()})
        _ = pipeline.zscore(_online(context), by.user_id)
        is_back, online = await pipeline.execute()
    if is_back and online is not None:  # whoever just came is told of by `_extend`
        await _announce(context, by.user_id, PresenceStatus.ONLINE)


async def expire_presence(context: Context) -> None:
    """Tell of those who ran out, and who became idle. Of several instances that look, one finds each."""
    script: Any = context.redis.register_script(_EXPIRE)
    now = clock.now()
    for user_id in await script(keys=[_online(context)], args=[now.timestamp(), _EXPIRE_AT_ONCE]):
        await context.redis.zrem(_active(context), user_id)
        await _announce(context, user_id.decode(), PresenceStatus.OFFLINE)
    limit = (now - IDLE_AFTER).timestamp()
    for user_id in await script(keys=[_active(context)], args=[limit, _EXPIRE_AT_ONCE]):
        if await context.redis.zscore(_online(context), user_id) is not None:
            await _announce(context, user_id.decode(), PresenceStatus.IDLE)


async def _announce(context: Context, user_id: str, status: PresenceStatus) -> None:
    choice = await presence.choice_of(user_id)
    if not choice.hidden:
        await _tell(context, user_id, _chosen(status, choice))


async def _tell(context: Context, user_id: str, status: PresenceStatus) -> None:
    async def change() -> None:
        await context.events.append(StatusUpdated(user_id=user_id, status=status), subject=f"presence:{user_id}")

    if status is not PresenceStatus.IDLE:  # that somebody sits still is no fact to keep
        await context.mongo.transact(change)
    told = await _visible(user_id, await conversations.contacts_of(user_id, conversations=TOLD_CONVERSATIONS))
    await live.publish(context, told, PresenceFrame(user_id=user_id, status=status))


def _chosen(status: PresenceStatus, choice: PresenceChoiceDocument) -> PresenceStatus:
    return PresenceStatus.AWAY if choice.away and status is not PresenceStatus.OFFLINE else status


async def choose_presence(context: Context, new: PresenceChoice, *, by: Principal) -> OwnPresence:
    """Replace the caller's choice, and tell those who would notice.

    Raises:
        redis.exceptions.RedisError: Redis is away; the choice is kept all the same.
    """
    before = await presence.choose(by.user_id, away=new.away, hidden=new.hidden)
    own = await get_own_presence(context, by=by)
    if (before.away, before.hidden) != (new.away, new.hidden):
        await _tell(context, by.user_id, own.status)
    return own


async def get_own_presence(context: Context, *, by: Principal) -> OwnPresence:
    """The caller's choice, and what others see of the caller."""
    choice = await presence.choice_of(by.user_id)
    (status,) = await _statuses(context, [by.user_id])
    return OwnPresence(away=choice.away, hidden=choice.hidden, status=status)


async def _statuses(context: Context, user_ids: list[str]) -> list[PresenceStatus]:
    """What others see of these people."""
    now = clock.now()
    choices = await presence.choices_of(user_ids)
    async with context.redis.pipeline(transaction=False) as pipeline:
        _ = pipeline.zmscore(_online(context), user_ids)
        _ = pipeline.zmscore(_active(context), user_ids)
        until, acted = await pipeline.execute()
    found = []
    for user_id, end, at in zip(user_ids, until, acted, strict=True):
        choice = choices[user_id]
        if end is None or end <= now.timestamp() or choice.hidden:
            found.append(PresenceStatus.OFFLINE)
        else:
            is_active = at is not None and at > (now - IDLE_AFTER).timestamp()
            found.append(_chosen(PresenceStatus.ONLINE if is_active else PresenceStatus.IDLE, choice))
    return found


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
    return [
        PresenceView(user_id=user_id, status=status)
        for user_id, status in zip(known, await _statuses(context, known), strict=True)
    ]


def _online(context: Context) -> str:
    return key(context.settings.redis_prefix, "messaging", "online")


def _active(context: Context) -> str:
    return key(context.settings.redis_prefix, "messaging", "active")


def _sockets(context: Context, user_id: str) -> str:
    return key(context.settings.redis_prefix, "messaging", "sockets", user_id)
