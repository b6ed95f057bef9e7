"""Plays made-up deals as far as their stage, through the services' own functions, so that every rule holds."""

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from kelmah.cli.seed import words
from kelmah.cli.seed.people import principal
from kelmah.cli.seed.plan import Deal, Plan, Stage
from kelmah.cli.seed.scene import PostponedTimers, Scene, end
from kelmah.contracts.common import Money
from kelmah.contracts.job import Apply, ContractView, CreateJob, ProposedMilestone
from kelmah.contracts.messaging import ConversationKind, NewConversation, NewMessage
from kelmah.contracts.payment import AnswerDispute, CreateDeposit, FundEscrow, RaiseDispute, ResolveDispute
from kelmah.contracts.review import Criteria, NewReply, NewReview
from kelmah.contracts.taxonomy import skills
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.job.errors import JobNotFound
from kelmah.services.job.service import applications, contracts, jobs, milestones
from kelmah.services.messaging import service as messaging
from kelmah.services.payment import service as payment
from kelmah.services.review import service as reviews

#: A card that the stand-in for Stripe accepts.
_CARD = "pm_card_visa"
#: Stages whose money was paid out.
_PAID = frozenset({Stage.RELEASED, Stage.REVIEW_SEALED, Stage.REVIEWED})


class Performance:
    """One deal on its way: the services, the people as they are signed in, and the current step's time."""

    def __init__(self, services: Mapping[str, Any], plan: Plan, deal: Deal) -> None:
        end()  # postponed timers go by the time of the world
        self.services = {
            name: dataclasses.replace(context, timers=PostponedTimers(context.timers))
            for name, context in services.items()
        }
        self.deal = deal
        self.stage = deal.stage
        self.scene = Scene(f"{plan.seed}/{deal.name}", deal.begins)
        self.hirer = principal(plan, deal.hirer)
        self.worker = principal(plan, deal.worker)
        self.others = [principal(plan, one) for one in deal.others]
        self.support = next(principal(plan, one) for one in plan.staff if one.name == "support")


async def play(services: Mapping[str, Any], plan: Plan, deal: Deal) -> bool:
    """Play a deal to its stage. False, and nothing is done, when its job is there already."""
    show = Performance(services, plan, deal)
    if await _exists(show.scene.first_id, show.hirer):
        return False
    job_id = await _post_job(show)
    if deal.stage in (Stage.DRAFT, Stage.CLOSED):
        return True
    application_id = await _apply(show, job_id)
    if deal.stage in (Stage.OPEN, Stage.PAUSED):
        return True
    await _talk(show)
    contract = await _agree(show, application_id)
    if deal.stage not in (Stage.AWAITING_SIGNATURES, Stage.CANCELLED, Stage.ACTIVE):
        await _work(show, contract)
    if deal.stage in _PAID:
        await _review(show, contract)
    return True


async def _exists(job_id: str, hirer: Principal) -> bool:
    try:
        await jobs.get_job(job_id, viewer_id=hirer.user_id)
    except JobNotFound:
        return False
    return True


async def _post_job(show: Performance) -> str:
    deal, context = show.deal, show.services["job"]
    trade = skills()[deal.trade]
    show.scene.after()
    job = await jobs.create_job(
        context,
        CreateJob(
            title=deal.title,
            description=deal.description,
            category=str(trade.parent or trade.id),
            skills=[deal.trade],
            budget=Money(amount=deal.price),
            location=deal.hirer.location,
        ),
        by=show.hirer,
    )
    if show.stage is not Stage.DRAFT:
        show.scene.after(hours=0.2)
        await jobs.publish_job(context, job.id, by=show.hirer)
    if show.stage is Stage.CLOSED:
        show.scene.after(hours=30)
        await jobs.close_job(context, job.id, reason="We found somebody in the family.", by=show.hirer)
    return job.id


async def _apply(show: Performance, job_id: str) -> str:
    """All apply, the one who gets the work last; the application of that one."""
    deal, context = show.deal, show.services["job"]
    for position, other in enumerate(show.others):
        show.scene.after(hours=1.5)
        rate = Money(amount=deal.price + (position + 1) * 1_000)
        await applications.apply(
            context, job_id, Apply(proposed_rate=rate, cover_letter=words.LETTERS[position]), by=other
        )
    show.scene.after(hours=2)
    parts = [ProposedMilestone(title=part.title, amount=part.amount) for part in deal.parts]
    offer = Apply(proposed_rate=Money(amount=deal.price), cover_letter=deal.letter, milestones=parts)
    application = await applications.apply(context, job_id, offer, by=show.worker)
    show.scene.after(hours=3)
    if show.stage is Stage.PAUSED:
        await jobs.pause_job(context, job_id, by=show.hirer)
    else:
        await applications.shortlist(context, application.id, by=show.hirer)
    return application.id


async def _talk(show: Performance) -> None:
    context = show.services["messaging"]
    show.scene.after(hours=0.5)
    new = NewConversation(kind=ConversationKind.DIRECT, participant_ids=[show.worker.user_id])
    conversation, _ = await messaging.create_conversation(context, new, by=show.hirer)
    for question, answer in show.deal.chats:
        for sender, text in ((show.hirer, question), (show.worker, answer)):
            show.scene.after(hours=0.1)
            note = NewMessage(client_id=new_id(), text=text)
            await messaging.send_message(context, conversation.id, note, by=sender)


