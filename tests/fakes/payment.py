"""A payment service that answers as it is told to."""

from kelmah.clients.payment import PaymentClient
from kelmah.contracts.common import Money
from kelmah.contracts.payment import EscrowFacts, EscrowStatus
from kelmah.kit.errors import KelmahError


class FakePaymentClient(PaymentClient):
    """Releases at once, unless `failure` is set; `released` lists what it was asked to release."""

    def __init__(self) -> None:
        self.released: list[tuple[str, str]] = []
        self.failure: KelmahError | None = None
        self.status = EscrowStatus.RELEASED

    async def release_milestone(self, *, contract_id: str, milestone_id: str) -> EscrowFacts:
        self.released.append((contract_id, milestone_id))
        if self.failure is not None:
            raise self.failure
        return EscrowFacts(
            id=f"escrow-{milestone_id}",
            contract_id=contract_id,
            milestone_id=milestone_id,
            status=self.status,
            amount=Money(amount=1),
        )
