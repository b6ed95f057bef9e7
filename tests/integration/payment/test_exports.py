"""What the service keeps of a person, part by part, and nothing of anybody else's."""

from typing import Any

from kelmah.contracts.common import Role
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.payment.documents import LegacyTransactionDocument
from tests.fixtures.service import person
from tests.integration.payment.conftest import Payments

PARTS = ("wallet", "transactions", "deposits", "withdrawals", "escrows", "disputes", "methods", "referrer")


async def part(payments: Payments, who: Principal, name: str) -> list[dict[str, Any]]:
    reply = await payments.service.call("GET", f"/internal/exports/{who.user_id}/{name}", caller="auth")
    assert (reply.status, reply.data["nextCursor"]) == (200, None)
    items: list[dict[str, Any]] = reply.data["items"]
    return items


async def test_each_part_holds_ones_own(payments: Payments) -> None:
    who = await payments.rich(10_000)
    referrer = await payments.brought(who)
    method_id = await payments.account_of(who)
    withdrawal_id = (await payments.withdraw(who, 600, method_id)).data["id"]
    hirer = await payments.hirer_with(900)
    contract = payments.jobs.make_contract(hirer.user_id, who.user_id, 900)
    escrow_id = (await payments.fund(contract, by=hirer)).data["id"]
    dispute_id = (await payments.post("/disputes", {"escrowId": escrow_id, "reason": "r"}, by=who)).data["id"]
    (wallet,) = await part(payments, who, "wallet")
    assert wallet["balances"][0]["available"] == {"amount": 9_400, "currency": "GHS"}
    transactions = await part(payments, who, "transactions")
    assert [(one["kind"], one["amount"]["amount"]) for one in transactions] == [
        ("withdrawal_hold", 600),
        ("deposit", 10_000),
    ]
    (deposit,) = await part(payments, who, "deposits")
    assert (deposit["status"], deposit["amount"]["amount"]) == ("succeeded", 10_000)
    for name, kept in (
        ("withdrawals", withdrawal_id),
        ("escrows", escrow_id),
        ("disputes", dispute_id),
        ("methods", method_id),
    ):
        assert [one["id"] for one in await part(payments, who, name)] == [kept], name
    assert await part(payments, who, "referrer") == [{"referrerId": referrer.user_id}]


async def test_movements_of_the_old_books_are_a_part(payments: Payments) -> None:
    who, now = person(), clock.now()
    old = LegacyTransactionDocument(
        id=new_id(), wallet_id="w", user_id=who.user_id, kind="deposit", amount=700, currency="GHS",
        status="completed", reference=None, created_at=now,
    )  # fmt: skip
    await old.insert()
    (found,) = await part(payments, who, "earlier_transactions")
    assert (found["id"], found["amount"], found["status"]) == (
        old.id,
        {"amount": 700, "currency": "GHS"},
        "completed",
    )


async def test_nobody_has_parts_of_anothers(payments: Payments) -> None:
    await payments.funded()
    somebody = person(Role.SUPPORT)  # whose role would let them see all
    (wallet,) = await part(payments, somebody, "wallet")
    assert [one["available"]["amount"] for one in wallet["balances"]] == [0]
    for name in (*PARTS[1:], "earlier_transactions"):
        assert await part(payments, somebody, name) == []
    reply = await payments.service.call("GET", f"/internal/exports/{somebody.user_id}/wallet", caller="job")
    assert reply.status == 403
