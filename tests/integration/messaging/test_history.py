"""A short storm on two instances in this process, and bugs planted into the service that the checker has to find.

The long one, which kills processes and Redis, is `tests/e2e/test_history.py`.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from kelmah.kit.context import Principal
from kelmah.kit.frames import Wire
from kelmah.kit.tasks import end
from kelmah.services.messaging import service as rules
from kelmah.services.messaging.documents import messages
from kelmah.services.messaging.documents.messages import MessageDocument
from kelmah.services.messaging.service import live
from kelmah.services.messaging.service.messages import Missing
from kelmah.services.messaging.socket.connection import Connection, Outgoing
from tests.fixtures.history import faults
from tests.fixtures.storm import Door, Storm, all_stored, deliver_events
from tests.integration.messaging.conftest import Instances

SEED = int(os.environ.get("KELMAH_TEST_SEED", "7"))


@pytest.fixture
async def doors(instances: Instances) -> AsyncIterator[list[Door]]:
    async with aiohttp.ClientSession() as http:
        yield [Door(one.port, http) for one in instances]


async def storm_on(
    instances: Instances,
    doors: list[Door],
    people: list[Principal],
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_calm: bool = False,
    quiet_s: float = 60,
) -> list[str]:
    """Run one; what the checker says. Publications are lost also when it is calm."""
    service = instances[0].service
    made = {}
    for pair in (people[:2], people[1:]):
        body = {"kind": "direct", "participantIds": [pair[1].user_id]}
        made[(await service.call("POST", "/api/v1/conversations", body, by=pair[0])).data["id"]] = pair
    storm = Storm(doors=doors, conversations=made, seed=SEED)
    print(f"KELMAH_TEST_SEED={SEED} repeats the plan")
    send = live._send

    async def sometimes(*args: Any) -> None:
        if storm.dice.random() < 0.2:
            raise RedisConnectionError("planned")
        await send(*args)

    monkeypatch.setattr(live, "_send", sometimes)

    kills = iter((5, 10))  # a hub waits longer each time, so the subscriptions are killed twice only

    async def fail() -> None:
        next_kill = next(kills, 1000)
        for _ in range(next_kill):
            await asyncio.sleep(storm.dice.uniform(0.02, 0.1))
            phone = storm.dice.choice(storm.dice.choice(list(storm.phones.values())))
            if phone.connection is not None and not is_calm:
                phone.connection.transport.abort()
        if not is_calm:
            with suppress(RedisError):
                await service.context.redis.client_kill_filter(_type="pubsub")

    events = asyncio.create_task(deliver_events(service.context))
    try:
        await storm.run(messages=8, fail=fail, quiet_s=quiet_s)
    finally:
        await end(events)
    return faults(storm.history, await all_stored(service.context, list(made)))


#: redis-py leaves the writer of a killed subscription to the garbage collector.
killed_subscriptions = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@killed_subscriptions
async def test_a_storm_breaks_no_promise(
    instances: Instances, doors: list[Door], make_person: Callable[[], Principal], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await storm_on(instances, doors, [make_person() for _ in range(3)], monkeypatch) == []


def lose_repeats(patch: pytest.MonkeyPatch) -> None:
    """What Redis lost is lost: the event does not repeat it."""

    async def nothing(*_: Any) -> None:
        return

    patch.setattr(live, "publish_all", nothing)
    patch.setattr(live, "publish_surely", nothing)


def send_twins(patch: pytest.MonkeyPatch) -> None:
    """A socket does not look at places."""

    def send(_: Connection, item: Outgoing, __: str, wire: Wire) -> None:
        wire.write(item.frame)

    patch.setattr(Connection, "_send_message", send)


def claim_a_part(patch: pytest.MonkeyPatch) -> None:
    """A resume leaves the last message out and says that it was all."""
    whole = rules.missing_since

    async def part(*args: Any, **more: Any) -> AsyncIterator[tuple[str, Missing]]:
        async for conversation_id, missing in whole(*args, **more):
            yield conversation_id, missing._replace(messages=(missing.messages or [])[:-1])

    patch.setattr(rules, "missing_since", part)


def store_twice(patch: pytest.MonkeyPatch) -> None:
    """A message that is sent again is another one."""
    add_all = messages.add_all

    async def anew(made: Sequence[MessageDocument]) -> None:
        await add_all([one.model_copy(update={"client_id": f"{one.client_id}{one.id}"}) for one in made])

    patch.setattr(messages, "add_all", anew)


@killed_subscriptions
@pytest.mark.parametrize(
    ("bug", "is_calm", "words"),
    [
        (lose_repeats, True, "; lacks ["),
        (send_twins, True, " came after "),
        (claim_a_part, False, "claimed all of "),
        (store_twice, True, "stored, and nobody sent it"),
    ],
)
async def test_a_bug_in_the_service_is_found(
    instances: Instances,
    doors: list[Door],
    make_person: Callable[[], Principal],
    monkeypatch: pytest.MonkeyPatch,
    bug: Callable[[pytest.MonkeyPatch], None],
    is_calm: bool,
    words: str,
) -> None:
    bug(monkeypatch)
    found = await storm_on(
        instances, doors, [make_person() for _ in range(3)], monkeypatch, is_calm=is_calm, quiet_s=0.5
    )
    assert any(words in one for one in found), found
