"""What other services ask the payment service."""

from kelmah.contracts.common import Money, Response
from kelmah.contracts.payment.escrows import EscrowStatus


class EscrowFacts(Response, frozen=True, kw_only=True):
    """An escrow as job needs it. `fee_amount` is minor units of the escrow's currency."""

    id: str
    contract_id: str
    milestone_id: str
    status: EscrowStatus
    amount: Money
    fee_amount: int = 0
