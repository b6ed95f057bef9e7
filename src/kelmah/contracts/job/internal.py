"""What the job service and the other services say to each other under /internal."""

from enum import StrEnum

from kelmah.contracts.common import Money, Request, Response
from kelmah.contracts.job.states import ContractStatus, MilestoneStatus


class MilestoneFacts(Response, frozen=True, kw_only=True):
    """A milestone as payment and review need it."""

    id: str
    title: str
    amount: Money
    status: MilestoneStatus


class ContractKind(StrEnum):
    """What a contract's fees may differ by."""

    SINGLE = "single"
    MILESTONES = "milestones"


class ContractFacts(Response, frozen=True, kw_only=True):
    """A contract as payment and review need it. Trade (of the taxonomy) and region are those of its job, if any."""

    id: str
    job_id: str
    hirer_id: str
    worker_id: str
    status: ContractStatus
    milestones: list[MilestoneFacts]
    trade: str | None = None
    region: str | None = None
    kind: ContractKind = ContractKind.SINGLE


class MilestoneMoneyState(StrEnum):
    """What payment tells job about the money of a milestone."""

    FUNDED = "funded"
    RELEASED = "released"
    REFUNDED = "refunded"


class MilestoneMoney(Request, frozen=True, kw_only=True):
    """The money of a milestone moved. Said twice, it changes nothing."""

    state: MilestoneMoneyState
    escrow_id: str
