"""Settings of the user service."""

from typing import ClassVar

from pydantic import Field

from kelmah.contracts.common import CURRENCIES
from kelmah.kit.settings import ServiceSettings
from kelmah.legacy.settings import BridgeSettings


class UserSettings(BridgeSettings, ServiceSettings):
    """What the user service is told."""

    SERVICE: ClassVar[str] = "user"
    port: int = Field(3002, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    max_body_bytes: int = Field(10_489_856, ge=1024, le=67_108_864, description="Largest request body: a picture.")
    image_max_bytes: int = Field(10_485_760, ge=1024, le=67_104_768, description="Largest picture that is taken.")
    image_max_pixels: int = Field(40_000_000, ge=10_000, le=100_000_000, description="Most pixels of a picture.")
    currencies: list[str] = Field(
        list(CURRENCIES), min_length=1, description="ISO 4217 codes that rates and preferences may be in."
    )
    mongo_database: str = Field("kelmah_user", description="The service's own database.")
