"""`kelmah indexes build`: the indexes of all six databases, built by one process rather than by racing ones."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping

from rich.progress import Progress as Bar

from kelmah import services
from kelmah.cli.development import found_environment
from kelmah.cli.processes import Progress
from kelmah.kit import clock, indexes, mongo
from kelmah.kit.settings import SettingsError, load


async def build_all(
    env: Mapping[str, str], *, on_progress: Callable[[Progress], None] = lambda _: None
) -> AsyncIterator[tuple[str, str]]:
    """Build what is missing in every database; yields (service, collection) as each is done."""
    started = clock.monotonic()
    for name in services.NAMES:
        service = services.load(name)
        settings = load(service.settings, env)
        on_progress(Progress("indexes", "starting", clock.monotonic() - started, name))
        # An index of a large collection takes longer than any answer may take a service.
        async with mongo.connect(settings.mongo_url, settings.mongo_database, answer_timeout_s=None) as database:
            async for collection in indexes.build(database, service.documents):
                yield name, collection
    on_progress(Progress("indexes", "ready", clock.monotonic() - started))


def build() -> None:
    """Build the indexes that are missing in the databases of the environment, or of the platform that runs here."""
    try:
        asyncio.run(_build())
    except SettingsError as error:
        sys.exit(str(error))


async def _build() -> None:
    with Bar() as bar:
        task = bar.add_task("indexes", total=None)
        async for service, collection in build_all(found_environment()):
            bar.update(task, advance=1, description=f"{service}.{collection}")
