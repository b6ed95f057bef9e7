"""Who brought a worker is said once, and shares the platform's fee."""

import asyncio

import pytest

from kelmah.contracts.auth import AccountDeactivated
from kelmah.contracts.common import Role
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.payment import service
from kelmah.services.payment.documents import escrows
from kelmah.services.payment.settings import FeeTerms
from tests.fixtures.events import envelope
from tests.fixtures.service import person
from tests.integration.payment.conftest import Payments


async def code_of(payments: Payments, by: Principal) -> str:
    return str((await payments.get("/referral-code", by=by)).data["code"])


async def test_a_worker_says_once_who_brought_them(payments: Payments) -> None:
    worker, referrer, other = person(Role.WORKER), person(Role.HIRER), person(Role.WORKER)
    body = {"code": await code_of(payments, referrer)}
    replies = await asyncio.gather(*(payments.post("/referrer", body, by=worker) for _ in range(3)))
    assert sorted(reply.status for reply in replies) == [201, 409, 409]
    for number in range(2):
        repeated = await payments.post("/referrer", {"code": body["code"]}, by=other, key="once")
        assert (repeated.status, repeated.data) == (201, {"referrerId": referrer.user_id}), number
    again = await payments.post("/referrer", {"code": await code_of(payments, other)}, by=worker)
    assert (again.status, again.data["code"]) == (409, "payment.referral_closed")
    (event,) = await payments.events("referrer_named", workerId=worker.user_id)
    assert event["referrerId"] == referrer.user_id


async def test_codes_that_are_made_up_or_ones_own_are_refused(payments: Payments) -> None:
    worker, referrer = person(Role.WORKER), person(Role.HIRER)
    good = await code_of(payments, referrer)
    elsewhere = payments.context.ring.seal(referrer.user_id, context=b"elsewhere")
    for code in ("", "x", good[:-2], good + "A", elsewhere, "x" * 257, await code_of(payments, worker)):
        reply = await payments.post("/referrer", {"code": code}, by=worker)
        assert (reply.status, reply.data["errors"][0]["field"]) == (400, "code"), code
    for by in (person(Role.HIRER), person(Role.SUPPORT)):
        assert (await payments.post("/referrer", {"code": good}, by=by)).status == 403
    assert (await payments.get("/referral-code", by=person(Role.SUPPORT))).status == 403
    assert (await payments.post("/referrer", {"code": good}, by=worker)).status == 201


async def test_who_has_worked_here_was_not_brought(payments: Payments) -> None:
    _, worker, _ = await payments.funded(1_000)
    reply = await payments.post("/referrer", {"code": await code_of(payments, person())}, by=worker)
    assert (reply.status, reply.data["code"]) == (409, "payment.referral_closed")


@pytest.mark.parametrize("is_open", [True, False])
async def test_the_referrer_shares_the_fee_of_what_is_funded_from_then_on(payments: Payments, is_open: bool) -> None:
    terms = FeeTerms(fee=1_000, tax=0, referral=2_500)
    settings = payments.context.settings.model_copy(update={"fee_terms": {"single": terms}})
    payments.service.replace(settings=settings)
    hirer, worker = await payments.hirer_with(1_000), person(Role.WORKER)
    referrer = await payments.brought(worker)
    if not is_open:
        event = AccountDeactivated(user_id=referrer.user_id, by="self")
        await service.on_account_deactivated(payments.context, envelope(event), event)
    escrow_id = (await payments.fund(payments.jobs.make_contract(hirer.user_id, worker.user_id, 999), by=hirer)).data[
        "id"
    ]
    await payments.post(f"/escrows/{escrow_id}/release", by=hirer)
    # 10 % of 999 is 99, and a quarter of that 24, rounded down; the worker has the same either way.
    assert await payments.available(worker) == 900
    assert await payments.available(referrer) == (24 if is_open else 0)
    assert not await escrows.has_worked(new_id())
