"""Settings of the job service."""

from typing import ClassVar

from pydantic import Field

from kelmah.contracts.common import CURRENCIES
from kelmah.kit.settings import ServiceSettings


class JobSettings(ServiceSettings):
    """What a process of the job service is told."""

    SERVICE: ClassVar[str] = "job"
    port: int = 3004
    mongo_database: str = "kelmah_job"
    currencies: list[str] = Field(
        list(CURRENCIES),
        min_length=1,
        description="ISO 4217 codes that budgets and rates may be in.",
    )
    auto_approve_after_days: int = Field(
        14, ge=1, le=30, description="Days of the hirer's silence after which submitted work counts as approved."
    )
    max_applications_per_job: int = Field(
        500, ge=1, le=1000, description="Applications that one job takes; accepting one settles all in one transaction."
    )
    max_open_offers: int = Field(20, ge=1, le=200, description="Direct offers of one hirer that wait for an answer.")
    offer_open_days: int = Field(7, ge=1, le=30, description="Days after which a direct offer expires unanswered.")
    job_open_days: int = Field(
        60, ge=1, le=365, description="Days after which an open job without an application deadline expires."
    )
