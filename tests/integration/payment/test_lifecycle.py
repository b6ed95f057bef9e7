"""Nothing new begins with somebody who is at rest or gone; what is under way ends, and the ledger stays."""

import pytest

from kelmah.contracts.auth import AccountDeactivated, AccountDeleted, AccountReactivated
from kelmah.contracts.common import Role
from kelmah.kit.context import Principal
from kelmah.services.payment import service
from tests.fixtures.events import envelope
from tests.fixtures.service import person
from tests.integration.payment.conftest import Payments


async def rest(payments: Payments, who: Principal, sequence: int) -> None:
    event = AccountDeactivated(user_id=who.user_id, by=who.user_id)
    await service.on_account_deactivated(payments.context, envelope(event, sequence=sequence), event)


async def wake(payments: Payments, who: Principal, sequence: int) -> None:
    event = AccountReactivated(user_id=who.user_id)
    await service.on_account_reactivated(payments.context, envelope(event, sequence=sequence), event)


async def delete(payments: Payments, who: Principal) -> None:
    event = AccountDeleted(user_id=who.user_id)
    for _ in range(2):
        await service.on_account_deleted(payments.context, envelope(event, sequence=50), event)


@pytest.mark.parametrize("side", [0, 1])
async def test_no_escrow_begins_with_somebody_at_rest(payments: Payments, side: int) -> None:
    hirer, worker = await payments.hirer_with(10_000), person(Role.WORKER)
    contract = payments.jobs.make_contract(hirer.user_id, worker.user_id, 10_000)
    await rest(payments, (hirer, worker)[side], 3)
    refused = await payments.fund(contract, by=hirer)
    assert (refused.status, refused.data["code"]) == (409, "payment.party_gone")
    assert await payments.available(hirer) == 10_000
    await wake(payments, (hirer, worker)[side], 4)
    await rest(payments, (hirer, worker)[side], 3)  # late, and old
    assert (await payments.fund(contract, by=hirer)).status == 201


async def test_what_is_under_way_ends_and_a_balance_stays(payments: Payments) -> None:
    hirer, worker, escrow_id = await payments.funded(10_000)
    await delete(payments, worker)
    assert (await payments.post(f"/escrows/{escrow_id}/release", by=hirer)).status == 200
    assert await payments.available(worker) == 9_000


async def test_saved_methods_of_a_deleted_person_are_forgotten(payments: Payments) -> None:
    hirer, other = person(), person()
    method_id = (await payments.post("/methods", {"token": "pm_card_visa"}, by=hirer)).data["id"]
    await payments.post("/methods", {"token": "pm_card_visa"}, by=other)
    await delete(payments, hirer)
    assert (await payments.get("/methods", by=hirer)).data["items"] == []
    assert len((await payments.get("/methods", by=other)).data["items"]) == 1
    timer = await payments.timer(f"method:{method_id}:forget")
    assert timer is not None
    assert timer["actor"] == "payment.forget_method"
