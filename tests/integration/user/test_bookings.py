"""A worker's time is given to one contract only."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from kelmah.contracts.common import Role
from kelmah.contracts.events import Envelope
from kelmah.contracts.job import ContractCancelled, ContractCompleted
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.user import service
from tests.fixtures.service import Reply
from tests.integration.user.conftest import Town
from tests.integration.user.test_finding import next_monday
from tests.integration.user.test_search import found


def at(hour: int, *, days: int = 0) -> datetime:
    return datetime.fromisoformat(f"{(next_monday() + timedelta(days=days)).isoformat()}T{hour:02}:00:00+00:00")


async def book(town: Town, worker: Principal, booking_id: str, start: Any, end: Any, contract: str = "c") -> Reply:
    body = {"contractId": contract, "startsAt": start, "endsAt": end}
    path = f"/internal/workers/{worker.user_id}/bookings/{booking_id}"
    return await town.service.call("PUT", path, body, caller="job")


async def mine(town: Town, worker: Principal) -> list[str]:
    reply = await town.call("GET", "/users/me/bookings", by=worker)
    assert reply.status == 200
    return [booking["id"] for booking in reply.data["items"]]


async def test_two_hundred_at_once_for_one_hour_are_one(town: Town) -> None:
    ama = await town.worker("tiling")
    replies = await asyncio.gather(*(book(town, ama, f"b{number}", at(9), at(10)) for number in range(200)))
    assert sorted(reply.status for reply in replies) == [200] + [409] * 199
    assert {reply.data["code"] for reply in replies if reply.status == 409} == {"user.worker_booked"}
    assert len((await town.stored(ama))["bookings"]) == 1
    assert [kind for kind, _ in await town.events(ama)].count("user.worker_booked.v1") == 1


async def test_bookings_may_touch_and_not_overlap(town: Town) -> None:
    ama = await town.worker("tiling")
    assert (await book(town, ama, "two", at(10), at(12))).status == 200
    for start, end in ((9, 11), (11, 13), (10, 12), (9, 13), (11, 12)):
        assert (await book(town, ama, "other", at(start), at(end))).data["code"] == "user.worker_booked"
    assert (await book(town, ama, "three", at(12), at(13))).status == 200
    assert (await book(town, ama, "one", at(9), at(10))).status == 200
    assert await mine(town, ama) == ["one", "two", "three"]


async def test_the_same_booking_again_is_the_same(town: Town) -> None:
    ama = await town.worker("tiling")
    first, again = [await book(town, ama, "one", at(9), at(10)) for _ in range(2)]
    assert first.status == again.status == 200
    assert first.data == again.data
    assert (await book(town, ama, "one", at(9), at(11))).data["code"] == "user.booking_id_taken"
    assert await mine(town, ama) == ["one"]


async def test_a_booked_worker_is_not_found_for_that_time(town: Town, word: str) -> None:
    ama = await town.worker("tiling", profile={"headline": word})
    body = {"timeZone": "Africa/Lagos"}
    assert (await town.call("PUT", "/users/me/availability", body, by=ama)).status == 200
    await book(town, ama, "one", at(9), at(10))

    async def free(start: str, end: str) -> bool:
        query = {"q": word, "availableOn": next_monday().isoformat(), "availableFrom": start, "availableTo": end}
        return await found(town, **query) == [ama.user_id]

    assert [await free(*hours) for hours in (("09:00", "10:00"), ("10:00", "11:00"), ("11:00", "12:00"))] == [
        True, False, True,
    ]  # fmt: skip
    assert (await town.call("PUT", "/users/me/availability", {"timeZone": "Africa/Accra"}, by=ama)).status == 200
    assert [await free(*hours) for hours in (("09:00", "10:00"), ("10:00", "11:00"))] == [False, True]
    assert await mine(town, ama) == ["one"]
    path = f"/internal/workers/{ama.user_id}/bookings/one"
    assert [(await town.service.call("DELETE", path, caller="job")).status for _ in range(2)] == [204, 204]
    assert await free("09:00", "10:00")
    assert [kind for kind, _ in await town.events(ama)].count("user.booking_released.v1") == 1


@pytest.mark.parametrize("event_type", [ContractCancelled, ContractCompleted])
async def test_the_end_of_a_contract_frees_its_time(town: Town, event_type: Any) -> None:
    ama = await town.worker("tiling")
    for number, contract in enumerate(("ends", "ends", "stays")):
        assert (await book(town, ama, f"b{number}", at(9 + number), at(10 + number), contract)).status == 200
    sides = {"contract_id": "ends", "job_id": "j", "hirer_id": "h", "worker_id": ama.user_id}
    event = event_type(**sides | ({"cancelled_by": "h"} if event_type is ContractCancelled else {}))
    envelope = Envelope(
        id=new_id(), source="/kelmah/job", type=event.TYPE, time=clock.now(), subject="contract:ends", sequence=1,
        data=msgspec.Raw(b"{}"), correlationid="c",
    )  # fmt: skip
    for _ in range(2):
        await service.on_contract_ended(town.context, envelope, event)
    assert await mine(town, ama) == ["b2"]
    assert [kind for kind, _ in await town.events(ama)].count("user.booking_released.v1") == 2


async def test_an_edit_at_the_same_moment_loses_no_booking(town: Town) -> None:
    ama = await town.worker("tiling")
    edits = [town.call("PATCH", "/users/me", {"headline": f"Number {number}"}, by=ama) for number in range(10)]
    bookings = [book(town, ama, f"b{number}", at(number), at(number + 1)) for number in range(10)]
    replies = await asyncio.gather(*edits, *bookings)
    assert [reply.status for reply in replies] == [200] * 20
    assert len(await mine(town, ama)) == 10


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        (at(10), at(10), "endsAt"),
        (at(10), at(9), "endsAt"),
        (at(10), at(10, days=400), "endsAt"),
        (at(10, days=-800), at(10, days=-799), "endsAt"),
        ("2030-01-01T10:00:00", at(10), "startsAt"),
        ("soon", at(10), "startsAt"),
    ],
)
async def test_a_time_that_does_not_fit_is_refused(town: Town, start: Any, end: Any, field: str) -> None:
    ama = await town.worker("tiling")
    reply = await book(town, ama, "one", start, end)
    assert (reply.status, reply.data["errors"][0]["field"]) == (400, field)
    assert await mine(town, ama) == []


async def test_only_job_books_only_workers_who_take_work(town: Town) -> None:
    ama, kofi = await town.worker("tiling"), town.somebody(Role.HIRER)
    path = f"/internal/workers/{ama.user_id}/bookings/one"
    body = {"contractId": "c", "startsAt": at(9), "endsAt": at(10)}
    for caller in ("gateway", "payment"):
        for method, sent in (("PUT", body), ("DELETE", None)):
            assert (await town.service.call(method, path, sent, by=ama, caller=caller)).status == 403
    assert (await book(town, kofi, "one", at(9), at(10))).status == 404
    nobody = Principal(user_id=new_id(), role=Role.WORKER, session_id="s")
    assert (await book(town, nobody, "one", at(9), at(10))).status == 404
    await town.call("PUT", "/users/me/availability", {"status": "paused"}, by=ama)
    assert (await book(town, ama, "one", at(9), at(10))).data["code"] == "user.worker_not_available"
    assert await mine(town, ama) == []
    assert (await town.call("GET", "/users/me/bookings", by=kofi)).status == 403
