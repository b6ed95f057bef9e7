"""Amendments of active contracts, ending part-paid ones, and what happens next."""

import asyncio
import hashlib
from typing import Any

import pytest

from tests.integration.job.steps import Desk, hirer, milestone, worker
from tests.integration.job.test_terms import window

MORE = {"reason": "The wall is longer.", "milestones": [{"title": "More wall", "amount": 7_000}]}


async def _signed(desk: Desk) -> tuple[Any, Any, Any]:
    anna, kofi = hirer(), worker()
    return anna, kofi, await desk.active(anna, kofi)


async def test_an_amendment_holds_once_the_other_side_signs_it(desk: Desk) -> None:
    anna, kofi, contract = await _signed(desk)
    path = f"/contracts/{contract['id']}/amendment"
    proposed = await desk.ok("POST", path, MORE, by=kofi)
    amendment = proposed["amendment"]
    assert (amendment["proposedBy"], amendment["reason"]) == (kofi.user_id, MORE["reason"])
    assert hashlib.sha256(amendment["terms"].encode()).hexdigest() == amendment["termsHash"]
    assert (proposed["termsHash"], len(proposed["milestones"])) == (contract["termsHash"], 1)
    own = await desk.call("POST", f"{path}/sign", by=kofi)
    assert (own.status, own.data["code"]) == (409, "job.own_amendment")
    other = await desk.call("POST", f"{path}/sign", {"termsHash": "0" * 64}, by=anna)
    assert (other.status, other.data["code"]) == (409, "job.terms_changed")
    twice = await desk.call("POST", path, MORE, by=anna)
    assert (twice.status, twice.data["code"]) == (409, "job.amendment_pending")
    signed = await desk.ok("POST", f"{path}/sign", {"termsHash": amendment["termsHash"]}, by=anna)
    assert (signed["amendment"], signed["termsHash"], signed["status"]) == (None, amendment["termsHash"], "active")
    assert (signed["value"]["amount"], signed["milestones"][1]["status"]) == (52_000, "agreed")
    assert {(one["userId"], one["termsHash"]) for one in signed["signatures"]} == {
        (anna.user_id, amendment["termsHash"]),
        (kofi.user_id, amendment["termsHash"]),
    }
    assert (await desk.call("POST", f"{path}/sign", by=anna)).data["code"] == "job.no_amendment"
    assert (await desk.events(f"contract:{contract['id']}"))[-2:] == ["amendment_proposed", "amendment_closed"]
    await desk.money(contract["id"], signed["milestones"][1]["id"], "funded")
    await desk.ok("POST", milestone(contract["id"], signed["milestones"][1]["id"], "submit"), by=kofi)


@pytest.mark.parametrize("who", ["proposer", "other"])
async def test_an_amendment_that_is_dropped_changes_nothing(desk: Desk, who: str) -> None:
    anna, kofi, contract = await _signed(desk)
    path = f"/contracts/{contract['id']}/amendment"
    await desk.ok("POST", path, MORE, by=kofi)
    dropped = await desk.ok("DELETE", path, by=kofi if who == "proposer" else anna)
    for name in ("terms", "termsHash", "signatures", "milestones", "status", "amendment"):
        assert dropped[name] == contract[name]
    assert (await desk.call("DELETE", path, by=anna)).data["code"] == "job.no_amendment"
    assert (await desk.call("POST", f"{path}/sign", by=anna)).status == 404
    assert (await desk.ok("POST", path, MORE, by=anna))["amendment"] is not None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"milestones": []}, "milestones"),
        ({"reason": ""}, "reason"),
        ({"milestones": [{"title": "<b>x</b>", "amount": 1}]}, "milestones[0].title"),
        ({"milestones": [{"title": "x", "amount": 0}]}, "milestones[0].amount"),
        ({"milestones": [{"title": "x", "amount": {"amount": 1, "currency": "USD"}}]}, "milestones[0].amount.currency"),
        ({"milestones": [{"title": "x", "amount": 2**53 - 1}]}, "milestones"),
        ({"milestones": [{"title": "x", "amount": 1}] * 21}, "milestones"),
        ({"work": window(start=-1)}, "work.startsAt"),
        ({"work": window(start=366)}, "work.startsAt"),
        ({"work": window(days=-1)}, "work.endsAt"),
        ({"work": window() | {"endsAt": "2031-01-01T00:00:00"}}, "work.endsAt"),
        ({"autoApproveAfterDays": 31}, "autoApproveAfterDays"),
        ({"status": "completed"}, "status"),
    ],
)
async def test_an_amendment_that_does_not_fit_is_refused(desk: Desk, changes: dict[str, Any], field: str) -> None:
    _, kofi, contract = await _signed(desk)
    reply = await desk.call("POST", f"/contracts/{contract['id']}/amendment", MORE | changes, by=kofi)
    assert (reply.status, [one["field"] for one in reply.data["errors"]]) == (400, [field])
    assert await desk.ok("GET", f"/contracts/{contract['id']}", by=kofi) == contract


