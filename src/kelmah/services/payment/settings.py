"""What the payment service is told."""

from typing import ClassVar

from pydantic import Field, SecretStr

from kelmah.kit.settings import ServiceSettings


class PaymentSettings(ServiceSettings):
    """Settings of the payment service."""

    SERVICE: ClassVar[str] = "payment"

    port: int = Field(3005, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    mongo_database: str = Field("kelmah_payment", description="The service's own database.")
    platform_fee_basis_points: int = Field(
        1000, ge=0, le=10_000, description="The platform's part of what a worker is paid; 1000 is 10 %."
    )
    currencies: list[str] = Field(
        ["GHS", "USD", "EUR", "GBP", "NGN"], min_length=1, description="ISO 4217 codes that deposits may be in."
    )
    deposit_min: int = Field(100, ge=1, description="Smallest deposit, in minor units.")
    deposit_max: int = Field(
        99_999_999, ge=1, le=99_999_999, description="Largest deposit, in minor units; Stripe takes eight digits."
    )
    stripe_api_key: SecretStr = Field(description="Stripe's secret key (sk_…).")
    stripe_base_url: str | None = Field(None, description="Another address than Stripe's own, for a stand-in.")
    stripe_webhook_secrets: list[SecretStr] = Field(
        default_factory=list,
        max_length=2,
        description="Secrets that Stripe's notices are signed with, two during a rotation; none turns notices off.",
    )
    stripe_timeout_s: float = Field(8.0, gt=0, le=60, description="Seconds that one call to Stripe may take.")
