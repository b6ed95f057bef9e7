"""SIGKILL at every line between request and answer: the client's retry gets one effect and the same answer."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
import pytest

from kelmah.cli.backends import mongo, open_home
from kelmah.cli.processes import Supervisor
from kelmah.contracts.common import Role
from kelmah.kit import clock, idempotency
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.payment.app import create_app
from kelmah.services.payment.documents import DOCUMENTS
from kelmah.services.payment.service import verify_ledger
from kelmah.services.payment.settings import PaymentSettings
from tests.fakes.jobs import FakeJobClient
from tests.fakes.mortal_payment import Order, Outcome
from tests.fakes.stripe_server import StripeServer
from tests.fixtures.service import person, running, settings_for
from tests.integration.payment.conftest import API, WEBHOOK_SECRETS, Payments


@pytest.fixture(scope="module")
async def own_mongo_url() -> AsyncIterator[str]:
    """A server whose sessions may all be killed."""
    async with open_home(None) as home, Supervisor(pass_fds=(home.lock_fd,)) as supervisor:
        yield (await mongo.start(supervisor, home)).url


class Mortal:
    """The process that serves each call in a child that may die."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def call(self, order: Order) -> Outcome:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        await self._process.stdin.drain()
        return msgspec.json.decode(await self._process.stdout.readline(), type=Outcome)


class Stage(NamedTuple):
    payments: Payments
    mortal: Mortal
    stripe: StripeServer


@asynccontextmanager
async def mortal_process(where: dict[str, Any]) -> AsyncIterator[Mortal]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.fakes.mortal_payment", json.dumps(where)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=1 << 20,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        yield Mortal(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


@pytest.fixture(scope="module")
async def stage(own_mongo_url: str, redis_url: str, redis_prefix: str) -> AsyncIterator[Stage]:
    stripe = StripeServer(WEBHOOK_SECRETS[0], new_id()[-8:])
    await stripe.start()
    where: dict[str, Any] = {
        "mongo_url": own_mongo_url,
        "mongo_prefix": "deaths_",
        "redis_url": redis_url,
        "redis_prefix": redis_prefix,
        "service_urls": {"job": ["http://127.0.0.1:9"]},
        "stripe_api_key": "sk_test_local",
        "stripe_base_url": stripe.url,
        "stripe_webhook_secrets": WEBHOOK_SECRETS,
    }
    async with running(create_app, settings_for(PaymentSettings, **where), DOCUMENTS) as service:
        jobs = FakeJobClient()
        service.replace(job=jobs)
        async with mortal_process(where) as mortal:
            yield Stage(Payments(service, None, jobs), mortal, stripe)  # type: ignore[arg-type]  # Stripe has its own
    await stripe.stop()
    clock.reset()


class Deed(NamedTuple):
    """What somebody asks for, and who has how much after it: each wallet's available and held."""

    path: str
    body: Any
    by: Principal
    leaves: list[tuple[Principal, int, int]]


async def fund(stage: Stage) -> Deed:
    hirer = await stage.payments.hirer_with(800)
    contract = stage.payments.jobs.make_contract(hirer.user_id, new_id(), 300)
    body = {"contractId": contract.id, "milestoneId": contract.milestones[0].id}
    return Deed("/escrows", body, hirer, [(hirer, 500, 0)])


async def fund_by_card(stage: Stage) -> Deed:
    hirer = await stage.payments.hirer_with(800)
    contract = stage.payments.jobs.make_contract(hirer.user_id, new_id(), 300)
    body = {"contractId": contract.id, "milestoneId": contract.milestones[0].id, "paymentMethod": "pm_card_visa"}
    return Deed("/escrows", body, hirer, [(hirer, 800, 0)])


async def release(stage: Stage) -> Deed:
    hirer, worker, escrow_id = await stage.payments.funded(1_000)
    return Deed(f"/escrows/{escrow_id}/release", None, hirer, [(hirer, 0, 0), (worker, 900, 0)])


async def refund(stage: Stage) -> Deed:
    hirer, worker, escrow_id = await stage.payments.funded(1_000)
    return Deed(f"/escrows/{escrow_id}/refund", None, worker, [(hirer, 1_000, 0), (worker, 0, 0)])


async def withdraw(stage: Stage) -> Deed:
    worker = await stage.payments.rich(1_000)
    body = {"amount": {"amount": 600, "currency": "GHS"}, "methodId": await stage.payments.account_of(worker)}
    return Deed("/wallet/withdrawals", body, worker, [(worker, 400, 600)])


