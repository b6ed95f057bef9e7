"""The life of an account: another role, a rest and the end, in whatever order and however often it is told."""

import asyncio
from typing import Any

import msgspec

from kelmah.contracts.auth import AccountDeactivated, AccountDeleted, AccountReactivated, RoleChanged
from kelmah.contracts.common import Event, Role
from kelmah.contracts.events import Envelope
from kelmah.kit import clock
from kelmah.kit.ids import new_id
from kelmah.services.user import service
from tests.integration.user.conftest import Town
from tests.integration.user.test_images import blobs_kept, item, jpeg, timers, upload
from tests.integration.user.test_search import found


def told(event: Event, sequence: int) -> Envelope:
    return Envelope(
        id=new_id(), source="/kelmah/auth", type=event.TYPE, time=clock.now(), subject="account:x", sequence=sequence,
        data=msgspec.Raw(b"{}"), correlationid="c",
    )  # fmt: skip


async def changed(town: Town, event: Any, sequence: int) -> None:
    await service.on_account_changed(town.context, told(event, sequence), event)


async def test_who_rests_is_not_found_until_the_return(town: Town, word: str) -> None:
    ama = await town.worker("tiling", profile={"headline": word})
    rest, back = AccountDeactivated(user_id=ama.user_id, by=ama.user_id), AccountReactivated(user_id=ama.user_id)
    await changed(town, rest, 2)
    assert await found(town, q=word) == []
    await changed(town, back, 3)
    assert await found(town, q=word) == [ama.user_id]
    await changed(town, rest, 2)  # told again, late
    assert await found(town, q=word) == [ama.user_id]
    stranger = AccountDeactivated(user_id="nobody", by="nobody")
    await changed(town, stranger, 1)
    assert await town.context.mongo.collection("profiles").find_one({"_id": "nobody"}) is None


async def test_another_role_is_taken_over(town: Town, word: str) -> None:
    ama = await town.worker("tiling", profile={"headline": word})
    event = RoleChanged(user_id=ama.user_id, old_role=Role.WORKER, new_role=Role.HIRER, by="admin")
    await asyncio.gather(*(changed(town, event, 2) for _ in range(3)))
    assert await found(town, q=word) == []
    shown = await town.call("GET", f"/hirers?q={word}", by=town.somebody())
    assert [one["userId"] for one in shown.data["items"]] == [ama.user_id]
    assert (await town.stored(ama))["version"] == 4


async def test_of_a_deleted_account_nothing_stays_but_bare_ids(town: Town, word: str) -> None:
    ama, kofi = await town.worker("tiling", profile={"headline": word, "phone": "0244123456"}), town.somebody()
    image = str((await upload(town, await item(town, ama), jpeg(), ama)).data["id"])
    await town.call("GET", "/users/me", by=kofi)
    for by, of in ((ama, kofi), (kofi, ama)):
        assert (await town.call("POST", "/users/me/bookmarks", {"userId": of.user_id}, by=by)).status == 201
    del town.auth.contacts[ama.user_id]
    event = AccountDeleted(user_id=ama.user_id)
    for _ in range(2):
        await service.on_account_deleted(town.context, told(event, 9), event)
    assert await found(town, q=word) == []
    for path in (f"/users/{ama.user_id}", f"/workers/{ama.user_id}/images/{image}"):
        assert (await town.call("GET", path, by=kofi)).status == 404
    assert (await town.call("GET", "/users/me", by=ama)).status == 404
    assert (await town.call("GET", "/users/me/bookmarks", by=kofi)).data["items"] == []
    mongo = town.context.mongo
    assert await mongo.collection("bookmarks").find_one({"user_id": ama.user_id}) is None
    key = await mongo.collection("person_keys").find_one({"_id": ama.user_id})
    assert key is not None
    assert key["key"] is None
    assert await blobs_kept(town, image) == 2
    (timer,) = await timers(town, ama)
    await service.discard_image(town.context, *timer["args"])
    assert await blobs_kept(town, image) == 0
