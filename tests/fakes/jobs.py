"""The job service's client, answering from contracts that a test made."""

from kelmah.contracts.common import Money
from kelmah.contracts.job import (
    ContractFacts,
    ContractKind,
    ContractStatus,
    MilestoneFacts,
    MilestoneMoneyState,
    MilestoneStatus,
)
from kelmah.kit.errors import KelmahError, NotFound
from kelmah.kit.ids import new_id
from kelmah.kit.mongo import in_transaction


class FakeJobClient:
    """Has `get_contract` and `milestone_money` of `JobClient`; `told` keeps what it was told, `told_of` of what."""

    def __init__(self) -> None:
        self.contracts: dict[str, ContractFacts] = {}
        self.told: list[tuple[str, MilestoneMoneyState, str]] = []
        self.told_of: list[str] = []
        self.down: KelmahError | None = None

    def make_contract(
        self,
        hirer_id: str,
        worker_id: str,
        *amounts: int,
        currency: str = "GHS",
        status: ContractStatus = ContractStatus.ACTIVE,
        milestone_status: MilestoneStatus = MilestoneStatus.AGREED,
        kind: ContractKind = ContractKind.SINGLE,
    ) -> ContractFacts:
        """A contract with a milestone for each amount."""
        contract = ContractFacts(
            id=new_id(),
            job_id=new_id(),
            hirer_id=hirer_id,
            worker_id=worker_id,
            status=status,
            milestones=[
                MilestoneFacts(
                    id=new_id(), title="A wall", amount=Money(amount=one, currency=currency), status=milestone_status
                )
                for one in amounts
            ],
            kind=kind,
        )
        self.contracts[contract.id] = contract
        return contract

    async def get_contract(self, *, contract_id: str) -> ContractFacts:
        assert not in_transaction()
        if contract_id not in self.contracts:
            raise NotFound
        return self.contracts[contract_id]

    async def milestone_money(
        self, *, contract_id: str, milestone_id: str, state: MilestoneMoneyState, escrow_id: str
    ) -> None:
        assert not in_transaction()
        if self.down is not None:
            raise self.down
        self.told.append((milestone_id, state, escrow_id))
        self.told_of.append(contract_id)
