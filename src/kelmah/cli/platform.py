"""`kelmah up`: the whole platform on one machine, backing services included."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import aiohttp
from rich.console import Console
from rich.table import Table

from kelmah import services
from kelmah.cli import backends, development, indexes
from kelmah.cli.backends import stripe
from kelmah.cli.development import HOME
from kelmah.cli.processes import Process, Progress, Spec, StartError, Supervisor, free_port, is_port_taken, log_tail
from kelmah.cli.progress import StartBoard

#: Backing services that are used as given when their variable is set.
GIVEN = {
    "mongo": "KELMAH_MONGO_URL",
    "redis": "KELMAH_REDIS_URL",
    "rabbitmq": "KELMAH_AMQP_URL",
    "mail": "KELMAH_SMTP_URL",
    "stripe": "KELMAH_PAYMENT_STRIPE_BASE_URL",
}
START_TIMEOUT_S = 90.0


class Platform(NamedTuple):
    """A running platform."""

    gateway_url: str
    mailbox: Path
    env: Mapping[str, str]
    fleet: backends.Fleet
    processes: Mapping[str, Process]
    supervisor: Supervisor


@asynccontextmanager
async def running(
    *, home: Path | None = HOME, one_process: bool = False, board: StartBoard | None = None
) -> AsyncIterator[Platform]:
    """Start everything and stop it at the end; `home` None keeps nothing and takes free ports.

    Raises:
        StartError, BackendError: a part did not start (maybe inside an ExceptionGroup); the rest was stopped.
        HomeBusyError: another platform uses this directory.
    """
    tell = board.tell if board else _ignore
    async with (
        backends.open_home(home) as place,
        Supervisor(on_progress=tell, pass_fds=(place.lock_fd,)) as supervisor,
    ):
        given = {name: os.environ[variable] for name, variable in GIVEN.items() if variable in os.environ}
        fleet = await backends.start_all(supervisor, place, urls=given)
        ports = _choose_ports(supervisor, ephemeral=home is None)
        kept = development.keep_secrets(place.path / "secrets.json")
        env = development.environment(fleet, kept, ports) | _set_by_user()
        async for _ in indexes.build_all(env, on_progress=tell):
            pass
        await _register_webhooks(fleet, ports, kept["webhooks"])
        processes = await _start_apps(supervisor, place, env, ports, one_process=one_process)
        platform = Platform(
            gateway_url=f"http://127.0.0.1:{ports['gateway']}",
            mailbox=place.data("mail") / "maildir",
            env=env,
            fleet=fleet,
            processes=processes,
            supervisor=supervisor,
        )
        with _noted(place.path, platform):
            yield platform


@contextmanager
def _noted(home: Path, platform: Platform) -> Iterator[None]:
    """Tell other commands in this directory where the platform is, and what its processes were told."""
    address = {"url": platform.gateway_url, "mailbox": str(platform.mailbox)}
    notes = (home / "platform.json", home / development.ENVIRONMENT_FILE)
    try:
        for note, content in zip(notes, (address, platform.env), strict=True):
            development.write_private(note, json.dumps(content))
        yield
    finally:
        for note in notes:
            note.unlink(missing_ok=True)


def _ignore(_: Progress) -> None:
    pass


def _set_by_user() -> dict[str, str]:
    """What the user sets wins over what we would choose."""
    return {name: value for name, value in os.environ.items() if name.startswith("KELMAH_") and "_TEST_" not in name}


def _choose_ports(supervisor: Supervisor, *, ephemeral: bool) -> dict[str, int]:
    chosen: dict[str, int] = {}
    for name, port in development.PORTS.items():
        if ephemeral:
            chosen[name] = free_port()
        elif is_port_taken(port):
            chosen[name] = free_port()
            supervisor.report(
                name, "waiting", detail=f"port {port} is taken by another program: {chosen[name]} instead"
            )
        else:
            chosen[name] = port
    return chosen


async def _register_webhooks(fleet: backends.Fleet, ports: Mapping[str, int], secret: str) -> None:
    """Have the stand-in for Stripe tell us of payments, as Stripe's dashboard would be set to."""
    backend = fleet.backends["stripe"]
    if backend.process is not None:
        await stripe.register_webhook(
            backend.url,
            name="kelmah",
            target=f"http://127.0.0.1:{ports['gateway']}/api/v1/payments/webhooks/stripe",
            secret=secret,
            events=["payment_intent.succeeded", "payment_intent.payment_failed", "charge.refunded"],
        )


