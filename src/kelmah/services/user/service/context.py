"""What the user service works with."""

from dataclasses import dataclass

from kelmah.clients.auth import AuthClient
from kelmah.kit.blobs import BlobStore
from kelmah.kit.resources import Resources
from kelmah.services.user.settings import UserSettings


@dataclass(frozen=True, kw_only=True)
class Context(Resources):
    """The service's resources and the clients of its neighbours."""

    settings: UserSettings
    auth: AuthClient
    blobs: BlobStore
