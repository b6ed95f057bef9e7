"""The backing services of a platform: used where their URLs say, or started privately when missing."""

from kelmah.cli.backends.base import (
    Backend,
    BackendError,
    BackendUnavailableError,
    BackendUnreachableError,
    Home,
    HomeBusyError,
    open_home,
)
from kelmah.cli.backends.fleet import PLATFORM, Fleet, start_all
from kelmah.cli.backends.rabbitmq import RabbitMQUnavailableError

__all__ = [
    "PLATFORM",
    "Backend",
    "BackendError",
    "BackendUnavailableError",
    "BackendUnreachableError",
    "Fleet",
    "Home",
    "HomeBusyError",
    "RabbitMQUnavailableError",
    "open_home",
    "start_all",
]
