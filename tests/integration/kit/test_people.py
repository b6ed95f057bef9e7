"""Person keys: what events say of a person is readable until the key is erased, and the chain stays whole."""

import asyncio

import msgspec
import pytest

from kelmah.contracts.common import Role
from kelmah.contracts.events import EVENT_TYPES
from kelmah.kit.chain import Chain, Tally
from kelmah.kit.context import Origin, Principal, current_origin, current_principal, current_system
from kelmah.kit.crypto import DecryptionError
from tests.fixtures.workers import Stage
from tests.integration.kit.test_chain import stage

__all__ = ["stage"]
PRINCIPAL = Principal(user_id="ama", role=Role.HIRER, session_id="s", address="192.0.2.7", device="Firefox")


async def test_sealed_text_opens_for_its_person_until_the_key_is_erased(stage: Stage) -> None:
    people = stage.context.events.people
    tokens = await asyncio.gather(*(people.seal("ama", "192.0.2.7") for _ in range(5)))
    other = await people.seal("kofi", "198.51.100.1")
    assert other is not None
    assert all(token and "192" not in token for token in tokens)
    assert [await people.open("ama", token or "") for token in tokens] == ["192.0.2.7"] * 5
    with pytest.raises(DecryptionError):
        await people.open("ama", other)
    assert await people.erase("ama")
    assert not await people.erase("ama")
    assert await people.open("ama", tokens[0] or "") is None
    assert await people.seal("ama", "192.0.2.7") is None
    assert await people.open("kofi", other) == "198.51.100.1"


async def test_an_event_says_who_did_it_and_from_where_and_the_chain_survives_erasure(stage: Stage) -> None:
    token = current_principal.set(PRINCIPAL)
    try:
        [envelope] = await stage.append("job:1")
    finally:
        current_principal.reset(token)
    assert (envelope.actor, envelope.person) == ("ama", "ama")
    assert envelope.requestid
    people, chain = stage.context.events.people, Chain(stage.context.mongo)
    assert envelope.address is not None
    assert envelope.device is not None
    assert await people.open("ama", envelope.address) == "192.0.2.7"
    assert await people.open("ama", envelope.device) == "Firefox"
    assert await chain.seal(EVENT_TYPES, limit=9) == 1
    await people.erase("ama")
    assert await people.open("ama", envelope.address) is None
    assert [found async for found in chain.verify()] == [Tally(1, 1)]


async def test_who_does_much_in_a_row_is_sealed_once_and_not_readable_after_erasure(stage: Stage) -> None:
    events, people = stage.context.events, stage.context.events.people
    who = msgspec.structs.replace(PRINCIPAL, user_id="esi")
    token = current_principal.set(who)
    try:
        first = await events.author()
        assert await people.open("esi", first.address or "") == PRINCIPAL.address
        assert await people.erase("esi")
        second = await events.author()
        current_principal.set(msgspec.structs.replace(who, device="Chrome"))
        third = await events.author()
    finally:
        current_principal.reset(token)
    assert first.address == second.address
    assert await people.open("esi", second.address or "") is None
    assert (third.person, third.address, third.device) == ("esi", None, None)


async def test_nobody_and_workers_are_actors_too(stage: Stage) -> None:
    token = current_origin.set(Origin("203.0.113.9", None))
    try:
        [unknown] = await stage.append("job:1")
    finally:
        current_origin.reset(token)
    assert (unknown.actor, unknown.person, unknown.device) == (None, "nobody", None)
    assert await stage.context.events.people.open("nobody", unknown.address or "") == "203.0.113.9"
    system = current_system.set("system:job.expire")
    try:
        [by_worker] = await stage.append("job:1")
    finally:
        current_system.reset(system)
    assert (by_worker.actor, by_worker.person, by_worker.address) == ("system:job.expire", None, None)
