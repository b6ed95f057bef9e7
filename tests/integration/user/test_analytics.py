"""Figures of people and of the platform, made of events in any order."""

import random
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from kelmah.contracts.auth import UserRegistered
from kelmah.contracts.common import Event, Money, Role
from kelmah.contracts.events import Envelope
from kelmah.contracts.job import ApplicationAccepted, ApplicationReceived, ContractCompleted, JobAlert, JobPublished
from kelmah.contracts.messaging import MessageSent
from kelmah.contracts.payment import DisputeResolved, EscrowFunded, EscrowReleased
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.user import service
from tests.integration.user.conftest import Town

Told = tuple[Envelope, Event]


def told(event: Event, *, minutes_ago: int = 60) -> Told:
    envelope = Envelope(
        id=new_id(), source="/kelmah/test", type=event.TYPE, time=clock.now() - timedelta(minutes=minutes_ago),
        subject="test", sequence=1, data=msgspec.Raw(b"{}"), correlationid="c",
    )  # fmt: skip
    return envelope, event


async def hear(town: Town, events: list[Told]) -> None:
    for envelope, event in events:
        if isinstance(event, MessageSent):
            await service.on_message_sent(town.context, envelope, event)
        else:
            assert type(event) in service.COUNTED
            await service.on_counted(town.context, envelope, event)


def message(conversation: str, sequence: int, sender: Principal, to: Principal, *, minutes_ago: int) -> Told:
    event = MessageSent(
        conversation_id=conversation,
        message_id=new_id(),
        message_sequence=sequence,
        sender_id=sender.user_id,
        recipient_ids=[to.user_id],
    )
    return told(event, minutes_ago=minutes_ago)


def story(worker: Principal, hirer: Principal) -> list[Told]:
    """Four applications, two wins, one contract paid in two parts of which one after a ruling, three conversations."""
    sides: dict[str, Any] = {"hirer_id": hirer.user_id, "worker_id": worker.user_id}
    money: dict[str, Any] = sides | {"contract_id": "c", "milestone_id": "m"}
    paid, ruled = new_id(), new_id()
    return [
        told(JobPublished(job_id="j", hirer_id=hirer.user_id)),
        *(told(JobAlert(job_id="j", because=because, **sides)) for because in ("invitation", "urgent")),
        *(told(ApplicationReceived(application_id=str(n), job_id=str(n), **sides)) for n in range(4)),
        *(
            told(ApplicationAccepted(application_id=str(n), job_id=str(n), contract_id=str(n), **sides))
            for n in range(2)
        ),
        told(EscrowFunded(escrow_id=paid, amount=Money(amount=15_000), **money)),
        told(EscrowFunded(escrow_id=ruled, amount=Money(amount=10_000, currency="XOF"), **money)),
        told(EscrowReleased(escrow_id=paid, amount=Money(amount=15_000), fee_amount=1_500, **money)),
        told(DisputeResolved(escrow_id=ruled, dispute_id="d", worker_amount=4_000, hirer_amount=6_000, **money)),
        told(ContractCompleted(contract_id="c", job_id="j", **sides)),
        message("one" + paid, 1, hirer, worker, minutes_ago=50),
        message("one" + paid, 2, hirer, worker, minutes_ago=49),
        message("one" + paid, 3, worker, hirer, minutes_ago=40),
        message("two" + paid, 1, hirer, worker, minutes_ago=50),
        message("two" + paid, 2, worker, hirer, minutes_ago=20),
        message("three" + paid, 1, hirer, worker, minutes_ago=5),
        message("four" + paid, 1, worker, hirer, minutes_ago=50),
    ]


async def figures(town: Town, by: Principal, query: str = "") -> dict[str, Any]:
    reply = await town.call("GET", f"/users/me/analytics{query}", by=by)
    assert reply.status == 200, reply.data
    return {name: value for name, value in reply.data.items() if name not in ("since", "until")}


async def test_the_figures_tell_the_story(town: Town) -> None:
    worker, hirer = town.somebody(), town.somebody(Role.HIRER)
    await hear(town, story(worker, hirer))
    assert await figures(town, worker) == {
        "userId": worker.user_id,
        "views": 0,
        "viewers": 0,
        "viewsByDay": [],
        "responsiveness": {"contacts": 3, "answered": 2, "ratePercent": 67, "medianS": 20 * 60},
        "jobsPublished": 0,
        "invitations": 1,
        "applications": 4,
        "wins": 2,
        "winRatePercent": 50,
        "contractsCompleted": 1,
        "contractsCancelled": 0,
        "earned": [{"amount": 15_000, "currency": "GHS"}, {"amount": 4_000, "currency": "XOF"}],
        "spent": [],
    }
    theirs = await figures(town, hirer)
    assert theirs["spent"] == [{"amount": 15_000, "currency": "GHS"}, {"amount": 4_000, "currency": "XOF"}]
    assert theirs["invitations"] == 1
    assert (theirs["jobsPublished"], theirs["applications"], theirs["wins"], theirs["earned"]) == (1, 4, 2, [])
    assert theirs["responsiveness"] == {"contacts": 1, "answered": 0, "ratePercent": 0, "medianS": None}


