"""Which providers there are follows from the settings; from the first start on, the ledger is checked."""

from typing import Any

import pytest

from kelmah.contracts.payment import Provider
from kelmah.services.payment.app import open_context
from kelmah.services.payment.documents import DOCUMENTS
from kelmah.services.payment.settings import PaymentSettings
from tests.fixtures.service import settings_for
from tests.integration.payment.bare import bare
from tests.integration.payment.test_bank import OURS

PAYPAL = {"paypal_client_id": "client", "paypal_base_url": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
async def place(mongo_url: str, mongo_prefix: str, redis_url: str, redis_prefix: str) -> dict[str, Any]:
    """Where the service is. Not a running one: a second context in one process takes the documents from the first."""
    async with bare(mongo_url, f"{mongo_prefix}wiring_payment", DOCUMENTS):
        pass  # its indexes are there
    return {
        "mongo_url": mongo_url,
        "mongo_prefix": f"{mongo_prefix}wiring_",
        "redis_url": redis_url,
        "redis_prefix": redis_prefix,
        "stripe_api_key": "sk_test_unused",
    }


@pytest.mark.parametrize(
    ("more", "providers"),
    [
        ({}, {Provider.STRIPE}),
        (PAYPAL, {Provider.STRIPE}),
        (PAYPAL | {"paypal_client_secret": "a secret"}, {Provider.STRIPE, Provider.PAYPAL}),
        ({"bank_accounts": OURS}, {Provider.STRIPE, Provider.BANK}),
    ],
)
async def test_a_provider_is_there_when_it_is_set(
    place: dict[str, Any], more: dict[str, Any], providers: set[Provider]
) -> None:
    async with open_context(settings_for(PaymentSettings, **place, **more)) as context:
        assert set(context.providers) == providers
        timers = [row["_id"] async for row in context.mongo.collection("timers").find().sort("_id")]
    assert timers == ["ledger:check", "ledger:reconcile"]
