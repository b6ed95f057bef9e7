"""Operations on contracts and their milestones."""

from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody

from kelmah.contracts.common import Page
from kelmah.contracts.job import (
    ChangeTerms,
    ContractFacts,
    ContractStatus,
    ContractView,
    GiveReason,
    MilestoneList,
    MilestoneMoney,
    MilestoneView,
    NextSteps,
    ProposeAmendment,
    ProposedMilestone,
    RequestChanges,
    SignContract,
    SubmitMilestone,
)
from kelmah.kit.context import Principal
from kelmah.kit.pagination import DEFAULT_LIMIT
from kelmah.services.job.controllers.parameters import Cursor, Limit
from kelmah.services.job.service import Context, amendments, contracts, milestones, next_steps


@get("/api/v1/contracts", operation_id="ListContracts", summary="My contracts", tags=["Contracts"])
async def list_contracts(
    principal: NamedDependency[Principal],
    status: FromQuery[ContractStatus | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[ContractView]:
    return await contracts.list_contracts(by=principal, status=status, cursor=cursor, limit=limit)


@get(
    "/api/v1/contracts/{contract_id:str}",
    operation_id="GetContract",
    summary="One contract, for its two sides",
    tags=["Contracts"],
)
async def get_contract(contract_id: FromPath[str], principal: NamedDependency[Principal]) -> ContractView:
    return await contracts.get_contract(contract_id, by=principal)


@post(
    "/api/v1/contracts/{contract_id:str}/sign",
    operation_id="SignContract",
    status_code=200,
    summary="Sign the terms",
    tags=["Contracts"],
)
async def sign(
    contract_id: FromPath[str],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    data: JSONBody[SignContract | None] = None,
) -> ContractView:
    return await contracts.sign(context, contract_id, terms_hash=data.terms_hash if data else None, by=principal)


@patch(
    "/api/v1/contracts/{contract_id:str}/terms",
    operation_id="ChangeTerms",
    summary="Change the days of silence or the dates before the contract is signed",
    tags=["Contracts"],
)
async def change_terms(
    contract_id: FromPath[str],
    data: JSONBody[ChangeTerms],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> ContractView:
    return await contracts.change_terms(context, contract_id, data, by=principal)


@post(
    "/api/v1/contracts/{contract_id:str}/cancel",
    operation_id="CancelContract",
    status_code=200,
    summary="End a contract that no money was paid under",
    tags=["Contracts"],
)
async def cancel(
    contract_id: FromPath[str],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    data: JSONBody[GiveReason | None] = None,
) -> ContractView:
    return await contracts.cancel(context, contract_id, reason=data.reason if data else None, by=principal)


@post(
    "/api/v1/contracts/{contract_id:str}/end",
    operation_id="EndContract",
    status_code=200,
    summary="End a part-paid contract of which no money is held",
    tags=["Contracts"],
)
async def end(
    contract_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> ContractView:
    return await contracts.end(context, contract_id, by=principal)


@get(
    "/api/v1/contracts/{contract_id:str}/next",
    operation_id="GetNextSteps",
    summary="What happens next, and when",
    tags=["Contracts"],
)
async def next_steps_of(contract_id: FromPath[str], principal: NamedDependency[Principal]) -> NextSteps:
    return await next_steps.next_steps(contract_id, by=principal)


@post(
    "/api/v1/contracts/{contract_id:str}/amendment",
    operation_id="ProposeAmendment",
    summary="Propose to change an active contract",
    tags=["Contracts"],
)
async def propose_amendment(
    contract_id: FromPath[str],
    data: JSONBody[ProposeAmendment],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> ContractView:
    return await amendments.propose(context, contract_id, data, by=principal)


@post(
    "/api/v1/contracts/{contract_id:str}/amendment/sign",
    operation_id="SignAmendment",
    status_code=200,
    summary="Sign the other side's amendment",
    tags=["Contracts"],
)
async def sign_amendment(
    contract_id: FromPath[str],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    data: JSONBody[SignContract | None] = None,
) -> ContractView:
    return await amendments.sign(context, contract_id, terms_hash=data.terms_hash if data else None, by=principal)


@delete(
    "/api/v1/contracts/{contract_id:str}/amendment",
    operation_id="DropAmendment",
    status_code=200,
    summary="Decline an amendment, or take one's own back",
    tags=["Contracts"],
)
async def drop_amendment(
    contract_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> ContractView:
    return await amendments.drop(context, contract_id, by=principal)


@post(
    "/api/v1/contracts/{contract_id:str}/milestones",
    operation_id="AddMilestone",
    summary="Add a milestone before the contract is signed",
    tags=["Milestones"],
)
async def add_milestone(
    contract_id: FromPath[str],
    data: JSONBody[ProposedMilestone],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> MilestoneView:
    return await contracts.add_milestone(context, contract_id, data, by=principal)


@get(
    "/api/v1/contracts/{contract_id:str}/milestones",
    operation_id="ListMilestones",
    summary="A contract's milestones",
    tags=["Milestones"],
)
async def list_milestones(contract_id: FromPath[str], principal: NamedDependency[Principal]) -> MilestoneList:
    return await contracts.list_milestones(contract_id, by=principal)


@post(
    "/api/v1/contracts/{contract_id:str}/milestones/{milestone_id:str}/submit",
    operation_id="SubmitMilestone",
    status_code=200,
    summary="Hand in the work",
    tags=["Milestones"],
)
async def submit(
    contract_id: FromPath[str],
    milestone_id: FromPath[str],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    data: JSONBody[SubmitMilestone | None] = None,
) -> MilestoneView:
    note = data.note if data else None
    return await milestones.submit(context, contract_id, milestone_id, note=note, by=principal)


@post(
    "/api/v1/contracts/{contract_id:str}/milestones/{milestone_id:str}/approve",
    operation_id="ApproveMilestone",
    status_code=200,
    summary="Accept the work and have it paid",
    tags=["Milestones"],
)
async def approve(
    contract_id: FromPath[str],
    milestone_id: FromPath[str],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> MilestoneView:
    return await milestones.approve(context, contract_id, milestone_id, by=principal)


@post(
    "/api/v1/contracts/{contract_id:str}/milestones/{milestone_id:str}/request-changes",
    operation_id="RequestMilestoneChanges",
    status_code=200,
    summary="Send the work back",
    tags=["Milestones"],
)
async def request_changes(
    contract_id: FromPath[str],
    milestone_id: FromPath[str],
    data: JSONBody[RequestChanges],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> MilestoneView:
    return await milestones.request_changes(context, contract_id, milestone_id, reason=data.reason, by=principal)


@get(
    "/internal/contracts/{contract_id:str}",
    operation_id="GetContractFacts",
    summary="A contract, for other services",
    include_in_schema=False,
)
async def contract_facts(contract_id: FromPath[str]) -> ContractFacts:
    return await contracts.contract_facts(contract_id)


@post(
    "/internal/contracts/{contract_id:str}/milestones/{milestone_id:str}/money",
    operation_id="NoteMilestoneMoney",
    status_code=204,
    summary="Payment's news of a milestone's money",
    include_in_schema=False,
)
async def note_money(
    contract_id: FromPath[str],
    milestone_id: FromPath[str],
    data: JSONBody[MilestoneMoney],
    context: NamedDependency[Context],
) -> None:
    await milestones.note_money(context, contract_id, milestone_id, state=data.state, escrow_id=data.escrow_id)


HANDLERS: list[BaseRouteHandler] = [
    list_contracts, get_contract, sign, cancel, add_milestone, list_milestones, submit, approve, request_changes,
    contract_facts, note_money, end, next_steps_of, propose_amendment, sign_amendment, drop_amendment,
    change_terms,
]  # fmt: skip
