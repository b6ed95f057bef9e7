"""Nothing is lost, doubled or out of order when the services, the workers or the broker are killed at any step."""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from kelmah.cli.backends import Backend, Home, mongo, open_home, rabbitmq
from kelmah.cli.processes import Supervisor
from tests.e2e.conftest import run
from tests.fakes.mortal import STEPS
from tests.fixtures.mailbox import Mailbox
from tests.fixtures.mortals import Mortals, mortals

pytestmark = [pytest.mark.rabbitmq, pytest.mark.slow]


@pytest.fixture
async def servers_of_its_own() -> AsyncIterator[tuple[Supervisor, Home]]:
    async with open_home(None) as home, Supervisor(pass_fds=(home.lock_fd,)) as supervisor:
        yield supervisor, home


@pytest.fixture
async def own_mongo_url(servers_of_its_own: tuple[Supervisor, Home]) -> str:
    """A MongoDB that gives up the transactions of dead processes after a second rather than half a minute."""
    url = (await mongo.start(*servers_of_its_own)).url
    async with AsyncMongoClient[dict[str, Any]](url) as client:
        await client.admin.command({"setParameter": 1, "transactionLifetimeLimitSeconds": 1})
    return url


@pytest.fixture
async def platform(
    tmp_path: Path,
    own_mongo_url: str,
    redis_url: str,
    redis_prefix: str,
    amqp_url: str,
    mail_server: Mailbox,
    stripe_url: str,
) -> AsyncIterator[Mortals]:
    urls = {"mongo": own_mongo_url, "redis": redis_url, "rabbitmq": amqp_url, "stripe": stripe_url}
    urls["mail"] = mail_server.url
    async with mortals(tmp_path, urls, redis_prefix=redis_prefix, mailbox=mail_server.path) as stage:
        yield stage


async def crash(
    stage: Mortals, process: str, step: str, times: int, *, meanwhile: Awaitable[None] | None = None
) -> bool:
    """One deal during which a process dies at a step. Returns whether it came there."""
    job_id, application_id = await stage.prepare()
    stage.arm(process, step, times)
    if step.startswith("letter."):
        await stage.poison()

    async def story() -> None:
        await stage.deal(*await stage.agree(application_id))

    await asyncio.gather(story(), *([meanwhile] if meanwhile else []))
    await stage.settle()
    await stage.check_once(job_id)
    stage.disarm()
    return stage.died.exists()


async def check(stage: Mortals) -> None:
    """What must be true after any number of crashes."""
    await stage.check_money()
    await stage.check_chains()
    await stage.check_outside()


async def test_a_crash_in_each_room(platform: Mortals) -> None:
    for process, step in [
        ("services", "commit.before"),
        ("workers", "publish.after"),
        ("workers", "consume.inside"),
        ("workers", "letter.after"),
    ]:
        assert await crash(platform, process, step, 1), step
    await check(platform)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("process", "step", "fewest"),
    [
        ("services", "commit.before", 8),
        ("services", "commit.after", 8),
        ("services", "call.before", 2),
        ("services", "call.after", 2),
        ("workers", "commit.before", 8),
        ("workers", "commit.after", 8),
    ],
)
async def test_the_saga_survives_a_death_at_each_step(platform: Mortals, process: str, step: str, fewest: int) -> None:
    """Accept, sign, fund, submit, approve, release, complete: the process dies at the first such place, then the next.

    KELMAH_TEST_DEATHS bounds how many places are walked.
    """
    most = int(os.environ.get("KELMAH_TEST_DEATHS", "1000"))
    deaths = 0
    for times in range(1, most + 1):
        if times % 20 == 0:
            await platform.sign_in()  # tokens live for 15 minutes
        if not await crash(platform, process, step, times):
            break
        deaths += 1
    await check(platform)
    print(f"{process} {step}: {deaths} deaths")
    assert deaths >= min(most, fewest)


@pytest.fixture
async def own_broker(servers_of_its_own: tuple[Supervisor, Home]) -> Backend:
    """A RabbitMQ that may be killed."""
    return await rabbitmq.start(*servers_of_its_own)


@pytest.mark.timeout(7200)
async def test_crashes_at_every_step(
    tmp_path: Path,
    servers_of_its_own: tuple[Supervisor, Home],
    own_mongo_url: str,
    own_broker: Backend,
    redis_url: str,
    redis_prefix: str,
    mail_server: Mailbox,
    stripe_url: str,
) -> None:
    """KELMAH_TEST_CRASHES deaths (200), at steps that KELMAH_TEST_SEED chooses; the broker dies beside every tenth."""
    wanted = int(os.environ.get("KELMAH_TEST_CRASHES", "200"))
    seed = int(os.environ.get("KELMAH_TEST_SEED", time.time()))
    chance = random.Random(seed)
    urls = {"mongo": own_mongo_url, "redis": redis_url, "rabbitmq": own_broker.url, "stripe": stripe_url}
    urls["mail"] = mail_server.url
    broker = own_broker.process

    async def kill_broker() -> None:
        nonlocal broker
        assert broker is not None
        await asyncio.sleep(chance.uniform(0, 1.5))
        os.killpg(broker.pid, signal.SIGKILL)
        await servers_of_its_own[0].stop(broker)
        broker = await servers_of_its_own[0].start(broker.spec)

    died: Counter[tuple[str, str]] = Counter()
    steps: list[tuple[str, str]] = []
    broker_deaths = 0
    async with mortals(tmp_path, urls, redis_prefix=redis_prefix, mailbox=mail_server.path) as stage:
        signed_in = time.monotonic()
        for number in range(2 * wanted):
            if died.total() >= wanted:
                break
            if time.monotonic() - signed_in > 600:  # tokens live for 15 minutes
                await stage.sign_in()
                signed_in = time.monotonic()
            if not steps:
                steps = [(process, step) for process, found in STEPS.items() for step in found]
                chance.shuffle(steps)
            process, step = steps.pop()
            times = 1 if step.startswith("letter.") else chance.randint(1, 3)
            with_broker = number % 10 == 9
            print(f"seed {seed} run {number}: {process} {step} #{times}{' and the broker' * with_broker}", flush=True)
            meanwhile = kill_broker() if with_broker else None
            if await crash(stage, process, step, times, meanwhile=meanwhile):
                died[process, step] += 1
            broker_deaths += with_broker
            if number % 50 == 49:
                await check(stage)
        await check(stage)
        for command in ("verify",), ("rebuild", "--check"):
            finished = await run("kelmah", "events", *command, env=stage.env)
            print(finished.stdout)
            assert (command, finished.status) == (command, 0), finished.stdout + finished.stderr
        print(f"seed {seed}: {died.total()} deaths at {len(died)} steps, {broker_deaths} of the broker")
    assert died.total() == wanted
    if wanted >= 200:
        assert died.keys() == {(process, step) for process, found in STEPS.items() for step in found}
