"""`kelmah dlq`: messages that were given up: look at them, send them again one first, or close them."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, NamedTuple

import dramatiq
from cyclopts import Parameter
from cyclopts.validators import Number
from dramatiq.errors import DecodeError

from kelmah.cli import operator
from kelmah.cli.development import found_environment
from kelmah.kit import clock
from kelmah.kit.deadletters import DeadLetter, DeadLetters, LetterState
from kelmah.kit.resources import Resources
from kelmah.kit.settings import load
from kelmah.workers import deadletters
from kelmah.workers.broker import make_broker
from kelmah.workers.publisher import Publisher
from kelmah.workers.registry import load_actors
from kelmah.workers.runtime import make_publisher
from kelmah.workers.settings import WorkersSettings

#: Seconds to wait for the first replayed message to be done or to die again.
WATCH_S = 10.0
#: Most letters that one command touches.
MAX_BATCH = 1000
_COLUMNS = ("id", "actor", "reason", "attempts", "last time", "error")
Limit = Annotated[int, Parameter(validator=Number(gte=1, lte=MAX_BATCH))]
Rate = Annotated[float, Parameter(validator=Number(gt=0, lte=1000))]


class Letter(NamedTuple):
    """A dead letter and the service that keeps it."""

    service: str
    kept: Resources
    letter: DeadLetter

    @property
    def letters(self) -> DeadLetters:
        return DeadLetters(self.kept.mongo)


class Filter(NamedTuple):
    """Which letters are meant; what is None does not matter."""

    service: str | None
    actor: str | None
    reason: str | None
    event_type: str | None
    state: LetterState | None = LetterState.OPEN


def list_(
    *,
    service: str | None = None,
    actor: str | None = None,
    reason: str | None = None,
    event_type: str | None = None,
    state: LetterState = LetterState.OPEN,
    limit: Limit = 100,
) -> None:
    """List dead letters, the oldest first.

    Args:
        service: whose messages: auth, user, messaging, job, payment or review
        actor: who could not take them: messaging.notify
        reason: refused, exhausted, unreadable, unknown_event, unknown_actor or rejected
        event_type: of what event: job.job_published.v1
        state: what became of them
        limit: how many at most
    """

    async def find() -> list[Letter]:
        async with operator.resources(service) as opened:
            return await select(opened, Filter(service, actor, reason, event_type, state), limit)

    _table(asyncio.run(find()))


def show_(letter_id: str, /) -> None:
    """Show a dead letter whole: the message, why it died, and how often it was tried.

    Args:
        letter_id: as `kelmah dlq list` shows it
    """

    async def find() -> DeadLetter | None:
        async with operator.resources() as opened:
            return (found := await _by_id(opened, letter_id)) and found.letter

    letter = asyncio.run(find())
    if letter is None:
        sys.exit(f"there is no dead letter {letter_id}")
    fields = {name: getattr(letter, name) for name in letter.__struct_fields__}
    operator.show_json(fields | {"body": letter.body.decode(errors="backslashreplace")})


def replay_(
    letter_id: str | None = None,
    /,
    *,
    service: str | None = None,
    actor: str | None = None,
    reason: str | None = None,
    event_type: str | None = None,
    limit: Limit = 100,
    rate: Rate = 10.0,
    dry_run: bool = False,
) -> None:
    """Send dead letters again, the oldest first: one, then the rest if that one did not die again.

    Args:
        letter_id: this one; or those that the options choose
        service: whose messages: auth, user, messaging, job, payment or review
        actor: who could not take them: messaging.notify
        reason: refused, exhausted, unreadable, unknown_event, unknown_actor or rejected
        event_type: of what event: job.job_published.v1
        limit: how many at most
        rate: messages a second
        dry_run: only say what would be sent
    """
    operator.sign()
    wanted = Filter(service, actor, reason, event_type)
    if not asyncio.run(_replay(wanted, letter_id, limit=limit, pause_s=1 / rate, dry_run=dry_run)):
        sys.exit(1)


async def _replay(wanted: Filter, letter_id: str | None, *, limit: int, pause_s: float, dry_run: bool) -> bool:
    async with operator.resources(wanted.service) as opened:
        chosen = await _choose(opened, wanted, letter_id, limit)
        operator.say(f"{len(chosen)} to be sent again" + (", of which none is: dry run" if dry_run else ""))
        if dry_run or not chosen:
            return True
        async with _publisher() as publisher:
            return await replay_in_turn(chosen, publisher, pause_s=pause_s, watch_s=WATCH_S)


async def replay_in_turn(chosen: list[Letter], publisher: Publisher, *, pause_s: float, watch_s: float) -> bool:
    """Replay the first, wait how it ends, and go on to the rest unless it died again.

    Args:
        pause_s: seconds between two messages.
        watch_s: seconds that the first has to be done or to die again; without either the rest follows.

    Returns:
        Whether nothing is known to have gone wrong.
    """
    whole = True
    for place, one in enumerate(chosen):
        await operator.note(one.service, one.kept, "dlq replay", target=one.letter.id)
        try:
            sent = await deadletters.replay(one.letters, one.letter, publisher)
        except DecodeError:
            operator.say(f"{one.letter.id}: cannot be read, so it cannot be sent: discard it")
            whole = False
            continue
        operator.say(f"{one.letter.id}: {'sent' if sent else 'is not open any more'}")
        if place == 0 and sent:
            outcome = await _outcome(one, watch_s)
            operator.say(f"{one.letter.id}: {outcome}")
            if outcome == "died again":
                operator.say(f"the other {len(chosen) - 1} stay where they are")
                return False
        await asyncio.sleep(pause_s)
    return whole


async def _outcome(one: Letter, watch_s: float) -> str:
    end = clock.monotonic() + watch_s
    while clock.monotonic() < end:
        now = await one.letters.get(one.letter.id)
        if now is not None and now.attempts > one.letter.attempts:
            return "died again"
        if one.letter.event_id and await one.kept.events.consumed_by([one.letter.actor], one.letter.event_id):
            return "done"
        await asyncio.sleep(0.2)
    return "not dead again so far"


def discard_(
    letter_id: str | None = None,
    /,
    *,
    service: str | None = None,
    actor: str | None = None,
    reason: str | None = None,
    event_type: str | None = None,
    limit: Limit = 100,
    dry_run: bool = False,
) -> None:
    """Close dead letters without sending them. They are kept for 90 days.

    Args:
        letter_id: this one; or those that the options choose
        service: whose messages: auth, user, messaging, job, payment or review
        actor: who could not take them: messaging.notify
        reason: refused, exhausted, unreadable, unknown_event, unknown_actor or rejected
        event_type: of what event: job.job_published.v1
        limit: how many at most
        dry_run: only say what would be closed
    """
    if letter_id is None and not any((service, actor, reason, event_type)):
        sys.exit("say which: an id, or a filter")
    operator.sign()

    async def run() -> None:
        async with operator.resources(service) as opened:
            chosen = await _choose(opened, Filter(service, actor, reason, event_type), letter_id, limit)
            operator.say(f"{len(chosen)} to be closed" + (", of which none is: dry run" if dry_run else ""))
            for one in [] if dry_run else chosen:
                is_closed = await one.kept.mongo.transact(partial(_close, one))
                operator.say(f"{one.letter.id}: {'discarded' if is_closed else 'is not open any more'}")

    asyncio.run(run())


async def _close(one: Letter) -> bool:
    is_closed = await deadletters.discard(one.letters, one.letter)
    if is_closed:
        await operator.note(one.service, one.kept, "dlq discard", target=one.letter.id)
    return is_closed


async def select(opened: dict[str, Resources], wanted: Filter, limit: int) -> list[Letter]:
    """Letters that match, the oldest first."""
    found: list[Letter] = []
    for name, one in opened.items():
        matching = await DeadLetters(one.mongo).find(
            state=wanted.state, actor=wanted.actor, reason=wanted.reason, event_type=wanted.event_type,
            oldest_first=True, limit=limit,
        )  # fmt: skip
        found += [Letter(name, one, letter) for letter in matching]
    return sorted(found, key=lambda one: one.letter.last_at)[:limit]


async def _by_id(opened: dict[str, Resources], letter_id: str) -> Letter | None:
    for name, one in opened.items():
        if letter := await DeadLetters(one.mongo).get(letter_id):
            return Letter(name, one, letter)
    return None


async def _choose(opened: dict[str, Resources], wanted: Filter, letter_id: str | None, limit: int) -> list[Letter]:
    if letter_id is None:
        chosen = await select(opened, wanted, limit)
    else:
        one = await _by_id(opened, letter_id)
        if one is None:
            sys.exit(f"there is no dead letter {letter_id}")
        chosen = [one]
    _table(chosen)
    return chosen


def _table(found: list[Letter]) -> None:
    letters = [one.letter for one in found]
    operator.show_table(
        _COLUMNS, [(one.id, one.actor, one.reason, one.attempts, one.last_at.isoformat(), one.error) for one in letters]
    )


class _NoParking:
    """This process takes no messages, so it parks none."""

    def __call__(self, message: object) -> bool:
        return False

    def unreadable(self, body: bytes, queue: str) -> bool:
        return False


@asynccontextmanager
async def _publisher() -> AsyncIterator[Publisher]:
    settings = load(WorkersSettings, found_environment())
    registry = load_actors()
    broker: dramatiq.Broker = make_broker(settings, park=_NoParking())
    publisher = make_publisher(settings, registry, broker)
    try:
        yield publisher
    finally:
        await publisher.close()
        broker.close()
