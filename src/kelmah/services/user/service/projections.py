"""What the user service keeps that follows from events, or from its own profiles and bookmarks."""

from collections.abc import AsyncIterator

from kelmah.contracts.messaging import MessageSent
from kelmah.contracts.review import ReputationChanged
from kelmah.kit.projections import Change, History, Projection, projection
from kelmah.services.user.documents import bookmarks, profiles
from kelmah.services.user.documents.analytics import fact_update
from kelmah.services.user.service import analytics
from kelmah.services.user.service.context import Context
from kelmah.services.user.service.profiles import derive

_REPUTATION = {"rating_milli": 0, "review_count": 0, "reputation_sequence": 0}
_FOUND_BY = ("terms", "trades", "traits", "counted_as")
_FACT = ("user_id", "kind", "at", "is_first", "other_id", "amount", "currency", "escrow_id")


def projections(context: Context) -> list[Projection]:
    """Figures, first contacts, reputations to rank by, what searches go by, and counts of bookmarks."""
    people = context.mongo.collection("profiles")
    return [
        projection("user.figures", _figures, of=context.mongo.collection("facts"), fields=_FACT),
        projection(
            "user.contacts",
            _contacts,
            of=context.mongo.collection("contacts"),
            fields=("user_id", "contacted_at", "answered_at"),
        ),
        projection("user.reputations", _reputations, of=people, fields=tuple(_REPUTATION), empty=_REPUTATION),
        projection("user.search", _search, of=people, fields=("listed_as", *_FOUND_BY)),
        projection("user.bookmarks", _bookmarks, of=people, fields=("bookmark_count",), empty={"bookmark_count": 0}),
    ]


async def _figures(history: History) -> AsyncIterator[Change]:
    async for envelope, event in history.of(*analytics.COUNTED):
        for fact in analytics.facts(envelope, event):
            yield Change(fact.id, fact_update(fact))


async def _contacts(history: History) -> AsyncIterator[Change]:
    async for envelope, event in history.of(MessageSent):
        for key, update in analytics.contacts(envelope, event).items():
            yield Change(key, update)


async def _reputations(history: History) -> AsyncIterator[Change]:
    async for envelope, event in history.of(ReputationChanged):
        values = {
            "rating_milli": event.rating_milli,
            "review_count": event.review_count,
            "reputation_sequence": envelope.sequence,
        }
        is_later = {"$gt": [envelope.sequence, "$reputation_sequence"]}
        kept = {name: {"$cond": [is_later, value, f"${name}"]} for name, value in values.items()}
        yield Change(event.user_id, [{"$set": kept}])


async def _search(_: History) -> AsyncIterator[Change]:
    async for profile in profiles.every():
        derive(profile)
        listed_as = profile.listed_as and profile.listed_as.value
        found_by = {field: getattr(profile, field) for field in _FOUND_BY}
        yield Change(profile.id, {"$set": {"listed_as": listed_as, **found_by}})


async def _bookmarks(_: History) -> AsyncIterator[Change]:
    async for user_id in bookmarks.owners():
        yield Change(user_id, {"$inc": {"bookmark_count": 1}})
