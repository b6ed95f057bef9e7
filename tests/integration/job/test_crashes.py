"""A crash before each single write of accept → sign → fund → submit: all of a step is there afterwards, or nothing."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from pymongo.asynchronous.collection import AsyncCollection

from kelmah.contracts.common import Money
from kelmah.contracts.events import Envelope
from kelmah.contracts.payment import EscrowFunded
from kelmah.kit import clock
from kelmah.kit.ids import new_id
from kelmah.services.job import service
from tests.integration.job.steps import Desk, hirer, milestone, worker

WRITES = ("insert_one", "insert_many", "update_one", "update_many", "replace_one", "delete_one", "find_one_and_update")
#: What a step changes; the inbox and the stored answers of retried calls are in the same transactions.
COLLECTIONS = ("jobs", "applications", "contracts", "invitations", "events", "streams", "timers", "inbox")
Step = Callable[[], Awaitable[bool]]


class Crash(BaseException):
    """The process is gone; no handler of errors sees this."""


async def _everything(desk: Desk) -> dict[str, list[Any]]:
    mongo = desk.service.context.mongo
    return {name: await mongo.collection(name).find({}).sort("_id").to_list() for name in COLLECTIONS}


async def _crash_before_each_write(desk: Desk, step: Step) -> int:
    """Run the step with a crash before its first write, then its second, until it gets through."""
    before = await _everything(desk)
    for survived in range(100):
        left = survived

        def counted(real: Any) -> Any:
            async def write(*args: Any, **more: Any) -> Any:
                nonlocal left
                if left == 0:
                    raise Crash
                left -= 1
                return await real(*args, **more)

            return write

        with pytest.MonkeyPatch.context() as patch:
            for name in WRITES:
                patch.setattr(AsyncCollection, name, counted(getattr(AsyncCollection, name)))
            try:
                if await step():
                    return survived
            except BaseException as error:
                if not _is_crash(error):
                    raise
        assert await _everything(desk) == before, survived
    raise AssertionError("it never got through")


def _is_crash(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(map(_is_crash, error.exceptions))
    return isinstance(error, Crash)


async def test_accept_sign_fund_and_submit_survive_a_crash_before_each_write(desk: Desk) -> None:
    anna, kofi = hirer(), worker()
    job = await desk.open_job(anna)
    await desk.application(job["id"], worker())
    application = await desk.application(job["id"], kofi)

    def call(path: str, by: Any) -> Step:
        async def step() -> bool:
            return (await desk.call("POST", path, by=by)).status == 200

        return step

    assert await _crash_before_each_write(desk, call(f"/applications/{application['id']}/accept", anna)) > 5
    accepted = await desk.ok("GET", f"/applications/{application['id']}", by=kofi)
    contract_id = accepted["contractId"]
    assert await _crash_before_each_write(desk, call(f"/contracts/{contract_id}/sign", kofi)) > 1
    assert await _crash_before_each_write(desk, call(f"/contracts/{contract_id}/sign", anna)) > 1
    contract = await desk.ok("GET", f"/contracts/{contract_id}", by=anna)
    assert (contract["status"], len(contract["signatures"])) == ("active", 2)
    part = contract["milestones"][0]
    event = EscrowFunded(
        escrow_id="e1",
        contract_id=contract_id,
        milestone_id=part["id"],
        hirer_id=anna.user_id,
        worker_id=kofi.user_id,
        amount=Money(amount=part["amount"]["amount"]),
    )
    envelope = Envelope(
        id=new_id(),
        source="/kelmah/payment",
        type=EscrowFunded.TYPE,
        time=clock.now(),
        subject="escrow:e1",
        sequence=1,
        data=msgspec.Raw(msgspec.json.encode(event)),
        correlationid="c",
    )

    async def funded() -> bool:
        await service.on_escrow_funded(desk.service.context, envelope, event)
        return True

    assert await _crash_before_each_write(desk, funded) >= 2
    after = await _everything(desk)
    assert await funded()
    assert await _everything(desk) == after
    assert await _crash_before_each_write(desk, call(milestone(contract_id, part["id"], "submit"), kofi)) >= 3
    assert (await desk.ok("GET", f"/contracts/{contract_id}", by=anna))["milestones"][0]["status"] == "submitted"
    assert await desk.events(f"contract:{contract_id}") == ["contract_signed", "contract_signed", "milestone_submitted"]


@pytest.mark.parametrize("answer", ["sign", "accept"])
async def test_a_step_whose_answer_was_lost_is_not_taken_twice(desk: Desk, answer: str) -> None:
    anna, kofi = hirer(), worker()
    job = await desk.open_job(anna)
    application = await desk.application(job["id"], kofi)
    path = f"/applications/{application['id']}/accept"
    accepted = await desk.ok("POST", path, by=anna)
    if answer == "sign":
        path = f"/contracts/{accepted['contract']['id']}/sign"
        await desk.ok("POST", path, by=anna)
    before = await _everything(desk)
    assert (await desk.call("POST", path, by=anna)).status == 409
    assert await _everything(desk) == before
