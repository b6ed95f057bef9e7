"""Profiles: made once, changed by their owner alone, and shown in part to others."""

import asyncio
from typing import Any

import msgspec
import pytest

from kelmah.contracts.auth import Contact, UserRegistered
from kelmah.contracts.common import Role
from kelmah.contracts.events import Envelope
from kelmah.kit import clock
from kelmah.kit.errors import Unavailable
from kelmah.kit.ids import new_id
from kelmah.services.user.service import on_user_registered
from tests.fixtures.service import person
from tests.integration.user.conftest import Town

PLACE = {"city": "Accra", "region": "Greater Accra", "coordinates": [-0.186964, 5.603717]}
WHOLE = {
    "headline": "Plumber for houses",
    "bio": "Fifteen years.\nOwn tools.",
    "company": "Kusi & Daughters",
    "languages": ["en", "tw"],
    "location": PLACE,
    "address": "12 Oxford Street",
    "phone": "024 412 3456",
    "hourlyRate": {"amount": 4500, "currency": "GHS"},
}


def registered(user_id: str) -> Envelope:
    event = UserRegistered(user_id=user_id, role=Role.WORKER)
    return Envelope(
        id=new_id(),
        source="/kelmah/auth",
        type=event.TYPE,
        time=clock.now(),
        subject=f"account:{user_id}",
        sequence=1,
        data=msgspec.Raw(msgspec.json.encode(event)),
        correlationid=new_id(),
    )


async def test_a_profile_is_made_at_first_sight(town: Town) -> None:
    ama = town.somebody()
    reply = await town.call("GET", "/users/me", by=ama)
    assert reply.status == 200
    assert reply.headers["etag"] == '"1"'
    assert reply.data["displayName"] == "Ama K."
    assert (reply.data["firstName"], reply.data["lastName"]) == ("Ama", "Kusi")
    assert (reply.data["role"], reply.data["status"], reply.data["skills"]) == ("worker", "available", [])
    assert (reply.data["ratingMilli"], reply.data["reviewCount"]) == (None, 0)
    again = await town.call("GET", "/users/me", by=ama)
    assert again.data == reply.data
    assert town.auth.asked == [[ama.user_id]]


async def test_many_makers_end_in_one_profile(town: Town) -> None:
    ama = town.somebody()
    event = UserRegistered(user_id=ama.user_id, role=Role.WORKER)
    envelope = registered(ama.user_id)
    replies = await asyncio.gather(
        *(town.call("GET", "/users/me", by=ama) for _ in range(20)),
        *(town.call("PATCH", "/users/me", {"headline": "Plumber"}, by=ama) for _ in range(5)),
        *(on_user_registered(town.service.context, envelope, event) for _ in range(20)),
    )
    assert {reply.status for reply in replies if reply is not None} == {200}
    assert await town.context.mongo.collection("profiles").count_documents({"_id": ama.user_id}) == 1
    assert (await town.stored(ama))["version"] == 2
    assert await town.events(ama) == [("user.profile_updated.v1", 1)]


async def test_the_event_makes_a_profile_and_keeps_one_that_is_there(town: Town) -> None:
    kofi = town.somebody(Role.HIRER, "Kofi", "Mensah")
    event = UserRegistered(user_id=kofi.user_id, role=Role.HIRER)
    await on_user_registered(town.service.context, registered(kofi.user_id), event)
    made = await town.stored(kofi)
    assert (made["display_name"], made["role"], made["listed_as"]) == ("Kofi M.", "hirer", "hirer")
    await town.call("PATCH", "/users/me", {"headline": "Builds hotels"}, by=kofi)
    await on_user_registered(town.service.context, registered(kofi.user_id), event)
    assert (await town.stored(kofi))["headline"] == "Builds hotels"


async def test_no_account_no_profile(town: Town) -> None:
    stranger = person(Role.WORKER)
    assert (await town.call("GET", "/users/me", by=stranger)).status == 404
    event = UserRegistered(user_id=stranger.user_id, role=Role.WORKER)
    await on_user_registered(town.service.context, registered(stranger.user_id), event)
    assert await town.context.mongo.collection("profiles").count_documents({"_id": stranger.user_id}) == 0


async def test_no_profile_while_the_auth_service_is_away(town: Town) -> None:
    class Away:
        async def get_contacts(self, *, user_ids: list[str]) -> list[Contact]:
            raise Unavailable

    ama = town.somebody()
    town.service.replace(auth=Away())
    assert (await town.call("GET", "/users/me", by=ama)).status == 503
    town.service.replace(auth=town.auth)
    assert (await town.call("GET", "/users/me", by=ama)).status == 200


