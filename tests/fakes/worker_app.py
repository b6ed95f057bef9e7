"""A worker process of a test's own, for `dramatiq tests.fakes.worker_app`; KELMAH_TEST_STAGE says on what."""

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import dramatiq

from kelmah.contracts.events import Envelope
from kelmah.contracts.job import JobCreated
from kelmah.kit import logging
from kelmah.kit.mongo import session
from kelmah.kit.resources import open_resources
from kelmah.workers import runtime
from kelmah.workers.registry import Registry
from kelmah.workers.settings import WorkersSettings
from tests.fixtures.workers import ShopSettings

TOLD = json.loads(os.environ["KELMAH_TEST_STAGE"])


async def note(context: Any, envelope: Envelope, event: JobCreated) -> None:
    """Writes a row a time that it takes effect, so that a doubled effect shows."""

    async def effect() -> None:
        row = {"event_id": envelope.id, "subject": envelope.subject, "sequence": envelope.sequence}
        await context.mongo.collection("effects").insert_one(row, session=session())

    await context.events.consume("job.note", envelope.id, effect)


@asynccontextmanager
async def open_contexts() -> AsyncIterator[Mapping[str, Any]]:
    if TOLD.get("broken"):
        raise ConnectionError("there is no database")
    async with open_resources(ShopSettings.model_validate(TOLD["service"]), ()) as context:
        yield {"job": context}


registry = Registry()
registry.on_event("job.note", JobCreated, note, min_backoff_ms=50, max_backoff_ms=200)
logging.configure("workers")
dramatiq.set_broker(runtime.build(WorkersSettings.model_validate(TOLD["workers"]), registry, open_contexts))
