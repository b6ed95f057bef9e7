"""What other services ask and tell."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from kelmah.clients.user import UserClient
from kelmah.contracts.common import Location, Role
from kelmah.contracts.events import Envelope
from kelmah.contracts.review import ReputationChanged
from kelmah.contracts.user import NotificationKind, Person
from kelmah.kit import clock
from kelmah.kit.calls import ASGITransport, ServiceCaller
from kelmah.kit.context import Principal
from kelmah.kit.errors import Forbidden, NotFound
from kelmah.kit.ids import new_id
from kelmah.services.user.service import on_reputation_changed
from tests.fixtures.service import KEY
from tests.integration.user.conftest import Town

ACCRA, TEMA = [-0.187, 5.6037], [-0.0166, 5.6698]


def client(town: Town, caller: str) -> UserClient:
    """The client that the calling service really uses."""
    transport = ASGITransport(town.service.app)
    return UserClient(ServiceCaller(caller=caller, callee="user", transport=transport, keys={"user": [KEY]}))


def days(*ahead: int) -> list[str]:
    """ISO days from today on."""
    today = clock.now().date()
    return [(today + timedelta(days=number)).isoformat() for number in ahead]


def place(coordinates: list[float]) -> dict[str, object]:
    return {"city": "Town", "region": "Greater Accra", "coordinates": coordinates}


async def test_people_are_known_before_they_ever_came(town: Town) -> None:
    ama, kofi = town.somebody(), town.somebody(Role.HIRER, "Kofi", "")
    people = await client(town, "messaging").get_people(user_ids=[ama.user_id, kofi.user_id, "nobody"])
    assert {one.user_id: one for one in people} == {
        ama.user_id: Person(user_id=ama.user_id, role=Role.WORKER, display_name="Ama K."),
        kofi.user_id: Person(user_id=kofi.user_id, role=Role.HIRER, display_name="Kofi"),
    }
    many = "&".join(f"ids={number}" for number in range(101))
    assert (await town.service.call("GET", f"/internal/people?{many}", caller="job")).status == 400
    assert (await town.service.call("GET", "/internal/people", caller="job")).status == 400


async def test_facts_of_a_worker(town: Town) -> None:
    body = {"hourlyRate": {"amount": 4500}, "location": place(ACCRA), "phone": "0244123456"}
    ama, kofi = await town.worker("sparky", "tiling", profile=body), town.somebody(Role.HIRER)
    facts = await client(town, "job").get_worker(user_id=ama.user_id)
    assert msgspec.to_builtins(facts) == {
        "userId": ama.user_id,
        "displayName": "Ama K.",
        "skills": ["electrician", "tiler"],
        "location": {"city": "Town", "region": "Greater Accra", "coordinates": (-0.19, 5.6)},
        "hourlyRate": {"amount": 4500, "currency": "GHS"},
        "isAvailable": True,
        "freeOn": days(*range(28)),
        "responseRatePercent": None,
        "ratingMilli": None,
        "reviewCount": 0,
    }
    for user_id in (kofi.user_id, "nobody"):
        with pytest.raises(NotFound):
            await client(town, "job").get_worker(user_id=user_id)
    with pytest.raises(Forbidden):
        await client(town, "review").get_worker(user_id=ama.user_id)


async def test_facts_tell_the_days_that_are_worked_and_not_booked(town: Town) -> None:
    ama = await town.worker("tiling")
    weekday = clock.now().isoweekday()
    weekly = [{"day": weekday, "start": "08:00", "end": "12:00"}]
    exceptions = [{"day": day, "isAvailable": to} for day, to in zip(days(7, 8), (False, True), strict=True)]
    times = {"weekly": weekly, "exceptions": exceptions, "timeZone": "Africa/Accra"}
    assert (await town.call("PUT", "/users/me/availability", times, by=ama)).status == 200
    assert [day.isoformat() for day in (await client(town, "job").get_worker(user_id=ama.user_id)).free_on] == (
        days(0, 8, 14, 21)
    )
    for start, end in ((13, 14), (14, 15)):  # the second one ends where the day after begins
        body = {"contractId": "c", "startsAt": f"{days(start)[0]}T23:00:00Z", "endsAt": f"{days(end)[0]}T00:00:00Z"}
        path = f"/internal/workers/{ama.user_id}/bookings/{start}"
        assert (await town.service.call("PUT", path, body, caller="job")).status == 200
    facts = await client(town, "job").find_workers(skills=["tiling"], near=None, limit=200)
    (mine,) = [one for one in facts if one.user_id == ama.user_id]
    assert [day.isoformat() for day in mine.free_on] == days(0, 8, 21)


async def test_available_workers_with_any_skill_nearest_first(town: Town) -> None:
    profiles = town.context.mongo.collection("profiles")
    await profiles.update_many({"trades": {"$in": ["weaver-and-jeweller", "shoemaker"]}}, {"$set": {"trades": []}})
    tema = await town.worker("kente weaver", profile={"location": place(TEMA)})
    accra = await town.worker("cobbler", profile={"location": place(ACCRA)})
    nowhere = await town.worker("cobbler")
    busy = await town.worker("cobbler", profile={"location": place(ACCRA)})
    await town.call("PUT", "/users/me/availability", {"status": "busy"}, by=busy)
    skills = ["shoemaker", "kente", "zzzzqq"]
    near = Location(city="x", region="y", coordinates=(ACCRA[0], ACCRA[1]))

    async def found(skills: list[str], near: Location | None, limit: int) -> list[str]:
        rows = await client(town, "job").find_workers(skills=skills, near=near, limit=limit)
        return [row.user_id for row in rows]

    assert await found(skills, near, 200) == [accra.user_id, tema.user_id, nowhere.user_id]
    assert await found(skills, near, 2) == [accra.user_id, tema.user_id]
    assert set(await found(skills, None, 200)) == {accra.user_id, tema.user_id, nowhere.user_id}
    assert await found(["zzzzqq"], None, 200) == []
    assert await found([], near, 200) == []
    for query in ("limit=0", "limit=201", "limit=1&lng=0", "limit=1&lat=0", "limit=1&lng=0&lat=95", "skills=tiling"):
        assert (await town.service.call("GET", f"/internal/workers?{query}", caller="job")).status == 400


async def test_preferences_for_messaging_only(town: Town) -> None:
    ama = town.somebody()
    preferences = await client(town, "messaging").get_preferences(user_id=ama.user_id)
    assert preferences.user_id == ama.user_id
    assert preferences.channels[NotificationKind.SECURITY].email is True
    with pytest.raises(NotFound):
        await client(town, "messaging").get_preferences(user_id="nobody")
    with pytest.raises(Forbidden):
        await client(town, "job").get_preferences(user_id=ama.user_id)
    reply = await town.service.call("GET", f"/internal/notification-preferences/{ama.user_id}", by=ama)
    assert reply.status == 403


def changed(worker: Principal, sequence: int, milli: int) -> tuple[Envelope, ReputationChanged]:
    event = ReputationChanged(user_id=worker.user_id, review_count=sequence, rating_milli=milli)
    envelope = Envelope(
        id=new_id(),
        source="/kelmah/review",
        type=event.TYPE,
        time=clock.now(),
        subject=f"reputation:{worker.user_id}",
        sequence=sequence,
        data=msgspec.Raw(msgspec.json.encode(event)),
        correlationid=new_id(),
    )
    return envelope, event


async def test_a_reputation_ends_the_same_in_any_order(town: Town) -> None:
    ama = town.somebody()  # no profile yet: the event makes it
    told = [changed(ama, sequence, 3000 + 100 * sequence) for sequence in (3, 1, 2)]
    await asyncio.gather(*(on_reputation_changed(town.service.context, *one) for one in told * 4))
    shown = (await town.call("GET", "/users/me", by=ama)).data
    assert (shown["ratingMilli"], shown["reviewCount"]) == (3300, 3)
    assert shown["version"] == 1
    stranger = changed(ama, 9, 5000)[1]
    gone = msgspec.structs.replace(stranger, user_id="nobody")
    await on_reputation_changed(town.service.context, changed(ama, 9, 5000)[0], gone)
    assert (await town.call("GET", "/users/me", by=ama)).data["reviewCount"] == 3
