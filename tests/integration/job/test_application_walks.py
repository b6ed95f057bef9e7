"""Applications, counter-offers and invitations of two workers to one job, walked legally and illegally."""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from kelmah.contracts.job import ApplicationStatus, InvitationStatus, JobStatus
from kelmah.contracts.user import WorkerFacts
from kelmah.kit.context import Principal
from kelmah.services.job.documents.applications import LIVE
from kelmah.services.job.service.states import APPLICATION_TRANSITIONS, INVITATION_TRANSITIONS, JOB_TRANSITIONS
from tests.fakes.user import FakeUserClient
from tests.integration.job.steps import OFFER, Desk, hirer, worker
from tests.integration.job.walking import ILLEGAL, LENGTHS, Refusal, Walk, walk

NOT_OPEN = (409, "job.not_open")
NO_COUNTER = (404, "job.counter_offer_not_found")
COUNTER: dict[str, Any] = {"proposedRate": {"amount": 40_000, "currency": "GHS"}}


@dataclass
class Side:
    """What one worker has to do with the job: the last application, its terms, and the invitation."""

    who: Principal
    application_id: str | None = None
    status: ApplicationStatus | None = None
    rate: int = 0
    was_turned_down: bool = False
    counter_id: str | None = None
    answered_id: str = "none"
    invitation_id: str | None = None
    invitation: InvitationStatus | None = None

    @property
    def is_live(self) -> bool:
        return self.status in LIVE


