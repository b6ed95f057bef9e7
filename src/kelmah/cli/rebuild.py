"""`kelmah events rebuild`: what services keep for reading is made anew from events, compared, and mended."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from kelmah.cli import operator
from kelmah.cli.development import found_environment
from kelmah.kit import logging
from kelmah.kit.projections import Difference, History, Projection, Tell, differences, show
from kelmah.kit.settings import SettingsError
from kelmah.services.job.service import projections as of_job
from kelmah.services.messaging.service import projections as of_messaging
from kelmah.services.payment.service import projections as of_payment
from kelmah.services.review.service import projections as of_review
from kelmah.services.user.service import projections as of_user
from kelmah.workers.contexts import open_contexts

#: Service → what can be made anew there. Auth keeps nothing that follows from something else.
SERVICES: Mapping[str, Callable[[Any], list[Projection]]] = {
    "user": of_user,
    "messaging": of_messaging,
    "job": of_job,
    "payment": of_payment,
    "review": of_review,
}
#: Seconds before a second look: what was under way is done by then.
SECOND_LOOK_S = 3.0
#: Differences of one projection that a run looks at.
MAX_DIFFERENCES = 10_000


class Found(NamedTuple):
    """What became of one projection."""

    name: str
    differences: list[Difference]
    mended: int


def rebuild_(*, check: bool = False, only: Sequence[str] = ()) -> None:
    """Make projections anew from events and documents, report what differs, and mend it.

    A difference is one that is there at two looks, three seconds apart; so it may run while the platform does.

    Args:
        check: mend nothing, and exit with 1 if anything differs.
        only: names of projections, or of services, instead of all; said once for each.
    """
    if not check:
        operator.act("events rebuild", *sorted({name.partition(".")[0] for name in only} & {*SERVICES} or SERVICES))
    console = Console(stderr=True)
    logging.configure("rebuild", level="ERROR", human=True)
    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn())
    try:
        with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as bar:
            found = asyncio.run(_rebuild(bar, check=check, only=only))
    except SettingsError as error:
        sys.exit(str(error))
    for one in found:
        for difference in one.differences:
            operator.say(f"{one.name}: {difference.key}: should be {show(difference.due)}, is {show(difference.found)}")
        operator.say(f"{one.name}: {_count(one, check=check)}")
    if any(one.differences if check else one.mended < len(one.differences) for one in found):
        sys.exit(1)


def _count(found: Found, *, check: bool) -> str:
    count = len(found.differences)
    limit = ", and perhaps more" * (count == MAX_DIFFERENCES)
    return f"{count} differences{limit}" + ("" if check else f", {found.mended} mended")


async def _rebuild(bar: Progress, *, check: bool, only: Sequence[str]) -> list[Found]:
    found = []
    async with opened() as contexts:
        stores = {name: context.events for name, context in contexts.items()}
        for service, projection in _chosen(contexts, only):
            task = bar.add_task(projection.name, total=None)

            def tell(how_far: Tell, task: Any = task) -> None:
                bar.update(task, completed=how_far.done, total=how_far.total)

            mongo = contexts[service].mongo
            sure = await confirmed(mongo, projection, History(stores, tell=tell))
            mended = 0 if check else sum([await projection.write(one) for one in sure])
            found.append(Found(projection.name, sure, mended))
            total = bar.tasks[task].total or 1  # those that are made of documents know no total
            bar.update(task, completed=total, total=total)
    return found


def _chosen(contexts: Mapping[str, Any], only: Sequence[str]) -> list[tuple[str, Projection]]:
    every = [(service, one) for service, of in SERVICES.items() for one in of(contexts[service])]
    known = {*SERVICES, *(one.name for _, one in every)}
    if unknown := [name for name in only if name not in known]:
        sys.exit(f"there is no projection {unknown[0]!r}: {', '.join(one.name for _, one in every)}")
    return [(service, one) for service, one in every if not only or service in only or one.name in only]


async def confirmed(mongo: Any, projection: Projection, history: History) -> list[Difference]:
    """What differs at two looks in the same way."""
    first = [one async for one in _some(differences(mongo, projection, history))]
    if not first:
        return []
    await asyncio.sleep(SECOND_LOOK_S)
    seen = {one.key: one for one in first}
    second = _some(differences(mongo, projection, history))
    return [one async for one in second if one.key in seen and _is_same(seen[one.key], one)]


def _is_same(one: Difference, other: Difference) -> bool:
    # A row that is missing may be made with an instant, another each time.
    return one == other or (one.found is other.found is None)


async def _some(found: AsyncIterator[Difference]) -> AsyncIterator[Difference]:
    count = 0
    async for one in found:
        yield one
        count += 1
        if count == MAX_DIFFERENCES:
            return


@asynccontextmanager
async def opened() -> AsyncIterator[Mapping[str, Any]]:
    """Every service's context, without calls to any service."""
    async with open_contexts({**found_environment(), "KELMAH_SERVICE_URLS": "{}"}) as contexts:
        yield contexts
