"""Wires the auth service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import fields
from functools import partial

from litestar import Litestar

from kelmah.clients.exports import ExportClient
from kelmah.clients.user import UserClient
from kelmah.kit.app import service_app
from kelmah.kit.blobs import GridFSBlobStore
from kelmah.kit.mail import Mailer
from kelmah.kit.places import open_places
from kelmah.kit.ratelimit import Limiter
from kelmah.kit.redis import key as redis_key
from kelmah.kit.resources import Apps, Resources, open_resources
from kelmah.legacy.bridge import open_bridge
from kelmah.services.auth.controllers import CONTROLLERS, POLICY
from kelmah.services.auth.documents import DOCUMENTS
from kelmah.services.auth.service import Context, Signer, open_breaches, open_hasher, open_providers
from kelmah.services.auth.settings import AuthSettings


@asynccontextmanager
async def open_context(settings: AuthSettings, *, apps: Apps | None = None) -> AsyncIterator[Context]:
    """Open what the service works with; makes the first signing keys when there are none."""
    archives = GridFSBlobStore(
        settings.mongo_url,
        database=settings.mongo_database,
        bucket="exports",
        max_bytes=settings.export_max_bytes,  # of what is compressed, and so far less
    )
    with (
        closing(archives),
        open_breaches(settings.breached_passwords) as breaches,
        open_places(settings.places) as places,
    ):
        async with (
            open_resources(settings, DOCUMENTS, apps=apps) as resources,
            open_hasher(settings) as hasher,
            open_providers(settings) as providers,
            open_bridge(settings) as bridge,
        ):
            signer = Signer(resources.ring)
            await signer.keys()
            yield Context(
                **{field.name: getattr(resources, field.name) for field in fields(Resources)},
                settings=settings,
                hasher=hasher,
                signer=signer,
                limiter=Limiter(resources.redis, redis_key(settings.redis_prefix, "auth", "limit")),
                mailer=Mailer(settings.smtp_url.get_secret_value(), settings.mail_sender),
                providers=providers,
                blobs=archives,
                exports={name: ExportClient(caller) for name, caller in resources.callers.items()},
                user=UserClient(resources.callers["user"]) if "user" in resources.callers else None,
                bridge=bridge,
                breaches=breaches,
                places=places,
            )


def create_app(settings: AuthSettings, *, apps: Apps | None = None) -> Litestar:
    """The auth service as an app."""
    return service_app(
        settings,
        open_context=partial(open_context, settings, apps=apps),
        controllers=CONTROLLERS,
        rules=POLICY,
        title="Kelmah auth service",
    )