class Applications(Walk):
    """One open job, two workers."""

    users: FakeUserClient

    def __init__(self) -> None:
        super().__init__()
        self.job_id = self.run(self.desk.open_job(self.anna))["id"]
        self.job = JobStatus.OPEN
        self.contract_id: str | None = None
        self.sides = [Side(worker()), Side(worker())]
        for side in self.sides:
            user_id = side.who.user_id
            self.users.workers[user_id] = WorkerFacts(user_id=user_id, display_name="Kofi", skills=["plumber"])
        self.kept = self.run(self.everything())

    # The worker

    @rule(at=st.integers(0, 1))
    def apply(self, at: int) -> None:
        side = self.sides[at]
        awaited = side.invitation in (InvitationStatus.SENT, InvitationStatus.DECLINED)
        refused: Refusal | None = None
        if side.is_live:
            refused = (409, "job.already_applied")
        elif side.was_turned_down and not awaited:
            refused = (409, "job.turned_down")
        elif self.job is not JobStatus.OPEN:
            refused = NOT_OPEN
        made = self.step(f"/jobs/{self.job_id}/applications", OFFER, by=side.who, refused=refused)
        if refused is None:
            side.application_id, side.status = made["id"], ApplicationStatus.SUBMITTED
            side.rate = OFFER["proposedRate"]["amount"]
            if side.invitation and InvitationStatus.APPLIED in INVITATION_TRANSITIONS[side.invitation]:
                side.invitation = InvitationStatus.APPLIED

    @precondition(lambda self: any(side.application_id for side in self.sides))
    @rule(at=st.integers(0, 1), action=st.sampled_from(["shortlist", "reject", "withdraw"]))
    def answer(self, at: int, action: str) -> None:
        """The hirer shortlists or rejects, or the worker withdraws, the last application, whatever became of it."""
        side = self.sides[at]
        if side.status is None:
            return
        to = {
            "shortlist": ApplicationStatus.SHORTLISTED,
            "reject": ApplicationStatus.REJECTED,
            "withdraw": ApplicationStatus.WITHDRAWN,
        }[action]
        refused = None if to in APPLICATION_TRANSITIONS[side.status] else ILLEGAL
        by = side.who if action == "withdraw" else self.anna
        self.step(f"/applications/{side.application_id}/{action}", by=by, refused=refused)
        if refused is None:
            self.moved(side, to)
            side.was_turned_down |= action == "reject"

    def moved(self, side: Side, to: ApplicationStatus) -> None:
        side.status = to
        if not side.is_live:
            side.answered_id, side.counter_id = side.counter_id or side.answered_id, None

    @precondition(lambda self: any(side.application_id for side in self.sides))
    @rule(at=st.integers(0, 1))
    def accept(self, at: int) -> None:
        side = self.sides[at]
        if side.status is None:
            return
        can_start = JobStatus.IN_PROGRESS in JOB_TRANSITIONS[self.job]
        refused = None if side.is_live and can_start else NOT_OPEN if side.is_live else ILLEGAL
        made = self.step(f"/applications/{side.application_id}/accept", by=self.anna, refused=refused)
        if refused is None:
            self.job, self.contract_id = JobStatus.IN_PROGRESS, made["contract"]["id"]
            assert made["contract"]["value"]["amount"] == side.rate
            self.moved(side, ApplicationStatus.ACCEPTED)
            self.turn_down_the_rest()

    def turn_down_the_rest(self) -> None:
        for side in self.sides:
            if side.is_live:
                self.moved(side, ApplicationStatus.REJECTED)

    # Counter-offers

    @precondition(lambda self: any(side.application_id for side in self.sides))
    @rule(at=st.integers(0, 1))
    def counter(self, at: int) -> None:
        side = self.sides[at]
        if side.status is None:
            return
        path = f"/applications/{side.application_id}/counter-offer"
        made = self.step(path, COUNTER, by=self.anna, refused=None if side.is_live else ILLEGAL)
        if side.is_live:
            side.answered_id = side.counter_id or side.answered_id
            side.counter_id = made["counterOffer"]["id"]

    @precondition(lambda self: any(side.application_id for side in self.sides))
    @rule(at=st.integers(0, 1), answer=st.sampled_from(["accept", "decline"]), stale=st.booleans())
    def answer_counter(self, at: int, answer: str, stale: bool) -> None:
        """Take or leave the terms that lie there, or such as lie there no more."""
        side = self.sides[at]
        if side.status is None:
            return
        named = side.answered_id if stale else side.counter_id or side.answered_id
        refused = None if named == side.counter_id else NO_COUNTER
        path = f"/applications/{side.application_id}/counter-offer/{answer}"
        self.step(path, {"id": named}, by=side.who, refused=refused)
        if refused is None:
            side.rate = COUNTER["proposedRate"]["amount"] if answer == "accept" else side.rate
            side.answered_id, side.counter_id = named, None

    # Invitations

    @rule(at=st.integers(0, 1))
    def invite(self, at: int) -> None:
        side = self.sides[at]
        refused = NOT_OPEN if self.job is not JobStatus.OPEN else None
        if refused is None and side.invitation is not None:
            refused = (409, "job.already_invited")
        body = {"workerId": side.who.user_id}
        made = self.step(f"/jobs/{self.job_id}/invitations", body, by=self.anna, refused=refused)
        if refused is None:
            side.invitation_id, side.invitation = made["id"], InvitationStatus.SENT

    @precondition(lambda self: any(side.invitation for side in self.sides))
    @rule(at=st.integers(0, 1))
    def decline(self, at: int) -> None:
        side = self.sides[at]
        if side.invitation is None:
            return
        legal = InvitationStatus.DECLINED in INVITATION_TRANSITIONS[side.invitation]
        path = f"/invitations/{side.invitation_id}/decline"
        self.step(path, by=side.who, refused=None if legal else ILLEGAL)
        if legal:
            side.invitation = InvitationStatus.DECLINED

    # The job around them

    @rule(action=st.sampled_from(["pause", "publish", "publish", "close"]))
    def move_job(self, action: str) -> None:
        to = {"pause": JobStatus.PAUSED, "publish": JobStatus.OPEN, "close": JobStatus.CANCELLED}[action]
        legal = to in JOB_TRANSITIONS[self.job] and not (action == "pause" and self.job is not JobStatus.OPEN)
        self.step(f"/jobs/{self.job_id}/{action}", by=self.anna, refused=None if legal else ILLEGAL)
        if legal:
            self.job = to
            if action == "close":
                self.turn_down_the_rest()

    @precondition(lambda self: self.job is JobStatus.IN_PROGRESS)
    @rule()
    def cancel_the_contract(self) -> None:
        self.step(f"/contracts/{self.contract_id}/cancel", by=self.anna, refused=None)
        self.job = JobStatus.PAUSED

    # Who has nothing to do with it

    @precondition(lambda self: any(side.application_id for side in self.sides))
    @rule(at=st.integers(0, 1), action=st.sampled_from(["shortlist", "reject", "accept", "withdraw", "take"]))
    def somebody_else(self, at: int, action: str) -> None:
        """Another hirer, or the other worker, meets nothing."""
        side, other = self.sides[at], self.sides[1 - at].who
        if side.application_id is None:
            return
        path, missing = f"/applications/{side.application_id}", (404, "job.application_not_found")
        if action == "take":
            named = {"id": side.counter_id or side.answered_id}
            self.step(f"{path}/counter-offer/accept", named, by=other, refused=missing)
        else:
            self.step(f"{path}/{action}", by=other if action == "withdraw" else hirer(), refused=missing)

    @invariant()
    def all_is_as_the_model_says(self) -> None:
        found = self.kept
        (job,) = found["jobs"]
        assert job["status"] == self.job
        for side in self.sides:
            made: list[dict[str, Any]] = [one for one in found["applications"] if one["worker_id"] == side.who.user_id]
            assert sum(one["status"] in LIVE for one in made) == side.is_live
            last = next((one for one in made if one["_id"] == side.application_id), None)
            assert (last and last["status"]) == side.status
            if last is not None:
                assert last["proposed_rate"]["amount"] == side.rate
                assert last.get("counter_offer", {"id": None})["id"] == side.counter_id
            invited = [one["status"] for one in found["invitations"] if one["worker_id"] == side.who.user_id]
            assert invited == ([side.invitation] if side.invitation else [])
        live = [one for one in found["contracts"] if one["status"] != "cancelled"]
        assert len(live) == (self.job is JobStatus.IN_PROGRESS)


@LENGTHS
async def test_applications_and_invitations_follow_their_tables(
    desk: Desk, users: FakeUserClient, examples: int, steps: int
) -> None:
    Applications.users = users
    await walk(Applications, desk, examples=examples, steps=steps)