async def test_only_active_contracts_are_amended_and_only_by_their_sides(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    draft = await desk.contract(anna, kofi)
    path = f"/contracts/{draft['id']}"
    assert (await desk.call("POST", f"{path}/amendment", MORE, by=anna)).data["code"] == "job.contract_not_active"
    for method, what, body in (
        ("POST", "amendment", MORE),
        ("POST", "amendment/sign", None),
        ("DELETE", "amendment", None),
        ("POST", "end", None),
        ("GET", "next", None),
    ):
        for stranger in (hirer(), worker()):
            assert (await desk.call(method, f"{path}/{what}", body, by=stranger)).status == 404
        assert (await desk.call(method, f"{path}/{what}", body)).status == 401
    many = MORE | {"milestones": [{"title": "x", "amount": 1}] * 20}
    contract = await desk.active(anna, kofi)
    refused = await desk.call("POST", f"/contracts/{contract['id']}/amendment", many, by=anna)
    assert (refused.status, refused.data["code"]) == (409, "job.too_many_milestones")


async def test_of_many_who_sign_or_drop_at_once_one_wins(desk: Desk) -> None:
    anna, kofi, contract = await _signed(desk)
    path = f"/contracts/{contract['id']}/amendment"
    await desk.ok("POST", path, MORE, by=kofi)
    calls = [desk.call("POST", f"{path}/sign", by=anna) for _ in range(10)]
    calls += [desk.call("DELETE", path, by=kofi) for _ in range(10)]
    replies = await asyncio.gather(*calls)
    assert sorted(one.status for one in replies) == [200, *[404] * 19]
    seen = await desk.ok("GET", f"/contracts/{contract['id']}", by=kofi)
    signed = any(one.status == 200 for one in replies[:10])
    assert (len(seen["milestones"]), seen["amendment"]) == (2 if signed else 1, None)


async def test_a_part_paid_contract_is_ended_when_no_money_is_held(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    parts = [{"title": "One", "amount": 20_000}, {"title": "Two", "amount": 25_000}]
    contract = await desk.active(anna, kofi, milestones=parts)
    path = f"/contracts/{contract['id']}"
    one, two = (part["id"] for part in contract["milestones"])
    assert (await desk.call("POST", f"{path}/end", by=anna)).data["code"] == "job.nothing_paid"
    await desk.money(contract["id"], one, "released")
    await desk.money(contract["id"], two, "funded")
    assert (await desk.call("POST", f"{path}/end", by=anna)).data["code"] == "job.contract_has_money"
    assert (await desk.ok("GET", path, by=anna))["status"] == "active"
    other = await desk.active(anna, kofi, milestones=parts)
    await desk.money(other["id"], other["milestones"][0]["id"], "released")
    assert (await desk.call("POST", f"/contracts/{other['id']}/cancel", by=anna)).data[
        "code"
    ] == "job.contract_has_money"
    ended = await desk.ok("POST", f"/contracts/{other['id']}/end", by=kofi)
    assert (ended["status"], [part["status"] for part in ended["milestones"]]) == ("completed", ["released", "agreed"])
    assert (await desk.ok("GET", f"/jobs/{other['jobId']}"))["status"] == "completed"
    assert (await desk.events(f"contract:{other['id']}"))[-1] == "contract_completed"
    assert (await desk.call("POST", f"/contracts/{other['id']}/end", by=kofi)).data["code"] == "job.contract_not_active"


async def test_both_sides_are_told_what_happens_next_and_when(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.contract(anna, kofi)
    path = f"/contracts/{contract['id']}"
    part = contract["milestones"][0]["id"]

    async def steps() -> list[tuple[str, str]]:
        hirers, workers = [await desk.ok("GET", f"{path}/next", by=side) for side in (anna, kofi)]
        assert hirers == workers
        return [(one["by"], one["action"]) for one in hirers["items"]]

    assert await steps() == [("hirer", "sign"), ("worker", "sign")]
    await desk.ok("POST", f"{path}/sign", by=anna)
    assert await steps() == [("worker", "sign")]
    await desk.ok("POST", f"{path}/sign", by=kofi)
    assert await steps() == [("hirer", "fund")]
    await desk.ok("POST", f"{path}/amendment", MORE, by=kofi)
    assert await steps() == [("hirer", "answer_amendment"), ("hirer", "fund")]
    await desk.ok("DELETE", f"{path}/amendment", by=kofi)
    await desk.money(contract["id"], part, "funded")
    assert await steps() == [("worker", "submit")]
    handed_in = await desk.ok("POST", milestone(contract["id"], part, "submit"), by=kofi)
    assert await steps() == [("nobody", "auto_approve"), ("hirer", "answer")]
    told = (await desk.ok("GET", f"{path}/next", by=kofi))["items"][0]
    assert (told["at"], told["milestoneId"]) == (handed_in["autoApprovesAt"], part)
    await desk.ok("POST", milestone(contract["id"], part, "request-changes"), {"reason": "Higher."}, by=anna)
    assert await steps() == [("worker", "submit")]
    await desk.dispute(contract["id"], part)
    assert await steps() == [("nobody", "resolve_dispute")]
    await desk.money(contract["id"], part, "released")
    assert await steps() == []
