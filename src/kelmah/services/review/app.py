"""Wires the review service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from litestar import Litestar

from kelmah.clients.job import JobClient
from kelmah.kit.app import service_app
from kelmah.kit.resources import Apps, open_resources
from kelmah.services.review.controllers import CONTROLLERS, POLICY
from kelmah.services.review.documents import DOCUMENTS
from kelmah.services.review.service.context import Context
from kelmah.services.review.settings import ReviewSettings


@asynccontextmanager
async def open_context(settings: ReviewSettings, *, apps: Apps | None = None) -> AsyncIterator[Context]:
    """Open what the service works with."""
    async with open_resources(settings, DOCUMENTS, apps=apps) as resources:
        yield Context(**vars(resources), settings=settings, job=JobClient(resources.callers["job"]))


def create_app(settings: ReviewSettings, *, apps: Apps | None = None) -> Litestar:
    """Make the app; nothing is opened before it starts."""
    return service_app(
        settings,
        open_context=partial(open_context, settings, apps=apps),
        controllers=CONTROLLERS,
        rules=POLICY,
        title="Kelmah review service",
    )
