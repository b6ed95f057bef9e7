"""`?at=`: how a wallet or an escrow stood, for admins alone, with a note that somebody looked."""

import asyncio
from urllib.parse import quote

from kelmah.contracts.common import Role
from kelmah.kit import clock
from kelmah.kit.context import Principal
from tests.fixtures.service import person
from tests.integration.payment.conftest import Payments


def at() -> str:
    return f"at={quote(clock.now().isoformat())}"


async def viewed(payments: Payments, admin: Principal) -> list[str]:
    rows = payments.context.mongo.collection("events").find({"subject": f"viewer:{admin.user_id}"})
    return [row["type"] async for row in rows]


async def test_a_wallet_as_it_stood(payments: Payments) -> None:
    hirer, admin = await payments.hirer_with(20_000), person(Role.ADMIN)
    full = at()
    await asyncio.sleep(0.005)
    contract = payments.jobs.make_contract(hirer.user_id, person(Role.WORKER).user_id, 15_000)
    assert (await payments.fund(contract, by=hirer)).status == 201
    await asyncio.sleep(0.005)
    for instant, amount in ((full, 20_000), (at(), 5_000)):
        reply = await payments.get(f"/wallet?userId={hirer.user_id}&{instant}", by=admin)
        assert (reply.status, reply.data["balances"]) == (200, [{"amount": amount, "currency": "GHS"}])
    assert await viewed(payments, admin) == ["payment.past_money_viewed.v1"] * 2
    assert (await payments.get(f"/wallet?userId=nobody&{full}", by=admin)).data["balances"] == []


async def test_an_escrow_as_it_stood(payments: Payments) -> None:
    hirer, _, escrow_id = await payments.funded()
    admin, funded = person(Role.ADMIN), at()
    await asyncio.sleep(0.005)
    assert (await payments.post(f"/escrows/{escrow_id}/release", by=hirer)).status == 200
    then = await payments.get(f"/escrows/{escrow_id}?{funded}", by=admin)
    assert (then.status, then.data["last"]) == (200, "payment.escrow_funded.v1")
    assert then.data["state"]["amount"] == {"amount": 10_000, "currency": "GHS"}
    assert (await payments.get(f"/escrows/nothing?{funded}", by=admin)).status == 404
    assert await viewed(payments, admin) == ["payment.past_money_viewed.v1"]


async def test_a_wallet_needs_both_and_an_admin(payments: Payments) -> None:
    hirer, admin = await payments.hirer_with(20_000), person(Role.ADMIN)
    for query, field in ((at(), "userId"), (f"userId={hirer.user_id}", "at"), ("userId=x&at=noon", "at")):
        reply = await payments.get(f"/wallet?{query}", by=admin)
        assert (reply.status, reply.data["errors"][0]["field"]) == (400, field)
    for somebody in (hirer, person(Role.SUPPORT), person(Role.MODERATOR)):
        reply = await payments.get(f"/wallet?userId={hirer.user_id}&{at()}", by=somebody)
        assert (reply.status, reply.data["code"]) == (403, "forbidden")
    assert await viewed(payments, admin) == []
