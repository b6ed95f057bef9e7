"""Skills, experience, portfolio and certificates."""

import asyncio
from typing import Any

import pytest

from kelmah.contracts.common import Role
from tests.integration.user.conftest import Town

EXPERIENCE = {
    "title": "Site plumber",
    "employer": "Accra Builders",
    "description": None,
    "startedOn": "2019-03-01",
    "endedOn": "2021-06-30",
}
WORK = {"title": "Bathroom in Osu", "description": "Tiles and pipes", "skills": ["plumber"], "completedOn": None}
CERTIFICATE = {
    "title": "NVTI Grade I",
    "issuer": "NVTI",
    "number": "GHA-778812",
    "issuedOn": "2018-01-15",
    "expiresOn": "2031-01-15",
}
KINDS = [("experience", EXPERIENCE), ("portfolio", WORK), ("certificates", CERTIFICATE)]


async def test_skills_are_said_in_any_word(town: Town) -> None:
    ama = town.somebody()
    body = {"skills": ["Sparky", {"skill": "fundi bomba", "years": 7}]}
    reply = await town.call("PUT", "/users/me/skills", body, by=ama)
    assert reply.status == 200
    assert reply.data == {
        "items": [
            {"id": "electrician", "name": "Electrician", "years": None},
            {"id": "plumber", "name": "Plumber", "years": 7},
        ],
        "nextCursor": None,
    }
    assert reply.headers["etag"] == '"2"'
    assert (await town.call("GET", "/users/me/skills", by=ama)).data == reply.data
    again = await town.call("PUT", "/users/me/skills", body, by=ama)
    assert again.headers["etag"] == '"2"'
    assert await town.events(ama) == [("user.profile_updated.v1", 1)]
    stale = await town.call("PUT", "/users/me/skills", {"skills": []}, by=ama, headers={"If-Match": '"1"'})
    assert stale.status == 412
    emptied = await town.call("PUT", "/users/me/skills", {"skills": []}, by=ama)
    assert emptied.data["items"] == []


@pytest.mark.parametrize(
    ("skills", "field", "says"),
    [
        (["plummer"], "skills[0]", "did you mean Plumber?"),
        (["plumbing", "zzzzqq"], "skills[1]", "/skills"),
        (["plumber", "plumbing"], "skills[1]", "already"),
        (["plumbing"] * 31, "skills", "30"),
        ([""], "skills[0]", ""),
        ([{"skill": "plumbing", "years": -1}], "skills[0].years", ""),
        ([{"skill": "plumbing", "level": 3}], "skills[0].level", ""),
        ([{"$ne": 1}], "skills[0].$ne", ""),
    ],
)
async def test_skills_that_do_not_fit_change_nothing(town: Town, skills: list[Any], field: str, says: str) -> None:
    ama = await town.worker("tiling")
    before = await town.stored(ama)
    reply = await town.call("PUT", "/users/me/skills", {"skills": skills}, by=ama)
    assert reply.status == 400
    assert reply.data["errors"][0]["field"] == field
    assert says in reply.data["errors"][0]["message"]
    assert await town.stored(ama) == before


async def test_ten_thousand_skills_are_refused(town: Town) -> None:
    ama = town.somebody()
    reply = await town.call("PUT", "/users/me/skills", {"skills": ["plumbing"] * 10_000}, by=ama)
    assert (reply.status, reply.data["errors"][0]["field"]) == (400, "skills")


@pytest.mark.parametrize(("kind", "body"), KINDS)
async def test_entries_are_added_replaced_and_removed(town: Town, kind: str, body: dict[str, Any]) -> None:
    ama = town.somebody()
    added = await town.call("POST", f"/users/me/{kind}", body, by=ama)
    assert added.status == 201
    entry = added.data
    expected = body | ({"skills": ["plumber"], "images": []} if kind == "portfolio" else {})
    expected |= {"verification": "unverified", "note": None} if kind == "certificates" else {}
    assert entry == expected | {"id": entry["id"]}
    listed = await town.call("GET", f"/users/me/{kind}", by=ama)
    assert listed.data == {"items": [entry], "nextCursor": None}
    replaced = await town.call("PUT", f"/users/me/{kind}/{entry['id']}", body | {"title": "Another"}, by=ama)
    assert (replaced.status, replaced.data) == (200, entry | {"title": "Another"})
    removed = await town.call("DELETE", f"/users/me/{kind}/{entry['id']}", by=ama)
    assert (removed.status, removed.body) == (204, b"")
    assert (await town.call("GET", f"/users/me/{kind}", by=ama)).data["items"] == []
    assert (await town.call("DELETE", f"/users/me/{kind}/{entry['id']}", by=ama)).status == 404
    assert (await town.call("PUT", f"/users/me/{kind}/{entry['id']}", body, by=ama)).status == 404
    assert await town.events(ama) == [("user.profile_updated.v1", number) for number in (1, 2, 3)]


