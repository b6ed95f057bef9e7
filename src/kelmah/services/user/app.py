"""The user service's app."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial

from litestar import Litestar

from kelmah.clients.auth import AuthClient
from kelmah.kit.app import service_app
from kelmah.kit.blobs import GridFSBlobStore
from kelmah.kit.resources import Apps, open_resources
from kelmah.legacy.bridge import open_bridge
from kelmah.services.user.controllers import CONTROLLERS, POLICY
from kelmah.services.user.documents import DOCUMENTS
from kelmah.services.user.service import Context
from kelmah.services.user.service.bridging import BridgedProfiles
from kelmah.services.user.settings import UserSettings


@asynccontextmanager
async def open_context(settings: UserSettings, *, apps: Apps | None = None) -> AsyncIterator[Context]:
    """Open what the service works with; workers use it too."""
    # A small picture may grow when it is encoded anew, within what the pixels allow.
    blobs = GridFSBlobStore(
        settings.mongo_url, database=settings.mongo_database, bucket="images", max_bytes=2 * settings.image_max_bytes
    )
    with closing(blobs):
        async with open_resources(settings, DOCUMENTS, apps=apps) as resources, open_bridge(settings) as bridge:
            auth = AuthClient(resources.callers["auth"])
            old = BridgedProfiles(bridge) if bridge else None
            yield Context(**vars(resources), settings=settings, auth=auth, blobs=blobs, old=old)


def create_app(settings: UserSettings, *, apps: Apps | None = None) -> Litestar:
    """Make the app; nothing is opened before its lifespan starts."""
    return service_app(
        settings,
        open_context=partial(open_context, settings, apps=apps),
        controllers=CONTROLLERS,
        rules=POLICY,
        title="Kelmah user service",
    )
