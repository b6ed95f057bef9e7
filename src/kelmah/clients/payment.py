"""Calls to the payment service."""

from kelmah.contracts.payment import EscrowFacts
from kelmah.kit.calls import ServiceCaller, quoted


class PaymentClient:
    """What other services ask the payment service."""

    def __init__(self, caller: ServiceCaller) -> None:
        self._caller = caller

    async def release_milestone(self, *, contract_id: str, milestone_id: str) -> EscrowFacts:
        """Release the whole escrow of an approved milestone. Said twice, it releases once.

        Raises:
            NotFound: the milestone was never funded.
            Conflict: its escrow is disputed or refunded.
        """
        return await self._caller.call(
            "POST",
            quoted("internal", "contracts", contract_id, "milestones", milestone_id, "release"),
            returns=EscrowFacts,
            safe=True,
        )
