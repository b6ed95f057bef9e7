"""`kelmah indexes build`: the indexes of all six databases, built by one process rather than by racing ones."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping

from rich.console import Console
from rich.progress import Progress as Bar

from kelmah import services
from kelmah.cli.development import found_environment
from kelmah.cli.processes import Progress
from kelmah.kit import clock, indexes, mongo
from kelmah.kit.indexes import Did, Step
from kelmah.kit.settings import SettingsError, load


async def build_all(
    env: Mapping[str, str], *, on_progress: Callable[[Progress], None] = lambda _: None
) -> AsyncIterator[tuple[str, Step]]:
    """Make the indexes of every database those that are declared; yields (service, step) as each is done."""
    started = clock.monotonic()
    for name in services.NAMES:
        service = services.load(name)
        settings = load(service.settings, env)
        on_progress(Progress("indexes", "starting", clock.monotonic() - started, name))
        # An index of a large collection takes longer than any answer may take a service.
        async with mongo.connect(settings.mongo_url, settings.mongo_database, answer_timeout_s=None) as database:
            async for step in indexes.build(database, service.documents):
                yield name, step
    on_progress(Progress("indexes", "ready", clock.monotonic() - started))


def build() -> None:
    """Build the indexes that are missing, and drop those that are no longer declared, naming each."""
    try:
        asyncio.run(_build())
    except SettingsError as error:
        sys.exit(str(error))


async def _build() -> None:
    console = Console()
    with Bar(console=console) as bar:
        task = bar.add_task("indexes", total=None)
        async for service, step in build_all(found_environment()):
            bar.update(task, advance=step.did is Did.READY, description=f"{service}.{step.collection}")
            if step.did not in (Did.READY, Did.BUILDING):
                console.print(f"{step.did}: {service}.{step.collection} {', '.join(step.indexes)}")
            elif step.indexes:
                bar.update(task, description=f"{service}.{step.collection}: building {', '.join(step.indexes)}")
