"""What the sweeper and late notices meet halfway: every step is taken once, by whoever comes first."""

import asyncio
from datetime import timedelta

import pytest
from pymongo.errors import DuplicateKeyError

from kelmah.contracts.common import Role
from kelmah.kit.errors import NotFound
from kelmah.kit.ids import new_id
from kelmah.services.payment import service
from kelmah.services.payment.documents import deposits
from kelmah.services.payment.providers.base import Charge, ChargeState, Payout, PayoutState, ProviderRefusedError
from kelmah.services.payment.service.deposits import REQUERY_AFTER
from kelmah.services.payment.service.withdrawals import settle_payout
from tests.fakes.cards import NEEDS_ACTION, SLOW
from tests.fixtures.service import person
from tests.integration.payment.conftest import Payments
from tests.integration.payment.test_webhooks import deliver, handle_all, notice
from tests.integration.payment.test_withdrawals import entries_of, paid_deposit, refund, status_of


async def test_a_withdrawal_whose_sending_was_lost_is_sent_by_the_sweeper(payments: Payments) -> None:
    worker = await payments.rich(10_000)
    withdrawal_id = (await payments.withdraw(worker, 4_000, await payments.account_of(worker))).data["id"]
    await service.requery_withdrawal(payments.context, withdrawal_id)
    assert await status_of(payments, worker, withdrawal_id) == "paid"
    assert payments.cards.sent == {f"po_{withdrawal_id}": 1}
    async with payments.untouched():
        await service.requery_withdrawal(payments.context, withdrawal_id)


async def test_sweepers_at_once_count_one_question(payments: Payments) -> None:
    worker = await payments.rich(10_000)
    withdrawal_id = (await payments.withdraw(worker, 4_000, await payments.account_of(worker, SLOW))).data["id"]
    await service.send_withdrawal(payments.context, withdrawal_id)
    deposit_id = (await payments.deposit(person(), 500, method=NEEDS_ACTION)).data["id"]
    for name, one, again in (
        ("withdrawals", withdrawal_id, service.requery_withdrawal),
        ("deposits", deposit_id, service.requery_deposit),
    ):
        await asyncio.gather(*(again(payments.context, one) for _ in range(4)))
        row = await payments.context.mongo.collection(name).find_one({"_id": one})
        timer = await payments.timer(f"{name[:-1]}:{one}:requery")
        assert timer is not None
        assert (row["requeries"], timer["due"]) == (1, row["created_at"] + REQUERY_AFTER[1])


async def test_a_deposit_that_was_closed_while_its_charge_was_named_takes_nothing(
    payments: Payments, monkeypatch: pytest.MonkeyPatch
) -> None:
    hirer, create = person(), payments.cards.create

    async def slow(**given: object) -> Charge:
        charge = await create(**given)  # type: ignore[arg-type]  # as they came
        await service.requery_deposit(payments.context, str(given["deposit_id"]))
        return charge

    monkeypatch.setattr(payments.cards, "create", slow)
    async with payments.untouched():
        reply = await payments.deposit(hirer, 500)
    assert (reply.status, reply.data["code"]) == (409, "payment.deposit_closed")
    assert payments.cards.taken.total() == 0


async def test_a_payout_is_known_by_our_name_before_we_know_theirs(payments: Payments) -> None:
    worker = await payments.rich(10_000)
    withdrawal_id = (await payments.withdraw(worker, 4_000, await payments.account_of(worker))).data["id"]
    payments.cards.lose("send:after")
    await service.send_withdrawal(payments.context, withdrawal_id)
    assert await status_of(payments, worker, withdrawal_id) == "unknown"
    await deliver(payments, notice("transfer.created", f"po_{withdrawal_id}"))
    await handle_all(payments)
    assert await status_of(payments, worker, withdrawal_id) == "paid"
    assert await entries_of(payments, withdrawal_id) == ["withdrawal_hold", "withdrawal_paid"]


@pytest.mark.parametrize("name", ["somebody's", None])
async def test_a_payout_of_nobodys_moves_nothing(payments: Payments, name: str | None) -> None:
    payout = Payout("po_foreign", PayoutState.PAID, 500, "GHS", name)
    payments.cards.payouts["po_foreign"] = payout
    event_id = f"evt_{new_id()}"
    async with payments.untouched():
        await deliver(payments, notice("transfer.created", "po_foreign", event_id=event_id))
        await handle_all(payments)
        await settle_payout(payments.context, "somebody's", payout)
    name_here = f"stripe:{event_id}"
    kept = {one.id: one for one in await service.list_webhooks(payments.context)}[name_here]
    assert kept.outcome == "foreign"
    for since, is_listed in ((kept.received_at, True), (kept.received_at + timedelta(milliseconds=1), False)):
        listed = await service.list_webhooks(payments.context, since=since)
        assert (name_here in {one.id for one in listed}) == is_listed


async def test_a_charge_of_nobodys_deposit_moves_nothing(payments: Payments) -> None:
    async with payments.untouched():
        for state in (ChargeState.SUCCEEDED, ChargeState.DECLINED):
            with pytest.raises(NotFound):
                await service.settle(payments.context, "none", Charge("pi_x", state, 500, "GHS"))


async def test_a_refund_that_fails_can_be_made_again(payments: Payments) -> None:
    hirer, support, deposit_id = await paid_deposit(payments)
    reply = await refund(payments, deposit_id, 10_000, by=support)

    def refuse(step: str) -> None:
        if step == "send:before":
            raise ProviderRefusedError("charge_disputed")

    payments.cards.fault = refuse
    await service.send_withdrawal(payments.context, reply.data["id"])
    view = (await payments.get(f"/wallet/withdrawals/{reply.data['id']}", by=hirer)).data
    assert (view["status"], view["failureCode"]) == ("failed", "charge_disputed")
    assert await payments.available(hirer) == 10_000
    payments.cards.lose("", times=0)
    again = await refund(payments, deposit_id, 10_000, by=support)
    assert again.status == 201
    await service.send_withdrawal(payments.context, again.data["id"])
    assert (await payments.available(hirer), payments.cards.sent.total()) == (0, 1)
    assert (await refund(payments, deposit_id, 1, by=support)).status == 409


async def test_a_request_writes_one_deposit(payments: Payments) -> None:
    deposit_id = (await payments.deposit(person(), 500)).data["id"]
    written = await deposits.find_deposit(deposit_id)
    assert written is not None
    with pytest.raises(DuplicateKeyError):
        await deposits.insert_deposit(written.model_copy(update={"id": new_id(), "claim": None}))
    rows = payments.context.mongo.collection("deposits")
    assert await rows.count_documents({"request_id": written.request_id}) == 1


async def test_lists_go_on_where_a_page_ended(payments: Payments) -> None:
    worker, hirer = await payments.rich(10_000), await payments.hirer_with(3_000)
    method_id, other = await payments.account_of(worker), person(Role.WORKER)
    made = {
        "/wallet/withdrawals": [(await payments.withdraw(worker, 600, method_id)).data["id"] for _ in range(3)],
        "/escrows": [
            (await payments.fund(payments.jobs.make_contract(hirer.user_id, other.user_id, 900), by=hirer)).data["id"]
            for _ in range(3)
        ],
    }
    for path, ids in made.items():
        by = worker if path.startswith("/wallet") else hirer
        first = (await payments.get(f"{path}?limit=2", by=by)).data
        rest = (await payments.get(f"{path}?cursor={first['nextCursor']}", by=by)).data
        assert [[one["id"] for one in page["items"]] for page in (first, rest)] == [ids[:0:-1], ids[:1]]
        assert rest["nextCursor"] is None
