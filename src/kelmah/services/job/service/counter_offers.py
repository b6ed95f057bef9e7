"""Counter-offers: the hirer offers other terms for an application, and the worker takes or leaves them."""

from kelmah.contracts.job import ApplicationView, CounterOffer, CounterOfferAnswered, CounterOfferMade
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.errors import BadInput
from kelmah.kit.ids import new_id
from kelmah.services.job import mapping
from kelmah.services.job.documents import applications as documents
from kelmah.services.job.documents.applications import ApplicationDocument, Counter, Offer
from kelmah.services.job.documents.base import MoneyValue
from kelmah.services.job.errors import ApplicationNotFound, CounterOfferNotFound, IllegalStep
from kelmah.services.job.service import words
from kelmah.services.job.service.applications import checked_offers
from kelmah.services.job.service.context import Context


async def offer(context: Context, application_id: str, data: CounterOffer, *, by: Principal) -> ApplicationView:
    """Offer other terms for a live application, in place of those offered before."""
    words.check_currency(context.settings, "proposedRate", data.proposed_rate)
    note = words.optional_lines("note", data.note, 2_000)
    offers = checked_offers(data.proposed_rate, data.milestones)

    async def change() -> ApplicationView:
        seen = await _seen(application_id, by)
        if seen.hirer_id != by.user_id:
            raise ApplicationNotFound
        if seen.proposed_rate.currency != data.proposed_rate.currency:
            raise BadInput.of("proposedRate.currency", f"must be {seen.proposed_rate.currency}, as the application's")
        now = clock.now()
        counter = Counter(
            id=new_id(),
            proposed_rate=MoneyValue.of(data.proposed_rate),
            milestones=offers or [Offer(title=seen.milestones[0].title, amount=data.proposed_rate.amount)],
            offered_at=now,
            note=note,
        )
        application = await documents.offer_counter(application_id, hirer_id=by.user_id, counter=counter, at=now)
        if application is None:
            raise IllegalStep.of("application", seen.status)
        event = CounterOfferMade(
            application_id=application_id,
            job_id=application.job_id,
            hirer_id=application.hirer_id,
            worker_id=application.worker_id,
        )
        await context.events.append(event, subject=f"application:{application_id}")
        return mapping.application_view(application)

    return await context.mongo.transact(change)


async def answer(
    context: Context, application_id: str, counter_id: str, *, taken: bool, by: Principal
) -> ApplicationView:
    """Take the hirer's terms, which become the application's, or leave them. The hirer then still accepts it."""

    async def change() -> ApplicationView:
        seen = await _seen(application_id, by)
        if seen.worker_id != by.user_id:
            raise ApplicationNotFound
        if seen.counter_offer is None or seen.counter_offer.id != counter_id:
            raise CounterOfferNotFound
        application = await documents.answer_counter(
            application_id, seen.counter_offer, worker_id=by.user_id, taken=taken, at=clock.now()
        )
        if application is None:
            raise IllegalStep.of("application", seen.status)
        event = CounterOfferAnswered(
            application_id=application_id,
            job_id=application.job_id,
            hirer_id=application.hirer_id,
            worker_id=application.worker_id,
            taken=taken,
        )
        await context.events.append(event, subject=f"application:{application_id}")
        return mapping.application_view(application)

    return await context.mongo.transact(change)


async def _seen(application_id: str, by: Principal) -> ApplicationDocument:
    application = await documents.get_application(application_id, party=by.user_id)
    if application is None:
        raise ApplicationNotFound
    return application
