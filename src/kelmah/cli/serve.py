"""Runs one app as a process: `kelmah serve NAME`, or its own console script."""

import sys
from collections.abc import Sequence

from granian import Granian
from granian.constants import Interfaces, Loops, RuntimeModes

from kelmah import services
from kelmah.cli import asgi
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
        import uvicorn

        from kelmah.gateway import server

        config = server.config(target, factory=True, settings=settings, drain_s=DRAIN_S)  # type: ignore[arg-type]  # an edge's are the gateway's
        uvicorn.Server(config).run()
        return
    if name in _SOCKET_APPS:
        import uvicorn

        uvicorn.run(
            target, factory=True, host=settings.host, port=settings.port, loop="uvloop", http="httptools",
            ws="websockets-sansio", ws_max_size=262_144, ws_per_message_deflate=False, log_config=None,
            access_log=False, server_header=False, date_header=False, timeout_graceful_shutdown=DRAIN_S,
            timeout_keep_alive=30,
        )  # fmt: skip
        return
    Granian(
        target,
        factory=True,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        runtime_mode=RuntimeModes.st,
        log_access=False,
        workers_kill_timeout=DRAIN_S,
    ).serve()


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
