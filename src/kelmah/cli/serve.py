"""Runs one app as a process: `kelmah serve NAME`, or its own console script."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from granian import Granian
from granian.constants import Interfaces, Loops, RuntimeModes

from kelmah import services
from kelmah.cli import asgi
from kelmah.kit import draining
from kelmah.kit.frames import FramesServer
from kelmah.kit.settings import SettingsError

ONE_PROCESS = "one-process"
NAMES = ("gateway", *services.NAMES, ONE_PROCESS)
#: What strangers can reach is served with bounds on what they may send (docs/decisions/0005).
_EDGES = frozenset({"gateway", ONE_PROCESS})
#: uvicorn is 1.5 times faster than granian at WebSockets, granian faster at all else.
_SOCKET_APPS = frozenset({"messaging"})
#: Seconds that open requests have to finish after SIGTERM.
DRAIN_S = 10


def serve(name: str, /) -> None:
    """Run one app until it is told to stop.

    Args:
        name: gateway, auth, user, messaging, job, payment, review, or one-process for all of them in one.
    """
    if name not in NAMES:
        sys.exit(f"kelmah serve: there is no app {name!r}; choose one of {', '.join(NAMES)}")
    try:
        settings = asgi.settings_of("gateway" if name == ONE_PROCESS else name)
    except SettingsError as error:
        sys.exit(str(error))
    target = f"kelmah.cli.asgi:{name.replace('-', '_')}"
    if name in _EDGES:
        from kelmah.gateway import server

        config = server.config(target, factory=True, settings=settings, drain_s=DRAIN_S)  # type: ignore[arg-type]  # an edge's are the gateway's
        _Uvicorn(config, linger_s=settings.linger_s).run()
    elif name in _SOCKET_APPS:
        config = uvicorn.Config(
            target, factory=True, host=settings.host, port=settings.port, loop="uvloop", http="httptools",
            ws=FramesServer, ws_per_message_deflate=False, log_config=None, access_log=False,
            server_header=False, date_header=False, timeout_graceful_shutdown=DRAIN_S,
            timeout_keep_alive=30,
        )  # fmt: skip
        _Uvicorn(config, linger_s=settings.linger_s).run()
    else:
        _Granian(
            target,
            factory=True,
            address=settings.host,
            port=settings.port,
            interface=Interfaces.ASGI,
            loop=Loops.uvloop,
            runtime_mode=RuntimeModes.st,
            log_access=False,
            workers_kill_timeout=DRAIN_S,
            linger_s=settings.linger_s,
        ).serve()


class _Uvicorn(uvicorn.Server):
    """Told to stop, it lets itself be struck out first, and serves on for a while."""

    def __init__(self, config: uvicorn.Config, *, linger_s: float) -> None:
        super().__init__(config)
        self._linger_s = linger_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal begins it, a second one ends it at once."""
        if draining.is_draining() or not self._linger_s:
            super().handle_exit(sig, frame)
            return
        draining.begin()
        _later(self._linger_s, partial(super().handle_exit, sig, frame))


class _Granian(Granian):  # type: ignore[valid-type,misc]  # which of its two classes it is, shows at run time
    """The same. Its app runs in a child, which learns of it by SIGUSR1 (see `kelmah.cli.asgi`)."""

    def __init__(self, *arguments: Any, linger_s: float, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._linger_s = linger_s

    def signal_handler_interrupt(self, *arguments: Any, **named: Any) -> None:
        """As `_Uvicorn.handle_exit`."""
        if draining.is_draining() or not self._linger_s:
            super().signal_handler_interrupt(*arguments, **named)
            return
        draining.begin()
        for worker in self.wrks:
            os.kill(worker.inner.pid, signal.SIGUSR1)
        _later(self._linger_s, super().signal_handler_interrupt)


def _later(seconds: float, then: Callable[[], object]) -> None:
    timer = threading.Timer(seconds, then)
    timer.daemon = True
    timer.start()


def _script(name: str) -> None:
    if arguments := _unexpected(sys.argv[1:]):
        sys.exit(f"kelmah-{name} takes no arguments ({arguments}); it is set by KELMAH_… variables, see .env.example")
    serve(name)


def _unexpected(arguments: Sequence[str]) -> str:
    return " ".join(arguments)


def gateway() -> None:
    _script("gateway")


def auth() -> None:
    _script("auth")


def user() -> None:
    _script("user")


def messaging() -> None:
    _script("messaging")


def job() -> None:
    _script("job")


def payment() -> None:
    _script("payment")


def review() -> None:
    _script("review")
