"""The tables of states: complete, without dead ends that nobody meant, and open to payment's news in any order."""

import itertools
from enum import StrEnum
from typing import Any

import pytest

from kelmah.contracts.job import ApplicationStatus, ContractStatus, InvitationStatus, JobStatus, MilestoneStatus
from kelmah.services.job.documents.applications import LIVE
from kelmah.services.job.service import states

TABLES: list[tuple[Any, Any, type[StrEnum], set[StrEnum]]] = [
    (states.JOB_TRANSITIONS, JobStatus.DRAFT, JobStatus, {JobStatus.COMPLETED, JobStatus.CANCELLED}),
    (
        states.APPLICATION_TRANSITIONS,
        ApplicationStatus.SUBMITTED,
        ApplicationStatus,
        {ApplicationStatus.ACCEPTED, ApplicationStatus.REJECTED, ApplicationStatus.WITHDRAWN},
    ),
    (states.INVITATION_TRANSITIONS, InvitationStatus.SENT, InvitationStatus, {InvitationStatus.APPLIED}),
    (
        states.CONTRACT_TRANSITIONS,
        ContractStatus.OFFERED,
        ContractStatus,
        {ContractStatus.COMPLETED, ContractStatus.CANCELLED},
    ),
    (states.MILESTONE_TRANSITIONS, MilestoneStatus.AGREED, MilestoneStatus, {MilestoneStatus.RELEASED}),
]


@pytest.mark.parametrize(("table", "start", "statuses", "ends"), TABLES)
def test_every_state_is_in_its_table_and_reached_from_the_start(
    table: Any, start: StrEnum, statuses: type[StrEnum], ends: set[StrEnum]
) -> None:
    assert set(table) == set(statuses)
    reached, pending = {start}, [start]
    while pending:
        for target in table[pending.pop()] - reached:
            reached.add(target)
            pending.append(target)
    assert reached == set(statuses)
    assert {status for status, targets in table.items() if not targets} == ends


@pytest.mark.parametrize(("table", "start", "statuses", "ends"), TABLES)
def test_sources_are_the_table_read_backwards(table: Any, start: Any, statuses: Any, ends: Any) -> None:
    assert {(one, target) for target in statuses for one in states.sources(table, target)} == {
        (one, target) for one, targets in table.items() for target in targets
    }


def test_the_live_applications_are_those_that_can_still_be_answered() -> None:
    assert set(LIVE) == states.sources(states.APPLICATION_TRANSITIONS, ApplicationStatus.REJECTED)


@pytest.mark.parametrize("start", [s for s in MilestoneStatus if s is not MilestoneStatus.DISPUTED])
def test_news_of_money_ends_the_same_in_every_order(start: MilestoneStatus) -> None:
    news = [states.BY_MONEY_STATE[one] for one in states.BY_MONEY_STATE]
    for count in range(1, len(news) + 1):
        for some in itertools.combinations(news, count):
            ends = set()
            for order in itertools.permutations(some):
                status = start
                for target in order:
                    status = target if target in states.MILESTONE_TRANSITIONS[status] else status
                ends.add(status)
            assert len(ends) == 1, some
