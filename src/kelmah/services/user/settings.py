"""Settings of the user service."""

from typing import ClassVar

from pydantic import Field

from kelmah.kit.settings import ServiceSettings


class UserSettings(ServiceSettings):
    """What the user service is told."""

    SERVICE: ClassVar[str] = "user"
    port: int = Field(3002, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    mongo_database: str = Field("kelmah_user", description="The service's own database.")
