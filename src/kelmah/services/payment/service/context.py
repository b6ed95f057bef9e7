"""What the payment service works with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kelmah.clients.job import JobClient
from kelmah.contracts.payment import Provider
from kelmah.kit.errors import BadInput
from kelmah.kit.resources import Resources
from kelmah.kit.scanner import Scanner
from kelmah.services.payment.providers.base import PaymentProvider
from kelmah.services.payment.service.lanes import Lanes
from kelmah.services.payment.settings import PaymentSettings


@dataclass(frozen=True, kw_only=True)
class Context(Resources):
    """The resources of the payment service, its client of the job service, and the payment providers."""

    settings: PaymentSettings
    job: JobClient
    providers: Mapping[Provider, PaymentProvider]
    scanner: Scanner | None = None
    lanes: Lanes = field(default_factory=Lanes)


def find_provider(context: Context, provider: Provider, field: str) -> PaymentProvider:
    """A provider that this platform works with.

    Raises:
        BadInput: it does not work with this one.
    """
    found = context.providers.get(provider)
    if found is None:
        raise BadInput.of(field, f"{provider} is not offered here")
    return found
