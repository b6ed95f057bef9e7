"""What the payment service is told."""

from typing import ClassVar, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, InstanceOf, SecretStr, field_validator

from kelmah.contracts.job import ContractKind
from kelmah.contracts.payment import BankAccount
from kelmah.kit.settings import FileSettings


class FeeTerms(BaseModel):
    """What is taken of a payment to a worker, in basis points (100 are 1 %); all fractions stay with the worker."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fee: int = Field(1000, ge=0, le=10_000, description="Of the gross, for the platform.")
    tax: int = Field(0, ge=0, le=10_000, description="Of what the fee leaves, withheld for the state.")
    referral: int = Field(0, ge=0, le=10_000, description="Of the fee, for who brought the worker.")


class PaymentSettings(FileSettings):
    """Settings of the payment service."""

    SERVICE: ClassVar[str] = "payment"

    port: int = Field(3005, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    mongo_database: str = Field("kelmah_payment", description="The service's own database.")
    max_body_bytes: int = Field(
        5_242_880, ge=1024, le=67_108_864, description="Largest request body: a whole file of a dispute."
    )
    platform_fee_basis_points: int = Field(
        1000, ge=0, le=10_000, description="The platform's part of what a worker is paid; 1000 is 10 %."
    )
    fee_terms: dict[ContractKind, FeeTerms] = Field(
        default_factory=dict,
        description='Other terms by kind of contract, in basis points: {"milestones": {"fee": 800, "tax": 750}}.',
    )
    currencies: list[str] = Field(
        ["GHS", "USD", "EUR", "GBP", "NGN"], min_length=1, description="ISO 4217 codes that deposits may be in."
    )
    deposit_min: int = Field(100, ge=1, description="Smallest deposit, in minor units.")
    deposit_max: int = Field(
        99_999_999, ge=1, le=99_999_999, description="Largest deposit, in minor units; Stripe takes eight digits."
    )
    withdrawal_min: int = Field(500, ge=1, description="Smallest withdrawal, in minor units.")
    withdrawal_max: int = Field(5_000_000, ge=1, description="Largest withdrawal, in minor units.")
    withdrawal_daily_max: int = Field(
        10_000_000, ge=1, description="What a person may withdraw in 24 hours, in minor units of a currency."
    )
    holding_hours: int = Field(
        24, ge=0, le=2160, description="Hours that deposits and earnings stay in the wallet before they may leave it."
    )
    dispute_answer_days: int = Field(
        5, ge=1, le=60, description="Business days within which the other side of a dispute must answer."
    )
    dispute_talks_days: int = Field(
        10,
        ge=1,
        le=60,
        description="Business days after an answer within which the sides may agree; then support rules.",
    )
    dispute_appeal_days: int = Field(
        5, ge=0, le=60, description="Business days within which a ruling may be appealed; 0 lets it stand at once."
    )
    evidence_max_bytes: int = Field(
        5_242_880,
        ge=1024,
        le=15_728_640,
        description="Bytes of one file of a dispute; MongoDB keeps it in one document.",
    )
    step_up_minutes: int = Field(
        10, ge=1, le=1440, description="How long ago a person may have signed in to move money out."
    )
    ledger_check_minutes: int = Field(15, ge=1, le=1440, description="Minutes between two checks of the whole ledger.")
    stripe_api_key: SecretStr = Field(description="Stripe's secret key (sk_…).")
    stripe_base_url: str | None = Field(None, description="Another address than Stripe's own, for a stand-in.")
    stripe_webhook_secrets: list[SecretStr] = Field(
        default_factory=list,
        max_length=2,
        description="Secrets that Stripe's notices are signed with, two during a rotation; none turns notices off.",
    )
    stripe_timeout_s: float = Field(8.0, gt=0, le=60, description="Seconds that one call to Stripe may take.")
    paypal_client_id: str | None = Field(None, description="PayPal's client id; none turns PayPal off.")
    paypal_client_secret: SecretStr | None = Field(None, description="PayPal's client secret.")
    paypal_mode: Literal["sandbox", "live"] = Field("sandbox", description="Which of PayPal's worlds is used.")
    paypal_base_url: str | None = Field(None, description="Another address than PayPal's own, for a stand-in.")
    paypal_webhook_ids: list[str] = Field(
        default_factory=list,
        max_length=2,
        description="PayPal's ids of our webhook, two during a rotation; none turns notices off.",
    )
    paypal_certificate_hosts: list[str] = Field(
        ["api.paypal.com", "api.sandbox.paypal.com"],
        description="Hosts from which certificates of PayPal's notices are fetched.",
    )
    paypal_timeout_s: float = Field(8.0, gt=0, le=60, description="Seconds that one call to PayPal may take.")
    bank_accounts: dict[str, InstanceOf[BankAccount]] = Field(
        default_factory=dict,
        description="The platform's accounts by currency, none turns the bank off: "
        '{"GHS": {"holder": "Kelmah", "bank": "GHCBGHAC", "number": "0123456789012"}}.',
    )
    bank_webhook_secrets: list[SecretStr] = Field(
        default_factory=list,
        max_length=2,
        description="Secrets that the bank's notices are signed with, two during a rotation; none turns notices off.",
    )

    @field_validator("bank_accounts", mode="before")
    @classmethod
    def _accounts(cls, value: object) -> object:
        return msgspec.convert(value, dict[str, BankAccount])

    def terms_of(self, kind: ContractKind) -> FeeTerms:
        """What is taken of a payment under a contract of this kind."""
        return self.fee_terms.get(kind, FeeTerms(fee=self.platform_fee_basis_points, tax=0, referral=0))
