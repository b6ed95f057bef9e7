"""`kelmah doctor`: whether this machine can run a platform, and what to do where it cannot."""

import asyncio
import importlib.util
import os
import platform as machine
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from kelmah import services
from kelmah.cli import backends, development
from kelmah.cli.asgi import settings_class
from kelmah.cli.backends import debian, mongo, rabbitmq, redis
from kelmah.cli.backends.fleet import STARTERS
from kelmah.cli.platform import GIVEN
from kelmah.cli.processes import Supervisor, is_port_taken
from kelmah.kit.settings import SettingsError, load

#: What a platform's data and logs take in the first days.
_ROOM_BYTES = 2 * 1024**3
_PYTHON = ((3, 11), (3, 14))


class Finding(NamedTuple):
    """One thing that was looked at. `is_fault` ones keep the platform from starting; advice says what to do."""

    name: str
    found: str
    advice: str = ""
    is_fault: bool = False


def doctor() -> None:
    """Look at Python, disk, ports, backing services and settings, and say what to do next."""
    findings = asyncio.run(_look())
    table = Table(show_header=False, box=None)
    for one in findings:
        mark = "[red]✗[/red]" if one.is_fault else "[yellow]![/yellow]" if one.advice else "[green]✓[/green]"
        table.add_row(mark, one.name, one.found, one.advice)
    console = Console()
    console.print(table)
    if any(one.is_fault for one in findings):
        console.print("[red]Mend what is marked ✗ first.[/red]")
        sys.exit(1)
    running = (development.HOME / "platform.json").exists()
    console.print("Next: [bold]kelmah demo[/bold]" if running else "Next: [bold]kelmah up[/bold]")


async def _look() -> list[Finding]:
    return [_python(), _disk(), *_ports(), *[one async for one in _backends()], *_settings()]


def _python() -> Finding:
    lowest, beyond = (".".join(map(str, version)) for version in _PYTHON)
    fits = _PYTHON[0] <= sys.version_info[:2] < _PYTHON[1]
    return Finding("Python", machine.python_version(), "" if fits else f"use {lowest} to before {beyond}", not fits)


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    fits = free >= _ROOM_BYTES
    return Finding("disk", f"{free / 1024**3:.1f} GB free here", "" if fits else "make room for 2 GB", not fits)


def _ports() -> Iterator[Finding]:
    if (development.HOME / "platform.json").exists():
        yield Finding("ports", "a platform is running in this directory")
        return
    for name, port in development.PORTS.items():
        if is_port_taken(port):
            yield Finding("ports", f"{port} ({name}) is taken", "a free one will be used and named")
    if not any(map(is_port_taken, development.PORTS.values())):
        yield Finding("ports", f"{', '.join(map(str, development.PORTS.values()))} are free")


async def _backends() -> AsyncIterator[Finding]:
    finders: dict[str, Callable[[], str]] = {
        "mongo": lambda: mongo.find_binary()[1],
        "redis": lambda: redis.find_binary()[1],
        "rabbitmq": _rabbitmq,
        "mail": lambda: _package("aiosmtpd"),
        "stripe": lambda: _package("localstripe"),
    }
    for name, find in finders.items():
        url = os.environ.get(GIVEN[name])
        try:
            if url is None:
                yield Finding(name, find())
                continue
            async with backends.open_home(None) as home, Supervisor() as supervisor:
                await STARTERS[name](supervisor, home, url=url)  # a given server is asked, and nothing is started
            yield Finding(name, f"answers ({GIVEN[name]})")
        except backends.RabbitMQUnavailableError as error:
            yield Finding(name, error.reason, error.hint)
        except backends.BackendError as error:
            yield Finding(name, error.reason, error.hint or f"look at {GIVEN[name]}", is_fault=True)


def _rabbitmq() -> str:
    if any(Path(script).exists() for script in rabbitmq.SERVER_SCRIPTS) and shutil.which("epmd"):
        return "installed"
    if (debian.cache_dir() / "rabbitmq").exists():
        return "debian's packages, unpacked before"
    if debian.is_available():
        return "debian's packages, to be downloaded at the first start"
    hint = "install it or set KELMAH_AMQP_URL; without it the workers use Redis"
    raise backends.RabbitMQUnavailableError("rabbitmq", "not to be had here", hint=hint)


def _package(name: str) -> str:
    if importlib.util.find_spec(name) is None:
        raise backends.BackendUnavailableError(name, f"{name} is missing", hint="Install the extra `embedded`.")
    return "packaged"


def _settings() -> Iterator[Finding]:
    environ = development.found_environment()
    if "KELMAH_MONGO_URL" not in environ:
        yield Finding("settings", "none are set: `kelmah up` chooses them")
        return
    for name in ("gateway", *services.NAMES):
        try:
            load(settings_class(name), environ)
        except SettingsError as error:
            yield Finding("settings", str(error), "see .env.example", is_fault=True)
        else:
            yield Finding("settings", f"fit {name}")
