"""Wiring of the payment service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from functools import partial

from litestar import Litestar

from kelmah.clients.job import JobClient
from kelmah.contracts.payment import Provider
from kelmah.kit.app import service_app
from kelmah.kit.resources import Apps, Resources, open_resources
from kelmah.kit.scanner import scanner_of
from kelmah.services.payment.controllers import CONTROLLERS, POLICY
from kelmah.services.payment.documents import DOCUMENTS
from kelmah.services.payment.providers import bank, paypal, stripe
from kelmah.services.payment.providers.base import PaymentProvider
from kelmah.services.payment.service import Context, schedule_check, schedule_reconciliation
from kelmah.services.payment.settings import PaymentSettings


@asynccontextmanager
async def open_context(settings: PaymentSettings, *, apps: Apps | None = None) -> AsyncIterator[Context]:
    """Open what the payment service works with, and close it."""
    async with (
        open_resources(settings, DOCUMENTS, apps=apps) as resources,
        stripe.connect(settings) as cards,
        paypal.connect(settings) as payers,
    ):
        providers: dict[Provider, PaymentProvider] = {Provider.STRIPE: cards}
        if payers is not None:
            providers[Provider.PAYPAL] = payers
        own_bank = bank.connect(settings, resources.ring)
        if own_bank is not None:
            providers[Provider.BANK] = own_bank
        context = Context(
            **{field.name: getattr(resources, field.name) for field in fields(Resources)},
            settings=settings,
            job=JobClient(resources.callers["job"]),
            providers=providers,
            scanner=scanner_of(settings),
        )
        await schedule_check(context)
        await schedule_reconciliation(context)
        yield context


def create_app(settings: PaymentSettings, *, apps: Apps | None = None) -> Litestar:
    """Make the payment service's app."""
    return service_app(
        settings,
        open_context=partial(open_context, settings, apps=apps),
        controllers=CONTROLLERS,
        rules=POLICY,
        title="Kelmah payment service",
    )
