"""RabbitMQ is gone during the journey: nobody notices but for notifications, which come later and once."""

from collections import Counter
from typing import Any

import aiohttp
import pytest
from rich.console import Console

from kelmah.cli.demo import journey
from kelmah.cli.demo.client import Api, Mailbox, Steps, eventually
from kelmah.cli.platform import Platform

pytestmark = [pytest.mark.slow, pytest.mark.rabbitmq]


async def test_notifications_wait_for_the_broker_and_come_once(running_platform: Platform) -> None:
    broker = running_platform.fleet.backends["rabbitmq"].process
    assert broker is not None, running_platform.fleet.unavailable
    steps, mailbox = Steps(Console(quiet=True)), Mailbox(running_platform.mailbox)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        api = Api(session, running_platform.gateway_url)
        hirer, worker = await journey.join(steps, api, mailbox)
        await running_platform.supervisor.stop(broker)
        try:
            await journey.deal(steps, api, hirer, worker)
            assert await kinds(worker) == Counter()
        finally:
            await running_platform.supervisor.start(broker.spec)
        await eventually("the worker's story", lambda: told(worker, WORKER))
        await eventually("the hirer's story", lambda: told(hirer, HIRER))
        # Later events go the same way: what they bring comes after all that could still have come twice.
        await apply_once_more(hirer, worker)
        await eventually("the later notification", lambda: told(hirer, HIRER + Counter(application_received=1)))
        assert await kinds(worker) == WORKER
    assert [step for step in steps.done if not step.ok] == []


#: What each side is told of one deal. Messages are one row a conversation while they are unread.
WORKER = Counter(
    application_accepted=1,
    contract_active=1,
    contract_completed=1,
    escrow_funded=1,
    milestone_approved=1,
    escrow_released=1,
    review_revealed=1,
)
HIRER = Counter(
    application_received=1,
    contract_signed=1,
    contract_active=1,
    contract_completed=1,
    deposit_processed=1,
    milestone_submitted=1,
    escrow_released=1,
    review_revealed=1,
)


async def apply_once_more(hirer: journey.Actor, worker: journey.Actor) -> None:
    terms = {"title": "Fix a lamp", "description": "It flickers.", "category": "electrical", "skills": ["electrician"]}
    price = {"amount": 5_000, "currency": "GHS"}
    job = await hirer.api.post("/jobs", {**terms, "budget": price, "location": journey.PLACE})
    await hirer.api.post(f"/jobs/{job['id']}/publish")
    await worker.api.post(f"/jobs/{job['id']}/applications", {"proposedRate": price, "coverLetter": "Tonight."})


async def kinds(actor: journey.Actor) -> Counter[str]:
    page: dict[str, Any] = await actor.api.get("/notifications?limit=100")
    return Counter(one["kind"] for one in page["items"] if one["kind"] != "message_received")


async def told(actor: journey.Actor, wanted: Counter[str]) -> bool | None:
    found = await kinds(actor)
    assert found <= wanted, f"told more than happened: {found - wanted}"
    return found == wanted or None
