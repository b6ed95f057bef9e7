"""One-time tickets that open a WebSocket: browsers cannot send an access token with the handshake."""

from typing import Any

import msgspec

from kelmah.contracts.messaging import SocketTicket
from kelmah.kit.context import Principal
from kelmah.kit.crypto import digest_token, random_token
from kelmah.kit.redis import key
from kelmah.services.messaging.errors import TicketRefused
from kelmah.services.messaging.service import live
from kelmah.services.messaging.service.context import Context

#: Seconds that a ticket is good for.
TICKET_S = 30
_MAX_TICKET_CHARS = 100
_decoder = msgspec.json.Decoder(Principal)

# A ticket is kept as the key of its session's end, a line feed, and whose it is.
_REDEEM = """
local kept = redis.call('GETDEL', KEYS[1])
if not kept then return false end
local at = string.find(kept, '\\n', 1, true)
if redis.call('EXISTS', string.sub(kept, 1, at - 1)) == 1 then return false end
return string.sub(kept, at + 1)
"""


async def issue_ticket(context: Context, *, by: Principal) -> SocketTicket:
    """A ticket for the caller. Only its hash is kept.

    Raises:
        redis.exceptions.RedisError: Redis is away; told to the client as 503.
    """
    ticket = random_token()
    kept = _ended(context, by.session_id).encode() + b"\n" + msgspec.json.encode(by)
    await context.redis.set(_key(context, ticket), kept, ex=TICKET_S)
    return SocketTicket(ticket=ticket, expires_in=TICKET_S)


async def redeem_ticket(context: Context, ticket: str) -> Principal:
    """Whose ticket it is; it is good no more after this.

    Raises:
        TicketRefused: used, run out, made up, or its session has ended.
        redis.exceptions.RedisError: Redis is away.
    """
    if not 0 < len(ticket) <= _MAX_TICKET_CHARS:
        raise TicketRefused
    script: Any = context.redis.register_script(_REDEEM)
    if (found := await script(keys=[_key(context, ticket)])) is None:
        raise TicketRefused
    return _decoder.decode(found)


async def end_session(context: Context, user_id: str, session_id: str) -> None:
    """Close a session's sockets, and refuse its tickets that are still out."""
    await context.redis.set(_ended(context, session_id), b"", ex=2 * TICKET_S)
    await live.end_session(context, user_id, session_id)


def _key(context: Context, ticket: str) -> str:
    return key(context.settings.redis_prefix, "messaging", "ticket", digest_token(ticket))


def _ended(context: Context, session_id: str) -> str:
    return key(context.settings.redis_prefix, "messaging", "ended", session_id)
