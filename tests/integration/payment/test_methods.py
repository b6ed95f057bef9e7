"""Saved payment methods: tokens only, one's own only."""

from kelmah.contracts.common import Role
from kelmah.kit import clock
from kelmah.services.payment import service
from kelmah.services.payment.documents.methods import find_method
from kelmah.services.payment.service.methods import forget
from tests.fakes.cards import MISSING
from tests.fixtures.service import person
from tests.integration.payment.conftest import Payments


async def test_a_saved_method_pays_later(payments: Payments) -> None:
    hirer = person()
    saved = await payments.post("/methods", {"token": "pm_card_visa"}, by=hirer)
    assert (saved.status, saved.data["brand"], saved.data["last4"]) == (201, "visa", "4242")
    listed = await payments.get("/methods", by=hirer)
    assert listed.data == {"items": [saved.data], "nextCursor": None}
    body = {"amount": {"amount": 500, "currency": "GHS"}, "methodId": saved.data["id"]}
    assert (await payments.post("/wallet/deposits", body, by=hirer)).status == 201
    assert list(payments.cards.methods.values()) == ["pm_card_visa_kept"]
    assert await payments.available(hirer) == 500


async def test_who_signed_in_long_ago_adds_no_place_for_money_to_go(payments: Payments) -> None:
    stale = person(authenticated_at=int(clock.now().timestamp()) - 601)
    refused = await payments.service.call("POST", "/api/v1/payments/methods", {"token": "acct_mine"}, by=stale)
    assert (refused.status, refused.data["code"]) == (403, "payment.step_up_needed")
    assert payments.cards.methods == {}
    assert (await payments.get("/methods", by=stale)).data["items"] == []


async def test_tokens_are_stored_encrypted(payments: Payments) -> None:
    hirer = person()
    await payments.post("/methods", {"token": "pm_card_visa"}, by=hirer)
    await payments.deposit(hirer, 500)
    for collection in ("methods", "deposits", "timers", "idempotency_keys"):
        async for row in payments.context.mongo.collection(collection).find({}):
            assert "pm_card" not in str(row)


async def test_methods_of_others_are_not_there(payments: Payments) -> None:
    owner, other = person(), person(Role.WORKER)
    method_id = (await payments.post("/methods", {"token": "pm_card_visa"}, by=owner)).data["id"]
    body = {"amount": {"amount": 500, "currency": "GHS"}, "methodId": method_id}
    reply = await payments.post("/wallet/deposits", body, by=other)
    assert (reply.status, reply.data["code"]) == (404, "payment.method_not_found")
    assert (await payments.service.call("DELETE", f"/api/v1/payments/methods/{method_id}", by=other)).status == 404
    assert (await payments.get("/methods", by=other)).data["items"] == []
    assert len((await payments.get("/methods", by=owner)).data["items"]) == 1
    assert payments.cards.charges == {}


async def test_a_deleted_method_is_forgotten_here_and_at_the_provider(payments: Payments) -> None:
    hirer = person()
    method_id = (await payments.post("/methods", {"token": "pm_card_visa"}, by=hirer)).data["id"]
    path = f"/api/v1/payments/methods/{method_id}"
    assert (await payments.service.call("DELETE", path, by=hirer)).status == 204
    assert (await payments.service.call("DELETE", path, by=hirer)).status == 404
    timer = await payments.timer(f"method:{method_id}:forget")
    assert timer is not None
    assert timer["actor"] == "payment.forget_method"
    await service.forget_method(payments.context, *timer["args"])
    assert payments.cards.forgotten == ["pm_card_visa_kept"]


async def test_a_method_is_forgotten_by_one_of_two_who_ask_at_once(payments: Payments) -> None:
    hirer = person()
    method_id = (await payments.post("/methods", {"token": "pm_card_visa"}, by=hirer)).data["id"]
    method = await find_method(method_id, user_id=hirer.user_id)
    assert method is not None
    assert [await forget(payments.context, method) for _ in range(2)] == [True, False]


async def test_only_tokens_are_taken(payments: Payments) -> None:
    hirer = person()
    for token in ("4242424242424242", "tok_visa", "pm_", "pm_x y", "pm_" + "x" * 251):
        reply = await payments.post("/methods", {"token": token}, by=hirer)
        assert (reply.status, reply.data["errors"][0]["field"]) == (400, "token")
    assert (await payments.post("/methods", {"token": MISSING}, by=hirer)).status == 402
    payments.cards.lose("save_method")
    assert (await payments.post("/methods", {"token": "pm_card_visa"}, by=hirer)).status == 503
    assert (await payments.get("/methods", by=hirer)).data["items"] == []


async def test_at_most_twenty_methods_are_kept(payments: Payments) -> None:
    hirer = person()
    for _ in range(20):
        assert (await payments.post("/methods", {"token": "pm_card_visa"}, by=hirer)).status == 201
    assert (await payments.post("/methods", {"token": "pm_card_visa"}, by=hirer)).status == 409
    assert len((await payments.get("/methods", by=hirer)).data["items"]) == 20