async def _start_apps(
    supervisor: Supervisor, place: backends.Home, env: Mapping[str, str], ports: Mapping[str, int], *, one_process: bool
) -> dict[str, Process]:
    names = ["one-process"] if one_process else [*services.NAMES, "gateway"]
    specs = [_app(name, place, env, ports["gateway" if one_process else name], one_process) for name in names]
    specs.append(_workers(place, env, one_process=one_process))
    started = await asyncio.gather(*(supervisor.start(spec) for spec in specs), return_exceptions=True)
    failures = [one for one in started if isinstance(one, Exception)]
    if failures:
        raise ExceptionGroup("parts of the platform failed to start", failures)
    return {one.spec.name: one for one in started if isinstance(one, Process)}


def _app(name: str, place: backends.Home, env: Mapping[str, str], port: int, one_process: bool) -> Spec:
    return Spec(
        name=name,
        command=(sys.executable, "-m", "kelmah.cli", "serve", name),
        log_file=place.log(name),
        env=dict(env),
        ready=lambda: answers(f"http://127.0.0.1:{port}/readyz"),
        ready_timeout_s=START_TIMEOUT_S,
        ports=(port,),
        tier=3 if name in ("gateway", "one-process") else 1,
        stop_grace_s=20,
        hint=f"see {place.log(name)}",
    )


def _workers(place: backends.Home, env: Mapping[str, str], *, one_process: bool) -> Spec:
    own = dict(env)
    if one_process:  # no service listens: the workers' calls stay in memory, too
        own["KELMAH_SERVICE_URLS"] = "{}"
    return Spec(
        name="workers",
        command=(sys.executable, "-m", "kelmah.cli", "work"),
        log_file=place.log("workers"),
        env=own,
        ready=_log_says(place.log("workers"), "workers.ready"),
        ready_timeout_s=START_TIMEOUT_S,
        tier=2,
        stop_grace_s=20,
        hint=f"see {place.log('workers')}",
    )


def _log_says(path: Path, event: str) -> Callable[[], Awaitable[bool]]:
    async def probe() -> bool:
        return any(event in line for line in log_tail(path))

    return probe


async def answers(url: str) -> bool:
    """Whether an address answers 200."""
    timeout = aiohttp.ClientTimeout(total=3)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
        return response.status == 200


def up(*, ephemeral: bool = False, one_process: bool = False) -> None:
    """Start backing services, the six services, the gateway and the workers, and stop them all on Ctrl-C.

    Args:
        ephemeral: keep no data and take free ports, so that several can run side by side.
        one_process: run the gateway and the six services in one process.
    """
    try:
        asyncio.run(_up(None if ephemeral else HOME, one_process=one_process))
    except* (StartError, backends.BackendError, backends.HomeBusyError) as group:
        for error in _leaves(group):
            _explain(error)
        sys.exit(1)


async def _up(home: Path | None, *, one_process: bool) -> None:
    console = Console(stderr=True)
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # a coroutine runs in a task
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with StartBoard(console) as board, suppress(asyncio.CancelledError):
        async with running(home=home, one_process=one_process, board=board) as platform:
            board.close()
            _print_addresses(console, platform)
            failed = await platform.supervisor.first_exit()
            reason = f"ended by itself with exit code {failed.returncode}"
            raise StartError(failed.spec.name, reason, log_tail=log_tail(failed.spec.log_file), hint=failed.spec.hint)


def _print_addresses(console: Console, platform: Platform) -> None:
    table = Table(title="Kelmah is up", show_header=False, title_justify="left")
    for name, url in (
        ("API", f"{platform.gateway_url}/api/v1"),
        ("docs", f"{platform.gateway_url}/docs"),
        ("health", f"{platform.gateway_url}/health"),
        ("mail", str(platform.mailbox)),
        *((name, backend.url) for name, backend in platform.fleet.backends.items() if name != "mail"),
    ):
        table.add_row(name, url)
    console.print(table)
    for name, reason in platform.fleet.unavailable.items():
        console.print(f"[yellow]{name} is not to be had here: {reason}[/yellow]")
        if name == "rabbitmq":
            console.print("[yellow]Workers use Dramatiq's Redis broker instead.[/yellow]")
    console.print("Try it: [bold]kelmah demo[/bold]. Ctrl-C stops everything.")


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for one in error.exceptions for leaf in _leaves(one)]
    return [error]


def _explain(error: BaseException) -> None:
    console = Console(stderr=True)
    console.print(f"[red]{error}[/red]", highlight=False)
    for line in getattr(error, "log_tail", ()):
        console.print(f"  {line}", markup=False, highlight=False)
    if hint := getattr(error, "hint", ""):
        console.print(f"[bold]→ {hint}[/bold]", highlight=False)
