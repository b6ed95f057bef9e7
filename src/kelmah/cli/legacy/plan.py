"""Which service takes which entity, and what every `kelmah legacy` command works with."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from kelmah import services
from kelmah.cli.development import found_environment
from kelmah.kit.context import current_system
from kelmah.kit.settings import load
from kelmah.legacy import layout as layouts
from kelmah.legacy.entities import ENTITIES
from kelmah.legacy.entity import Entity
from kelmah.legacy.layout import Layout
from kelmah.legacy.twins import Claims
from kelmah.services.auth.service import importing as auth
from kelmah.services.job.service import importing as job
from kelmah.services.messaging.service import importing as messaging
from kelmah.services.payment.service import importing as payment
from kelmah.services.review.service import importing as review
from kelmah.services.user.service import importing as user

URL, MAPPING = "KELMAH_LEGACY_POSTGRES_URL", "KELMAH_LEGACY_MAPPING"

Move = Callable[[Any, Sequence[Any]], Awaitable[dict[str, str]]]
AsOld = Callable[[Any, Sequence[str]], Awaitable[dict[str, Any]]]
After = Callable[[Any, Sequence[Any]], Awaitable[None]]
ClaimsOf = Callable[[Any, Any], Claims]


class Side(NamedTuple):
    """How a service takes records of an entity, gives them back, what it does after the commit, and what is unique."""

    move: Move
    as_old: AsOld
    after: After | None = None
    claims: ClaimsOf | None = None
    #: Refuses nothing and builds on what was moved before, so that a dry run passes over it.
    is_plain: bool = False


SIDES: Mapping[str, Side] = {
    "people": Side(auth.move_people, auth.people_as_old, claims=auth.people_claims),
    "profiles": Side(user.move_profiles, user.profiles_as_old, user.after_profiles),
    "jobs": Side(job.move_jobs, job.jobs_as_old, job.after_jobs),
    "applications": Side(job.move_applications, job.applications_as_old, claims=job.application_claims),
    "contracts": Side(job.move_contracts, job.contracts_as_old, claims=job.contract_claims),
    "wallets": Side(payment.move_wallets, payment.wallets_as_old, claims=payment.wallet_claims),
    "transactions": Side(payment.move_transactions, payment.transactions_as_old),
    "escrows": Side(payment.move_escrows, payment.escrows_as_old, claims=payment.escrow_claims),
    "conversations": Side(
        messaging.move_conversations, messaging.conversations_as_old, claims=messaging.conversation_claims
    ),
    "messages": Side(messaging.move_messages, messaging.messages_as_old, is_plain=True),
    "notifications": Side(messaging.move_notifications, messaging.notifications_as_old),
    "reviews": Side(review.move_reviews, review.reviews_as_old, claims=review.review_claims),
}


class LegacyError(Exception):
    """The command cannot go on; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """The old database and the six services."""

    url: str
    layout: Layout
    contexts: Mapping[str, Any]


def url_of(environ: Mapping[str, str]) -> str:
    """The old database's address.

    Raises:
        LegacyError: none is set.
    """
    file = environ.get(f"{URL}_FILE")
    try:
        url = Path(file).read_text(encoding="utf-8").strip() if file else environ.get(URL)
    except OSError as error:
        raise LegacyError(f"{URL}_FILE: cannot read {file}: {error.strerror}") from error
    if not url:
        raise LegacyError(f"set {URL} to the old database, as in postgresql://user@host/name")
    return url


def layout_of(environ: Mapping[str, str]) -> Layout:
    """The layout of the old database: the baseline's, or that of the mapping file that is set."""
    return layouts.load(Path(environ[MAPPING]) if environ.get(MAPPING) else None)


@asynccontextmanager
async def open_work(environ: Mapping[str, str] | None = None) -> AsyncIterator[Work]:
    """Everything a move needs. The services' contexts are opened here, without their apps."""
    found = found_environment() if environ is None else {**os.environ, **environ}
    url, layout = url_of(found), layout_of(found)
    token = current_system.set("system:legacy")
    try:
        async with AsyncExitStack() as stack:
            contexts: dict[str, Any] = {}
            for name in services.NAMES:
                service = services.load(name)
                contexts[name] = await stack.enter_async_context(service.open_context(load(service.settings, found)))
            yield Work(url=url, layout=layout, contexts=contexts)
    finally:
        current_system.reset(token)


def chosen(only: str | None) -> list[Entity[Any]]:
    """The entities that are named, in the order of the move; all if none is.

    Raises:
        LegacyError: there is no such entity.
    """
    if only is None:
        return list(ENTITIES)
    names = {name.strip() for name in only.split(",") if name.strip()}
    if unknown := names - SIDES.keys():
        raise LegacyError(f"there is no {', '.join(sorted(unknown))}: {', '.join(SIDES)}")
    return [entity for entity in ENTITIES if entity.name in names]
