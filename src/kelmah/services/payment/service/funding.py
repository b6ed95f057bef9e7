"""Funding of escrow: from the hirer's wallet, or straight from a provider."""

from kelmah.contracts.job import ContractFacts, ContractStatus, MilestoneFacts, MilestoneMoneyState, MilestoneStatus
from kelmah.contracts.payment import CreateDeposit, EscrowStatus, EscrowView, FundEscrow, Provider
from kelmah.kit import clock, idempotency
from kelmah.kit.context import Principal
from kelmah.kit.errors import IdempotencyKeyReused, NotFound
from kelmah.kit.ids import new_id
from kelmah.services.payment import mapping
from kelmah.services.payment.documents import DepositDocument, EscrowDocument, deposits, parties
from kelmah.services.payment.documents import escrows as documents
from kelmah.services.payment.errors import MilestoneNotFundable, PartyGone
from kelmah.services.payment.providers.base import Charge
from kelmah.services.payment.service import holdings, referrals
from kelmah.services.payment.service.context import Context
from kelmah.services.payment.service.deposits import deposit_view, pay
from kelmah.services.payment.service.escrows import tell_job


async def fund_escrow(context: Context, request: FundEscrow, *, by: Principal) -> tuple[EscrowView, int]:
    """Put a milestone's amount into escrow. Returns the escrow and the HTTP status that fits it."""
    contract = await context.job.get_contract(contract_id=request.contract_id)
    if contract.hirer_id != by.user_id:
        raise NotFound
    milestone = next((one for one in contract.milestones if one.id == request.milestone_id), None)
    if milestone is None:
        raise NotFound
    escrow = await _escrow(context, contract, milestone)
    if request.provider is not None or request.method_id is not None or request.payment_method is not None:
        return await _from_provider(context, request, escrow, milestone, status=contract.status, by=by)
    _check_fundable(contract.status, milestone)

    async def change() -> EscrowView:
        await _check_open(escrow)
        await documents.insert_escrow(escrow)
        await holdings.hold(context, escrow)
        view = mapping.escrow_view(escrow)
        await context.idempotency.remember(view)
        return view

    async with context.lanes.hold(by.user_id):
        view = await context.mongo.transact(change)
    await tell_job(context, escrow, MilestoneMoneyState.FUNDED)
    return view, 201


async def _from_provider(
    context: Context,
    request: FundEscrow,
    escrow: EscrowDocument,
    milestone: MilestoneFacts,
    *,
    status: ContractStatus,
    by: Principal,
) -> tuple[EscrowView, int]:
    """Charge the payer. The escrow claims its milestone at once, and is funded when the money is there."""
    request_id = idempotency.current_id()
    if request_id is None or await deposits.find_by_request(request_id) is None:
        await _check_open(escrow)
        _check_fundable(status, milestone)  # what an earlier try began is finished, whatever became of the milestone
    escrow.status = EscrowStatus.PENDING
    payment = CreateDeposit(
        amount=milestone.amount,
        provider=request.provider or Provider.STRIPE,
        method_id=request.method_id,
        payment_method=request.payment_method,
    )

    async def answer(deposit: DepositDocument, charge: Charge | None) -> EscrowView:
        current = await documents.find_escrow(deposit.escrow_id or "", seen_by=by.user_id)
        if current is None or current.milestone_id != milestone.id:
            raise IdempotencyKeyReused  # after the key was forgotten; what it paid for is not
        return mapping.escrow_view(current, payment=deposit_view(deposit, charge))

    view, code = await pay(context, payment, by=by, answer=answer, escrow=escrow)
    if view.status is EscrowStatus.FUNDED:
        await tell_job(context, view, MilestoneMoneyState.FUNDED)
    return view, code


async def _escrow(context: Context, contract: ContractFacts, milestone: MilestoneFacts) -> EscrowDocument:
    terms, now = context.settings.terms_of(contract.kind), clock.now()
    return EscrowDocument(
        id=new_id(),
        contract_id=contract.id,
        milestone_id=milestone.id,
        hirer_id=contract.hirer_id,
        worker_id=contract.worker_id,
        amount=milestone.amount.amount,
        currency=milestone.amount.currency,
        status=EscrowStatus.FUNDED,
        fee_basis_points=terms.fee,
        tax_basis_points=terms.tax,
        referral_basis_points=terms.referral,
        referrer_id=await referrals.referrer_of(contract.worker_id),
        created_at=now,
        updated_at=now,
    )


async def _check_open(escrow: EscrowDocument) -> None:
    """With somebody whose account is at rest, or gone, nothing new is begun."""
    if not await parties.are_open([escrow.hirer_id, escrow.worker_id]):
        raise PartyGone


def _check_fundable(status: ContractStatus, milestone: MilestoneFacts) -> None:
    if status is not ContractStatus.ACTIVE:
        raise MilestoneNotFundable("The contract is not active.")
    if milestone.status is not MilestoneStatus.AGREED:
        raise MilestoneNotFundable(f"The milestone is {milestone.status}.")
