"""Signing, changing and cancelling contracts."""

import asyncio
import hashlib
from typing import Any

import pytest

from kelmah.contracts.common import Role
from tests.fixtures.service import person
from tests.integration.job.steps import Desk, hirer, worker


async def test_each_side_signs_once_and_the_second_makes_it_active(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.contract(anna, kofi)
    path = f"/contracts/{contract['id']}"
    await desk.ok("POST", f"{path}/sign", by=kofi)
    again = await desk.call("POST", f"{path}/sign", by=kofi)
    assert (again.status, again.data["code"]) == (409, "job.already_signed")
    active = await desk.ok("POST", f"{path}/sign", by=anna)
    assert (active["status"], {one["userId"] for one in active["signatures"]}) == (
        "active",
        {anna.user_id, kofi.user_id},
    )
    assert {one["termsHash"] for one in active["signatures"]} == {contract["termsHash"]}
    assert (await desk.call("POST", f"{path}/sign", by=anna)).data["code"] == "job.already_signed"
    assert await desk.events(f"contract:{contract['id']}") == ["contract_signed", "contract_signed"]


async def test_many_signatures_at_once_count_once_for_each_side(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.contract(anna, kofi)
    path = f"/contracts/{contract['id']}/sign"
    replies = await asyncio.gather(*(desk.call("POST", path, by=by) for by in [anna, kofi] * 50))
    assert sorted(reply.status for reply in replies) == [200, 200] + [409] * 98
    assert (await desk.ok("GET", f"/contracts/{contract['id']}", by=anna))["status"] == "active"
    events = desk.service.context.mongo.collection("events")
    signed = [row["data"] async for row in events.find({"subject": f"contract:{contract['id']}"}).sort("sequence")]
    assert ['"complete":true' in data for data in signed] == [False, True]


async def test_other_terms_than_those_read_are_not_signed(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.contract(anna, kofi)
    path = f"/contracts/{contract['id']}"
    old = {"termsHash": contract["termsHash"]}
    await desk.ok("POST", f"{path}/sign", old, by=anna)
    added = await desk.ok("POST", f"{path}/milestones", {"title": "Clean up", "amount": 5_000}, by=kofi)
    assert (added["status"], added["amount"]) == ("agreed", {"amount": 5_000, "currency": "GHS"})
    changed = await desk.ok("GET", path, by=anna)
    assert (changed["signatures"], changed["value"]["amount"]) == ([], 50_000)
    assert changed["termsHash"] != contract["termsHash"]
    assert hashlib.sha256(changed["terms"].encode()).hexdigest() == changed["termsHash"]
    stale = await desk.call("POST", f"{path}/sign", old, by=kofi)
    assert (stale.status, stale.data["code"]) == (409, "job.terms_changed")
    assert (await desk.call("POST", f"{path}/sign", {"termsHash": "x"}, by=kofi)).status == 400
    await desk.ok("POST", f"{path}/sign", {"termsHash": changed["termsHash"]}, by=anna)
    last = await desk.ok("POST", f"{path}/sign", {"termsHash": changed["termsHash"]}, by=kofi)
    assert last["status"] == "active"
    refused = await desk.call("POST", f"{path}/milestones", {"title": "More", "amount": 1}, by=anna)
    assert (refused.status, refused.data["code"]) == (409, "job.illegal_step")
    assert (await desk.ok("GET", f"{path}/milestones", by=kofi))["items"] == last["milestones"]


async def test_milestones_added_at_once_are_all_in_the_terms_and_at_most_twenty(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.contract(anna, kofi)
    path = f"/contracts/{contract['id']}/milestones"
    body = {"title": "Part", "amount": 100}
    replies = await asyncio.gather(*(desk.call("POST", path, body, by=by) for by in [anna, kofi] * 12))
    assert sorted(reply.status for reply in replies) == [201] * 19 + [409] * 5
    assert {reply.data["code"] for reply in replies if reply.status == 409} == {"job.too_many_milestones"}
    after = await desk.ok("GET", f"/contracts/{contract['id']}", by=kofi)
    assert (len(after["milestones"]), after["value"]["amount"]) == (20, 46_900)
    assert all(one["id"] in after["terms"] for one in after["milestones"])
    assert hashlib.sha256(after["terms"].encode()).hexdigest() == after["termsHash"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": "", "amount": 1}, "title"),
        ({"title": "Part", "amount": 0}, "amount"),
        ({"title": "Part", "amount": 2**53 - 1}, "amount"),
        ({"title": "Part", "amount": {"amount": 1, "currency": "USD"}}, "amount.currency"),
        ({"title": "Part"}, "amount"),
    ],
)
async def test_a_milestone_that_does_not_fit_is_refused_and_signatures_stay(
    desk: Desk, body: dict[str, Any], field: str
) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.contract(anna, kofi)
    signed = await desk.ok("POST", f"/contracts/{contract['id']}/sign", by=anna)
    reply = await desk.call("POST", f"/contracts/{contract['id']}/milestones", body, by=anna)
    assert (reply.status, [one["field"] for one in reply.data["errors"]]) == (400, [field])
    assert (await desk.ok("GET", f"/contracts/{contract['id']}", by=anna)) == signed


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("POST", "/sign", None),
        ("POST", "/cancel", None),
        ("GET", "/milestones", None),
        ("POST", "/milestones", {"title": "Part", "amount": 1}),
    ],
)
async def test_a_third_person_meets_nothing_and_changes_nothing(desk: Desk, method: str, path: str, body: Any) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.contract(anna, kofi)
    for stranger in (hirer(), worker()):
        reply = await desk.call(method, f"/contracts/{contract['id']}{path}", body, by=stranger)
        assert (reply.status, reply.data["code"]) == (404, "job.contract_not_found")
    # An admin may read a contract as of an instant, and nothing else of it.
    admin = await desk.call(method, f"/contracts/{contract['id']}{path}", body, by=person(Role.ADMIN))
    assert admin.status == (404 if (method, path) == ("GET", "") else 403)
    assert (await desk.call(method, f"/contracts/{contract['id']}{path}", body)).status == 401
    assert (await desk.ok("GET", f"/contracts/{contract['id']}", by=anna)) == contract


async def test_contracts_are_listed_for_both_sides(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    made = [await desk.contract(anna, kofi) for _ in range(3)]
    await desk.ok("POST", f"/contracts/{made[0]['id']}/cancel", by=anna)
    for side in (anna, kofi):
        first = await desk.ok("GET", "/contracts?limit=2", by=side)
        rest = await desk.ok("GET", f"/contracts?limit=2&cursor={first['nextCursor']}", by=side)
        assert [one["id"] for one in first["items"] + rest["items"]] == [one["id"] for one in made[::-1]]
        assert rest["nextCursor"] is None
        cancelled = await desk.ok("GET", "/contracts?status=cancelled", by=side)
        assert [one["id"] for one in cancelled["items"]] == [made[0]["id"]]


@pytest.mark.parametrize("signed", [False, True])
async def test_a_contract_without_money_is_cancelled_and_its_job_can_open_again(desk: Desk, signed: bool) -> None:
    anna, kofi = hirer(), worker()
    contract = await (desk.active if signed else desk.contract)(anna, kofi)
    ended = await desk.ok("POST", f"/contracts/{contract['id']}/cancel", {"reason": "Moved away."}, by=kofi)
    assert (ended["status"], ended["cancelledBy"], ended["reason"]) == ("cancelled", kofi.user_id, "Moved away.")
    job = f"/jobs/{contract['jobId']}"
    assert (await desk.ok("GET", job))["status"] == "paused"
    again = await desk.call("POST", f"/contracts/{contract['id']}/cancel", by=anna)
    assert (again.status, again.data["errors"]) == (409, [{"field": "status", "message": "cancelled"}])
    sign = await desk.call("POST", f"/contracts/{contract['id']}/sign", by=anna)
    assert (sign.status, sign.data["code"]) == (409, "job.already_signed" if signed else "job.illegal_step")
    await desk.ok("POST", f"{job}/publish", by=anna)
    second = await desk.application(contract["jobId"], kofi)
    accepted = await desk.ok("POST", f"/applications/{second['id']}/accept", by=anna)
    assert accepted["contract"]["id"] != contract["id"]


@pytest.mark.parametrize("state", ["funded", "disputed", "released"])
async def test_a_contract_with_money_cannot_be_cancelled(desk: Desk, state: str) -> None:
    anna, kofi = hirer(), worker()
    halves = [{"title": "One", "amount": 20_000}, {"title": "Two", "amount": 25_000}]
    contract = await desk.active(anna, kofi, milestones=halves)
    part = contract["milestones"][0]["id"]
    await (desk.dispute(contract["id"], part) if state == "disputed" else desk.money(contract["id"], part, state))
    for side in (anna, kofi):
        reply = await desk.call("POST", f"/contracts/{contract['id']}/cancel", by=side)
        assert (reply.status, reply.data["code"]) == (409, "job.contract_has_money")
    assert (await desk.ok("GET", f"/contracts/{contract['id']}", by=anna))["status"] == "active"
    assert (await desk.ok("GET", f"/jobs/{contract['jobId']}"))["status"] == "in_progress"


async def test_money_that_comes_for_a_cancelled_contract_is_sent_back(desk: Desk) -> None:
    """Payment looked while it was active and held the money after it was cancelled."""
    anna, kofi = hirer(), worker()
    contract = await desk.active(anna, kofi)
    part = contract["milestones"][0]["id"]
    await desk.ok("POST", f"/contracts/{contract['id']}/cancel", by=kofi)
    for _ in range(2):
        await desk.money(contract["id"], part, "funded")
    told = await desk.events(f"contract:{contract['id']}")
    assert told[-2:] == ["contract_cancelled", "cancelled_contract_funded"]
    # The same, when what was held was disputed at once, and the dispute withdrawn.
    await desk.dispute(contract["id"], part)
    await desk.dispute(contract["id"], part, is_open=False, sequence=3)
    assert (await desk.events(f"contract:{contract['id']}")).count("cancelled_contract_funded") == 2
    await desk.money(contract["id"], part, "refunded")
    seen = await desk.ok("GET", f"/contracts/{contract['id']}", by=anna)
    assert (seen["status"], seen["milestones"][0]["status"]) == ("cancelled", "refunded")


async def test_a_contract_whose_money_went_back_can_be_cancelled(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.active(anna, kofi)
    await desk.money(contract["id"], contract["milestones"][0]["id"], "funded")
    await desk.money(contract["id"], contract["milestones"][0]["id"], "refunded")
    assert (await desk.ok("POST", f"/contracts/{contract['id']}/cancel", by=anna))["status"] == "cancelled"
