"""The user service's app."""

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from litestar import Litestar

from kelmah.clients.auth import AuthClient
from kelmah.kit.app import service_app
from kelmah.kit.resources import Apps, open_resources
from kelmah.services.user.controllers import CONTROLLERS, POLICY
from kelmah.services.user.documents import DOCUMENTS
from kelmah.services.user.service import Context
from kelmah.services.user.settings import UserSettings


@asynccontextmanager
async def open_context(settings: UserSettings, *, apps: Apps | None = None) -> AsyncIterator[Context]:
    """Open what the service works with; workers use it too."""
    async with open_resources(settings, DOCUMENTS, apps=apps) as resources:
        opened = {field.name: getattr(resources, field.name) for field in dataclasses.fields(resources)}
        yield Context(**opened, settings=settings, auth=AuthClient(resources.callers["auth"]))


def create_app(settings: UserSettings, *, apps: Apps | None = None) -> Litestar:
    """Make the app; nothing is opened before its lifespan starts."""
    return service_app(
        settings,
        open_context=partial(open_context, settings, apps=apps),
        controllers=CONTROLLERS,
        rules=POLICY,
        title="Kelmah user service",
    )
