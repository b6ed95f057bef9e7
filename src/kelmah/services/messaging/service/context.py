"""What the messaging service works with, and the limits on what one person may do."""

from dataclasses import dataclass, field
from typing import Any

import structlog
from redis.exceptions import RedisError

from kelmah.clients.auth import AuthClient
from kelmah.clients.job import JobClient
from kelmah.clients.user import UserClient
from kelmah.contracts.user import Person
from kelmah.kit import errors as kit_errors
from kelmah.kit.batches import Batches
from kelmah.kit.blobs import BlobStore
from kelmah.kit.mail import Mailer
from kelmah.kit.ratelimit import Limit, Limiter
from kelmah.kit.resources import Resources
from kelmah.kit.scanner import Scanner
from kelmah.kit.scripts import Scripts
from kelmah.services.messaging.errors import SlowDown
from kelmah.services.messaging.providers import PushSender, SmsSender
from kelmah.services.messaging.settings import MessagingSettings

log = structlog.get_logger(__name__)

CONVERSATIONS = Limit("conversations", quota=30, window_s=3600)
UPLOADS = Limit("uploads", quota=60, window_s=3600)
_PEOPLE_A_CALL = 100


@dataclass(frozen=True, kw_only=True)
class Context(Resources):
    """The service's database, keys, files, mail, and the services it asks."""

    settings: MessagingSettings
    auth: AuthClient
    user: UserClient
    job: JobClient
    blobs: BlobStore
    mailer: Mailer
    sms: SmsSender | None
    push: PushSender | None
    scanner: Scanner | None
    limiter: Limiter
    scripts: Scripts
    #: Messages on their way into the database (`service.sending`), and people who came (`service.presence`).
    sends: Batches[Any, Any] = field(default_factory=Batches)
    comings: Batches[Any, Any] = field(default_factory=Batches)


def messages_limit(settings: MessagingSettings) -> Limit:
    """How many messages one person may send."""
    quota = settings.messages_per_minute
    return Limit("messages", quota=quota, window_s=60, burst=max(1, quota // 2))


async def charge(context: Context, limit: Limit, user_id: str) -> None:
    """Take one unit. Without Redis everybody passes: these limits keep order, and safety does not hang on them.

    Raises:
        SlowDown: none is left.
    """
    try:
        _, verdict = await context.limiter.lease(limit, user_id, least=1, most=1, hold_s=0)
    except RedisError as error:
        log.warning("messaging.limits.unavailable", error=type(error).__name__)
        return
    if not verdict.allowed:
        raise SlowDown(retry_after_s=verdict.retry_after_s)


async def people_of(context: Context, user_ids: set[str]) -> dict[str, Person]:
    """Names and roles by id. Nobody while the user service cannot be asked: a chat list is useful without names."""
    wanted = sorted(user_ids)
    found: dict[str, Person] = {}
    try:
        for start in range(0, len(wanted), _PEOPLE_A_CALL):
            people = await context.user.get_people(user_ids=wanted[start : start + _PEOPLE_A_CALL])
            found |= {person.user_id: person for person in people}
    except (kit_errors.Unavailable, kit_errors.BadGateway, kit_errors.GatewayTimeout) as error:
        log.warning("messaging.people.unavailable", error=error.code)
    return found