async def test_a_whole_profile_is_kept_and_told_of(town: Town) -> None:
    ama = town.somebody()
    reply = await town.call("PATCH", "/users/me", WHOLE, by=ama)
    assert reply.status == 200
    assert {field: reply.data[field] for field in WHOLE} == WHOLE | {"phone": "+233244123456"}
    assert reply.headers["etag"] == '"2"'
    assert (await town.call("GET", "/users/me", by=ama)).data == reply.data
    assert await town.events(ama) == [("user.profile_updated.v1", 1)]
    row = await town.context.mongo.collection("events").find_one({"subject": f"user:{ama.user_id}"})
    assert row is not None
    assert row["data"] == (
        f'{{"userId":"{ama.user_id}","changed":["address","bio","company","headline","hourlyRate","languages",'
        '"location","phone"]}'
    )


async def test_personal_data_is_sealed_at_rest_and_not_shown(town: Town) -> None:
    ama, guest = town.somebody(), town.somebody(Role.HIRER)
    await town.call("PATCH", "/users/me", WHOLE, by=ama)
    stored = repr(await town.stored(ama))
    for secret in ("Kusi'", "244123456", "Oxford", "5.603717", "0.186964"):
        assert secret not in stored.replace("Kusi & Daughters", "")
    shown = await town.call("GET", f"/users/{ama.user_id}", by=guest)
    assert shown.status == 200
    assert shown.data["location"] == {"city": "Accra", "region": "Greater Accra", "coordinates": [-0.19, 5.6]}
    assert shown.data["displayName"] == "Ama K."
    assert not {"phone", "address", "firstName", "lastName", "private", "version"} & shown.data.keys()


async def test_null_clears_and_what_is_not_sent_stays(town: Town) -> None:
    ama = town.somebody()
    await town.call("PATCH", "/users/me", WHOLE, by=ama)
    cleared = {"location": None, "address": None, "phone": None, "hourlyRate": None, "bio": None}
    reply = await town.call("PATCH", "/users/me", cleared, by=ama)
    assert {field: reply.data[field] for field in cleared} == cleared
    assert (reply.data["headline"], reply.data["company"]) == ("Plumber for houses", "Kusi & Daughters")
    assert reply.data["version"] == 3


async def test_no_change_makes_no_version_and_no_event(town: Town) -> None:
    ama = town.somebody()
    await town.call("PATCH", "/users/me", WHOLE, by=ama)
    for body in (WHOLE, {}, {"headline": "  Plumber for houses "}):
        reply = await town.call("PATCH", "/users/me", body, by=ama)
        assert (reply.status, reply.data["version"]) == (200, 2)
    assert await town.events(ama) == [("user.profile_updated.v1", 1)]


async def test_a_stale_version_changes_nothing(town: Town) -> None:
    ama = town.somebody()
    first = await town.call("GET", "/users/me", by=ama)
    tag = first.headers["etag"]
    fresh = await town.call("PATCH", "/users/me", {"headline": "One"}, by=ama, headers={"If-Match": tag})
    assert (fresh.status, fresh.headers["etag"]) == (200, '"2"')
    for stale in (tag, '"3"', 'W/"2"', "2", '"abc"', '"2", "3"'):
        reply = await town.call("PATCH", "/users/me", {"headline": "Two"}, by=ama, headers={"If-Match": stale})
        assert (reply.status, reply.data["code"]) == (412, "precondition_failed"), stale
    assert (await town.stored(ama))["headline"] == "One"
    anyway = await town.call("PATCH", "/users/me", {"headline": "Three"}, by=ama, headers={"If-Match": "*"})
    assert anyway.status == 200


