"""Who is there: kept in Redis only, refreshed by the instances that hold the sockets.

`online` holds people by the instant until which they count as online; `sockets:<person>` holds the person's sockets
the same way; `active` holds those who did something lately, on any device, by when. An instance that dies stops
refreshing; any other then sees its people run out and says so. What a person chose is in the database.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import partial
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
from kelmah.kit.scripts import Script
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

# Counts sockets in, or in again. KEYS hold `online`, `active`, and the person's `sockets` for each socket; ARGV now,
# until when it counts, seconds until a person's sockets are forgotten, how many a person may have (0 where they were
# counted before), and person and socket for each. The answer for each: 1 where the person came, 0 where they were
# there, -1 where they have too many.
_PRESENT = Script("""
local most, answer = tonumber(ARGV[4]), {}
for i = 3, #KEYS do
  local person, socket = ARGV[2 * i - 1], ARGV[2 * i]
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', ARGV[1])
  redis.call('ZADD', KEYS[i], ARGV[2], socket)
  redis.call('EXPIRE', KEYS[i], ARGV[3])
  if most > 0 and redis.call('ZCARD', KEYS[i]) > most then
    redis.call('ZREM', KEYS[i], socket)
    answer[#answer + 1] = -1
  else
    if most > 0 then redis.call('ZADD', KEYS[2], ARGV[1], person) end
    answer[#answer + 1] = redis.call('ZADD', KEYS[1], ARGV[2], person)
  end
end
return answer
""")
#: Sockets that are counted in one script.
_COUNTED_AT_ONCE = 500


async def join(context: Context, socket_id: str, *, by: Principal) -> bool:
    """Count a socket of the caller in; whether the caller has just come, which `announce` is to tell of.

    Raises:
        TooManySockets: the person has as many as one may have.
        redis.exceptions.RedisError: Redis is away.
    """
    (found,) = await _count_in(context, [(by.user_id, socket_id)], most=context.settings.max_sockets_per_person)
    if found < 0:
        raise TooManySockets
    return found == 1


async def _count_in(context: Context, sockets: Sequence[tuple[str, str]], *, most: int) -> list[int]:
    keys = [_online(context), _active(context), *(_sockets(context, user_id) for user_id, _ in sockets)]
    now, lasts_s = clock.timestamp(), LASTS.total_seconds()
    named = [part.encode() for one in sockets for part in one]
    return await context.scripts.run(
        _PRESENT, keys, [b"%f" % now, b"%f" % (now + lasts_s), int(lasts_s) + 1, most, *named]
    )


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
    each = [(user_id, socket_id) for user_id, socket_ids in sockets.items() for socket_id in socket_ids]
    for start in range(0, len(each), _COUNTED_AT_ONCE):
        some = each[start : start + _COUNTED_AT_ONCE]
        came = zip(some, await _count_in(context, some, most=0), strict=True)
        await announce(context, {user_id: PresenceStatus.ONLINE for (user_id, _), is_new in came if is_new})


async def note_activity(context: Context, *, by: Principal) -> None:
    """The caller did something. Whoever was idle is told of as back.

    Raises:
        redis.exceptions.RedisError: Redis is away.
    """
    async with context.redis.pipeline(transaction=False) as pipeline:
        _ = pipeline.zadd(_active(context), {by.user_id: clock.now().timestamp()})
        _ = pipeline.zscore(_online(context), by.user_id)
        is_back, online = await pipeline.execute()
    if is_back and online is not None:  # whoever just came is told of by `announce`
        await announce(context, {by.user_id: PresenceStatus.ONLINE})


async def expire_presence(context: Context) -> None:
    """Tell of those who ran out, and who became idle. Of several instances that look, one finds each."""
    script: Any = context.redis.register_script(_EXPIRE)
    now = clock.now()
    gone = await script(keys=[_online(context)], args=[now.timestamp(), _EXPIRE_AT_ONCE])
    if gone:
        await context.redis.zrem(_active(context), *gone)
        await announce(context, {user_id.decode(): PresenceStatus.OFFLINE for user_id in gone})
    limit = (now - IDLE_AFTER).timestamp()
    idle = await script(keys=[_active(context)], args=[limit, _EXPIRE_AT_ONCE])
    if idle:
        until = await context.redis.zmscore(_online(context), idle)
        there = [user_id.decode() for user_id, end in zip(idle, until, strict=True) if end is not None]
        await announce(context, dict.fromkeys(there, PresenceStatus.IDLE))


async def announce_coming(context: Context, *, by: Principal) -> None:
    """Tell that the caller came, together with others who come at the same time."""

    async def announce_all(people: Sequence[str]) -> list[None]:
        await announce(context, dict.fromkeys(people, PresenceStatus.ONLINE))
        return [None] * len(people)

    await context.comings.do(by.user_id, announce_all)


async def announce(context: Context, news: Mapping[str, PresenceStatus]) -> None:
    """Tell of people who came, went or sit still, as they want to be seen."""
    if news:
        choices = await presence.choices_of(list(news))
        await _tell(
            context, {one: _chosen(status, choices[one]) for one, status in news.items() if not choices[one].hidden}
        )


async def _tell(context: Context, news: Mapping[str, PresenceStatus]) -> None:
    events = [
        (
            StatusUpdated(user_id=user_id, status=status),
            f"presence:{user_id}",
            await context.events.author(about=user_id),
        )
        for user_id, status in news.items()
        if status is not PresenceStatus.IDLE  # that somebody sits still is no fact to keep
    ]
    if events:
        await context.mongo.transact(partial(context.events.append_all, events))
    contacts = await conversations.contacts_of(list(news), conversations=TOLD_CONVERSATIONS)
    told = await _visible(contacts)
    frames = [(told[user_id], PresenceFrame(user_id=user_id, status=status)) for user_id, status in news.items()]
    await live.publish_all(context, [one for one in frames if one[0]])


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
        await _tell(context, {by.user_id: own.status})
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


async def _visible(others: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Those among each person's others whom no block stands between."""
    blocked = await safety.blocked_among(others)
    return {user_id: found - blocked[user_id] for user_id, found in others.items()}


async def get_presence(context: Context, user_ids: Collection[str], *, by: Principal) -> list[PresenceView]:
    """The presence of those among these whom the caller has a conversation with; others are left out.

    Raises:
        redis.exceptions.RedisError: Redis is away; told to the client as 503.
    """
    known_to = {by.user_id: await conversations.known_among(user_ids, user_id=by.user_id)}
    known = sorted((await _visible(known_to))[by.user_id])
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
