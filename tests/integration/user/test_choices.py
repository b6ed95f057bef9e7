"""Availability, settings, notification preferences and bookmarks."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from kelmah.contracts.common import Role
from kelmah.contracts.user import NotificationKind
from kelmah.kit import clock
from tests.integration.user.conftest import Town

PREFERENCES = "/users/me/notification-preferences"


def day(ahead: int) -> str:
    return (clock.now() + timedelta(days=ahead)).date().isoformat()


async def test_availability_is_kept_in_order(town: Town) -> None:
    ama = town.somebody()
    default = await town.call("GET", "/users/me/availability", by=ama)
    assert default.data == {"status": "available", "timeZone": "Africa/Accra", "weekly": [], "exceptions": []}
    body = {
        "status": "available",
        "timeZone": "Africa/Lagos",
        "weekly": [
            {"day": 3, "start": "13:00", "end": "24:00"},
            {"day": 1, "start": "08:00", "end": "12:00"},
            {"day": 3, "start": "08:00", "end": "13:00"},
        ],
        "exceptions": [{"day": day(9), "isAvailable": True}, {"day": day(2)}],
    }
    reply = await town.call("PUT", "/users/me/availability", body, by=ama)
    assert reply.status == 200
    assert [(slot["day"], slot["start"]) for slot in reply.data["weekly"]] == [
        (1, "08:00"),
        (3, "08:00"),
        (3, "13:00"),
    ]
    assert reply.data["exceptions"] == [
        {"day": day(2), "isAvailable": False},
        {"day": day(9), "isAvailable": True},
    ]
    assert (await town.call("GET", "/users/me/availability", by=ama)).data == reply.data
    assert await town.events(ama) == [("user.profile_updated.v1", 1)]
    same = await town.call("PUT", "/users/me/availability", reply.data, by=ama)
    assert same.headers["etag"] == reply.headers["etag"] == '"2"'


async def test_a_new_status_is_told(town: Town) -> None:
    ama = town.somebody()
    assert (await town.call("PUT", "/users/me/availability", {"status": "busy"}, by=ama)).status == 200
    assert await town.events(ama) == [("user.profile_updated.v1", 1), ("user.status_changed.v1", 2)]
    row = await town.context.mongo.collection("events").find_one(
        {"subject": f"user:{ama.user_id}", "type": "user.status_changed.v1"}
    )
    assert row is not None
    assert row["data"] == f'{{"userId":"{ama.user_id}","status":"busy"}}'
    assert (await town.call("GET", "/users/me", by=ama)).data["status"] == "busy"
    assert (await town.call("PUT", "/users/me/availability", {"status": "busy"}, by=ama)).status == 200
    assert len(await town.events(ama)) == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"status": "asleep"}, "status"),
        ({"timeZone": "Accra/Africa"}, "timeZone"),
        ({"timeZone": "../../etc/passwd"}, "timeZone"),
        ({"weekly": [{"day": 0, "start": "08:00", "end": "09:00"}]}, "weekly[0].day"),
        ({"weekly": [{"day": 8, "start": "08:00", "end": "09:00"}]}, "weekly[0].day"),
        ({"weekly": [{"day": 1, "start": "8:00", "end": "09:00"}]}, "weekly[0].start"),
        ({"weekly": [{"day": 1, "start": "22:00", "end": "02:00"}]}, "weekly[0].end"),
        (
            {"weekly": [{"day": 1, "start": "08:00", "end": "12:00"}, {"day": 1, "start": "11:59", "end": "13:00"}]},
            "weekly[1]",
        ),
        ({"exceptions": [{"day": day(-2)}]}, "exceptions[0].day"),
        ({"exceptions": [{"day": day(400)}]}, "exceptions[0].day"),
        ({"exceptions": [{"day": day(5)}, {"day": day(5), "isAvailable": True}]}, "exceptions[1].day"),
        ({"exceptions": [{"day": day(5)}] * 101}, "exceptions"),
    ],
)
async def test_bad_availability_changes_nothing(town: Town, body: dict[str, Any], field: str) -> None:
    ama = town.somebody()
    reply = await town.call("PUT", "/users/me/availability", body, by=ama)
    assert (reply.status, reply.data["errors"][0]["field"]) == (400, field)
    assert await town.events(ama) == []
    assert (await town.call("GET", "/users/me/availability", by=ama)).headers["etag"] == '"1"'


async def test_a_past_exception_may_be_sent_back(town: Town) -> None:
    ama = town.somebody()
    body = {"exceptions": [{"day": day(1)}]}
    await town.call("PUT", "/users/me/availability", body, by=ama)
    clock.shift(timedelta(days=3))
    try:
        again = await town.call("PUT", "/users/me/availability", body | {"status": "busy"}, by=ama)
        assert again.status == 200
        new = await town.call("PUT", "/users/me/availability", {"exceptions": [{"day": day(-1)}]}, by=ama)
        assert new.status == 400
    finally:
        clock.reset()


async def test_settings_have_defaults_and_are_replaced_whole(town: Town) -> None:
    kofi = town.somebody(Role.HIRER)
    default = {"locale": "en", "timeZone": "Africa/Accra", "currency": "GHS", "isDiscoverable": True}
    assert (await town.call("GET", "/users/me/settings", by=kofi)).data == default
    reply = await town.call("PUT", "/users/me/settings", {"locale": "fr-CI", "isDiscoverable": False}, by=kofi)
    assert reply.data == default | {"locale": "fr-CI", "isDiscoverable": False}
    assert (await town.call("GET", "/users/me/settings", by=kofi)).data == reply.data
    for body, field in (
        ({"locale": "klingon"}, "locale"),
        ({"timeZone": "Mars/Olympus"}, "timeZone"),
        ({"currency": "cedi"}, "currency"),
        ({"currency": "QQQ"}, "currency"),
        ({"theme": "dark"}, "theme"),
    ):
        bad = await town.call("PUT", "/users/me/settings", body, by=kofi)
        assert (bad.status, bad.data["errors"][0]["field"]) == (400, field)
    assert (await town.call("GET", "/users/me/settings", by=kofi)).data == reply.data
    assert (await town.call("GET", "/users/me/settings")).status == 401


async def test_notification_preferences(town: Town) -> None:
    kofi = town.somebody(Role.HIRER)
    default = (await town.call("GET", PREFERENCES, by=kofi)).data
    assert (default["userId"], default["locale"], default["timeZone"]) == (kofi.user_id, "en", "Africa/Accra")
    assert set(default["channels"]) == {kind.value for kind in NotificationKind}
    assert default["channels"]["payments"] == {"inApp": True, "email": True, "sms": True, "push": True}
    silent = {"inApp": True, "email": False, "sms": False, "push": False}
    reply = await town.call("PUT", PREFERENCES, {"channels": {"payments": silent}}, by=kofi)
    assert reply.status == 200
    assert reply.data["channels"] == default["channels"] | {"payments": silent}
    assert (await town.call("GET", PREFERENCES, by=kofi)).data == reply.data
    seen = await town.service.call("GET", f"/internal/notification-preferences/{kofi.user_id}", caller="messaging")
    assert seen.data == reply.data
    back = await town.call("PUT", PREFERENCES, {"channels": {}}, by=kofi)
    assert back.data == default


@pytest.mark.parametrize(
    ("channels", "field"),
    [
        ({"security": {"inApp": True, "email": False, "sms": True, "push": True}}, "channels.security"),
        ({"weather": {"inApp": True, "email": True, "sms": True, "push": True}}, "channels"),
        ({"news": {"inApp": True}}, "channels"),
        ({"news": {"inApp": "loud", "email": True, "sms": True, "push": True}}, "channels"),
    ],
)
async def test_bad_preferences_change_nothing(town: Town, channels: dict[str, Any], field: str) -> None:
    kofi = town.somebody(Role.HIRER)
    before = (await town.call("GET", PREFERENCES, by=kofi)).data
    reply = await town.call("PUT", PREFERENCES, {"channels": channels}, by=kofi)
    assert reply.status == 400
    assert reply.data["errors"][0]["field"].startswith(field)
    assert (await town.call("GET", PREFERENCES, by=kofi)).data == before


async def test_a_mails_link_ends_mails_of_its_kind_alone(town: Town) -> None:
    kofi = town.somebody(Role.HIRER)
    before = (await town.call("GET", PREFERENCES, by=kofi)).data["channels"]
    path = f"/internal/notification-preferences/{kofi.user_id}/unsubscribe"
    for _ in range(2):
        assert (await town.service.call("POST", f"{path}/contracts", caller="messaging")).status == 204
    after = (await town.call("GET", PREFERENCES, by=kofi)).data["channels"]
    assert after == before | {"contracts": {"inApp": True, "email": False, "sms": True, "push": True}}
    for refused, status in (("security", 400), ("weather", 400)):
        assert (await town.service.call("POST", f"{path}/{refused}", caller="messaging")).status == status
    assert (await town.service.call("POST", f"{path}/news", caller="job")).status == 403
    assert (await town.call("GET", PREFERENCES, by=kofi)).data["channels"] == after


async def test_bookmarks(town: Town) -> None:
    kofi = town.somebody(Role.HIRER)
    workers = [await town.worker("plumbing", first_name=name) for name in ("Ama", "Esi", "Adwoa")]
    for worker in workers:
        replies = await asyncio.gather(
            *(town.call("POST", "/users/me/bookmarks", {"userId": worker.user_id}, by=kofi) for _ in range(5))
        )
        assert {reply.status for reply in replies} == {201}
        assert len({reply.body for reply in replies}) == 1
    assert (await town.stored(kofi))["bookmark_count"] == 3
    first = await town.call("GET", "/users/me/bookmarks?limit=2", by=kofi)
    second = await town.call("GET", f"/users/me/bookmarks?limit=2&cursor={first.data['nextCursor']}", by=kofi)
    listed = [one["userId"] for one in first.data["items"] + second.data["items"]]
    assert listed == [worker.user_id for worker in reversed(workers)]
    assert second.data["nextCursor"] is None
    assert second.data["items"][0]["displayName"] == "Ama K."
    assert (await town.call("DELETE", f"/users/me/bookmarks/{workers[0].user_id}", by=workers[1])).status == 404
    assert (await town.call("DELETE", f"/users/me/bookmarks/{workers[0].user_id}", by=kofi)).status == 204
    assert (await town.call("DELETE", f"/users/me/bookmarks/{workers[0].user_id}", by=kofi)).status == 404
    assert (await town.stored(kofi))["bookmark_count"] == 2


async def test_bookmarks_that_do_not_fit(town: Town) -> None:
    kofi, ama = town.somebody(Role.HIRER), await town.worker("plumbing")
    own = await town.call("POST", "/users/me/bookmarks", {"userId": kofi.user_id}, by=kofi)
    assert (own.status, own.data["errors"][0]["field"]) == (400, "userId")
    assert (await town.call("POST", "/users/me/bookmarks", {"userId": "nobody"}, by=kofi)).status == 404
    assert (await town.call("POST", "/users/me/bookmarks", {"userId": {"$ne": 1}}, by=kofi)).status == 400
    assert (await town.call("POST", "/users/me/bookmarks", {"userId": ama.user_id})).status == 401
    profiles = town.context.mongo.collection("profiles")
    await profiles.update_one({"_id": kofi.user_id}, {"$set": {"bookmark_count": 1000}})
    full = await town.call("POST", "/users/me/bookmarks", {"userId": ama.user_id}, by=kofi)
    assert (full.status, full.data["code"]) == (409, "user.too_many_entries")
    for query in ("limit=0", "limit=101", "cursor=abc", "cursor=W10"):
        assert (await town.call("GET", f"/users/me/bookmarks?{query}", by=kofi)).status == 400
    assert (await town.call("GET", "/users/me/bookmarks", by=kofi)).data == {"items": [], "nextCursor": None}
