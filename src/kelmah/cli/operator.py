"""What commands for operators share: the platform's databases, a note of who acted, instants as typed, and tables."""

import asyncio
import json
import os
import pwd
import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version

from rich.console import Console
from rich.table import Table

from kelmah import services
from kelmah.cli.development import found_environment
from kelmah.contracts.operators import OPERATOR_ACTED
from kelmah.kit.context import Origin, current_origin, current_system, current_trace, trace_from
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


def act(command: str, *concerned: str, target: str | None = None) -> None:
    """Note in the events of the services concerned that somebody here gives a command that changes something.

    To be called before anything is done, so that nothing is done unnoted. All that the command does from here on has
    the same actor, origin and request id.
    """
    sign()

    async def note_each() -> None:
        async with resources(concerned[0] if len(concerned) == 1 else None) as opened:
            for name in concerned:
                await note(name, opened[name], command, target=target)

    asyncio.run(note_each())


def sign() -> None:
    """Have events from here on name who sits at this machine, and from where."""
    current_system.set(f"operator:{_login_name()}")
    current_trace.set(trace_from(None, None, None))
    address = os.environ.get("SSH_CONNECTION", "").partition(" ")[0]  # where the terminal is, if it is not here
    current_origin.set(Origin(address or None, f"kelmah {version('kelmah')} on {socket.gethostname()}"))


async def note(service: str, opened: Resources, command: str, *, target: str | None = None) -> None:
    """Note a command in the events of one service; in the open transaction, if there is one."""
    event = OPERATOR_ACTED[service](command=command, target=target)
    await opened.mongo.transact(lambda: opened.events.append(event, subject=f"operator:{_login_name()}"))


def _login_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run under an id that has no name
        return str(os.getuid())


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
