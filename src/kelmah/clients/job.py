"""Calls to the job service."""

from kelmah.contracts.job import ContractFacts, MilestoneMoney, MilestoneMoneyState
from kelmah.kit.calls import ServiceCaller, quoted


class JobClient:
    """What other services ask the job service."""

    def __init__(self, caller: ServiceCaller) -> None:
        self._caller = caller

    async def get_contract(self, *, contract_id: str) -> ContractFacts:
        """One contract with its milestones.

        Raises:
            NotFound: there is no such contract.
        """
        return await self._caller.call("GET", quoted("internal", "contracts", contract_id), returns=ContractFacts)

    async def milestone_money(
        self, *, contract_id: str, milestone_id: str, state: MilestoneMoneyState, escrow_id: str
    ) -> None:
        """Tell of money that moved. May be said any number of times; the event says it once more.

        Raises:
            NotFound: there is no such milestone.
        """
        await self._caller.call(
            "POST",
            quoted("internal", "contracts", contract_id, "milestones", milestone_id, "money"),
            body=MilestoneMoney(state=state, escrow_id=escrow_id),
            returns=type(None),
            safe=True,
        )
