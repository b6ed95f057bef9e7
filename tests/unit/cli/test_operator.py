"""Every command that changes something says so in the events; all others stand here."""

import importlib
import inspect
import re

from kelmah import services
from kelmah.cli import _COMMANDS, _GROUPS
from kelmah.contracts.operators import OPERATOR_ACTED

#: They only read, or change nothing that the services keep: whatever makes people act does it through the gateway.
HARMLESS = {
    *("up", "demo", "seed", "doctor", "serve", "work", "check-config", "env-example", "audit"),
    *("auth calibrate", "contracts export", "indexes build", "routes explain"),
    *("dlq list", "dlq show", "events list", "events show", "events verify", "events topology", "events at"),
    *("ledger verify", "ledger show", "ledger at", "ledger exceptions", "webhooks list"),
    *("legacy generate", "legacy adopt", "legacy verify", "legacy trace", "legacy backup", "legacy restore"),
    *("match evaluate", "moderate evaluate"),
}


def _is_noted(name: str, module: str) -> bool:
    source = inspect.getsource(importlib.import_module(f"kelmah.cli.{module}"))
    return re.search(rf'\b(act|note)\([^)]*"{name}"|\bacts=[^,)]*"{name}"', source) is not None


def test_whatever_changes_something_is_noted() -> None:
    commands = {name: function for name, (function, _) in _COMMANDS.items()}
    commands |= {f"{group} {name}": one for group, (_, named) in _GROUPS.items() for name, one in named.items()}
    silent = {name for name, function in commands.items() if not _is_noted(name, function.partition(":")[0])}
    assert silent == HARMLESS


def test_each_service_has_an_event_for_it() -> None:
    assert OPERATOR_ACTED.keys() == set(services.NAMES)