@pytest.mark.parametrize(("kind", "body"), KINDS)
async def test_somebody_elses_entry_is_not_there(town: Town, kind: str, body: dict[str, Any]) -> None:
    ama, esi, kofi = town.somebody(), town.somebody(), town.somebody(Role.HIRER)
    entry = (await town.call("POST", f"/users/me/{kind}", body, by=ama)).data
    before = await town.stored(ama)
    for method, more in (("PUT", body), ("DELETE", None)):
        path = f"/users/me/{kind}/{entry['id']}"
        assert (await town.call(method, path, more, by=esi)).status == 404
        assert (await town.call(method, path, more, by=kofi)).status == 403
        assert (await town.call(method, path, more)).status == 401
    assert await town.stored(ama) == before


async def test_others_see_entries_without_the_number(town: Town) -> None:
    ama = town.somebody()
    for kind, body in KINDS:
        await town.call("POST", f"/users/me/{kind}", body, by=ama)
    shown = (await town.call("GET", f"/workers/{ama.user_id}")).data
    assert [one["title"] for one in shown["experience"]] == ["Site plumber"]
    assert [one["skills"] for one in shown["portfolio"]] == [["plumber"]]
    assert [(one["title"], one["number"]) for one in shown["certificates"]] == [("NVTI Grade I", None)]
    assert "778812" not in repr(await town.stored(ama))


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("experience", EXPERIENCE | {"endedOn": "2018-01-01"}, "endedOn"),
        ("experience", EXPERIENCE | {"startedOn": "2999-01-01", "endedOn": None}, "startedOn"),
        ("experience", EXPERIENCE | {"endedOn": "2999-01-01"}, "endedOn"),
        ("experience", EXPERIENCE | {"startedOn": "01.03.2019"}, "startedOn"),
        ("experience", EXPERIENCE | {"title": "\u200b\u202e"}, "title"),
        ("experience", EXPERIENCE | {"employer": "<b>Kofi</b>"}, "employer"),
        ("experience", EXPERIENCE | {"description": "nul\u0000"}, "description"),
        ("portfolio", WORK | {"title": "<script>alert(1)</script>"}, "title"),
        ("portfolio", WORK | {"description": "evil\u202etxt"}, "description"),
        ("certificates", CERTIFICATE | {"title": "\u200b\u2060"}, "title"),
        ("certificates", CERTIFICATE | {"issuer": "isolate\u2066d"}, "issuer"),
        ("certificates", CERTIFICATE | {"number": "7\u00078"}, "number"),
        ("portfolio", WORK | {"skills": ["zzzzqq"]}, "skills[0]"),
        ("portfolio", WORK | {"completedOn": "2999-01-01"}, "completedOn"),
        ("certificates", CERTIFICATE | {"expiresOn": "2017-01-01"}, "expiresOn"),
        ("certificates", CERTIFICATE | {"verification": "verified"}, "verification"),
    ],
)
async def test_bad_entries_change_nothing(town: Town, kind: str, body: dict[str, Any], field: str) -> None:
    ama = town.somebody()
    reply = await town.call("POST", f"/users/me/{kind}", body, by=ama)
    assert (reply.status, reply.data["errors"][0]["field"]) == (400, field)
    assert (await town.call("GET", f"/users/me/{kind}", by=ama)).data["items"] == []


async def test_a_list_never_holds_more_than_its_limit(town: Town) -> None:
    ama = town.somebody()
    for _ in range(47):
        assert (await town.call("POST", "/users/me/portfolio", WORK, by=ama)).status == 201
    replies = await asyncio.gather(*(town.call("POST", "/users/me/portfolio", WORK, by=ama) for _ in range(8)))
    assert sorted(reply.status for reply in replies) == [201] * 3 + [409] * 5
    assert {reply.data["code"] for reply in replies if reply.status == 409} == {"user.too_many_entries"}
    assert len((await town.call("GET", "/users/me/portfolio", by=ama)).data["items"]) == 50


async def test_a_changed_certificate_is_unverified_again(town: Town) -> None:
    ama = town.somebody()
    entry = (await town.call("POST", "/users/me/certificates", CERTIFICATE, by=ama)).data
    profiles = town.context.mongo.collection("profiles")
    await profiles.update_one({"_id": ama.user_id}, {"$set": {"certificates.0.verification": "verified"}})
    assert (await town.call("GET", "/users/me/certificates", by=ama)).data["items"][0]["verification"] == "verified"
    reply = await town.call("PUT", f"/users/me/certificates/{entry['id']}", CERTIFICATE, by=ama)
    assert reply.data["verification"] == "unverified"


async def test_the_same_post_again_adds_once(town: Town) -> None:
    ama = town.somebody()
    headers = {"Idempotency-Key": "one"}
    first = await town.call("POST", "/users/me/experience", EXPERIENCE, by=ama, headers=headers)
    second = await town.call("POST", "/users/me/experience", EXPERIENCE, by=ama, headers=headers)
    assert (second.status, second.data, second.headers["idempotent-replayed"]) == (201, first.data, "true")
    assert len((await town.call("GET", "/users/me/experience", by=ama)).data["items"]) == 1
