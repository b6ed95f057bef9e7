"""What the job service works with."""

from dataclasses import dataclass

from kelmah.clients.payment import PaymentClient
from kelmah.clients.user import UserClient
from kelmah.kit.resources import Resources
from kelmah.services.job.settings import JobSettings


@dataclass(frozen=True, kw_only=True)
class Context(Resources):
    """The resources of every service, and the clients of those that job asks."""

    settings: JobSettings
    user: UserClient
    payment: PaymentClient
