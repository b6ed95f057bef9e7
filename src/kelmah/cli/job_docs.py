"""The pages on states and on the matching, made from the tables in the code."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from kelmah.contracts.job import ContractStatus, MilestoneStatus
from kelmah.contracts.payment import EscrowStatus
from kelmah.services.job.service import ranking, states
from kelmah.services.payment.documents import disputes, escrows

STATES = Path("docs/states.md")
MATCHING = Path("docs/matching.md")

_WHY = {
    "skills": "how much of the wanted trades is offered: "
    f"{ranking.SAME_TRADE} for the trade itself, {ranking.TRADE_OF_FAMILY} for one of a wanted family, "
    f"{ranking.FAMILY_OF_TRADE} for its family, {ranking.CATEGORY_ONLY} for the job's trade without any listed skill",
    "reputation": f"the Bayesian rating as a share of five stars; newcomers get {ranking.NEWCOMER_REPUTATION}",
    "distance": f"e^(-km / {ranking.DISTANCE_SCALE_KM:g}); {ranking.UNKNOWN} where no place is known",
    "experience": "(completed contracts + 3) / (completed + 8): each further one says less",
    "availability": f"free days of the next {ranking.SOON}, {ranking.ENOUGH_DAYS} are enough; of an urgent job's next "
    f"{ranking.SOON_IF_URGENT}, {ranking.ENOUGH_DAYS_IF_URGENT} is; {ranking.UNKNOWN} where nothing is known",
    "response": f"the share of first messages that are answered; {ranking.UNKNOWN} where nobody wrote",
    "budget": f"budget / {ranking.HOURS_OF_A_DAY} hours at the worker's rate, at most 1000",
    "load": f"falls to 0 at {ranking.FULL_LOAD} active contracts",
    "recency": f"falls to 0 in {ranking.FRESH_DAYS} days; full for urgent jobs within {ranking.URGENT_KM:g} km of "
    "somebody who is free",
}


def pages() -> Iterator[tuple[Path, str]]:
    """Each page with its text."""
    yield STATES, _states()
    yield MATCHING, _matching()


def _states() -> str:
    disputed = MilestoneStatus.DISPUTED
    milestones = {**states.MILESTONE_TRANSITIONS}
    milestones[disputed] = milestones[disputed] | states.AFTER_DISPUTE
    tables: dict[str, Mapping[str, frozenset[str]]] = {
        "Job": {str(one): _names(to) for one, to in states.JOB_TRANSITIONS.items()},
        "Application": {str(one): _names(to) for one, to in states.APPLICATION_TRANSITIONS.items()},
        "Invitation": {str(one): _names(to) for one, to in states.INVITATION_TRANSITIONS.items()},
        "Contract": {str(one): _names(to) for one, to in states.CONTRACT_TRANSITIONS.items()},
        "Milestone": {str(one): _names(to) for one, to in milestones.items()},
        "Escrow": {str(one): _names(to) for one, to in escrows.TRANSITIONS.items()},
        "Dispute": {str(one): _names(to) for one, to in disputes.TRANSITIONS.items()},
    }
    # An accepted application has been agreed: its contract starts one step further than a direct offer.
    # An escrow that is funded from the wallet waits for nothing.
    starts = {
        "Contract": [str(ContractStatus.OFFERED), str(ContractStatus.AWAITING_SIGNATURES)],
        "Escrow": [str(EscrowStatus.PENDING), str(EscrowStatus.FUNDED)],
    }
    parts = [f"## {name}\n\n{_diagram(table, starts.get(name, [next(iter(table))]))}" for name, table in tables.items()]
    return (
        "# States\n\nMade by `kelmah contracts export` from `kelmah.services.job.service.states` and the "
        "documents of escrows and disputes in `kelmah.services.payment`. "
        "A step that is not here is answered 409.\n\n" + "\n".join(parts)
    )


def _names(targets: frozenset[str]) -> frozenset[str]:
    return frozenset(str(one) for one in targets)


def _diagram(table: Mapping[str, frozenset[str]], starts: Iterable[str]) -> str:
    arrows = [f"    [*] --> {start}" for start in starts]
    for state, targets in table.items():
        arrows += [f"    {state} --> {target}" for target in sorted(targets)] or [f"    {state} --> [*]"]
    return "```mermaid\nstateDiagram-v2\n" + "\n".join(arrows) + "\n```\n"


def _matching() -> str:
    hirer, worker = ranking.WEIGHTS["hirer"], ranking.WEIGHTS["worker"]
    rows = "\n".join(
        f"| {name} | {hirer.get(name, '')} | {worker.get(name, '')} | {_WHY[name]} |"
        for name in dict.fromkeys([*hirer, *worker])
    )
    return f"""# Matching

Made by `kelmah contracts export` from `kelmah.services.job.service.ranking`.

A fit has two sides: would the hirer take the worker, and would the worker take the job. Each side is the weighted sum
of its features, each from 0 to 1000; the score is their geometric mean. `contributions` share the score out among the
features in proportion to what each brought, and sum to it. Equal scores are ordered by id.

| feature | hirer's side | worker's side | value |
|---|---|---|---|
{rows}

Whoever offers nothing of the wanted trades has no score, however near or well rated: trades of one family are
strangers to each other. In each ten places of a list of workers that would show no newcomer, place
{ranking.NEWCOMER_PLACE} goes to the best one further down.

`kelmah match evaluate` scores a labelled set by nDCG@10, P@5 and Recall@100, beside ranking by words (BM25) and by
chance, by slice. The committed set, `tests/data/matching.jsonl`, is made by `tests/factories/matching.py`: its grades
come from a simulated hidden world, not from people, so it finds regressions and does not prove that people agree.
Any file of the same format can be given instead.
"""
