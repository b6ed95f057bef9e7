"""Whether an address has an account cannot be told from how a request is answered, nor from how long it takes.

The quick test compares the work: the same passes through the hasher, the same commands to MongoDB. The slow one
compares times: many pairs of requests one after the other, by rank alone, so that load makes it blunter and not wrong.
"""

import dataclasses
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from beanie import init_beanie
from pymongo import monitoring

from kelmah.kit.ids import new_id
from kelmah.services.auth.app import create_app
from kelmah.services.auth.documents import DOCUMENTS
from kelmah.services.auth.service import throttle
from kelmah.services.auth.settings import AuthSettings
from tests.fixtures.service import Reply, Service, running
from tests.integration.auth.conftest import PASSWORD, new_member, new_visitor

PAIRS = 250
#: Of 250 and 250 the area under the curve strays by 0.026 (one standard deviation) where nothing differs.
FURTHEST_FROM_HALF = 0.12


class Commands(monitoring.CommandListener):
    """What is asked of MongoDB, by command and collection."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        collection = event.command.get(event.command_name)
        self.seen.append(f"{event.command_name} {collection if isinstance(collection, str) else ''}")

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


class Counting:
    """The hasher, counting what is given to it."""

    def __init__(self, hasher: Any) -> None:
        self._hasher, self.passes = hasher, 0

    def __getattr__(self, name: str) -> Any:
        if name in ("hash", "verify", "run"):
            self.passes += 1
        return getattr(self._hasher, name)


@pytest.fixture
async def watched(auth: Service, settings: AuthSettings) -> AsyncIterator[tuple[Service, Commands]]:
    """A service of its own with no limits in the way, and what it asks of MongoDB."""
    commands = Commands()
    monitoring.register(commands)
    quotas = {name: 1_000_000 for name in AuthSettings.model_fields if name.endswith("_quota")}
    try:
        async with running(create_app, settings.model_copy(update=quotas), DOCUMENTS) as service:
            yield service, commands
    finally:
        monitoring._LISTENERS.command_listeners.remove(commands)
        # Documents belong to the app that was opened last; the other tests' one goes on.
        await init_beanie(auth.context.mongo.database, document_models=list(DOCUMENTS), skip_indexes=True)


@pytest.fixture(autouse=True)
def no_delays() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(throttle, "FREE_FAILURES", 1_000_000)
        yield


Ask = Callable[[Service, str], Any]
#: From where is noted with what happened, as it is behind a gateway.
FROM = {"x-forwarded-for": "192.0.2.7", "user-agent": "pytest"}


async def login(auth: Service, email: str) -> Reply:
    return await send(auth, "login", {"email": email, "password": "not the right one"})


async def register(auth: Service, email: str) -> Reply:
    body = {"email": email, "password": PASSWORD, "firstName": "Esi", "lastName": "Owusu", "role": "worker"}
    return await send(auth, "register", body)


async def forgot(auth: Service, email: str) -> Reply:
    return await send(auth, "forgot-password", {"email": email})


async def resend(auth: Service, email: str) -> Reply:
    return await send(auth, "resend-verification", {"email": email})


async def send(auth: Service, operation: str, body: dict[str, str]) -> Reply:
    return await auth.call("POST", f"/api/v1/auth/{operation}", body, headers=FROM)


OPERATIONS = [login, register, forgot, resend]


def shape(reply: Reply) -> Any:
    """An answer without what differs between any two."""
    once = ("requestId", "id", "createdAt", "email")
    data = {name: value for name, value in (reply.data or {}).items() if name not in once}
    return reply.status, data, sorted(reply.headers)


@pytest.mark.parametrize("ask", OPERATIONS)
async def test_known_and_unknown_addresses_cost_the_same_work(watched: tuple[Service, Commands], ask: Ask) -> None:
    auth, commands = watched
    member, visitor = await new_member(auth), await new_visitor(auth)
    await ask(auth, f"{new_id()}@example.com")  # the first stranger of a database has the strangers' key made
    found = []
    for email in (member.email, visitor.email):
        counting = Counting(auth.context.hasher)
        auth.app.state.context = dataclasses.replace(auth.context, hasher=counting)
        commands.seen.clear()
        reply = await ask(auth, email)
        auth.app.state.context = dataclasses.replace(auth.context, hasher=counting._hasher)
        # A refused registration writes the same row elsewhere.
        seen = [one.replace("insert decoys", "insert accounts") for one in commands.seen if one != "hello "]
        found.append((shape(reply), counting.passes, seen))
    assert found[0] == found[1]


@pytest.mark.slow
@pytest.mark.parametrize("ask", OPERATIONS)
async def test_known_and_unknown_addresses_take_as_long(watched: tuple[Service, Commands], ask: Ask) -> None:
    auth, _ = watched
    members = [(await new_member(auth)).email for _ in range(20)]
    dice = random.Random(20_261_125)
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(PAIRS + 10):
        order = [True, False]
        dice.shuffle(order)
        for is_known in order:
            email = members[number % len(members)] if is_known else f"{new_id()}@example.com"
            began = time.perf_counter()
            await ask(auth, email)
            if number >= 10:  # the first ones warm caches
                times[is_known].append(time.perf_counter() - began)
    area = sum((a > b) + (a == b) / 2 for a in times[True] for b in times[False]) / PAIRS**2
    print(f"{ask.__name__}: a known address is the slower of two in {area:.3f} of all pairs")
    assert abs(area - 0.5) < FURTHEST_FROM_HALF
