"""What the user service works with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kelmah.clients.auth import AuthClient
from kelmah.kit.blobs import BlobStore
from kelmah.kit.resources import Resources
from kelmah.services.user.documents.profiles import ProfileDocument
from kelmah.services.user.settings import UserSettings


class OldProfiles(Protocol):
    """Profiles of the old database, for people who were not moved yet. While it does not answer there are none."""

    async def bring(self, context: "Context", user_ids: Sequence[str]) -> None:
        """Move the profiles of people who have an account here."""

    async def shadows(self, context: "Context", user_ids: Sequence[str]) -> list[ProfileDocument]:
        """The profiles of people without an account here, as they would be. They are read, and not stored."""


@dataclass(frozen=True, kw_only=True)
class Context(Resources):
    """The service's resources, the clients of its neighbours, and the old database where the bridge is on."""

    settings: UserSettings
    auth: AuthClient
    blobs: BlobStore
    old: OldProfiles | None = None
