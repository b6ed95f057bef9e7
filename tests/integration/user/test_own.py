"""Who sees what of a profile, what it lacks, what changed, and a copy of everything."""

from typing import Any

import pytest

from kelmah.contracts.common import Role
from kelmah.contracts.job import ApplicationAccepted
from kelmah.kit.context import Principal
from tests.integration.user.conftest import Town
from tests.integration.user.test_analytics import hear, told
from tests.integration.user.test_images import item, jpeg, upload
from tests.integration.user.test_search import ACCRA, at, found

SEALED = {"phone", "address", "fullName", "exactLocation"}
PARTS = SEALED | {"bio", "company", "experience", "portfolio", "certificates"}


async def hires(town: Town, hirer: Principal, worker: Principal) -> None:
    event = ApplicationAccepted(
        application_id="a", job_id="j", contract_id="c", hirer_id=hirer.user_id, worker_id=worker.user_id
    )
    await hear(town, [told(event)])


async def whole(town: Town, word: str) -> Principal:
    """A worker whose profile has every part."""
    body = {
        "headline": word,
        "bio": f"bio{word}",
        "company": f"co{word}",
        "phone": "+233241234567",
        "address": "12 Palm Street",
        "location": at((ACCRA[0] + 0.001234, ACCRA[1])),
    }
    ama = await town.worker("tiling", profile=body)
    await town.call("POST", "/users/me/experience", {"title": "Mate", "startedOn": "2020-01-01"}, by=ama)
    certificate = {"title": "NVTI", "issuer": "NVTI", "issuedOn": "2020-01-01"}
    await town.call("POST", "/users/me/certificates", certificate, by=ama)
    await upload(town, await item(town, ama), jpeg(), ama)
    return ama


async def set_all(town: Town, by: Principal, to: str) -> None:
    reply = await town.call("PUT", "/users/me/visibility", {"parts": dict.fromkeys(PARTS, to)}, by=by)
    assert (reply.status, reply.data) == (200, {"parts": dict.fromkeys(PARTS, to)})


async def seen(town: Town, of: Principal, by: Principal | None) -> set[str]:
    """The parts that a viewer sees."""
    reply = await town.call("GET", f"/workers/{of.user_id}", by=by)
    assert reply.status == 200
    found = {part for part in PARTS - {"exactLocation"} if reply.data.get(part)}
    return found | ({"exactLocation"} if reply.data["location"]["coordinates"][0] == ACCRA[0] + 0.001234 else set())


async def test_each_part_is_seen_by_whom_it_is_for(town: Town, word: str) -> None:
    ama, hirer, stranger = await whole(town, word), town.somebody(Role.HIRER), town.somebody(Role.HIRER)
    await hires(town, hirer, ama)
    assert await seen(town, ama, None) == await seen(town, ama, hirer) == PARTS - SEALED
    for to, for_hirer, for_others in (
        ("public", PARTS, PARTS),
        ("counterpart", PARTS, set()),
        ("private", set(), set()),
    ):
        await set_all(town, ama, to)
        assert await seen(town, ama, hirer) == for_hirer
        assert await seen(town, ama, stranger) == await seen(town, ama, None) == for_others
    assert (await town.call("PUT", "/users/me/visibility", {"parts": {}}, by=ama)).status == 200
    assert await seen(town, ama, None) == PARTS - SEALED


async def test_hidden_words_find_nobody_and_hidden_pictures_are_not_shown(town: Town, word: str) -> None:
    ama, hirer = await whole(town, word), town.somebody(Role.HIRER)
    await hires(town, hirer, ama)
    portfolio = (await town.call("GET", "/users/me/portfolio", by=ama)).data["items"]
    path = f"/workers/{ama.user_id}/images/{portfolio[0]['images'][0]['id']}"
    assert await found(town, q=f"bio{word}") == await found(town, q=f"co{word}") == [ama.user_id]
    await set_all(town, ama, "counterpart")
    assert await found(town, q=f"bio{word}") == await found(town, q=f"co{word}") == []
    assert await found(town, q=word) == [ama.user_id]
    statuses = [(await town.call("GET", path, by=by)).status for by in (hirer, ama, None, town.somebody())]
    assert statuses == [200, 200, 404, 404]


async def test_a_hirers_hidden_company_is_not_listed(town: Town, word: str) -> None:
    kofi, ama = town.somebody(Role.HIRER), town.somebody()
    await town.call("PATCH", "/users/me", {"company": "Secret Ltd", "headline": word}, by=kofi)
    await town.call("PUT", "/users/me/visibility", {"parts": {"company": "private"}}, by=kofi)
    [hit] = (await town.call("GET", f"/hirers?q={word}", by=ama)).data["items"]
    assert hit["company"] is None