async def test_of_two_edits_on_one_version_one_wins(town: Town) -> None:
    ama = town.somebody()
    tag = (await town.call("GET", "/users/me", by=ama)).headers["etag"]
    replies = await asyncio.gather(
        *(
            town.call("PATCH", "/users/me", {"headline": f"Number {number}"}, by=ama, headers={"If-Match": tag})
            for number in range(8)
        )
    )
    assert sorted(reply.status for reply in replies) == [200] + [412] * 7
    assert await town.events(ama) == [("user.profile_updated.v1", 1)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"headline": ""}, "headline"),
        ({"headline": "x" * 121}, "headline"),
        ({"headline": "   "}, "headline"),
        ({"headline": "two\nlines"}, "headline"),
        ({"bio": "evil \u202etxt"}, "bio"),
        ({"headline": "<script>alert(1)</script>"}, "headline"),
        ({"headline": "Plumber \u202etxt"}, "headline"),
        ({"company": "<b>Kofi</b> & Sons"}, "company"),
        ({"location": PLACE | {"city": "<i>Accra"}}, "location.city"),
        ({"location": PLACE | {"region": "Ashantii"}}, "location.region"),
        ({"hourlyRate": {"amount": 100, "currency": "QQQ"}}, "hourlyRate.currency"),
        ({"bio": "x" * 4001}, "bio"),
        ({"company": "bell\u0007"}, "company"),
        ({"languages": ["english"]}, "languages[0]"),
        ({"languages": ["en"] * 11}, "languages"),
        ({"phone": "12"}, "phone"),
        ({"phone": "0000000000"}, "phone"),
        ({"location": PLACE | {"coordinates": [-0.18]}}, "location.coordinates"),
        ({"location": PLACE | {"coordinates": [-0.18, 95]}}, "location.coordinates[1]"),
        ({"location": PLACE | {"coordinates": [181, 5]}}, "location.coordinates[0]"),
        ({"location": PLACE | {"city": " "}}, "location.city"),
        ({"hourlyRate": {"amount": 0}}, "hourlyRate.amount"),
        ({"hourlyRate": {"amount": 2**53}}, "hourlyRate.amount"),
        ({"hourlyRate": {"amount": 4.5}}, "hourlyRate.amount"),
        ({"hourlyRate": {"amount": 100, "currency": "ghs"}}, "hourlyRate.currency"),
        ({"role": "admin"}, "role"),
        ({"ratingMilli": 5000}, "ratingMilli"),
        ([], ""),
    ],
)
async def test_bad_input_names_the_field_and_changes_nothing(town: Town, body: Any, field: str) -> None:
    ama = town.somebody()
    before = (await town.call("GET", "/users/me", by=ama)).data
    reply = await town.call("PATCH", "/users/me", body, by=ama)
    assert reply.status == 400, reply.data
    assert reply.data["code"] == "bad_input"
    assert reply.data["errors"][0]["field"] == field
    assert (await town.call("GET", "/users/me", by=ama)).data == before


async def test_a_hirer_has_no_rate(town: Town) -> None:
    kofi = town.somebody(Role.HIRER)
    reply = await town.call("PATCH", "/users/me", {"hourlyRate": {"amount": 100}}, by=kofi)
    assert (reply.status, reply.data["errors"][0]["field"]) == (400, "hourlyRate")


async def test_operators_in_an_id_find_nobody(town: Town) -> None:
    guest = town.somebody(Role.HIRER)
    for user_id in ("nobody", "$ne", "%7B%22$ne%22:1%7D", "x" * 2000):
        assert (await town.call("GET", f"/users/{user_id}", by=guest)).status == 404


async def test_strangers_are_refused(town: Town) -> None:
    ama = await town.worker("plumbing")
    before = await town.stored(ama)
    assert (await town.call("GET", "/users/me")).status == 401
    assert (await town.call("PATCH", "/users/me", {"headline": "Mine now"})).status == 401
    assert (await town.call("PATCH", "/users/me", {"headline": "Mine"}, by=ama, caller="job")).status == 403
    assert (await town.call("GET", f"/users/{ama.user_id}")).status == 401
    kofi = town.somebody(Role.HIRER)
    for path in ("skills", "availability", "experience", "portfolio", "certificates"):
        assert (await town.call("GET", f"/users/me/{path}", by=kofi)).status == 403
    assert (await town.call("PUT", "/users/me/skills", {"skills": ["tiling"]}, by=kofi)).status == 403
    assert await town.stored(ama) == before


async def test_a_worker_page_is_for_workers(town: Town) -> None:
    ama, kofi = await town.worker("plumbing"), town.somebody(Role.HIRER)
    await town.call("GET", "/users/me", by=kofi)
    shown = await town.call("GET", f"/workers/{ama.user_id}")
    assert (shown.status, shown.data["skills"]) == (200, [{"id": "plumber", "name": "Plumber", "years": None}])
    assert (await town.call("GET", f"/workers/{kofi.user_id}")).status == 404
    assert (await town.call("GET", f"/users/{kofi.user_id}", by=ama)).data["role"] == "hirer"
