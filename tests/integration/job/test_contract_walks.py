"""A contract and its milestones, from offer or acceptance to the end, walked legally and illegally by both sides."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from kelmah.contracts.job import ContractStatus, JobStatus, MilestoneMoneyState, MilestoneStatus
from kelmah.contracts.payment import EscrowStatus
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.services.job import service
from kelmah.services.job.service.states import (
    BY_MONEY_STATE,
    CONTRACT_TRANSITIONS,
    MILESTONE_TRANSITIONS,
    WITH_MONEY,
)
from tests.fakes.payment import FakePaymentClient
from tests.fakes.user import FakeUserClient
from tests.integration.job.steps import Desk, hirer, milestone, worker
from tests.integration.job.test_planning import offered
from tests.integration.job.walking import ILLEGAL, LENGTHS, Refusal, Walk, walk

HALVES = [{"title": "One", "amount": 20_000}, {"title": "Two", "amount": 25_000}]
ADDED = {"title": "More", "amount": 1_000}
NOT_ACTIVE = (409, "job.contract_not_active")
HAS_MONEY = (409, "job.contract_has_money")
NO_AMENDMENT = (404, "job.no_amendment")
SIDES = st.sampled_from(["hirer", "worker"])
#: Most walks begin where most of the steps are.
BEGUN = [ContractStatus.ACTIVE, ContractStatus.ACTIVE]
#: Contracts grow by amendments; a walk is to stay short of the bound.
MOST = 6
#: Which state each step of the work leads to, and whose step it is.
WORK = {
    "submit": (MilestoneStatus.SUBMITTED, "worker"),
    "approve": (MilestoneStatus.APPROVED, "hirer"),
    "request-changes": (MilestoneStatus.CHANGES_REQUESTED, "hirer"),
}


class Contracts(Walk):
    """One contract of two milestones at first."""

    users: FakeUserClient

    def __init__(self) -> None:
        super().__init__()
        self.kofi = worker()
        self.signed: set[str] = set()
        self.amendment: str | None = None
        self.submissions: list[int] = []

    @initialize(begins=st.sampled_from([ContractStatus.OFFERED, ContractStatus.AWAITING_SIGNATURES, *BEGUN]))
    def begin(self, begins: ContractStatus) -> None:
        self.status = begins
        if begins is ContractStatus.OFFERED:
            contract = self.run(offered(self.desk, self.users, self.anna, self.kofi))
        elif begins is ContractStatus.ACTIVE:
            contract = self.run(self.desk.active(self.anna, self.kofi, milestones=HALVES))
            self.signed |= {"hirer", "worker"}
        else:
            contract = self.run(self.desk.contract(self.anna, self.kofi, milestones=HALVES))
        self.path = f"/contracts/{contract['id']}"
        self.contract_id, self.terms_hash = contract["id"], contract["termsHash"]
        self.parts = [part["id"] for part in contract["milestones"]]
        self.model = [MilestoneStatus.AGREED for _ in self.parts]
        self.submissions = [0 for _ in self.parts]
        self.frozen: dict[str, tuple[int, MilestoneStatus | None]] = {}
        self.job = JobStatus.IN_PROGRESS
        self.kept = self.run(self.everything())

    def who(self, side: str) -> Principal:
        return self.anna if side == "hirer" else self.kofi

    def may(self, to: ContractStatus) -> bool:
        return to in CONTRACT_TRANSITIONS[self.status]

    def moved(self, to: ContractStatus) -> None:
        assert self.may(to)
        self.status = to
        if to in (ContractStatus.CANCELLED, ContractStatus.COMPLETED):
            self.amendment = None
            self.job = JobStatus.PAUSED if to is ContractStatus.CANCELLED else JobStatus.COMPLETED

    # The agreement

    @rule(taken=st.booleans())
    def answer_the_offer(self, taken: bool) -> None:
        legal = self.status is ContractStatus.OFFERED
        refused = None if legal else ILLEGAL
        self.step(f"{self.path}/offer/{'accept' if taken else 'decline'}", by=self.kofi, refused=refused)
        if legal:
            self.moved(ContractStatus.AWAITING_SIGNATURES if taken else ContractStatus.CANCELLED)

    @precondition(lambda self: self.status is ContractStatus.OFFERED or len(self.signed) == 1)
    @rule()
    def the_offers_time_is_over(self) -> None:
        clock.shift(timedelta(days=8))
        self.run(service.expire_offer(self.desk.service.context, self.contract_id))
        clock.reset()
        before, self.kept = self.kept, self.run(self.everything())
        if self.status is ContractStatus.OFFERED:
            self.moved(ContractStatus.CANCELLED)
        else:
            assert self.kept == before

    @rule(side=SIDES, named=st.sampled_from(["none", "current", "other"]))
    def sign(self, side: str, named: str) -> None:
        refused: Refusal | None = None
        if side in self.signed:
            refused = (409, "job.already_signed")
        elif self.status is not ContractStatus.AWAITING_SIGNATURES:
            refused = ILLEGAL
        elif named == "other":
            refused = (409, "job.terms_changed")
        body = None if named == "none" else {"termsHash": self.terms_hash if named == "current" else "0" * 64}
        self.step(f"{self.path}/sign", body, by=self.who(side), refused=refused)
        if refused is None:
            self.signed.add(side)
            if len(self.signed) == 2:
                self.moved(ContractStatus.ACTIVE)

    @rule(side=SIDES, days=st.integers(1, 30))
    def change_terms(self, side: str, days: int) -> None:
        legal = self.status is ContractStatus.AWAITING_SIGNATURES
        body = {"autoApproveAfterDays": days}
        refused = None if legal else ILLEGAL
        made = self.step(f"{self.path}/terms", body, by=self.who(side), refused=refused, method="PATCH")
        if legal:
            self.signed.clear()
            self.terms_hash = made["termsHash"]

    @precondition(lambda self: len(self.parts) < MOST)
    @rule(side=SIDES)
    def add_a_milestone(self, side: str) -> None:
        legal = self.status is ContractStatus.AWAITING_SIGNATURES
        made = self.step(f"{self.path}/milestones", ADDED, by=self.who(side), refused=None if legal else ILLEGAL)
        if legal:
            self.signed.clear()
            self.grow([made["id"]])

    def grow(self, parts: list[str]) -> None:
        self.parts += parts
        self.model += [MilestoneStatus.AGREED for _ in parts]
        self.submissions += [0 for _ in parts]
        self.terms_hash = self.kept["contracts"][0]["terms_hash"]

    @rule(side=SIDES)
    def cancel(self, side: str) -> None:
        has_money = bool(WITH_MONEY.intersection(self.model))
        refused = ILLEGAL if not self.may(ContractStatus.CANCELLED) else HAS_MONEY if has_money else None
        self.step(f"{self.path}/cancel", by=self.who(side), refused=refused)
        if refused is None:
            self.moved(ContractStatus.CANCELLED)

    @rule(side=SIDES)
    def end(self, side: str) -> None:
        over = {MilestoneStatus.RELEASED, MilestoneStatus.REFUNDED, MilestoneStatus.AGREED}
        refused: Refusal | None = None
        if self.status is not ContractStatus.ACTIVE:
            refused = NOT_ACTIVE
        elif MilestoneStatus.RELEASED not in self.model:
            refused = (409, "job.nothing_paid")
        elif not over.issuperset(self.model):
            refused = HAS_MONEY
        self.step(f"{self.path}/end", by=self.who(side), refused=refused)
        if refused is None:
            self.moved(ContractStatus.COMPLETED)

    # Amendments

    @precondition(lambda self: len(self.parts) < MOST)
    @rule(side=SIDES)
    def propose(self, side: str) -> None:
        refused: Refusal | None = None
        if self.status is not ContractStatus.ACTIVE:
            refused = NOT_ACTIVE
        elif self.amendment is not None:
            refused = (409, "job.amendment_pending")
        body = {"reason": "There is more to do.", "milestones": [ADDED]}
        self.step(f"{self.path}/amendment", body, by=self.who(side), refused=refused)
        if refused is None:
            self.amendment = side

    @rule(side=SIDES)
    def sign_the_amendment(self, side: str) -> None:
        refused: Refusal | None = None
        if self.amendment is None:
            refused = NO_AMENDMENT
        elif self.amendment == side:
            refused = (409, "job.own_amendment")
        made = self.step(f"{self.path}/amendment/sign", by=self.who(side), refused=refused)
        if refused is None:
            self.amendment = None
            self.grow([part["id"] for part in made["milestones"][len(self.parts) :]])

    @rule(side=SIDES)
    def drop_the_amendment(self, side: str) -> None:
        refused = NO_AMENDMENT if self.amendment is None else None
        self.step(f"{self.path}/amendment", by=self.who(side), refused=refused, method="DELETE")
        self.amendment = None

    # The work and its money

    @rule(at=st.integers(0, MOST - 1), action=st.sampled_from([*WORK]))
    def work(self, at: int, action: str) -> None:
        at %= len(self.parts)
        to, side = WORK[action]
        refused: Refusal | None = None
        if action == "submit" and self.model[at] is MilestoneStatus.AGREED:
            refused = (409, "job.milestone_not_funded")
        elif self.status is not ContractStatus.ACTIVE:
            refused = NOT_ACTIVE
        elif to not in MILESTONE_TRANSITIONS[self.model[at]]:
            refused = ILLEGAL
        body = {"reason": "No."} if action == "request-changes" else None
        where = milestone(self.contract_id, self.parts[at], action)
        self.step(where, body, by=self.who(side), refused=refused)
        if refused is None:
            self.model[at] = to
            self.submissions[at] += action == "submit"

    @precondition(lambda self: any(self.submissions))
    @rule(at=st.integers(0, MOST - 1), is_stale=st.booleans())
    def silence(self, at: int, is_stale: bool) -> None:
        """The timer of the last submission, or of another one, is due."""
        at %= len(self.parts)
        number = self.submissions[at] + is_stale
        context = self.desk.service.context
        self.run(service.auto_approve_milestone(context, self.contract_id, self.parts[at], str(number)))
        before, self.kept = self.kept, self.run(self.everything())
        is_due = self.status is ContractStatus.ACTIVE and self.model[at] is MilestoneStatus.SUBMITTED
        if is_due and not is_stale:
            self.model[at] = MilestoneStatus.APPROVED
        else:
            assert self.kept == before

    @rule(at=st.integers(0, MOST - 1), state=st.sampled_from([*MilestoneMoneyState, MilestoneMoneyState.FUNDED]))
    def money(self, at: int, state: MilestoneMoneyState) -> None:
        """Payment's news, in any order; what is no step changes nothing, and is no error either."""
        at %= len(self.parts)
        assert self.run(self.desk.money(self.contract_id, self.parts[at], state.value)).status == 204
        before, self.kept = self.kept, self.run(self.everything())
        to = BY_MONEY_STATE[state]
        if to not in MILESTONE_TRANSITIONS[self.model[at]]:
            assert self.kept == before
            return
        self.model[at] = to
        settled = {MilestoneStatus.RELEASED, MilestoneStatus.REFUNDED}
        is_paid = settled.issuperset(self.model) and MilestoneStatus.RELEASED in self.model
        if is_paid and self.status is ContractStatus.ACTIVE:
            self.moved(ContractStatus.COMPLETED)

    @rule(at=st.integers(0, MOST - 1), is_open=st.booleans(), is_late=st.booleans())
    def dispute(self, at: int, is_open: bool, is_late: bool) -> None:
        """Payment's news of a dispute that began or was withdrawn, or of an earlier one."""
        at %= len(self.parts)
        number, was = self.frozen.get(self.parts[at], (0, None))
        number += not is_late
        self.run(self.desk.dispute(self.contract_id, self.parts[at], is_open=is_open, sequence=number))
        before, self.kept = self.kept, self.run(self.everything())
        now = self.model[at]
        if is_late:
            assert self.kept == before
            return
        if is_open and MilestoneStatus.DISPUTED in MILESTONE_TRANSITIONS[now]:
            was = MilestoneStatus.FUNDED if now is MilestoneStatus.AGREED else now
            self.model[at] = MilestoneStatus.DISPUTED
        elif not is_open and now is MilestoneStatus.DISPUTED:
            assert was is not None
            self.model[at] = was
        self.frozen[self.parts[at]] = (number, was)

    # Who has nothing to do with it

    @rule(
        action=st.sampled_from(["sign", "cancel", "end", "amendment/sign", "offer/accept"]),
        at=st.integers(0, MOST - 1),
        on_work=st.sampled_from([*WORK, None]),
    )
    def a_third_person(self, action: str, at: int, on_work: str | None) -> None:
        missing = (404, "job.contract_not_found")
        if on_work is None:
            by = worker() if action == "offer/accept" else hirer()
            self.step(f"{self.path}/{action}", by=by, refused=missing)
            return
        by = worker() if on_work == "submit" else hirer()
        body = {"reason": "No."} if on_work == "request-changes" else None
        where = milestone(self.contract_id, self.parts[at % len(self.parts)], on_work)
        self.step(where, body, by=by, refused=missing)

    @invariant()
    def all_is_as_the_model_says(self) -> None:
        if not self.kept:
            return
        (contract,), (job,) = self.kept["contracts"], self.kept["jobs"]
        found: dict[str, Any] = {part["id"]: part for part in contract["milestones"]}
        assert (contract["status"], job["status"]) == (self.status, self.job)
        assert [*found] == self.parts
        assert [part["status"] for part in found.values()] == self.model
        assert [len(part.get("submissions", [])) for part in found.values()] == self.submissions
        assert {side for side in ("hirer", "worker") if contract.get(f"{side}_signature")} == self.signed
        assert contract["terms_hash"] == self.terms_hash
        timers = self.run(self.desk.timers(self.contract_id))
        silences = [one for one in timers if one.startswith("auto-approve:")]
        assert len(silences) == self.model.count(MilestoneStatus.SUBMITTED)
        proposer = contract.get("amendment", {"proposed_by": None})["proposed_by"]
        assert proposer == (self.amendment and self.who(self.amendment).user_id)


@LENGTHS
async def test_contracts_and_milestones_follow_their_tables(
    desk: Desk, users: FakeUserClient, payment: FakePaymentClient, examples: int, steps: int
) -> None:
    payment.status = EscrowStatus.FUNDED  # so that only payment's news releases
    Contracts.users = users
    await walk(Contracts, desk, examples=examples, steps=steps)
