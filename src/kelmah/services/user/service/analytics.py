"""The figures of a person and of the platform, made of the events of every service."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from kelmah.contracts.auth import UserRegistered
from kelmah.contracts.common import Balance, Event, Money
from kelmah.contracts.events import Envelope
from kelmah.contracts.job import (
    ApplicationAccepted,
    ApplicationReceived,
    ContractCancelled,
    ContractCompleted,
    JobAlert,
    JobPublished,
)
from kelmah.contracts.messaging import MessageSent
from kelmah.contracts.payment import DisputeResolved, EscrowFunded, EscrowReleased
from kelmah.contracts.user import (
    DayOfViews,
    PlatformAnalytics,
    ProfileViewed,
    Responsiveness,
    UserAnalytics,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.services.user.documents import analytics as documents
from kelmah.services.user.documents import profiles as profile_documents
from kelmah.services.user.documents.analytics import FactDocument, FactKind
from kelmah.services.user.service import profiles
from kelmah.services.user.service.context import Context

#: After this time without an answer, a first message counts as not answered.
TIME_TO_ANSWER = timedelta(days=1)
#: What the response rate of matching is made of.
RESPONSE_PERIOD = timedelta(days=90)
#: (person, kind, the other side), the side that the platform counts first.
Sides = list[tuple[str, FactKind, str]]

_SIDES: dict[type[Event], Callable[..., Sides]] = {
    JobAlert: lambda event: _both(event, FactKind.INVITED) if event.because == "invitation" else [],
    ApplicationReceived: lambda event: _both(event, FactKind.APPLIED),
    ApplicationAccepted: lambda event: _both(event, FactKind.HIRED),
    ContractCompleted: lambda event: _both(event, FactKind.COMPLETED),
    ContractCancelled: lambda event: _both(event, FactKind.CANCELLED),
    EscrowReleased: lambda event: _both(event, FactKind.EARNED, FactKind.SPENT),
    DisputeResolved: lambda event: _both(event, FactKind.EARNED, FactKind.SPENT),
}
#: What is counted. Each of these events ends in `on_counted`.
COUNTED: tuple[type[Event], ...] = (UserRegistered, JobPublished, ProfileViewed, EscrowFunded, *_SIDES)


async def on_counted(context: Context, envelope: Envelope, event: Event) -> None:
    """Keep what the event says about people. The facts' ids make this idempotent, so that no inbox row is needed."""
    for fact in facts(envelope, event):
        await documents.add_fact(fact)


async def on_message_sent(context: Context, envelope: Envelope, event: MessageSent) -> None:
    """Note who wrote first and when it was answered. The earliest instants win, in whatever order they come."""
    first = await documents.note_message(contacts(envelope, event))
    for user_id in first:
        timer = f"response:{event.conversation_id}:{user_id}"
        due = envelope.time + TIME_TO_ANSWER
        await context.timers.set(timer, "user.measure_response", [user_id], due=due)
        await measure_response(context, user_id)


def contacts(envelope: Envelope, event: MessageSent) -> dict[str, dict[str, Any]]:
    """What a message says about first contacts."""
    return documents.contact_updates(
        event.conversation_id, sender_id=event.sender_id, recipient_ids=event.recipient_ids, at=envelope.time
    )


async def measure_response(context: Context, user_id: str) -> None:
    """Keep how often a person answers, for matching. Whoever wrote less than a day ago may still be answered."""
    now = clock.now()
    contacts = await documents.contacts(user_id, since=now - RESPONSE_PERIOD)
    answers = [answered is not None for asked, answered in contacts if answered or asked <= now - TIME_TO_ANSWER]
    await profile_documents.set_response_rate(user_id, _percent(sum(answers), len(answers)))


def facts(envelope: Envelope, event: Event) -> Iterator[FactDocument]:
    """What an event says about people."""
    if isinstance(event, ProfileViewed):
        yield _view(event, at=envelope.time)
    elif isinstance(event, EscrowFunded):
        yield FactDocument(
            id=f"funded:{event.escrow_id}",
            user_id=event.hirer_id,
            kind=FactKind.FUNDED,
            at=envelope.time,
            is_first=True,
            other_id=event.worker_id,
            amount=event.amount.amount,
            currency=event.amount.currency,
        )
    elif isinstance(event, UserRegistered):
        yield _fact(envelope, event.user_id, FactKind.REGISTERED, is_first=True)
    elif isinstance(event, JobPublished):
        yield _fact(envelope, event.hirer_id, FactKind.JOB_PUBLISHED, is_first=True)
    elif type(event) in _SIDES:
        for position, (user_id, kind, other_id) in enumerate(_SIDES[type(event)](event)):
            yield _fact(envelope, user_id, kind, is_first=position == 0, other_id=other_id).model_copy(
                update=_money(event)
            )


