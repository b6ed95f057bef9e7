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
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.job import service
from tests.fakes.payment import FakePaymentClient
from tests.fakes.user import FakeUserClient
from tests.integration.job.steps import Desk, hirer, milestone, worker
from tests.integration.job.test_terms import run_bookings, window

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


class Points:
    """Every place at which a process can die: before each write, and before and after each call to another service."""

    def __init__(self, patch: pytest.MonkeyPatch, *, survived: int) -> None:
        self.left = survived
        for owner, names in (
            (AsyncCollection, WRITES),
            (FakeUserClient, ("book_worker", "release_booking")),
            (FakePaymentClient, ("release_milestone",)),
        ):
            for name in names:
                patch.setattr(owner, name, self._watched(getattr(owner, name), after=owner is not AsyncCollection))

    def _watched(self, real: Any, *, after: bool) -> Any:
        async def watched(*args: Any, **more: Any) -> Any:
            self.passed()
            done = await real(*args, **more)
            if after:
                self.passed()
            return done

        return watched

    def passed(self) -> None:
        if self.left == 0:
            raise Crash
        self.left -= 1


async def _crash_anywhere(step: Callable[[], Awaitable[Any]], *, survived: int) -> bool:
    """Run the step with a crash at one place. Returns whether it got through before that."""
    with pytest.MonkeyPatch.context() as patch:
        Points(patch, survived=survived)
        try:
            await step()
        except BaseException as error:
            if not _is_crash(error):
                raise
            return False
    return True


async def test_sign_and_book_survive_a_crash_at_each_step(desk: Desk, users: FakeUserClient) -> None:
    """Whatever dies between the last signature and the booking: in the end the worker is booked once, or not signed."""
    for survived in range(100):
        anna, kofi = hirer(), worker()
        users.bookings.clear()
        contract = await desk.contract(anna, kofi)
        path = f"/contracts/{contract['id']}"
        await desk.ok("PATCH", f"{path}/terms", {"work": window()}, by=anna)
        await desk.ok("POST", f"{path}/sign", by=kofi)

        async def sign_and_book(path: str = path, anna: Principal = anna, contract_id: str = contract["id"]) -> None:
            await desk.call("POST", f"{path}/sign", by=anna)
            await run_bookings(desk, contract_id)

        through = await _crash_anywhere(sign_and_book, survived=survived)
        seen = await desk.ok("GET", path, by=kofi)
        if seen["status"] == "awaiting_signatures":
            assert (seen["booking"], len(seen["signatures"]), users.bookings) == (None, 1, {})
            seen = await desk.ok("POST", f"{path}/sign", by=anna)
        assert seen["status"] == "active"
        await run_bookings(desk, contract["id"])  # the timer comes again
        seen = await desk.ok("GET", path, by=kofi)
        assert seen["booking"] == {"status": "booked", "code": None}, survived
        assert [user_id for user_id, _ in users.bookings.values()] == [kofi.user_id]
        assert await desk.events(f"contract:{contract['id']}") == [
            "contract_terms_changed",
            "contract_signed",
            "contract_signed",
        ]
        if through:
            assert survived > 5
            return
    raise AssertionError("it never got through")


@pytest.mark.parametrize("how", ["by hand", "by silence"])
async def test_approve_and_release_survive_a_crash_at_each_step(
    desk: Desk, payment: FakePaymentClient, how: str
) -> None:
    """Whatever dies between approval and release: the approval is told of exactly once, or there is none."""
    for survived in range(100):
        anna, kofi = hirer(), worker()
        contract, part = await desk.submitted(anna, kofi)
        subject = f"contract:{contract['id']}"

        async def approve(contract_id: str = contract["id"], part: str = part, anna: Principal = anna) -> None:
            if how == "by hand":
                await desk.call("POST", milestone(contract_id, part, "approve"), by=anna)
            else:
                await service.auto_approve_milestone(desk.service.context, contract_id, part, "1")

        through = await _crash_anywhere(approve, survived=survived)
        seen = (await desk.ok("GET", f"/contracts/{contract['id']}", by=anna))["milestones"][0]
        told = (await desk.events(subject)).count("milestone_approved")
        timers = await desk.timers(contract["id"])
        if seen["status"] == "submitted":
            assert (told, len(timers)) == (0, 1), survived  # silence still approves
            await approve()
        else:
            # The event tells payment, whether or not the call did.
            assert seen["status"] in ("approved", "released"), survived
            assert (told, timers) == (1, []), survived
        for _ in range(2):
            await desk.money(contract["id"], part, "released")
        ended = await desk.ok("GET", f"/contracts/{contract['id']}", by=anna)
        assert (ended["status"], ended["milestones"][0]["status"]) == ("completed", "released")
        events = await desk.events(subject)
        assert (events.count("milestone_approved"), events.count("contract_completed")) == (1, 1), survived
        if through:
            assert survived > 5
            return
    raise AssertionError("it never got through")


async def test_a_cancelled_contract_keeps_no_booking_wherever_booking_died(desk: Desk, users: FakeUserClient) -> None:
    for survived in range(100):
        anna, kofi = hirer(), worker()
        users.bookings.clear()
        contract = await desk.contract(anna, kofi)
        path = f"/contracts/{contract['id']}"
        await desk.ok("PATCH", f"{path}/terms", {"work": window()}, by=anna)
        for side in (anna, kofi):
            await desk.ok("POST", f"{path}/sign", by=side)

        async def book(contract_id: str = contract["id"]) -> None:
            await run_bookings(desk, contract_id)

        through = await _crash_anywhere(book, survived=survived)
        if through:
            assert survived > 2
            return
        await desk.ok("POST", f"{path}/cancel", by=kofi)
        await book()
        assert users.bookings == {}, survived
    raise AssertionError("it never got through")


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
