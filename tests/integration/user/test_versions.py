"""What each edit made of a person's own fields, going back to how they read, and that nobody else can."""

import pytest

from kelmah.contracts.common import Role
from kelmah.services.user.documents import versions
from tests.integration.user.conftest import Town
from tests.integration.user.test_lifecycle import delete
from tests.integration.user.test_search import ACCRA, at, found

VERSIONS = "/users/me/versions"


async def test_each_edit_is_told_with_what_was_there_before(town: Town, word: str) -> None:
    ama = await town.worker("tiling", profile={"headline": word})
    edits = ({"headline": "Two", "bio": "B", "phone": "0241234567"}, {"bio": "B"}, {"bio": None, "languages": ["en"]})
    for body in edits:
        await town.call("PATCH", "/users/me", body, by=ama)
    await town.call("PUT", "/users/me/availability", {"status": "busy"}, by=ama)
    last, second = (await town.call("GET", f"{VERSIONS}?limit=2", by=ama)).data["items"]
    assert [(one["field"], one["before"], one["after"]) for one in last["diff"]] == [
        ("bio", "B", None),
        ("languages", [], ["en"]),
    ]
    assert {one["field"]: (one["before"], one["after"]) for one in second["diff"]} == {
        "headline": (word, "Two"),
        "bio": (None, "B"),
        "phone": (None, "+233241234567"),
    }
    # What was sealed stays sealed.
    rows = await town.context.mongo.collection("profile_versions").find({"user_id": ama.user_id}).to_list()
    assert "233241234567" not in str(rows)
    assert word not in str(rows)


async def test_own_fields_can_read_again_as_they_did(town: Town, word: str) -> None:
    ama = await town.worker("tiling", profile={"headline": word, "location": at((ACCRA[0] + 0.001234, ACCRA[1]))})
    before = (await town.call("GET", "/users/me", by=ama)).data
    body = {"headline": "Other", "bio": "New", "location": None, "hourlyRate": {"amount": 100}}
    changed = await town.call("PATCH", "/users/me", body, by=ama)
    assert await found(town, q=word) == []
    path = f"{VERSIONS}/{before['version']}/restore"
    stale = await town.call("POST", path, by=ama, headers={"If-Match": '"1"'})
    assert (stale.status, stale.data["code"]) == (412, "precondition_failed")
    back = await town.call("POST", path, by=ama, headers={"If-Match": changed.headers["etag"]})
    assert back.status == 200
    same = {name: value for name, value in before.items() if name not in ("version", "updatedAt")}
    assert {name: back.data[name] for name in same} == same
    assert await found(town, q=word) == [ama.user_id]
    # Again there is nothing to do; and going back can be undone as well.
    assert (await town.call("POST", path, by=ama)).data["version"] == back.data["version"]
    undone = await town.call("POST", f"{VERSIONS}/{changed.data['version']}/restore", by=ama)
    assert (undone.data["headline"], undone.data["location"]) == ("Other", None)


@pytest.mark.parametrize("version", ["99", "-1", "0", "9" * 30])
async def test_a_version_that_never_was_restores_nothing(town: Town, version: str) -> None:
    ama = await town.worker(profile={"headline": "One"})
    before = await town.stored(ama)
    reply = await town.call("POST", f"{VERSIONS}/{version}/restore", by=ama)
    assert (reply.status, reply.data["code"]) == (404, "user.version_not_found")
    assert await town.stored(ama) == before


async def test_nobody_elses_past_is_shown_or_restored(town: Town) -> None:
    ama, kofi = await town.worker(profile={"headline": "One"}), town.somebody(Role.HIRER)
    await town.call("PATCH", "/users/me", {"headline": "Two"}, by=ama)
    assert (await town.call("GET", VERSIONS, by=kofi)).data == {"items": [], "nextCursor": None}
    assert (await town.call("POST", f"{VERSIONS}/2/restore", by=kofi)).status == 404
    for method, path in (("GET", VERSIONS), ("POST", f"{VERSIONS}/2/restore")):
        assert (await town.call(method, path)).status == 401
    assert (await town.call("GET", f"{VERSIONS}?cursor=abc", by=ama)).status == 400


async def test_the_past_goes_with_its_person_and_old_parts_of_it_in_time(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "KEPT", 3)
    ama = await town.worker()
    for number in range(6):
        await town.call("PATCH", "/users/me", {"headline": f"Number {number}"}, by=ama)
    kept = (await town.call("GET", VERSIONS, by=ama)).data["items"]
    assert [one["diff"][0]["after"] for one in kept] == ["Number 5", "Number 4", "Number 3"]
    first = (await town.call("GET", f"{VERSIONS}?limit=1", by=ama)).data
    rest = (await town.call("GET", f"{VERSIONS}?cursor={first['nextCursor']}", by=ama)).data
    assert first["items"] + rest["items"] == kept
    assert (await town.call("GET", "/users/me/export", by=ama)).data["versions"] == kept
    await delete(town, ama)
    assert await town.context.mongo.collection("profile_versions").count_documents({"user_id": ama.user_id}) == 0
