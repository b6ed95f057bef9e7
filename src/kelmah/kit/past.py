"""How something stood at a past instant: the facts that its events told until then, each as last told."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar.params import QueryParameter

from kelmah.contracts.common import Event, PastEvent, PastState, Role
from kelmah.kit import clock
from kelmah.kit.context import Principal, require_second_factor
from kelmah.kit.errors import BadInput, Forbidden, NotFound
from kelmah.kit.events import EventStore, Stored
from kelmah.kit.mongo import Mongo

#: The parameter of operations that can look back.
At = Annotated[
    str | None,
    QueryParameter(
        max_length=40,
        description="For admins: an instant that is over (RFC 3339, as 2026-11-23T12:00:00Z). The answer is what "
        "events told until then, and that somebody looked is an event.",
    ),
]


def instant(text: str) -> datetime:
    """The instant that `at` names.

    Raises:
        BadInput: it is none, has no time zone, or is not over yet.
    """
    try:
        found = msgspec.convert(text, datetime)
        found = found if found.tzinfo is None else found.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError) as error:
        raise BadInput.of("at", "must be an instant in RFC 3339, as 2026-11-23T12:00:00Z") from error
    if found.tzinfo is None:
        raise BadInput.of("at", "needs a time zone, as in 2026-11-23T12:00:00Z")
    if found > clock.now():
        raise BadInput.of("at", "must not be in the future")
    return found


def only_admins(by: Principal | None) -> Principal:
    """Raises Forbidden for anybody else, and SecondFactorRequired. A public operation may come here."""
    if by is None or by.role is not Role.ADMIN:
        raise Forbidden
    require_second_factor(by)
    return by


async def state_at(events: EventStore, subject: str, at: datetime) -> PastState | None:
    """None when nothing had happened to the subject."""
    return fold([event async for event in events.find(subject=subject, until=at)])


def fold(events: Iterable[Stored]) -> PastState | None:
    """What events of one subject, in their order, come to."""
    state: dict[str, Any] = {}
    history = []
    last = None
    for event in events:
        last = event.envelope
        state |= msgspec.json.decode(last.data)
        history.append(PastEvent(time=last.time, type=last.type, actor=last.actor, id=last.id))
    if last is None:
        return None
    return PastState(subject=last.subject, sequence=last.sequence, last=last.type, state=state, history=history)


async def view(
    mongo: Mongo, events: EventStore, subject: str, at: str, *, by: Principal | None, viewed: type[Event]
) -> PastState:
    """How a subject stood, for an admin; that they looked is noted as an event of the class `viewed`.

    Raises:
        BadInput, Forbidden.
        NotFound: nothing had happened to it.
    """
    viewer, moment = only_admins(by), instant(at)
    found = await state_at(events, subject, moment)
    if found is None:
        raise NotFound
    await note(mongo, events, subject, moment, by=viewer, viewed=viewed)
    return found


async def note(
    mongo: Mongo, events: EventStore, subject: str, at: datetime, *, by: Principal, viewed: type[Event]
) -> None:
    """Note that an admin looked; in a stream of the admin's, so that the subject's own says only what it did."""
    event = viewed(viewer_id=by.user_id, viewed=subject, at=at.isoformat())
    await mongo.transact(lambda: events.append(event, subject=f"viewer:{by.user_id}"))
