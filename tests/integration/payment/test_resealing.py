"""Every sealed field of the payment service takes a new key."""

import pytest

from kelmah.services.payment import service
from kelmah.services.payment.service.resealing import SEALED
from tests.fakes.bank import FakeBank
from tests.fixtures.resealing import turned
from tests.integration.payment.conftest import Payments
from tests.integration.payment.test_bank import bank, ordered
from tests.integration.payment.test_evidence import PDF, bring
from tests.integration.payment.test_webhooks import deliver, notice

__all__ = ["bank"]
pytestmark = pytest.mark.slow


async def test_every_sealed_field_takes_a_new_key(payments: Payments, bank: FakeBank) -> None:
    await ordered(payments, await payments.rich(10_000))
    bank.pay(321, "no reference at all")
    await service.import_file(payments.context, bank.statement())
    _, worker, dispute_id = await payments.disputed()
    assert (await bring(payments, dispute_id, PDF, by=worker)).status == 201
    assert (await deliver(payments, notice("payment_intent.succeeded", "pi_nobodys"))).status == 200
    found = await turned(payments.context.mongo, [bytes(32)], SEALED)
    assert {one.collection for one in SEALED} - found == {"legacy_transactions"}  # they come by a move alone
