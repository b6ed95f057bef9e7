"""`kelmah events`: what happened, who heard of it, whether it is whole, and how things stood at an instant."""

import asyncio
import sys
from datetime import datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kelmah import services
from kelmah.cli import operator
from kelmah.cli.development import found_environment
from kelmah.contracts.common import PastState
from kelmah.contracts.events import EVENT_TYPES
from kelmah.kit import past
from kelmah.kit.chain import Chain, Fault, Head
from kelmah.kit.deadletters import DeadLetters
from kelmah.kit.events import Stored
from kelmah.kit.resources import Resources
from kelmah.kit.settings import load

_COLUMNS = ("time", "position", "type", "subject", "no.", "actor", "id")


def list_(
    *,
    service: str | None = None,
    type: str | None = None,  # noqa: A002  # the name of the option
    subject: str | None = None,
    actor: str | None = None,
    correlation: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
) -> None:
    """List the newest events that fit, oldest first.

    Args:
        service: only of this one: auth, user, messaging, job, payment or review
        type: the whole type, or how it begins: payment.escrow
        subject: such as contract:<id>
        actor: a person's id, system:<actor> for a worker, or operator:<login name>
        correlation: all that one request led to, over all services
        since: ISO 8601; UTC unless it says otherwise
        until: ISO 8601; UTC unless it says otherwise
        limit: how many of each service are looked at
    """
    chosen = [name for name in EVENT_TYPES if name.startswith(type)] if type else None

    async def find() -> list[Stored]:
        async with operator.resources(service) as opened:
            found = [
                event
                for one in opened.values()
                async for event in one.events.find(
                    types=chosen, subject=subject, actor=actor, correlation_id=correlation,
                    since=operator.utc(since), until=operator.utc(until), newest_first=True, limit=limit,
                )
            ]  # fmt: skip
        return sorted(found, key=lambda event: event.envelope.id)[-limit:]

    operator.show_table(_COLUMNS, map(_row, asyncio.run(find())))


def _row(event: Stored) -> tuple[object, ...]:
    one = event.envelope
    position = event.position if event.position is not None else "unsealed"
    return one.time.isoformat(), position, one.type, one.subject, one.sequence, one.actor or "-", one.id


def show_(event_id: str, /) -> None:
    """Show an event, its place in the chain, who took it, and its dead letters.

    Args:
        event_id: as `kelmah events list` shows it, last in the line
    """
    from kelmah.workers.registry import load_actors

    async def find() -> dict[str, Any] | None:
        hearers = load_actors().subscriptions
        async with operator.resources() as opened:
            for one in opened.values():
                async for event in one.events.find(event_id=event_id):
                    names = [actor.name for actor in hearers.get(event.envelope.type, ())]
                    return _shown(event) | {"consumers": await _fates(opened, names, event_id)}
        return None

    found = asyncio.run(find())
    if found is None:
        sys.exit(f"no service has an event {event_id}")
    operator.show_json(found)


def _shown(event: Stored) -> dict[str, Any]:
    whole: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(event.envelope))
    return whole | {"position": event.position, "digest": event.digest, "published": event.is_published}


async def _fates(opened: dict[str, Resources], consumers: list[str], event_id: str) -> dict[str, str]:
    fates: dict[str, str] = {}
    for name in consumers:
        one = opened[name.partition(".")[0]]
        taken = await one.events.consumed_by([name], event_id)
        letter = await DeadLetters(one.mongo).get(f"{event_id}:{name}")
        if taken:
            fates[name] = f"done at {taken[name].isoformat()}"
        else:
            fates[name] = f"dead letter, {letter.state}: {letter.error}" if letter else "not noted"
    return fates


def verify_(*, service: str | None = None, anchor: str | None = None) -> None:
    """Check every digest, position and sequence of the events; exits with 1 when something is wrong.

    Args:
        service: only of this one: auth, user, messaging, job, payment or review
        anchor: <service>:<position>:<digest> as an earlier run printed it and somebody noted elsewhere; finds out
            whether everything was sealed anew since.
    """
    broken = asyncio.run(_verify(service, anchor))
    if broken:
        sys.exit(1)