async def _agree(show: Performance, application_id: str) -> ContractView:
    context = show.services["job"]
    show.scene.after(hours=4)
    contract = (await applications.accept(context, application_id, by=show.hirer)).contract
    show.scene.after(hours=2)
    await contracts.sign(context, contract.id, terms_hash=contract.terms_hash, by=show.worker)
    show.scene.after(hours=3)
    if show.stage is Stage.CANCELLED:
        await contracts.cancel(context, contract.id, reason="The house was sold.", by=show.hirer)
    elif show.stage is not Stage.AWAITING_SIGNATURES:
        await contracts.sign(context, contract.id, terms_hash=contract.terms_hash, by=show.hirer)
    return contract


async def _work(show: Performance, contract: ContractView) -> None:
    """The hirer pays in, then each milestone is funded, handed in and paid out; all but a paid deal stop on the way."""
    context = show.services["payment"]
    show.scene.after(hours=1)
    deposit = CreateDeposit(amount=Money(amount=show.deal.price + 5_000), payment_method=_CARD)
    await payment.create_deposit(context, deposit, by=show.hirer)
    for milestone in contract.milestones:
        show.scene.after(hours=0.5)
        request = FundEscrow(contract_id=contract.id, milestone_id=milestone.id)
        escrow, _ = await payment.fund_escrow(context, request, by=show.hirer)
        show.scene.after(hours=20)
        if show.stage not in _PAID:
            await _stop_at(show, contract.id, milestone.id, escrow.id)
            return
        await milestones.submit(show.services["job"], contract.id, milestone.id, note=_note(show), by=show.worker)
        show.scene.after(hours=6)
        await milestones.approve(show.services["job"], contract.id, milestone.id, by=show.hirer)


async def _stop_at(show: Performance, contract_id: str, milestone_id: str, escrow_id: str) -> None:
    """From a funded milestone to the stage that the deal came to."""
    steps: Mapping[Stage, Sequence[Callable[[Performance, str, str, str], Awaitable[Any]]]] = {
        Stage.FUNDED: (),
        Stage.SUBMITTED: (_submit,),
        Stage.CHANGES_REQUESTED: (_submit, _request_changes),
        Stage.DISPUTED: (_submit, _dispute),
        Stage.RULED: (_submit, _dispute_and_rule),
        Stage.REFUNDED: (_refund,),
    }
    for step in steps[show.stage]:
        await step(show, contract_id, milestone_id, escrow_id)
        show.scene.after(hours=5)


async def _submit(show: Performance, contract_id: str, milestone_id: str, _: str) -> None:
    await milestones.submit(show.services["job"], contract_id, milestone_id, note=_note(show), by=show.worker)


async def _request_changes(show: Performance, contract_id: str, milestone_id: str, _: str) -> None:
    reason = words.CHANGES[show.deal.price % len(words.CHANGES)]
    await milestones.request_changes(show.services["job"], contract_id, milestone_id, reason=reason, by=show.hirer)


async def _dispute(show: Performance, _: str, __: str, escrow_id: str) -> str:
    """The hirer raises it, and the worker answers in time."""
    context = show.services["payment"]
    reason = words.DISPUTES[show.deal.price % len(words.DISPUTES)]
    dispute = await payment.raise_dispute(context, RaiseDispute(escrow_id=escrow_id, reason=reason), by=show.hirer)
    show.scene.after(hours=20)
    await payment.answer_dispute(context, dispute.id, AnswerDispute(text=words.ANSWERS[0]), by=show.worker)
    return dispute.id


async def _dispute_and_rule(show: Performance, contract_id: str, milestone_id: str, escrow_id: str) -> None:
    """Support rules, and nobody appeals."""
    context = show.services["payment"]
    dispute_id = await _dispute(show, contract_id, milestone_id, escrow_id)
    show.scene.after(hours=28)
    amount = show.deal.parts[0].amount
    ruling = ResolveDispute(worker_amount=amount - amount // 2, hirer_amount=amount // 2, note=words.RULINGS[0])
    await payment.resolve_dispute(context, dispute_id, ruling, by=show.support)
    show.scene.after(hours=24 * 7)  # five business days, whenever they begin
    await payment.end_step(context, dispute_id)


async def _refund(show: Performance, _: str, __: str, escrow_id: str) -> None:
    await payment.refund_escrow(show.services["payment"], escrow_id, by=show.worker)


async def _review(show: Performance, contract: ContractView) -> None:
    """The worker first, whose review stays sealed until the hirer's is in."""
    if show.stage is Stage.RELEASED:
        return
    context = show.services["review"]
    of_worker, of_hirer = show.deal.stars
    show.scene.after(hours=12)
    text = f"{contract.title}: {_pick(words.OF_HIRER[of_hirer], show)}"
    await reviews.submit_review(context, NewReview(contract_id=contract.id, rating=of_hirer, text=text), by=show.worker)
    if show.stage is Stage.REVIEW_SEALED:
        return
    show.scene.after(hours=10)
    marks = Criteria(
        quality=of_worker, communication=of_worker, timeliness=max(1, of_worker - 1), professionalism=5, value=of_worker
    )
    review = await reviews.submit_review(
        context,
        NewReview(
            contract_id=contract.id,
            rating=of_worker,
            text=f"{contract.title}: {_pick(words.OF_WORKER[of_worker], show)}",
            criteria=marks,
            would_work_again=of_worker > 3,
        ),
        by=show.hirer,
    )
    if show.deal.price % 3 == 0:
        show.scene.after(hours=8)
        await reviews.reply(
            context, review.id, NewReply(text="Thank you. It was good to work for you."), by=show.worker
        )


def _note(show: Performance) -> str:
    return _pick(words.NOTES, show)


def _pick(texts: Sequence[str], show: Performance) -> str:
    return texts[show.deal.price // 1_000 % len(texts)]
