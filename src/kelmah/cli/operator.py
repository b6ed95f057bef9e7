"""What commands for operators share: the running platform's databases, instants as people write them, and tables."""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from kelmah import services
from kelmah.cli.development import found_environment
from kelmah.kit.resources import Resources, open_resources
from kelmah.kit.settings import SettingsError, load


@asynccontextmanager
async def resources(only: str | None = None) -> AsyncIterator[dict[str, Resources]]:
    """Each service's database, events and keys, by name; or one service's.

    Raises:
        SystemExit: there is no such service, or the environment does not fit.
    """
    if only is not None and only not in services.NAMES:
        raise SystemExit(f"there is no service {only!r}: {', '.join(services.NAMES)}")
    env = found_environment()
    async with AsyncExitStack() as stack:
        opened: dict[str, Resources] = {}
        for name in [only] if only else services.NAMES:
            try:
                settings = load(services.load(name).settings, env)
            except SettingsError as error:
                raise SystemExit(str(error)) from error
            opened[name] = await stack.enter_async_context(open_resources(settings, ()))
        yield opened


def utc(instant: datetime | None) -> datetime | None:
    """An instant as typed; without a zone it is UTC."""
    return instant.replace(tzinfo=UTC) if instant is not None and instant.tzinfo is None else instant


def say(text: str) -> None:
    """One line of the command's answer."""
    print(text)  # noqa: T201


def show_json(value: object) -> None:
    say(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on a terminal; elsewhere one line a row with tabs, so that other programs can read it."""
    console = Console()
    if not console.is_terminal:
        for row in rows:
            say("\t".join(str(value) for value in row))
        return
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*(str(value) for value in row))
    console.print(table)
