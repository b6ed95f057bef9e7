"""What the review service is told."""

from typing import ClassVar

from pydantic import Field

from kelmah.kit.settings import ServiceSettings


class ReviewSettings(ServiceSettings):
    SERVICE: ClassVar[str] = "review"

    port: int = Field(3006, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    mongo_database: str = Field("kelmah_review", description="The service's own database.")
    sealed_days: int = Field(14, ge=1, le=60, description="Days after which a review is revealed without its twin.")
    report_threshold: int = Field(3, ge=1, le=100, description="Reports that put a review into the moderators' queue.")
    tiny_contract_amount: int = Field(
        1000, ge=0, le=1_000_000, description="Contracts worth less, in minor units of their currency, are marked."
    )
