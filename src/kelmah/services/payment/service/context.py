"""What the payment service works with."""

from collections.abc import Mapping
from dataclasses import dataclass

from kelmah.clients.job import JobClient
from kelmah.contracts.payment import Provider
from kelmah.kit.resources import Resources
from kelmah.services.payment.providers.base import CardProvider
from kelmah.services.payment.settings import PaymentSettings


@dataclass(frozen=True, kw_only=True)
class Context(Resources):
    """The resources of the payment service, its client of the job service, and the payment providers."""

    settings: PaymentSettings
    job: JobClient
    providers: Mapping[Provider, CardProvider]
