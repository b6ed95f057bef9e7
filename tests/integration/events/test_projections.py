"""What is kept for reading is what the events and documents make anew; a difference is found, named and mended."""

from typing import Any

import pytest

from kelmah.cli import rebuild
from kelmah.kit.projections import Difference, History, Projection
from tests.integration.events.conftest import Town

EVERY = [
    *("user.figures", "user.contacts", "user.reputations", "user.search", "user.bookmarks"),
    *("messaging.unread", "messaging.pairs", "job.application_counts", "job.search"),
    *("payment.balances", "review.reputations"),
]
#: Projection → collection, what to change in one row of it, and whether a row that is gone is made again.
PLANTED: dict[str, tuple[str, dict[str, Any], dict[str, Any], bool]] = {
    "user.figures": ("facts", {"kind": "earned"}, {"amount": 1}, True),
    "user.contacts": ("contacts", {}, {"user_id": "nobody"}, True),
    "user.reputations": ("profiles", {"review_count": 1}, {"rating_milli": 5000}, False),
    "user.search": ("profiles", {"role": "worker"}, {"terms": ["plumber"]}, False),
    "user.bookmarks": ("profiles", {}, {"bookmark_count": 3}, False),
    "messaging.unread": ("conversations", {"last_sequence": {"$gt": 0}}, {"last_sequence": 99}, False),
    "messaging.pairs": ("pairs", {}, {}, True),
    "job.application_counts": ("jobs", {"application_count": {"$gt": 0}}, {"application_count": 77}, False),
    "job.search": ("jobs", {}, {"terms": []}, False),
    "payment.balances": ("ledger_accounts", {"kind": "wallet"}, {"balance": 1_000_000}, True),
    "review.reputations": ("reputations", {}, {"yes": 41}, True),
}


@pytest.fixture(scope="module")
async def told(town: Town) -> Town:
    await town.tell_all()
    return town


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild, "SECOND_LOOK_S", 0.0)


def named(town: Town, name: str) -> Projection:
    service = name.partition(".")[0]
    return next(one for one in rebuild.SERVICES[service](town.contexts[service]) if one.name == name)


async def look(town: Town, name: str) -> list[Difference]:
    stores = {service: context.events for service, context in town.contexts.items()}
    return await rebuild.confirmed(town.mongo(name.partition(".")[0]), named(town, name), History(stores))


def test_each_projection_is_in_the_one_table(told: Town) -> None:
    found = [one.name for service, of in rebuild.SERVICES.items() for one in of(told.contexts[service])]
    assert sorted(found) == sorted(EVERY)


@pytest.mark.parametrize("name", EVERY)
async def test_a_planted_difference_is_found_and_mended(told: Town, name: str) -> None:
    assert await look(told, name) == []
    collection, where, change, is_made = PLANTED[name]
    rows = told.mongo(name.partition(".")[0]).collection(collection)
    before = await rows.find_one(where)
    assert before is not None
    if change:
        await rows.update_one({"_id": before["_id"]}, {"$set": change})
        [difference] = await look(told, name)
        assert difference.key == before["_id"]
        assert difference.found is not None
        assert {field: difference.found[field] for field in change} == change
        assert await named(told, name).write(difference)
        assert await rows.find_one({"_id": before["_id"]}) == before
    if is_made:
        await rows.delete_one({"_id": before["_id"]})
        [difference] = await look(told, name)
        assert (difference.key, difference.found) == (before["_id"], None)
        assert await named(told, name).write(difference)
        made = await rows.find_one({"_id": before["_id"]})
        assert made is not None
        assert made | {"updated_at": None} == before | {"updated_at": None}
    assert await look(told, name) == []


async def test_a_row_that_nothing_led_to_is_removed(told: Town) -> None:
    facts = told.mongo("user").collection("facts")
    row = await facts.find_one({"kind": "earned"})
    assert row is not None
    await facts.insert_one(row | {"_id": "made-up"})
    [difference] = await look(told, "user.figures")
    assert (difference.key, difference.due) == ("made-up", None)
    assert await named(told, "user.figures").write(difference)
    assert await look(told, "user.figures") == []


async def test_what_changed_meanwhile_is_left_alone(told: Town) -> None:
    accounts = told.mongo("payment").collection("ledger_accounts")
    row = await accounts.find_one({"kind": "wallet"})
    assert row is not None
    await accounts.update_one({"_id": row["_id"]}, {"$inc": {"balance": 5}})
    [difference] = await look(told, "payment.balances")
    await accounts.replace_one({"_id": row["_id"]}, row)
    assert not await named(told, "payment.balances").write(difference)
    assert await accounts.find_one({"_id": row["_id"]}) == row