async def test_replayed_and_shuffled_events_make_the_same_figures(town: Town) -> None:
    worker, hirer = town.somebody(), town.somebody(Role.HIRER)
    events = story(worker, hirer)
    await hear(town, events)
    before = await figures(town, worker), await figures(town, hirer)
    both = {"user_id": {"$in": [worker.user_id, hirer.user_id]}}
    for name in ("facts", "contacts"):
        await town.context.mongo.collection(name).delete_many(both)
    assert (await figures(town, worker))["applications"] == 0
    again = [*events, *events]
    random.Random(5).shuffle(again)
    await hear(town, again)
    assert (await figures(town, worker), await figures(town, hirer)) == before


async def test_only_the_asked_days_count(town: Town) -> None:
    worker, hirer = town.somebody(), town.somebody(Role.HIRER)
    sides = {"hirer_id": hirer.user_id, "worker_id": worker.user_id}
    for days in (1, 10, 100):
        event = ApplicationReceived(application_id=new_id(), job_id="j", **sides)
        await hear(town, [told(event, minutes_ago=days * 24 * 60 + 1)])
    assert [(await figures(town, worker, f"?days={days}"))["applications"] for days in (1, 2, 30, 365)] == [0, 1, 2, 3]


async def test_a_view_counts_once_a_day_for_each_who_looks(town: Town) -> None:
    ama, kofi, esi = await town.worker("tiling"), town.somebody(Role.HIRER), town.somebody()
    for by, path in ((kofi, "users"), (kofi, "workers"), (esi, "users"), (ama, "users"), (None, "workers")):
        assert (await town.call("GET", f"/{path}/{ama.user_id}", by=by)).status == 200
    today = clock.now().date().isoformat()
    mine = await figures(town, ama)
    assert (mine["views"], mine["viewers"], mine["viewsByDay"]) == (2, 2, [{"day": today, "views": 2}])
    events = town.context.mongo.collection("events").find({"subject": {"$regex": f"^view:{ama.user_id}:"}})
    assert len(await events.to_list()) == 2


async def test_the_platforms_figures_count_each_event_once_and_are_for_admins(town: Town) -> None:
    admin, worker, hirer = town.somebody(Role.ADMIN), await town.worker("tiling"), town.somebody(Role.HIRER)

    async def figures() -> dict[str, Any]:
        reply = await town.call("GET", "/analytics/platform?days=1", by=admin)
        assert reply.status == 200, reply.data
        return dict(reply.data)

    before = await figures()
    await hear(town, [*story(worker, hirer), told(UserRegistered(user_id=worker.user_id, role=Role.WORKER))])
    await town.worker("tiling")
    after = await figures()
    expected = {"registered": 1, "invitations": 1, "applications": 4, "hires": 2, "jobsPublished": 1}
    assert {name: after[name] - before[name] for name in expected} == expected
    assert after["contractsCompleted"] - before["contractsCompleted"] == 1
    assert after["people"]["worker"] - before["people"]["worker"] == 1
    assert after["listed"]["worker"] - before["listed"]["worker"] == 1
    paid = {one["currency"]: one["amount"] for one in before["paidOut"]}
    assert {one["currency"]: one["amount"] - paid.get(one["currency"], 0) for one in after["paidOut"]} == {
        "GHS": 15_000,
        "XOF": 4_000,
    }
    for by in (worker, hirer, None):
        assert (await town.call("GET", "/analytics/platform", by=by)).status in (401, 403)


@pytest.mark.parametrize("days", ["0", "366", "-1", "x", "1.5"])
async def test_days_out_of_bounds_are_refused(town: Town, days: str) -> None:
    reply = await town.call("GET", f"/users/me/analytics?days={days}", by=town.somebody())
    assert (reply.status, reply.data["errors"][0]["field"]) == (400, "days")
    assert (await town.call("GET", "/users/me/analytics")).status == 401


async def test_matching_learns_how_often_a_worker_answers(town: Town) -> None:
    worker, hirer = await town.worker("tiling"), town.somebody(Role.HIRER)
    day = 24 * 60

    async def rate() -> int | None:
        reply = await town.service.call("GET", f"/internal/workers/{worker.user_id}", caller="job")
        assert reply.status == 200, reply.data
        return reply.data["responseRatePercent"]  # type: ignore[no-any-return]  # JSON

    answered, silent, old, fresh = (new_id() for _ in range(4))
    asked = [(answered, 3 * day), (silent, 2 * day), (old, 91 * day), (fresh, day - 60)]
    events = [message(one, 1, hirer, worker, minutes_ago=ago) for one, ago in asked]
    assert await rate() is None
    await hear(town, events)
    assert await rate() == 0
    events.append(message(answered, 2, worker, hirer, minutes_ago=2 * day))
    await hear(town, events[::-1])
    assert await rate() == 50
    timers = town.context.mongo.collection("timers")
    due = await timers.find_one({"_id": f"response:{fresh}:{worker.user_id}"})
    assert due is not None
    assert (due["actor"], due["args"], due["due"]) == (
        "user.measure_response",
        [worker.user_id],
        events[3][0].time + timedelta(days=1),
    )
    clock.shift(timedelta(hours=2))
    try:
        await service.measure_response(town.context, worker.user_id)
    finally:
        clock.reset()
    assert await rate() == 33
    assert (await town.stored(worker))["version"] == 2
