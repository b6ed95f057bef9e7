"""Puts the job service together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from functools import partial

from litestar import Litestar

from kelmah.clients.payment import PaymentClient
from kelmah.clients.user import UserClient
from kelmah.kit.app import service_app
from kelmah.kit.calls import ServiceCaller
from kelmah.kit.resources import Apps, Resources, open_resources
from kelmah.kit.settings import SettingsError
from kelmah.services.job.controllers import CONTROLLERS, POLICY
from kelmah.services.job.documents import DOCUMENTS
from kelmah.services.job.service import Context
from kelmah.services.job.settings import JobSettings


@asynccontextmanager
async def open_context(settings: JobSettings, *, apps: Apps | None = None) -> AsyncIterator[Context]:
    """Open what the job service works with, and close it.

    Raises:
        SettingsError: a service that it calls has no address or no key.
    """
    async with open_resources(settings, DOCUMENTS, apps=apps) as resources:
        yield Context(
            **{field.name: getattr(resources, field.name) for field in fields(Resources)},
            settings=settings,
            user=UserClient(_caller(resources, "user")),
            payment=PaymentClient(_caller(resources, "payment")),
        )


def create_app(settings: JobSettings, *, apps: Apps | None = None) -> Litestar:
    """The job service's app."""
    return service_app(
        settings,
        open_context=partial(open_context, settings, apps=apps),
        controllers=CONTROLLERS,
        rules=POLICY,
        title="Kelmah job service",
    )


def _caller(resources: Resources, callee: str) -> ServiceCaller:
    try:
        return resources.callers[callee]
    except KeyError:
        message = f"name {callee!r} in KELMAH_JOB_SERVICE_URLS and KELMAH_JOB_OUTGOING_KEYS: job calls it"
        raise SettingsError(message) from None
