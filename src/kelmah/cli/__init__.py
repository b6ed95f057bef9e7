"""The `kelmah` command: the composition root that builds settings and starts every process."""

import sys
from collections.abc import Sequence
from importlib import import_module

from cyclopts import App

#: Name → (function, help). Functions are named by path, so that a command imports only what it needs.
_COMMANDS = {
    "up": ("platform:up", "Start the whole platform on this machine; Ctrl-C stops it."),
    "demo": ("demo:demo", "Drive the main journey through the gateway, checked step by step."),
    "seed": ("seed:seed", "Fill a platform with realistic people, jobs and deals."),
    "doctor": ("doctor:doctor", "Say what keeps a platform from starting, and what to do."),
    "serve": ("serve:serve", "Run one app as a process."),
    "work": ("work:work", "Run the workers: actors, the relay of events, timers."),
    "check-config": ("environment:check", "Say whether the environment's settings fit."),
    "env-example": ("environment:example", "Write .env.example from the settings."),
    "backup": ("backup:backup", "Copy the databases of all services, as of one instant."),
    "restore": ("backup:restore", "Fill empty databases from a backup, and check them."),
    "audit": ("audit:audit", "Find, export and verify who did what, when and from where."),
}
#: Group → (help, {name: function}).
_GROUPS = {
    "auth": ("The auth service.", {"calibrate": "auth:calibrate"}),
    "bank": ("Files of a bank.", {"import": "bank:import_", "export": "bank:export"}),
    "contracts": ("The schemas that consumers build on.", {"export": "contracts:export"}),
    "dlq": (
        "Messages that were given up.",
        {name: f"dlq:{name}_" for name in ("list", "show", "replay", "discard")},
    ),
    "events": (
        "The events of the six services: what happened, in what order, proven.",
        {name: f"events:{name}_" for name in ("list", "show", "verify", "topology", "at", "forget")}
        | {"rebuild": "rebuild:rebuild_"},
    ),
    "indexes": ("The indexes of MongoDB.", {"build": "indexes:build"}),
    "keys": ("Signing keys and the keys of sealed fields.", {"rotate": "keys:rotate"}),
    "ledger": (
        "The ledger of the payment service.",
        {
            name: f"ledger:{name}"
            for name in ("verify", "show", "at", "reconcile", "exceptions", "resolve", "reverse", "resume")
        },
    ),
    "legacy": (
        "The old Postgres: moved without losing a row, and back until the cut-over is confirmed.",
        {
            "write-back": "legacy:write_back",
            **{
                name: f"legacy:{name}"
                for name in ("generate", "adopt", "migrate", "verify", "trace", "confirm", "backup", "restore")
            },
        },
    ),
    "match": ("The matching of jobs and workers.", {"evaluate": "match:evaluate"}),
    "moderate": ("The screen that holds reviews back.", {"evaluate": "moderate:evaluate"}),
    "routes": ("What the gateway lets through.", {"explain": "routes:explain"}),
    "webhooks": (
        "Notices of payment providers.",
        {"list": "webhooks:list_", "replay": "webhooks:replay_"},
    ),
    "users": ("Accounts of staff.", {"create": "auth:create_user"}),
}


def _make(arguments: Sequence[str]) -> App:
    app = App(
        name="kelmah",
        help="Runs and looks after a Kelmah marketplace.",
        version_flags=["--version"],
        help_format="plaintext",  # else <id> is taken for markup, and is not shown
    )
    for name, (function, text) in _COMMANDS.items():
        app.command(f"kelmah.cli.{function}", name=name, help=text)
    for name, (text, commands) in _GROUPS.items():
        group = App(name=name, help=text)
        for command, function in commands.items():
            # Only who asks what a group can do pays for the imports that tell.
            known = {"help": _first_line(function)} if arguments in ([name], [name, "--help"], [name, "-h"]) else {}
            group.command(f"kelmah.cli.{function}", name=command, **known)
        if name == "routes":
            group.default(_list_routes)
        app.command(group)
    return app


def _list_routes(*, file: str | None = None) -> None:
    """List the routes of a route file, checked; those of the packaged one if none is named.

    Args:
        file: the route file.
    """
    from kelmah.cli.routes import show

    show(file)


def _first_line(function: str) -> str:
    module, _, name = function.partition(":")
    text: str = getattr(import_module(f"kelmah.cli.{module}"), name).__doc__ or ""
    return text.strip().partition("\n")[0]


def main() -> None:
    """The console script."""
    _make(sys.argv[1:])()
