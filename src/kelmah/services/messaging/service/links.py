"""Links in mails that end such mails at one click, without a sign-in (RFC 8058): sealed, so that nobody makes one."""

from urllib.parse import quote

import msgspec

from kelmah.contracts.common import Contract
from kelmah.contracts.messaging import Digest
from kelmah.contracts.user import NotificationKind as Topic
from kelmah.kit.app import API_PREFIX
from kelmah.kit.crypto import DecryptionError
from kelmah.kit.errors import NotFound
from kelmah.services.messaging.documents import deliveries
from kelmah.services.messaging.errors import LinkNotGood
from kelmah.services.messaging.service.context import Context

_SEALED_FOR = b"messaging.unsubscribe"


class Unsubscription(Contract, frozen=True, kw_only=True):
    """Whose mails of what end. No topic stands for the digest and what it gathers."""

    user_id: str
    topic: Topic | None


_decoder = msgspec.json.Decoder(Unsubscription)
#: What a digest is made of: everything that can wait.
_DIGESTED = (Topic.APPLICATIONS, Topic.MILESTONES, Topic.MESSAGES, Topic.REVIEWS)


def unsubscribe_url(context: Context, user_id: str, topic: Topic) -> str:
    """Where a POST ends the mails of a topic."""
    return _url(context, Unsubscription(user_id=user_id, topic=topic))


def stop_digest_url(context: Context, user_id: str) -> str:
    """Where a POST ends the digests."""
    return _url(context, Unsubscription(user_id=user_id, topic=None))


def _url(context: Context, what: Unsubscription) -> str:
    token = context.ring.seal(msgspec.json.encode(what).decode(), context=_SEALED_FOR)
    return f"{context.settings.public_url.rstrip('/')}{API_PREFIX}/notifications/unsubscribe?token={quote(token)}"


def read(context: Context, token: str) -> Unsubscription:
    """What a link is for.

    Raises:
        LinkNotGood: not one of ours.
    """
    try:
        return _decoder.decode(context.ring.open(token, context=_SEALED_FOR))
    except (DecryptionError, msgspec.DecodeError, UnicodeError):
        raise LinkNotGood from None


async def unsubscribe(context: Context, token: str) -> None:
    """End mails as the link says. Doing it twice changes nothing; an account that is gone gets none anyway.

    Raises:
        LinkNotGood: not one of ours.
    """
    what = read(context, token)
    topics = _DIGESTED if what.topic is None else (what.topic,)
    try:
        for topic in topics:
            await context.user.unsubscribe(user_id=what.user_id, kind=topic)
    except NotFound:
        return
    if what.topic is None:
        await deliveries.set_settings(what.user_id, digest=Digest.OFF.value)
