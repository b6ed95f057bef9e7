"""Whoever deletes the account is forgotten by the events of every service, and the chains stay whole."""

from kelmah import services
from kelmah.contracts.auth import AccountDeleted
from kelmah.contracts.events import EVENT_TYPES
from kelmah.kit.chain import Chain, Fault
from kelmah.kit.ids import new_id
from kelmah.services.user.service.lifecycle import NOBODY
from kelmah.workers.registry import load_actors
from tests.integration.events.conftest import Town
from tests.integration.events.test_orders import envelope_of, journey, kept, put_back


async def test_a_deleted_accounts_key_is_erased_everywhere(town: Town) -> None:
    person, other = new_id(), new_id()
    sealed = {
        (name, who): await town.contexts[name].events.people.seal(who, "192.0.2.7")
        for name in services.NAMES
        for who in (person, other)
    }
    for name in services.NAMES:
        await Chain(town.mongo(name)).seal(EVENT_TYPES, limit=1000)
    envelope = envelope_of(AccountDeleted(user_id=person), number=1, town=town)
    actors = [one for one in load_actors().subscriptions[AccountDeleted.TYPE] if one.name.endswith(".erase_event_key")]
    assert [one.service for one in actors] == list(services.NAMES)
    for actor in actors * 2:  # said twice, it is done once
        await town.tell(actor, envelope)
    for name in services.NAMES:
        people = town.contexts[name].events.people
        assert await people.open(person, str(sealed[name, person])) is None
        assert await people.open(other, str(sealed[name, other])) == "192.0.2.7"
        assert await people.seal(person, "192.0.2.8") is None
        assert [one async for one in Chain(town.mongo(name)).verify() if isinstance(one, Fault)] == []


#: Rows that a late event may add with the bare id of somebody who is gone: what the other side of a deal, the money and
#: the law go by. None holds a name, an address, a number, a text or a choice of theirs.
BARE = {
    "user": {"facts", "contacts", "timers"},
    "messaging": {"conversations", "pairs"},
    "payment": {"events"},
}


async def test_what_comes_late_brings_nothing_of_a_deleted_person_back(town: Town) -> None:
    original = {name: await kept(town, name) for name in services.NAMES}
    subscriptions = load_actors().subscriptions
    escrow = await town.mongo("payment").collection("escrows").find_one({"status": "released"})
    assert escrow is not None
    person = escrow["worker_id"]
    late = [one for one in await journey(town) if not one.type.startswith("auth.account_")]
    try:
        deleted = envelope_of(AccountDeleted(user_id=person), number=1, town=town)
        for actor in subscriptions[AccountDeleted.TYPE]:
            await town.tell(actor, deleted)
        before = {name: await naming(town, name, person) for name in services.NAMES}
        for envelope in late:
            for actor in subscriptions.get(envelope.type, ()):
                await town.tell(actor, envelope)
        after = {name: await naming(town, name, person) for name in services.NAMES}
        messaging = town.mongo("messaging")
        for name in ("notifications", "deliveries", "push_subscriptions"):
            assert (name, await messaging.collection(name).count_documents({"user_id": person})) == (name, 0)
        assert await messaging.collection("notifications").count_documents({"user_id": escrow["hirer_id"]}) > 0
        assert await messaging.collection("delivery_settings").find_one({"_id": person}) == {
            "_id": person, "is_gone": True,
        }  # fmt: skip
        profile = await town.mongo("user").collection("profiles").find_one({"_id": person})
        assert profile is not None
        assert (profile["display_name"], profile["is_erased"]) == (NOBODY, True)
        added = {name: {row.partition("/")[0] for row in after[name] - before[name]} for name in services.NAMES}
        assert {name: found for name, found in added.items() if found} == BARE
    finally:
        for name, rows in original.items():
            await put_back(town, name, rows)


async def naming(town: Town, service: str, person: str) -> set[str]:
    """`<collection>/<id>` of each row in which the person's id stands."""
    return {
        f"{name}/{row['_id']}"
        for name, rows in (await kept(town, service)).items()
        for row in rows
        if person in repr(row)
    }
