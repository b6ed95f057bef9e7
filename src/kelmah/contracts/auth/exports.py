"""The archive of all that is kept of a person, as the person meets it."""

from datetime import datetime
from enum import StrEnum

from kelmah.contracts.common import Response


class DataExportStatus(StrEnum):
    """Whether the archive can be fetched."""

    GATHERING = "gathering"
    READY = "ready"


class DataExport(Response, frozen=True, kw_only=True):
    """An archive of all that is kept of a person; thrown away at `expiresAt`."""

    id: str
    status: DataExportStatus
    asked_at: datetime
    expires_at: datetime | None


class DataExportLink(Response, frozen=True, kw_only=True):
    """Where the archive is fetched, once. Whoever has the address has the archive: give it to nobody."""

    url: str
    expires_at: datetime