async def note_view(context: Context, user_id: str, *, by: Principal | None) -> None:
    """Count that somebody looked at a profile: each signed-in person once a day, oneself never."""
    if by is None or by.user_id == user_id:
        return
    event = ProfileViewed(user_id=user_id, viewer_id=by.user_id, day=clock.now().date().isoformat())
    fact_id = _view_id(event)
    if await documents.has_fact(fact_id):
        return

    async def body() -> None:
        if await documents.has_fact(fact_id):
            return
        envelope = await context.events.append(event, subject=fact_id)
        await documents.add_fact(_view(event, at=envelope.time))

    await context.mongo.transact(body)


async def get_mine(context: Context, *, by: Principal, days: int) -> UserAnalytics:
    """The caller's figures of the last days."""
    await profiles.get(context, by.user_id)
    until = clock.now()
    since = until - timedelta(days=days)
    totals = await documents.totals(since, user_id=by.user_id)
    by_day = await documents.views_by_day(by.user_id, since)
    applications, wins = _count(totals, FactKind.APPLIED), _count(totals, FactKind.HIRED)
    return UserAnalytics(
        user_id=by.user_id,
        since=since,
        until=until,
        views=_count(totals, FactKind.VIEWED),
        viewers=await documents.viewers(by.user_id, since),
        views_by_day=[DayOfViews(day=day, views=views) for day, views in by_day],
        responsiveness=await responsiveness(by.user_id, since=since),
        jobs_published=_count(totals, FactKind.JOB_PUBLISHED),
        invitations=_count(totals, FactKind.INVITED),
        applications=applications,
        wins=wins,
        win_rate_percent=_percent(wins, applications),
        contracts_completed=_count(totals, FactKind.COMPLETED),
        contracts_cancelled=_count(totals, FactKind.CANCELLED),
        earned=_balances(totals, FactKind.EARNED),
        spent=_balances(totals, FactKind.SPENT),
    )


async def responsiveness(user_id: str, *, since: datetime) -> Responsiveness:
    """How the person answers first messages."""
    contacts = await documents.contacts(user_id, since=since)
    waits = [(answered - asked).total_seconds() for asked, answered in contacts if answered]
    return Responsiveness(
        contacts=len(contacts),
        answered=len(waits),
        rate_percent=_percent(len(waits), len(contacts)),
        median_s=round(median(waits)) if waits else None,
    )


async def get_platform(*, days: int) -> PlatformAnalytics:
    """Everybody's figures of the last days."""
    until = clock.now()
    since = until - timedelta(days=days)
    totals = await documents.totals(since)
    return PlatformAnalytics(
        since=since,
        until=until,
        people=await documents.people(listed=False),
        listed=await documents.people(listed=True),
        registered=_count(totals, FactKind.REGISTERED),
        views=_count(totals, FactKind.VIEWED),
        jobs_published=_count(totals, FactKind.JOB_PUBLISHED),
        invitations=_count(totals, FactKind.INVITED),
        applications=_count(totals, FactKind.APPLIED),
        hires=_count(totals, FactKind.HIRED),
        contracts_completed=_count(totals, FactKind.COMPLETED),
        contracts_cancelled=_count(totals, FactKind.CANCELLED),
        paid_out=_balances(totals, FactKind.EARNED),
    )


def _both(
    event: ApplicationReceived | EscrowReleased | JobAlert, workers: FactKind, hirers: FactKind | None = None
) -> Sides:
    """The facts of both sides, the worker's first."""
    return [
        (event.worker_id, workers, event.hirer_id),
        (event.hirer_id, hirers or workers, event.worker_id),
    ]


def _money(event: Event) -> dict[str, object]:
    if isinstance(event, DisputeResolved):
        return {"amount": event.worker_amount, "escrow_id": event.escrow_id}
    amount = getattr(event, "amount", None)
    return {"amount": amount.amount, "currency": amount.currency} if isinstance(amount, Money) else {}


def _fact(
    envelope: Envelope, user_id: str, kind: FactKind, *, is_first: bool, other_id: str | None = None
) -> FactDocument:
    return FactDocument(
        id=f"{envelope.id}:{user_id}",
        user_id=user_id,
        kind=kind,
        at=envelope.time,
        is_first=is_first,
        other_id=other_id,
    )


def _view(event: ProfileViewed, *, at: datetime) -> FactDocument:
    return FactDocument(
        id=_view_id(event),
        user_id=event.user_id,
        kind=FactKind.VIEWED,
        at=at,
        is_first=True,
        other_id=event.viewer_id,
    )


def _view_id(event: ProfileViewed) -> str:
    return f"view:{event.user_id}:{event.viewer_id}:{event.day}"


def _count(totals: list[tuple[FactKind, str | None, int, int]], wanted: FactKind) -> int:
    return sum(count for kind, _, count, _ in totals if kind is wanted)


def _balances(totals: list[tuple[FactKind, str | None, int, int]], wanted: FactKind) -> list[Balance]:
    """Sums by currency, in the order of the codes. A ruling whose escrow is not known yet waits for it."""
    sums: dict[str, int] = {}
    for kind, currency, _, amount in totals:
        if kind is wanted and currency and amount:
            sums[currency] = sums.get(currency, 0) + amount
    return [Balance(amount=amount, currency=currency) for currency, amount in sorted(sums.items())]


def _percent(part: int, whole: int) -> int | None:
    return round(100 * part / whole) if whole else None
