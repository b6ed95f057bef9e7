"""What the payment service is told is checked before it starts."""

import pytest
from pydantic import ValidationError

from kelmah.contracts.job import ContractKind
from kelmah.contracts.payment import BankAccount
from kelmah.services.payment.settings import FeeTerms, PaymentSettings

NEEDED = {
    "redis_url": "redis://unused",
    "mongo_url": "mongodb://unused",
    "incoming_keys": {},
    "outgoing_keys": {},
    "field_keys": ["unused"],
    "stripe_api_key": "sk_test_unused",
}


def test_accounts_of_the_platform_are_accounts() -> None:
    account = {"holder": "Kelmah", "bank": "GHCBGHAC", "number": "0123456789012"}
    settings = PaymentSettings.model_validate(NEEDED | {"bank_accounts": {"GHS": account}})
    assert settings.bank_accounts == {"GHS": BankAccount(holder="Kelmah", bank="GHCBGHAC", number="0123456789012")}
    for wrong in (account | {"number": "12 34"}, account | {"bank": "nobank"}, {"holder": "Kelmah"}, "GHCBGHAC"):
        with pytest.raises((ValidationError, ValueError)):
            PaymentSettings.model_validate(NEEDED | {"bank_accounts": {"GHS": wrong}})


def test_a_kind_of_contract_has_its_own_terms_or_the_platforms() -> None:
    settings = PaymentSettings.model_validate(NEEDED | {"fee_terms": {"milestones": {"fee": 800, "tax": 750}}})
    assert settings.terms_of(ContractKind.MILESTONES) == FeeTerms(fee=800, tax=750, referral=0)
    assert settings.terms_of(ContractKind.SINGLE) == FeeTerms(fee=1_000, tax=0, referral=0)
