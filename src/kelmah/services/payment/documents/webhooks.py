"""Notices of providers, stored once each, as they came."""

from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from kelmah.kit import clock
from kelmah.kit.mongo import session


class WebhookDocument(Document):
    """A verified notice; `id` is `<provider>:<the provider's id>`, `body` its exact bytes, encrypted."""

    id: str  # type: ignore[assignment]  # ours, not an ObjectId
    provider: str
    type: str
    about: str
    ref: str
    body: bytes
    received_at: datetime
    handled_at: datetime | None = None
    outcome: str | None = None

    class Settings:
        name = "webhooks"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("handled_at", ASCENDING), ("received_at", ASCENDING)], name="handled")
        ]


class WebhookKnownError(Exception):
    """This notice was stored before."""


async def insert_webhook(webhook: WebhookDocument) -> None:
    """Store a notice.

    Raises:
        WebhookKnownError: it was stored before.
    """
    try:
        await webhook.insert(session=session())
    except DuplicateKeyError as error:
        raise WebhookKnownError from error


async def find_webhook(webhook_id: str) -> WebhookDocument | None:
    """A stored notice."""
    return await WebhookDocument.get(webhook_id, session=session())


async def list_webhooks(
    *, provider: str | None, is_handled: bool | None, since: datetime | None, limit: int
) -> list[WebhookDocument]:
    """Stored notices, the latest first."""
    query: dict[str, Any] = {} if provider is None else {"provider": provider}
    if is_handled is not None:
        query["handled_at"] = {"$ne": None} if is_handled else None
    if since is not None:
        query["received_at"] = {"$gte": since}
    return await WebhookDocument.find(query).sort("-received_at").limit(limit).to_list()


async def reopen_webhook(webhook_id: str) -> bool:
    """Have a notice handled once more. Whether there is one."""
    done = await WebhookDocument.get_pymongo_collection().update_one(
        {"_id": webhook_id}, {"$set": {"handled_at": None, "outcome": None}}, session=session()
    )
    return bool(done.matched_count)


async def finish_webhook(webhook_id: str, outcome: str) -> None:
    """Note that a notice was handled, and how it ended."""
    await WebhookDocument.get_pymongo_collection().update_one(
        {"_id": webhook_id, "handled_at": None},
        {"$set": {"handled_at": clock.now(), "outcome": outcome}},
        session=session(),
    )
