"""All six services in this process, with people and deals of a seed, and all their events. No worker ran."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kelmah import services
from kelmah.cli import development, indexes
from kelmah.cli.backends import Backend, Fleet
from kelmah.cli.seed import deals, people, scene
from kelmah.cli.seed.plan import Size, Stage, make_plan
from kelmah.contracts.events import Envelope, decode
from kelmah.kit import clock
from kelmah.kit.mongo import Mongo
from kelmah.workers.contexts import open_contexts
from kelmah.workers.registry import Actor, load_actors

#: Deals whose events have every kind of consumer.
STAGES = (Stage.REVIEWED, Stage.RULED, Stage.REFUNDED, Stage.SUBMITTED, Stage.FUNDED, Stage.CANCELLED, Stage.OPEN)


@dataclass
class Town:
    """The services' contexts, and all events in the order of their ids."""

    env: dict[str, str]
    contexts: Mapping[str, Any]
    events: list[Envelope]

    def mongo(self, service: str) -> Mongo:
        found: Mongo = self.contexts[service].mongo
        return found

    async def tell(self, actor: Actor, envelope: Envelope) -> None:
        """Have an actor take an event, as a worker does."""
        await actor.function(self.contexts[actor.service], envelope, decode(envelope))

    async def tell_all(self) -> None:
        """Have every event taken by all who hear of it, in the order in which they happened."""
        hearers = load_actors().subscriptions
        for envelope in self.events:
            for actor in hearers.get(envelope.type, ()):
                await self.tell(actor, envelope)


@pytest.fixture(scope="session")
async def town(
    tmp_path_factory: pytest.TempPathFactory,
    mongo_url: str,
    mongo_prefix: str,
    redis_url: str,
    redis_prefix: str,
    stripe_url: str,
) -> AsyncIterator[Town]:
    urls = {"mongo": mongo_url, "redis": redis_url, "stripe": stripe_url, "mail": "smtp://127.0.0.1:9"}
    fleet = Fleet({name: Backend(name=name, url=url, source="given") for name, url in urls.items()}, {})
    folder: Path = tmp_path_factory.mktemp("town")
    kept = development.keep_secrets(folder / "secrets.json")
    env = development.environment(
        fleet, kept, dict.fromkeys(development.PORTS, 9), redis_prefix=redis_prefix.rstrip(":")
    )
    env |= {f"KELMAH_{name.upper()}_MONGO_DATABASE": f"{mongo_prefix}town_{name}" for name in services.NAMES}
    env |= {"KELMAH_SERVICE_URLS": json.dumps({}), "KELMAH_AUTH_HASH_MEMORY_KIB": "64"}
    async for _ in indexes.build_all(env):
        pass
    plan = make_plan(1, Size.SMALL, clock.now().date())
    wanted = [next(deal for deal in plan.deals if deal.stage is stage) for stage in STAGES]
    needed = {one.name: one for deal in wanted for one in (deal.hirer, deal.worker, *deal.others)}
    made: asyncio.Future[Town] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def live() -> None:  # one task from start to end, as a process has; fixtures may end in another
        async with open_contexts(env) as contexts:
            try:
                async for _ in people.register(contexts, plan, [*needed.values(), *plan.staff]):
                    pass
                for deal in wanted:
                    assert await deals.play(contexts, plan, deal)
            finally:
                scene.end()
            events = [one.envelope for context in contexts.values() async for one in context.events.find()]
            made.set_result(Town(env, contexts, sorted(events, key=lambda one: one.id)))
            await over.wait()

    life = asyncio.create_task(live())
    waiting: set[asyncio.Future[Any]] = {life, made}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if made.done():
        yield made.result()
    over.set()
    await life