@pytest.mark.parametrize("parts", [{"skills": "private"}, {"bio": "friends"}, {"bio": None}, [], {"$set": "public"}])
async def test_what_is_no_part_is_refused(town: Town, parts: Any) -> None:
    ama = town.somebody()
    assert (await town.call("PUT", "/users/me/visibility", {"parts": parts}, by=ama)).status == 400
    reply = await town.call("GET", "/users/me/visibility", by=ama)
    assert {part for part, to in reply.data["parts"].items() if to == "private"} == SEALED
    stale = await town.call("PUT", "/users/me/visibility", {"parts": {}}, by=ama, headers={"If-Match": '"9"'})
    assert stale.status == 412
    assert (await town.call("GET", "/users/me/visibility")).status == 401


async def test_completeness_grows_to_a_hundred(town: Town, word: str) -> None:
    ama, kofi = town.somebody(), town.somebody(Role.HIRER)
    fresh = (await town.call("GET", "/users/me/completeness", by=ama)).data
    assert fresh["percent"] == 0
    assert fresh["missing"][0] == {"part": "skills", "points": 25, "hint": "Say which trades you offer."}
    ama = await whole(town, word)
    lacking = (await town.call("GET", "/users/me/completeness", by=ama)).data
    assert {one["part"] for one in lacking["missing"]} == {"hourlyRate", "languages", "availability"}
    assert lacking["percent"] == 81
    await town.call("PATCH", "/users/me", {"hourlyRate": {"amount": 100}, "languages": ["en"]}, by=ama)
    weekly = {"weekly": [{"day": 1, "start": "08:00", "end": "17:00"}]}
    await town.call("PUT", "/users/me/availability", weekly, by=ama)
    assert (await town.call("GET", "/users/me/completeness", by=ama)).data == {"percent": 100, "missing": []}
    hirers = (await town.call("GET", "/users/me/completeness", by=kofi)).data["missing"]
    assert {one["part"] for one in hirers} == {"location", "headline", "bio", "languages", "company"}


async def test_changes_are_listed_the_last_first(town: Town) -> None:
    ama, kofi = town.somebody(), town.somebody()
    for body in ({"headline": "One"}, {"headline": "Two", "bio": "B"}, {"bio": "B"}):
        await town.call("PATCH", "/users/me", body, by=ama)
    await town.call("PUT", "/users/me/availability", {"status": "busy"}, by=ama)
    first = (await town.call("GET", "/users/me/changes?limit=3", by=ama)).data
    rest = (await town.call("GET", f"/users/me/changes?limit=3&cursor={first['nextCursor']}", by=ama)).data
    assert [(one["sequence"], one["event"], one["changed"]) for one in first["items"] + rest["items"]] == [
        (4, "user.status_changed.v1", []),
        (3, "user.profile_updated.v1", ["availability"]),
        (2, "user.profile_updated.v1", ["bio", "headline"]),
        (1, "user.profile_updated.v1", ["headline"]),
    ]
    assert rest["nextCursor"] is None
    assert (await town.call("GET", "/users/me/changes", by=kofi)).data["items"] == []
    assert (await town.call("GET", "/users/me/changes?cursor=abc", by=ama)).status == 400


async def test_the_export_holds_everything_of_the_person_alone(town: Town, word: str) -> None:
    ama, kofi = await whole(town, word), await whole(town, word + "k")
    await town.call("POST", "/users/me/bookmarks", {"userId": kofi.user_id}, by=ama)
    reply = await town.call("GET", "/users/me/export", by=ama)
    assert reply.status == 200
    assert reply.headers["content-disposition"] == 'attachment; filename="kelmah-profile.json"'
    for name, path in (
        ("profile", ""), ("availability", "/availability"), ("settings", "/settings"), ("visibility", "/visibility"),
        ("notificationPreferences", "/notification-preferences"),
    ):  # fmt: skip
        assert reply.data[name] == (await town.call("GET", f"/users/me{path}", by=ama)).data
    for name in ("experience", "portfolio", "certificates", "bookmarks", "bookings"):
        assert reply.data[name] == (await town.call("GET", f"/users/me/{name}", by=ama)).data["items"]
    assert [one["userId"] for one in reply.data["bookmarks"]] == [kofi.user_id]
    assert reply.data["changes"][-1]["sequence"] == 1
    assert reply.data["analytics"]["userId"] == ama.user_id
    assert f"bio{word}k" not in reply.body.decode()
    assert (await town.call("GET", "/users/me/export")).status == 401