async def _verify(service: str | None, anchor: str | None) -> bool:
    broken = False
    lines = []  # said at the end, so that they and the bars do not meet
    columns = (TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    async with operator.resources(service) as opened:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            for name, one in opened.items():
                task, chain, seen = progress.add_task(name, total=None), Chain(one.mongo), 0
                async for found in chain.verify():
                    if isinstance(found, Fault):
                        broken = True
                        lines.append(f"{name}: position {found.position} event {found.event_id or '-'}: {found.what}")
                    else:
                        seen = found.events
                        progress.update(task, completed=seen, total=found.total)
                head = await chain.head()
                lines.append(f"{name}: {seen} events, head {name}:{head.position}:{head.digest or '-'}")
        if anchor is not None and not await _fits(opened, anchor):
            broken = True
            lines.append(f"{anchor}: the chain has another digest there")
    for line in lines:
        operator.say(line)
    return broken


async def _fits(opened: dict[str, Resources], anchor: str) -> bool:
    name, _, noted = anchor.partition(":")
    position, _, digest = noted.partition(":")
    if name not in opened or not position.isdecimal():
        sys.exit("an anchor is <service>:<position>:<digest>")
    return await Chain(opened[name].mongo).at(int(position)) == Head(int(position), digest)


def topology_() -> None:
    """Show which actors hear of which event, on which queue, and how often and how long they try."""
    from kelmah.workers.publisher import EXCHANGE
    from kelmah.workers.registry import load_actors

    registry = load_actors()
    rows: list[tuple[object, ...]] = []
    for event_type in EVENT_TYPES:
        actors = registry.subscriptions.get(event_type, ())
        rows += [(event_type, one.queue, one.name, one.max_retries, f"{one.time_limit_ms // 1000} s") for one in actors]
        if not actors:
            rows.append((event_type, "-", "-", "-", "-"))
    operator.say(f"RabbitMQ: topic exchange {EXCHANGE}, durable, for consumers outside; routing key: the event's type")
    operator.say("Redis: the queues only; there is no exchange, so consumers outside need RabbitMQ")
    operator.show_table(("event", "queue", "actor", "retries", "time limit"), rows)


def at_(subject: str, /, *, at: datetime) -> None:
    """Show how something stood at an instant, from its events.

    Args:
        subject: job:<id>, contract:<id>, escrow:<id> … or wallet:<person>:<currency>
        at: ISO 8601; UTC unless it says otherwise
    """
    instant = operator.utc(at)
    assert instant is not None  # noqa: S101  # `at` is required
    state = asyncio.run(_wallet_at(subject, instant) if subject.startswith("wallet:") else _state_at(subject, instant))
    if state is None:
        sys.exit(f"{subject} had no event until {instant.isoformat()}")
    operator.show_json(msgspec.to_builtins(state))


async def _state_at(subject: str, instant: datetime) -> PastState | None:
    async with operator.resources() as opened:
        for one in opened.values():
            if state := await past.state_at(one.events, subject, instant):
                return state
    return None


async def _wallet_at(subject: str, instant: datetime) -> dict[str, Any]:
    payment = services.load("payment")
    async with payment.open_context(load(payment.settings, found_environment())) as context:
        from kelmah.services.payment.service import balance_at

        balance = await balance_at(context, subject, instant)
    return {"subject": subject, "at": instant, "balance": balance}


def forget_(person_id: str, /) -> None:
    """Erase a person's key in every service: what events say of their address and device is unreadable for good.

    Args:
        person_id: the id of the person's account
    """

    operator.act("events forget", *services.NAMES, target=person_id)

    async def erase() -> list[str]:
        async with operator.resources() as opened:
            return [name for name, one in opened.items() if await one.events.people.erase(person_id)]

    operator.say(f"erased in {', '.join(asyncio.run(erase())) or 'no service: it was erased before'}")
