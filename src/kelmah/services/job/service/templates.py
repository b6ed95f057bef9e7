"""Contract templates of hirers, and direct offers that are made from them."""

from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

from kelmah.contracts.job import (
    ContractOffered,
    ContractStatus,
    ContractView,
    JobStatus,
    OfferContract,
    TemplateList,
    TemplateView,
    WriteTemplate,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput, NotFound, PreconditionFailed
from kelmah.kit.ids import new_id
from kelmah.services.job import mapping
from kelmah.services.job.documents import contracts as contract_documents
from kelmah.services.job.documents import jobs as job_documents
from kelmah.services.job.documents import templates as documents
from kelmah.services.job.documents.applications import Offer
from kelmah.services.job.documents.templates import TemplateDocument
from kelmah.services.job.errors import TemplateNotFound, TooManyOffers, TooManySaved
from kelmah.services.job.service import contracts, jobs, words
from kelmah.services.job.service.applications import checked_offers
from kelmah.services.job.service.context import Context
from kelmah.services.job.service.drafting import checked_work, draft_contract

MAX_TEMPLATES = 50
#: The actor that ends an offer that was not answered.
EXPIRE_OFFER = "job.expire_offer"
#: What a template and the job of an offer have in common.
_JOB_FIELDS = ("title", "description", "category", "skills", "budget", "location")


async def create_template(context: Context, data: WriteTemplate, *, by: Principal) -> TemplateView:
    """Keep a template."""
    content = _content(context, data)

    async def change() -> TemplateView:
        taken = {one.slot for one in await documents.templates_of(by.user_id)}
        slot = next(free for free in count() if free not in taken)
        if slot >= MAX_TEMPLATES:
            raise TooManySaved(f"You keep {MAX_TEMPLATES} templates, which is all that one may.")
        now = clock.now()
        template = TemplateDocument(
            id=new_id(), hirer_id=by.user_id, slot=slot, created_at=now, updated_at=now, **content
        )
        await documents.insert_template(template)
        return mapping.template_view(template)

    return await context.mongo.transact(change)


async def list_templates(*, by: Principal) -> TemplateList:
    """The hirer's templates."""
    return TemplateList(items=[mapping.template_view(one) for one in await documents.templates_of(by.user_id)])


async def get_template(template_id: str, *, by: Principal) -> TemplateView:
    """One template of the hirer."""
    return mapping.template_view(await _own(template_id, by))


async def replace_template(
    context: Context, template_id: str, data: WriteTemplate, *, version: int, by: Principal
) -> TemplateView:
    """Write a template anew, if it still is at this version. Contracts that were made from it stay as they are."""
    content = {name: _plain(value) for name, value in _content(context, data).items()}
    template = await documents.replace_template(
        template_id, hirer_id=by.user_id, version=version, content=content, at=clock.now()
    )
    if template is None:
        await _own(template_id, by)
        raise PreconditionFailed
    return mapping.template_view(template)


async def delete_template(template_id: str, *, by: Principal) -> None:
    """Keep a template no longer."""
    if not await documents.delete_template(template_id, hirer_id=by.user_id):
        raise TemplateNotFound


async def offer_contract(context: Context, template_id: str, data: OfferContract, *, by: Principal) -> ContractView:
    """Offer a template's work to a worker: its job is in progress at once, the contract awaits the answer.

    Raises:
        BadInput: there is no such worker.
        TooManyOffers: as many as one may make wait for an answer.
    """
    template = await _own(template_id, by)
    work = None if data.work is None else checked_work("work", data.work)
    try:
        await context.user.get_worker(user_id=data.worker_id)
    except NotFound:
        raise BadInput.of("workerId", "there is no such worker") from None

    async def change(slot: int) -> ContractView:
        contract_id, expires_at = new_id(), clock.now() + timedelta(days=context.settings.offer_open_days)
        job = jobs.new_job({name: getattr(template, name) for name in _JOB_FIELDS}, by=by)
        job.status, job.contract_id, job.offered_to = JobStatus.IN_PROGRESS, contract_id, data.worker_id
        await job_documents.insert_job(job)
        contract = await draft_contract(
            contract_id,
            job,
            worker_id=data.worker_id,
            currency=template.budget.currency,
            milestones=template.milestones,
            auto_approve_after_days=template.auto_approve_after_days,
            status=ContractStatus.OFFERED,
            work=work,
            offer_slot=slot,
            offer_expires_at=expires_at,
        )
        await context.timers.set(f"expire-offer:{contract_id}", EXPIRE_OFFER, [contract_id], due=expires_at)
        event = ContractOffered(contract_id=contract_id, job_id=job.id, hirer_id=job.hirer_id, worker_id=data.worker_id)
        await context.events.append(event, subject=contracts.subject(contract_id))
        return mapping.contract_view(contract)

    while True:
        taken = await contract_documents.offer_slots_of(by.user_id)
        slot = next(free for free in count() if free not in taken)
        if slot >= context.settings.max_open_offers:
            raise TooManyOffers(f"{context.settings.max_open_offers} offers wait for an answer, which is all one may.")
        with suppress(contract_documents.SlotTaken):
            return await context.mongo.transact(partial(change, slot))


async def _own(template_id: str, by: Principal) -> TemplateDocument:
    template = await documents.get_template(template_id, hirer_id=by.user_id)
    if template is None:
        raise TemplateNotFound
    return template


def _content(context: Context, data: WriteTemplate) -> dict[str, Any]:
    """The checked fields of a template, as they are stored."""
    content = jobs.checked_content(context, {name: getattr(data, name) for name in _JOB_FIELDS})
    for at, one in enumerate(data.milestones or []):
        if one.due_at is not None:
            raise BadInput.of(f"milestones[{at}].dueAt", "a template is used again and again, and has no dates")
    milestones = checked_offers(data.budget, data.milestones)
    return content | {
        "name": words.line("name", data.name, 80),
        "milestones": milestones or [Offer(title=content["title"], amount=data.budget.amount)],
        "auto_approve_after_days": data.auto_approve_after_days,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.model_dump() if hasattr(value, "model_dump") else value
