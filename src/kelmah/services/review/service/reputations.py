"""Reputations: counted anew whenever a review begins or ceases to count, and when the month turns."""

from collections.abc import AsyncIterator
from datetime import datetime

from kelmah.contracts.review import (
    FlaggedEffect,
    Formula,
    MonthInFormula,
    Reputation,
    ReputationChanged,
    Standing,
    Suspicion,
    Trend,
)
from kelmah.kit import clock
from kelmah.kit.projections import Change, History, Projection, projection
from kelmah.services.review import documents
from kelmah.services.review.documents import ReputationDocument
from kelmah.services.review.service import formula
from kelmah.services.review.service.context import Context
from kelmah.services.review.service.formula import Tally

#: A percentile among fewer people would say who they are, and mean nothing.
MIN_STANDING = 5
_EMPTY = ReputationDocument.model_construct(months={}, yes=0, no=0, flagged={}, trade=None, region=None)


async def recount(context: Context, user_id: str, now: datetime) -> None:
    """Count a person's reviews anew, tell who listens, and come again when the month turns. Joins the transaction."""
    reputation = await count(user_id, now)
    await documents.save_reputation(reputation)
    await context.events.append(
        ReputationChanged(
            user_id=user_id, review_count=_tally(reputation).reviews, rating_milli=reputation.rating_milli
        ),
        subject=f"reputation:{user_id}",
    )
    if reputation.months:
        await context.timers.set(f"age:{user_id}", "review.age_reputation", [user_id], due=next_month(now))


async def age_reputation(context: Context, user_id: str) -> None:
    """The month has turned: all reviews weigh a little less. The timer's target."""

    async def change() -> None:
        await recount(context, user_id, clock.now())

    await context.mongo.transact(change)


async def count(user_id: str, now: datetime) -> ReputationDocument:
    """A person's reputation, counted from the reviews themselves."""
    months: dict[str, dict[str, int]] = {}
    flagged: dict[str, dict[str, dict[str, int]]] = {}
    answers = {True: 0, False: 0, None: 0}
    places: dict[tuple[str, str], int] = {}
    async for row in documents.public_reviews_of(user_id):
        month, star = formula.month_of(row["revealed_at"]), str(row["rating"])
        for counts in (months, *(flagged.setdefault(one, {}) for one in row.get("suspicions", ()))):
            stars = counts.setdefault(month, {})
            stars[star] = stars.get(star, 0) + 1
        answers[row.get("would_work_again")] += 1
        if row["reviewer_is_hirer"] and row.get("trade") and row.get("region"):
            place = (row["trade"], row["region"])
            places[place] = places.get(place, 0) + 1
    # Of workers, where most of the reviewed work was; the first by name if that is undecided.
    trade, region = min(places, key=lambda place: (-places[place], place)) if places else (None, None)
    return ReputationDocument(
        id=user_id,
        months=months,
        yes=answers[True],
        no=answers[False],
        flagged=flagged,
        trade=trade,
        region=region,
        rating_milli=formula.rating_milli(months, now),
        updated_at=now,
    )


async def get_reputation(user_id: str) -> Reputation:
    """A person's standing; somebody without reviews stands at the prior."""
    found = await documents.find_reputation(user_id) or _EMPTY
    now, tally = clock.now(), _tally(found)
    parts = list(formula.score_parts(tally, now))
    with_five, with_one = tally.with_one_more(5, now), tally.with_one_more(1, now)
    rating = formula.rating_milli(tally.months, now)
    return Reputation(
        user_id=user_id,
        rating_milli=rating,
        score=sum(part.points for part in parts),
        score_parts=parts,
        review_count=tally.reviews,
        histogram={star: sum(stars.get(star, 0) for stars in tally.months.values()) for star in "12345"},
        would_work_again_yes=tally.yes,
        would_work_again_no=tally.no,
        would_work_again_lower_bound=formula.wilson_lower_bound(tally.yes, tally.no),
        formula=_formula(tally, now),
        next_five_stars_milli=formula.rating_milli(with_five.months, now),
        next_one_star_milli=formula.rating_milli(with_one.months, now),
        next_five_stars_score=formula.score(with_five, now),
        next_one_star_score=formula.score(with_one, now),
        ages_at=next_month(now),
        flagged=[
            FlaggedEffect(
                suspicion=Suspicion(name),
                count=sum(sum(stars.values()) for stars in months.values()),
                rating_milli_without=formula.rating_milli(formula.without(tally.months, months), now),
            )
            for name, months in sorted(found.flagged.items())
        ],
        trend=_trend(tally, now),
        standing=await _standing(found),
    )


def _tally(found: ReputationDocument) -> Tally:
    return Tally(found.months, found.yes, found.no)


def _formula(tally: Tally, now: datetime) -> Formula:
    return Formula(
        prior_mean_milli=formula.PRIOR_MEAN_MILLI,
        prior_weight=formula.PRIOR_WEIGHT,
        half_life_months=formula.HALF_LIFE_MONTHS,
        months=[
            MonthInFormula(
                month=month,
                weight_milli=formula.weight_milli(month, now),
                count=sum(stars.values()),
                sum_of_stars=formula.sum_of_stars(stars),
            )
            for month, stars in sorted(tally.months.items())
        ],
        sum_of_stars=sum(formula.sum_of_stars(stars) for stars in tally.months.values()),
        count=tally.reviews,
    )


def _trend(tally: Tally, now: datetime) -> Trend:
    last = [formula.month_of(_months_back(now, back)) for back in range(12)]
    recent, earlier = _mean_of(tally, last[:6]), _mean_of(tally, last[6:])
    return Trend(
        recent_count=recent[0],
        recent_mean_milli=recent[1],
        earlier_count=earlier[0],
        earlier_mean_milli=earlier[1],
    )


def _mean_of(tally: Tally, months: list[str]) -> tuple[int, int | None]:
    chosen = [tally.months.get(month, {}) for month in months]
    number = sum(sum(stars.values()) for stars in chosen)
    return number, mean_milli(sum(formula.sum_of_stars(stars) for stars in chosen), number) if number else None


def mean_milli(total: int, number: int) -> int:
    """A mean in thousandths, rounded half up."""
    return (2000 * total + number) // (2 * number)


async def _standing(found: ReputationDocument) -> Standing | None:
    if not found.trade or not found.region:
        return None
    rank = await documents.standing_of(found.trade, found.region, found.rating_milli)
    if rank.people < MIN_STANDING:
        return None
    return Standing(
        trade=found.trade, region=found.region, workers=rank.people, percentile=100 * rank.below // rank.people
    )


def next_month(now: datetime) -> datetime:
    """When the next calendar month begins (UTC)."""
    return _months_back(now, -1)


def _months_back(now: datetime, months: int) -> datetime:
    index = now.year * 12 + now.month - 1 - months
    return now.replace(year=index // 12, month=index % 12 + 1, day=1, hour=0, minute=0, second=0, microsecond=0)


def projections(context: Context) -> list[Projection]:
    """Reputations, made of the public reviews. Their rating ages by the clock, so it is not compared."""
    reputations = context.mongo.collection(ReputationDocument.Settings.name)
    fields = ("months", "yes", "no", "flagged", "trade", "region")
    return [projection("review.reputations", _counted, of=reputations, fields=fields)]


async def _counted(_: History) -> AsyncIterator[Change]:
    now = clock.now()
    async for user_id in documents.subjects():
        yield Change(user_id, {"$set": (await count(user_id, now)).model_dump(exclude={"id"})})
