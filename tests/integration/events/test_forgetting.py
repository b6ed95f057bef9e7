"""Whoever deletes the account is forgotten by the events of every service, and the chains stay whole."""

from kelmah import services
from kelmah.contracts.auth import AccountDeleted
from kelmah.contracts.events import EVENT_TYPES
from kelmah.kit.chain import Chain, Fault
from kelmah.kit.ids import new_id
from kelmah.workers.registry import load_actors
from tests.integration.events.conftest import Town
from tests.integration.events.test_orders import envelope_of


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
