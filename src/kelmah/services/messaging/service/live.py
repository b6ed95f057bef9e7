"""Publishes frames to every open socket of a person, on whichever instance, over Redis.

Each person has one channel. What goes over it is encrypted: Redis sees no message, and a frame that somebody else
writes there is dropped. Publishing is best effort: what was missed is made good by `on_message_sent`, which
publishes once more from a durable event, and by the gap frames of `socket.hub`.
"""

from collections.abc import Collection

import msgspec
import structlog
from redis.exceptions import RedisError

from kelmah.contracts.common import Contract
from kelmah.contracts.messaging import MessageFrame, ServerFrame
from kelmah.kit.crypto import DecryptionError, KeyRing
from kelmah.kit.redis import key
from kelmah.services.messaging.service.context import Context

log = structlog.get_logger(__name__)

_SEALED_FOR = b"messaging.live"
_NO_FRAME = msgspec.Raw(b"null")


class Live(Contract, frozen=True, kw_only=True):
    """What goes over a channel: a frame, with its place where it is a message; or the end of a session."""

    frame: msgspec.Raw = _NO_FRAME
    conversation_id: str | None = None
    sequence: int | None = None
    ended_session_id: str | None = None


_decoder = msgspec.json.Decoder(Live)


def channel(prefix: str, user_id: str) -> str:
    """The channel of one person."""
    return key(prefix, "messaging", "live", user_id)


def read(data: bytes, ring: KeyRing) -> Live | None:
    """What was published, or None when it was not by one of us."""
    try:
        return _decoder.decode(ring.decrypt(data, context=_SEALED_FOR))
    except (DecryptionError, msgspec.DecodeError):
        log.warning("messaging.live.unreadable")
        return None


async def publish(context: Context, user_ids: Collection[str], frame: ServerFrame) -> None:
    """Send a frame to all sockets of these people. Without Redis nobody gets it."""
    await publish_all(context, [(user_ids, frame)])


async def publish_all(context: Context, frames: Collection[tuple[Collection[str], ServerFrame]]) -> None:
    """Send frames, each to all sockets of its people, in their order. Without Redis nobody gets them."""
    if not frames:
        return
    try:
        await _send(context, [(user_ids, seal(context.ring, frame)) for user_ids, frame in frames])
    except RedisError as error:
        log.warning("messaging.live.not_published", error=type(error).__name__)


async def publish_surely(context: Context, user_ids: Collection[str], frame: ServerFrame) -> None:
    """Send a frame to all sockets of these people that are subscribed.

    Raises:
        redis.exceptions.RedisError: some may not have got it.
    """
    await _send(context, [(user_ids, seal(context.ring, frame))])


def seal(ring: KeyRing, frame: ServerFrame) -> bytes:
    """A frame as it goes over a channel."""
    raw = msgspec.Raw(msgspec.json.encode(frame))
    if isinstance(frame, MessageFrame):
        message = frame.message
        live = Live(frame=raw, conversation_id=message.conversation_id, sequence=message.sequence)
    else:
        live = Live(frame=raw)
    return _encrypted(ring, live)


async def end_session(context: Context, user_id: str, session_id: str) -> None:
    """Close all sockets that a session opened."""
    await _send(context, [([user_id], _encrypted(context.ring, Live(ended_session_id=session_id)))])


def _encrypted(ring: KeyRing, live: Live) -> bytes:
    return ring.encrypt(msgspec.json.encode(live), context=_SEALED_FOR)


async def _send(context: Context, sealed: Collection[tuple[Collection[str], bytes]]) -> None:
    async with context.redis.pipeline(transaction=False) as pipeline:
        for user_ids, data in sealed:
            for user_id in user_ids:
                _ = pipeline.publish(channel(context.settings.redis_prefix, user_id), data)
        await pipeline.execute()
