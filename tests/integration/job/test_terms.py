"""What both sides agree besides the milestones: the days of silence, and the dates for which the worker is booked."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import Unavailable
from kelmah.services.job import service
from tests.fakes.user import FakeUserClient
from tests.integration.job.steps import Desk, hirer, milestone, worker


def window(start: float = 2, days: float = 3) -> dict[str, str]:
    """Work that starts so many days from now."""
    starts_at = clock.now() + timedelta(days=start)
    return {"startsAt": starts_at.isoformat(), "endsAt": (starts_at + timedelta(days=days)).isoformat()}


async def set_terms(desk: Desk, contract: Any, by: Principal, **terms: Any) -> Any:
    return await desk.ok("PATCH", f"/contracts/{contract['id']}/terms", terms, by=by)


async def sign_both(desk: Desk, contract: Any, *sides: Principal) -> Any:
    for side in sides:
        contract = await desk.ok("POST", f"/contracts/{contract['id']}/sign", by=side)
    return contract


async def amend(desk: Desk, contract: Any, by: Principal, other: Principal, **changes: Any) -> Any:
    path = f"/contracts/{contract['id']}/amendment"
    await desk.ok("POST", path, {"reason": "Other times."} | changes, by=by)
    return await desk.ok("POST", f"{path}/sign", by=other)


async def run_bookings(desk: Desk, contract_id: str) -> None:
    """Let the timers that book come, as often as they were set."""
    timers = desk.service.context.mongo.collection("timers")
    async for timer in timers.find({"actor": "job.book_worker", "args": contract_id}):
        await service.book_worker(desk.service.context, *timer["args"])


async def booked(desk: Desk, anna: Principal, kofi: Principal, **when: float) -> Any:
    """An active contract with dates, after its booking was tried."""
    contract = await desk.contract(anna, kofi)
    await set_terms(desk, contract, anna, work=window(**when))
    await sign_both(desk, contract, anna, kofi)
    await run_bookings(desk, contract["id"])
    return await desk.ok("GET", f"/contracts/{contract['id']}", by=anna)


# --- The days of silence ---


@pytest.mark.parametrize("days", [1, 30])
async def test_work_is_approved_after_the_agreed_days_of_silence(desk: Desk, days: int) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.contract(anna, kofi)
    assert (contract["autoApproveAfterDays"], json.loads(contract["terms"])["autoApproveAfterDays"]) == (14, 14)
    await desk.ok("POST", f"/contracts/{contract['id']}/sign", by=anna)

    changed = await set_terms(desk, contract, kofi, autoApproveAfterDays=days)

    assert changed["autoApproveAfterDays"] == json.loads(changed["terms"])["autoApproveAfterDays"] == days
    assert changed["termsHash"] != contract["termsHash"]
    assert changed["signatures"] == []
    await sign_both(desk, contract, anna, kofi)
    part = contract["milestones"][0]["id"]
    await desk.money(contract["id"], part, "funded")
    handed_in = await desk.ok("POST", milestone(contract["id"], part, "submit"), by=kofi)
    due = datetime.fromisoformat(handed_in["autoApprovesAt"])
    assert due - datetime.fromisoformat(handed_in["submittedAt"]) == timedelta(days=days)
    timer = await desk.service.context.mongo.collection("timers").find_one({"args": part})
    assert timer is not None
    assert (timer["actor"], timer["due"]) == ("job.auto_approve_milestone", due)


@pytest.mark.parametrize("days", [0, 31, -1, 2**53, "14", 1.5, None])
async def test_other_days_of_silence_are_refused(desk: Desk, days: Any) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.contract(anna, kofi)
    before = await desk.ok("POST", f"/contracts/{contract['id']}/sign", by=anna)
    reply = await desk.call("PATCH", f"/contracts/{contract['id']}/terms", {"autoApproveAfterDays": days}, by=kofi)
    assert (reply.status, [one["field"] for one in reply.data["errors"]]) == (400, ["autoApproveAfterDays"])
    assert await desk.ok("GET", f"/contracts/{contract['id']}", by=anna) == before


async def test_signed_days_change_by_an_amendment_of_both_alone(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    contract, first = await desk.submitted(anna, kofi, milestones=[{"title": one, "amount": 22_500} for one in "ab"])
    path = f"/contracts/{contract['id']}"
    refused = await desk.call("PATCH", f"{path}/terms", {"autoApproveAfterDays": 3}, by=anna)
    assert (refused.status, refused.data["code"]) == (409, "job.illegal_step")
    for days in (0, 31):
        body = {"reason": "Sooner.", "autoApproveAfterDays": days}
        assert (await desk.call("POST", f"{path}/amendment", body, by=kofi)).status == 400
    proposed = await desk.ok("POST", f"{path}/amendment", {"reason": "Sooner.", "autoApproveAfterDays": 3}, by=kofi)
    assert proposed["autoApproveAfterDays"] == 14
    assert (proposed["amendment"]["autoApproveAfterDays"], proposed["amendment"]["milestones"]) == (3, [])

    signed = await desk.ok("POST", f"{path}/amendment/sign", by=anna)

    assert (signed["autoApproveAfterDays"], json.loads(signed["terms"])["autoApproveAfterDays"]) == (3, 3)
    assert signed["termsHash"] == proposed["amendment"]["termsHash"]
    # What was handed in before keeps its day; what is handed in afterwards has the new one.
    parts = {part["id"]: part for part in signed["milestones"]}
    (second,) = parts.keys() - {first}
    await desk.money(contract["id"], second, "funded")
    later = await desk.ok("POST", milestone(contract["id"], second, "submit"), by=kofi)
    for part, days in ((parts[first], 14), (later, 3)):
        silence = datetime.fromisoformat(part["autoApprovesAt"]) - datetime.fromisoformat(part["submittedAt"])
        assert silence == timedelta(days=days)


async def test_terms_are_the_sides_own(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.contract(anna, kofi)
    path = f"/contracts/{contract['id']}"
    for stranger in (hirer(), worker()):
        assert (await desk.call("PATCH", f"{path}/terms", {"autoApproveAfterDays": 3}, by=stranger)).status == 404
        assert (await desk.call("POST", f"{path}/sign", by=stranger)).status == 404
    assert (await desk.call("PATCH", f"{path}/terms", {}, by=anna)).status == 400
    assert await desk.ok("GET", path, by=anna) == contract


async def test_of_two_changes_at_once_both_or_one_hold(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.contract(anna, kofi)
    path = f"/contracts/{contract['id']}/terms"
    replies = await asyncio.gather(
        desk.call("PATCH", path, {"autoApproveAfterDays": 3}, by=anna),
        desk.call("PATCH", path, {"work": window()}, by=kofi),
    )
    seen = await desk.ok("GET", f"/contracts/{contract['id']}", by=anna)
    done = [reply.status == 200 for reply in replies]
    assert any(done)
    assert [seen["autoApproveAfterDays"] == 3, seen["work"] is not None] == done


# --- The dates ---


@pytest.mark.parametrize(
    ("work", "field"),
    [
        (window(start=-1), "work.startsAt"),
        (window(start=366), "work.startsAt"),
        (window(days=-1), "work.endsAt"),
        (window(days=0), "work.endsAt"),
        (window(days=367), "work.endsAt"),
        ({"startsAt": "2031-01-01T00:00:00", "endsAt": "2031-01-02T00:00:00Z"}, "work.startsAt"),
        ({"startsAt": "tomorrow", "endsAt": "2031-01-02T00:00:00Z"}, "work.startsAt"),
        (window() | {"note": "x"}, "work.note"),
    ],
)
async def test_dates_that_cannot_be_are_refused(desk: Desk, work: Any, field: str) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.contract(anna, kofi)
    reply = await desk.call("PATCH", f"/contracts/{contract['id']}/terms", {"work": work}, by=anna)
    assert (reply.status, [one["field"] for one in reply.data["errors"]]) == (400, [field])
    assert await desk.ok("GET", f"/contracts/{contract['id']}", by=anna) == contract


async def test_dates_can_be_taken_out_again(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.contract(anna, kofi)
    dated = await set_terms(desk, contract, anna, work=window())
    assert json.loads(dated["terms"])["work"]["startsAt"]
    plain = await set_terms(desk, contract, kofi, work=None)
    assert (plain["work"], plain["terms"]) == (None, contract["terms"])
    await sign_both(desk, contract, anna, kofi)
    timers = desk.service.context.mongo.collection("timers")
    assert await timers.count_documents({"actor": "job.book_worker", "args": contract["id"]}) == 0


async def test_an_active_contract_with_dates_books_the_worker_once(desk: Desk, users: FakeUserClient) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.contract(anna, kofi)
    work = (await set_terms(desk, contract, anna, work=window()))["work"]
    active = await sign_both(desk, contract, anna, kofi)
    assert active["booking"] == {"status": "pending", "code": None}

    users.away = Unavailable()
    with pytest.raises(Unavailable):  # the actor is tried again
        await run_bookings(desk, contract["id"])
    users.away = None
    for _ in range(2):
        await run_bookings(desk, contract["id"])

    seen = await desk.ok("GET", f"/contracts/{contract['id']}", by=kofi)
    assert (seen["status"], seen["booking"]) == ("active", {"status": "booked", "code": None})
    ((worker_id, booking),) = users.bookings.values()
    assert (worker_id, booking.contract_id) == (kofi.user_id, contract["id"])
    assert [datetime.fromisoformat(work[name]) for name in ("startsAt", "endsAt")] == [
        booking.starts_at,
        booking.ends_at,
    ]


async def test_a_double_booking_is_plain_to_both_and_loses_no_contract(desk: Desk, users: FakeUserClient) -> None:
    anna, esi, kofi = hirer(), hirer(), worker()
    await booked(desk, anna, kofi, start=2, days=3)
    second = await booked(desk, esi, kofi, start=4, days=3)
    path = f"/contracts/{second['id']}"
    for side in (esi, kofi):
        seen = await desk.ok("GET", path, by=side)
        assert (seen["status"], seen["booking"]) == ("active", {"status": "refused", "code": "user.worker_booked"})
        steps = (await desk.ok("GET", f"{path}/next", by=side))["items"]
        assert {(one["by"], one["action"]) for one in steps} >= {("hirer", "agree_dates"), ("worker", "agree_dates")}
    await run_bookings(desk, second["id"])
    assert (await desk.events(f"contract:{second['id']}")).count("booking_refused") == 1
    assert len(users.bookings) == 1

    # Other dates, agreed by both, are booked; later ones take their place.
    for start in (6, 7):
        signed = await amend(desk, second, esi, kofi, work=window(start=start))
        assert signed["booking"] == {"status": "pending", "code": None}
        await run_bookings(desk, second["id"])
        seen = await desk.ok("GET", path, by=kofi)
        assert seen["booking"] == {"status": "booked", "code": None}
        assert len(users.bookings) == 2


async def test_a_booking_that_comes_after_the_end_is_given_back(desk: Desk, users: FakeUserClient) -> None:
    anna, kofi = hirer(), worker()
    contract = await desk.contract(anna, kofi)
    await set_terms(desk, contract, anna, work=window())
    await sign_both(desk, contract, anna, kofi)
    real = users.book_worker

    async def cancelled_meanwhile(**asked: Any) -> Any:
        done = await real(**asked)
        await desk.call("POST", f"/contracts/{contract['id']}/cancel", by=kofi)
        return done

    users.book_worker = cancelled_meanwhile  # type: ignore[method-assign]  # what comes between
    await run_bookings(desk, contract["id"])
    assert users.bookings == {}
    # A process that died before it could give back is followed by another, which does.
    ((booking_id, args),) = [
        (row["args"][1], row["args"])
        async for row in desk.service.context.mongo.collection("timers").find(
            {"actor": "job.book_worker", "args": contract["id"]}
        )
    ]
    users.bookings[booking_id] = (kofi.user_id, None)  # type: ignore[assignment]  # only its id counts
    await service.book_worker(desk.service.context, *args)
    assert users.bookings == {}
    assert (await desk.ok("GET", f"/contracts/{contract['id']}", by=anna))["status"] == "cancelled"