async def rule(stage: Stage) -> Deed:
    """The second ruling, which stands at once."""
    hirer, worker, dispute_id = await stage.payments.disputed(1_000)
    assert (await stage.payments.rule(dispute_id, 0, 1_000)).status == 200
    path = f"/disputes/{dispute_id}"
    assert (await stage.payments.post(f"{path}/appeal", {"reason": "r"}, by=worker)).status == 200
    body = {"workerAmount": 400, "hirerAmount": 600, "note": "n"}
    return Deed(f"{path}/resolve", body, person(Role.SUPPORT), [(hirer, 600, 0), (worker, 360, 0)])


async def accept(stage: Stage) -> Deed:
    hirer, worker, dispute_id = await stage.payments.disputed(1_000)
    path = f"/disputes/{dispute_id}"
    offered = await stage.payments.post(f"{path}/offers", {"workerAmount": 400, "hirerAmount": 600}, by=worker)
    body = {"offerId": offered.data["offers"][0]["id"]}
    return Deed(f"{path}/accept", body, hirer, [(hirer, 600, 0), (worker, 360, 0)])


async def take_back(stage: Stage) -> Deed:
    """A dispute is withdrawn, and its escrow funded again."""
    hirer, worker, dispute_id = await stage.payments.disputed(1_000)
    return Deed(f"/disputes/{dispute_id}/withdraw", None, hirer, [(hirer, 0, 0), (worker, 0, 0)])


DEEDS: list[Callable[[Stage], Awaitable[Deed]]] = [
    *(fund, fund_by_card, release, refund, withdraw, rule, accept, take_back),
]


async def die(stage: Stage, make: Callable[[Stage], Awaitable[Deed]], line: int) -> Outcome:
    """Have the process of one call die at a line, come to another as the client would, and look at what is there."""
    deed, key = await make(stage), new_id()
    contracts = list(stage.payments.jobs.contracts.values())[-1:]
    outcome = await stage.mortal.call(
        Order(
            dies_at=line, now=clock.now(), path=API + deed.path, body=deed.body, by=deed.by, key=key,
            contracts=contracts,
        )
    )  # fmt: skip
    if outcome.status is None:
        clock.shift(idempotency.LEASE + timedelta(seconds=1))
        # What the dead process had open stands in the way until MongoDB undoes it, by itself after a minute.
        await stage.payments.context.mongo.client.admin.command({"killAllSessions": []})
    retry = await stage.payments.post(deed.path, deed.body, by=deed.by, key=key)
    assert retry.status in (200, 201), (line, retry)
    assert outcome.status is None or (outcome.status, outcome.data) == (retry.status, retry.data)
    assert (await stage.payments.post(deed.path, deed.body, by=deed.by, key=key)).data == retry.data
    for who, available, held in deed.leaves:
        assert (line, await stage.payments.available(who), await stage.payments.held(who)) == (line, available, held)
    return outcome


async def walk(stage: Stage, make: Callable[[Stage], Awaitable[Deed]], *, parts: int | None) -> None:
    """Die at every line in turn, or at so many that lie evenly between the first and the last."""
    lines = (await die(stage, make, 0)).lines
    walked = (
        range(1, lines + 1) if parts is None else sorted({max(1, lines * part // parts) for part in range(parts + 1)})
    )
    deaths = 0
    for line in walked:
        deaths += (await die(stage, make, line)).status is None
    print(f"{make.__name__}: {deaths} deaths at {lines} lines")
    assert deaths >= len(walked) - 2  # a timer or a connection may make the path a line or two shorter
    taken = [row for row in stage.stripe.objects.values() if row["object"] == "payment_intent"]
    assert {row["status"] for row in taken} <= {"succeeded"}
    assert (await verify_ledger(stage.payments.context)).faults == []


async def test_a_process_killed_on_the_way_does_it_once(stage: Stage) -> None:
    await walk(stage, release, parts=2)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("make", DEEDS)
async def test_a_process_killed_at_every_line_does_it_once(
    stage: Stage, make: Callable[[Stage], Awaitable[Deed]]
) -> None:
    """KELMAH_TEST_DEATHS bounds the deaths of each; without it every line is one."""
    wanted = os.environ.get("KELMAH_TEST_DEATHS")
    await walk(stage, make, parts=int(wanted) - 1 if wanted else None)
