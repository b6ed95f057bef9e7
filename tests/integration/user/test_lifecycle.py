"""Another role is taken over; a person at rest is not found and comes back whole; one who is gone leaves a bare row."""

import asyncio

from kelmah.contracts.auth import AccountDeactivated, AccountDeleted, AccountReactivated, RoleChanged
from kelmah.contracts.common import Role
from kelmah.kit.context import Principal
from kelmah.services.user import service
from tests.fixtures.events import envelope
from tests.integration.user.conftest import Town


async def rest(town: Town, who: Principal, sequence: int) -> None:
    event = AccountDeactivated(user_id=who.user_id, by=who.user_id)
    await service.on_account_deactivated(town.context, envelope(event, sequence=sequence), event)


async def wake(town: Town, who: Principal, sequence: int) -> None:
    event = AccountReactivated(user_id=who.user_id)
    await service.on_account_reactivated(town.context, envelope(event, sequence=sequence), event)


async def delete(town: Town, who: Principal, sequence: int = 100) -> None:
    event = AccountDeleted(user_id=who.user_id)
    del town.auth.contacts[who.user_id]
    for _ in range(2):
        await service.on_account_deleted(town.context, envelope(event, sequence=sequence), event)


async def found(town: Town, word: str) -> list[str]:
    return [one["userId"] for one in (await town.call("GET", f"/workers?q={word}")).data["items"]]


async def test_a_resting_person_is_hidden_and_comes_back(town: Town, word: str) -> None:
    ama = await town.worker("plumbing", profile={"headline": word})
    before = await town.stored(ama)
    assert await found(town, word) == [ama.user_id]
    await rest(town, ama, 5)
    assert await found(town, word) == []
    for path in ("workers", "users"):
        assert (await town.call("GET", f"/{path}/{ama.user_id}", by=town.somebody())).status == 404
    await wake(town, ama, 6)
    assert await found(town, word) == [ama.user_id]
    assert await town.stored(ama) == before | {"life_sequence": 6}


async def test_the_later_word_counts_in_whatever_order_they_come(town: Town, word: str) -> None:
    ama = await town.worker("plumbing", profile={"headline": word})
    await wake(town, ama, 8)
    await rest(town, ama, 7)
    assert await found(town, word) == [ama.user_id]
    await rest(town, ama, 9)
    for late in (8, 9):
        await wake(town, ama, late)
    assert await found(town, word) == []


async def test_a_deleted_person_leaves_a_bare_row(town: Town, word: str) -> None:
    ama = await town.worker("plumbing", profile={"headline": word, "bio": "All about me", "phone": "0241234567"})
    kofi = town.somebody(Role.HIRER, first_name="Kofi")
    await town.call("POST", "/users/me/bookmarks", {"userId": ama.user_id}, by=kofi)
    await town.call("PATCH", "/users/me", {}, by=kofi)
    await delete(town, ama)
    assert await found(town, word) == []
    stored = await town.stored(ama)
    assert (stored["display_name"], stored["is_erased"], stored["listed_as"]) == ("Deleted person", True, None)
    assert (stored["headline"], stored["bio"], stored["skills"], stored["terms"]) == (None, None, [], [])
    assert "Ama" not in str(stored)
    for path in (f"/workers/{ama.user_id}", f"/users/{ama.user_id}"):
        assert (await town.call("GET", path, by=kofi)).status == 404
    assert (await town.call("GET", "/users/me", by=ama)).status == 404
    assert (await town.call("PATCH", "/users/me", {"headline": "Back"}, by=ama)).status == 404
    people = await town.service.call("GET", f"/internal/people?ids={ama.user_id}", caller="messaging")
    assert [one["displayName"] for one in people.data] == ["Deleted person"]
    await wake(town, ama, 200)
    assert (await town.stored(ama))["is_erased"] is True


async def test_the_bookmarks_of_a_deleted_person_go(town: Town) -> None:
    ama, kofi = await town.worker(), town.somebody(Role.HIRER)
    assert (await town.call("POST", "/users/me/bookmarks", {"userId": ama.user_id}, by=kofi)).status in (200, 201)
    rows = town.context.mongo.collection("bookmarks")
    assert await rows.count_documents({"user_id": kofi.user_id}) == 1
    await delete(town, kofi)
    assert await rows.count_documents({"user_id": kofi.user_id}) == 0


async def test_another_role_is_taken_over(town: Town, word: str) -> None:
    ama = await town.worker("tiling", profile={"headline": word})
    event = RoleChanged(user_id=ama.user_id, old_role=Role.WORKER, new_role=Role.HIRER, by="admin")
    told = envelope(event, sequence=2)
    await asyncio.gather(*(service.on_role_changed(town.context, told, event) for _ in range(3)))
    assert await found(town, word) == []
    shown = await town.call("GET", f"/hirers?q={word}", by=town.somebody())
    assert [one["userId"] for one in shown.data["items"]] == [ama.user_id]
    assert (await town.stored(ama))["version"] == 4
