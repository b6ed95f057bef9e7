"""What must not move money does not: each bad request is refused, and the ledger is as before, to the last entry."""

import asyncio
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from kelmah.contracts.common import Role
from kelmah.contracts.payment import Provider
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.services.payment import service
from kelmah.services.payment.errors import BankFileKnown, BankFileRefused
from kelmah.services.payment.providers.base import Charge, ChargeState
from kelmah.services.payment.settings import PaymentSettings
from tests.fakes.bank import ACCOUNT, FakeBank
from tests.fakes.cards import NEEDS_ACTION
from tests.fixtures.service import Reply, person
from tests.integration.payment.conftest import Payments
from tests.integration.payment.test_bank import bank
from tests.integration.payment.test_bank import deposit as by_bank
from tests.integration.payment.test_webhooks import deliver, handle_all, notice, sign

__all__ = ["bank"]

#: No amount of money is one of these.
NO_AMOUNTS: list[Any] = [-1, 0, 0.5, 1e3, 2**53, 2**63, 10**30, "500", True, None, [500], float("1e308")]


def now_in(by: Principal) -> Principal:
    at = int(clock.now().timestamp())
    return msgspec.structs.replace(by, authenticated_at=at)


def refused(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.data["code"]


@pytest.mark.parametrize("operation", ["deposit", "withdrawal", "release", "refund"])
async def test_what_is_no_amount_moves_nothing(payments: Payments, operation: str) -> None:
    hirer, _, escrow_id = await payments.funded(5_000)
    worker = await payments.rich(10_000)
    worker = now_in(worker)
    deposit_id = (await payments.deposit(hirer, 5_000)).data["id"]
    method_id, support = await payments.account_of(worker), now_in(person(Role.SUPPORT))
    path, more, by = {
        "deposit": ("/wallet/deposits", {"paymentMethod": "pm_card_visa"}, hirer),
        "withdrawal": ("/wallet/withdrawals", {"methodId": method_id}, worker),
        "release": (f"/escrows/{escrow_id}/release", {}, hirer),
        "refund": (f"/wallet/deposits/{deposit_id}/refund", {}, support),
    }[operation]
    async with payments.untouched():
        for amount in NO_AMOUNTS:
            reply = await payments.post(path, {"amount": {"amount": amount, "currency": "GHS"}} | more, by=by)
            assert (reply.status, reply.data["errors"][0]["field"]) == (400, "amount.amount"), amount
        for currency in ("XXX", "ghs", "", 7) if operation == "deposit" else ("USD", "XXX", "ghs", "", 7):
            reply = await payments.post(path, {"amount": {"amount": 1_000, "currency": currency}} | more, by=by)
            # A known currency that the wallet, or the deposit, has nothing in.
            code = {"withdrawal": "payment.insufficient_funds", "refund": "payment.deposit_not_refundable"}
            is_known = currency == "USD" or (currency == "XXX" and operation == "refund")
            assert reply.data["code"] == (code.get(operation, "bad_input") if is_known else "bad_input"), currency
    body = {"amount": {"amount": 600, "currency": "GHS"}} | more
    assert (await payments.post(path, body, by=by)).status in (200, 201)


async def test_shares_that_are_no_amounts_move_nothing(payments: Payments) -> None:
    hirer, worker, dispute_id = await payments.disputed(1_000)
    path, support = f"/disputes/{dispute_id}", person(Role.SUPPORT)
    fine: dict[str, Any] = {"workerAmount": 400, "hirerAmount": 600}
    async with payments.untouched():
        for way, by, more in (("offers", hirer, {}), ("resolve", support, {"note": "n"})):
            for amount in (one for one in NO_AMOUNTS if one != 0):
                for shares in (fine | {"workerAmount": amount}, fine | {"hirerAmount": amount}):
                    reply = await payments.post(f"{path}/{way}", shares | more, by=by)
                    assert refused(reply) == (400, "bad_input"), (way, shares)
            for body in (fine | more | {"currency": "USD"}, more | {"workerAmount": 1_000}, more):
                assert refused(await payments.post(f"{path}/{way}", body, by=by)) == (400, "bad_input"), (way, body)
        assert (await payments.get(path, by=hirer)).data["offers"] == []
    offered = await payments.post(f"{path}/offers", fine, by=hirer)
    offer = offered.data["offers"][0]["id"]
    async with payments.untouched():
        for way, body in (
            ("answer", {"text": "t"}),
            ("offers", fine),
            ("accept", {"offerId": offer}),
            ("appeal", {"reason": "r"}),
        ):
            for stranger in (person(Role.HIRER), person(Role.WORKER)):
                assert (await payments.post(f"{path}/{way}", body, by=stranger)).status == 404, way
        own = await payments.post(f"{path}/accept", {"offerId": offer}, by=hirer)
        assert own.status == 404  # nobody accepts what they offered themselves
        wrong = await payments.post(f"{path}/accept", {"offerId": "none"}, by=worker)
        assert wrong.status == 404
    assert (await payments.post(f"{path}/accept", {"offerId": offer}, by=worker)).status == 200
    assert (await payments.available(hirer), await payments.available(worker)) == (600, 360)


async def test_what_is_anothers_stays_so(payments: Payments) -> None:
    hirer, worker, escrow_id = await payments.funded(1_000)
    owner, thief = await payments.rich(10_000), now_in(await payments.rich(10_000))
    account = await payments.account_of(owner)
    card = (await payments.post("/methods", {"token": "pm_card_visa"}, by=owner)).data["id"]
    deposit_id = (await payments.deposit(owner, 700)).data["id"]
    sent = (await payments.withdraw(now_in(owner), 600, account)).data["id"]
    contract = payments.jobs.make_contract(hirer.user_id, worker.user_id, 100)
    other = Principal(user_id=thief.user_id, role=Role.HIRER, session_id=thief.session_id)
    money = {"amount": {"amount": 500, "currency": "GHS"}}
    taken = payments.cards.taken.total()
    async with payments.untouched():
        assert refused(await payments.withdraw(thief, 500, account)) == (404, "payment.method_not_found")
        paid = await payments.post("/wallet/deposits", money | {"methodId": card}, by=other)
        assert refused(paid) == (404, "payment.method_not_found")
        for path, by in (
            (f"/escrows/{escrow_id}/release", other),
            (f"/escrows/{escrow_id}/refund", thief),
            (f"/wallet/withdrawals/{sent}/cancel", thief),
        ):
            assert (await payments.post(path, by=by)).status == 404
        assert (await payments.fund(contract, by=other)).status == 404
        ids = {"contractId": contract.id, "milestoneId": contract.milestones[0].id, "methodId": card}
        assert refused(await payments.post("/escrows", ids, by=hirer)) == (404, "payment.method_not_found")
        assert (await payments.post("/disputes", {"escrowId": escrow_id, "reason": "r"}, by=thief)).status == 404
        assert (await payments.post(f"/wallet/deposits/{deposit_id}/refund", money, by=thief)).status == 403
        for path in (f"/escrows/{escrow_id}", f"/wallet/deposits/{deposit_id}", f"/wallet/withdrawals/{sent}"):
            assert (await payments.get(path, by=thief)).status == 404
        instant = clock.now().isoformat().replace("+00:00", "Z")
        assert (await payments.get(f"/wallet?userId={owner.user_id}&at={instant}", by=thief)).status == 403
        for by, way in ((worker, "release"), (hirer, "refund")):  # the wrong side of one's own
            assert (await payments.post(f"/escrows/{escrow_id}/{way}", by=by)).status == 403
    assert payments.cards.taken.total() == taken


@pytest.mark.parametrize("ended", ["released", "refunded", "disputed", "ruled", "settled"])
async def test_an_escrow_that_has_ended_or_is_frozen_lets_nothing_go(payments: Payments, ended: str) -> None:
    hirer, worker, escrow_id = await payments.funded(1_000)
    support = person(Role.SUPPORT)
    if ended in ("released", "refunded"):
        way, by = {"released": ("release", hirer), "refunded": ("refund", worker)}[ended]
        assert (await payments.post(f"/escrows/{escrow_id}/{way}", by=by)).status == 200
    else:
        dispute_id = (await payments.post("/disputes", {"escrowId": escrow_id, "reason": "r"}, by=hirer)).data["id"]
        if ended != "disputed":
            await payments.rule(dispute_id, 400, 600)
        if ended == "settled":
            await payments.let_pass(dispute_id)
    code = "payment.escrow_disputed" if ended in ("disputed", "ruled") else "payment.escrow_not_funded"
    escrow = (await payments.get(f"/escrows/{escrow_id}", by=hirer)).data
    async with payments.untouched():
        replies = await asyncio.gather(
            payments.post(f"/escrows/{escrow_id}/release", by=hirer),
            payments.post(f"/escrows/{escrow_id}/release", {"amount": {"amount": 1, "currency": "GHS"}}, by=hirer),
            payments.post(f"/escrows/{escrow_id}/refund", by=worker),
            payments.post(f"/escrows/{escrow_id}/refund", by=support),
            payments.post("/disputes", {"escrowId": escrow_id, "reason": "r"}, by=worker),
        )
        assert [refused(reply) for reply in replies] == [(409, code)] * 5
        ids = {"contract_id": escrow["contractId"], "milestone_id": escrow["milestoneId"]}
        path = f"/internal/contracts/{ids['contract_id']}/milestones/{ids['milestone_id']}/release"
        told = await payments.service.call("POST", path, caller="job")
        assert told.status == (200 if ended == "released" else 409)  # said again, it pays nothing again


async def test_money_that_is_not_there_yet_is_not_withdrawn(payments: Payments) -> None:
    worker = now_in(person(Role.WORKER))
    method_id = await payments.account_of(worker)
    assert (await payments.deposit(worker, 5_000, method=NEEDS_ACTION)).status == 202
    hirer, _, _ = await payments.funded(5_000)
    hirers_account = await payments.account_of(hirer)
    async with payments.untouched():
        assert refused(await payments.withdraw(worker, 500, method_id)) == (402, "payment.insufficient_funds")
        in_escrow = await payments.withdraw(now_in(hirer), 5_000, hirers_account)
        assert refused(in_escrow) == (402, "payment.insufficient_funds")
    rich = await payments.rich(1_000)
    account = await payments.account_of(rich)
    assert (await payments.withdraw(rich, 1_000, account)).status == 201
    async with payments.untouched():  # on its way out already
        assert refused(await payments.withdraw(rich, 500, account)) == (402, "payment.insufficient_funds")


async def test_notices_that_are_forged_stale_or_foreign_move_nothing(payments: Payments) -> None:
    hirer = person()
    deposit_id = (await payments.deposit(hirer, 500, method=NEEDS_ACTION)).data["id"]
    payments.cards.pass_action(f"pi_{deposit_id}")
    payments.cards.charges["pi_foreign"] = Charge("pi_foreign", ChargeState.SUCCEEDED, 500, "GHS")
    body = notice("payment_intent.succeeded", f"pi_{deposit_id}")
    async with payments.untouched():
        for signature in ("", sign(body, secret="whsec_foreign"), sign(body, age_s=301), sign(body + b" ")):
            assert refused(await deliver(payments, body, signature)) == (400, "payment.webhook_refused")
        assert (await deliver(payments, notice("payment_intent.succeeded", "pi_foreign"))).status == 200
        await handle_all(payments)
    assert (await deliver(payments, body)).status == 200
    await handle_all(payments)
    assert await payments.available(hirer) == 500


def test_a_rotation_takes_two_secrets_and_no_more() -> None:
    for name in ("stripe_webhook_secrets", "paypal_webhook_ids", "bank_webhook_secrets"):
        with pytest.raises(ValidationError) as refusal:
            PaymentSettings.model_validate({name: ["one", "two", "three"]})
        assert name in {error["loc"][0] for error in refusal.value.errors() if error["type"] == "too_long"}


async def test_bank_files_that_do_not_add_up_or_came_before_move_nothing(payments: Payments, bank: FakeBank) -> None:
    who = person()
    bank.pay(800, (await by_bank(payments, who, 800)).data["reference"])
    good = bank.statement()
    async with payments.untouched():
        for bad in (good.replace(b"8.00", b"9.00", 2), good.replace(ACCOUNT.encode(), b"9999999999999"), good[:-20]):
            with pytest.raises(BankFileRefused):
                await service.import_file(payments.context, bad)
    await service.import_file(payments.context, good)
    async with payments.untouched():
        with pytest.raises(BankFileKnown):
            await service.import_file(payments.context, good)
    assert await payments.available(who) == 800


@pytest.mark.parametrize("reference", ["nothing", "RF99NOTOURS00000", "{wrong}"])
async def test_a_payment_without_a_good_reference_is_nobodys(
    payments: Payments, bank: FakeBank, reference: str
) -> None:
    """The money came in, so the books say so; it is in suspense, and no wallet and no escrow has any of it."""
    right = (await by_bank(payments, person(), 500)).data["reference"]
    wrong = right[:2] + f"{(int(right[2:4]) + 1) % 100:02d}" + right[4:]  # the check digits tell
    bank.pay(500, reference.format(wrong=wrong))
    before = [row for row in await payments.books() if row.get("kind") in ("wallet", "escrow")]
    await service.import_file(payments.context, bank.statement())
    assert [row for row in await payments.books() if row.get("kind") in ("wallet", "escrow")] == before
    assert Provider.BANK in payments.context.providers
