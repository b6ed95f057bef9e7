"""Who may call what: every operation that clients can reach has an outcome stated in `authorization.toml`.

The gateway's route table and the service's policy are two doors in a row; a person gets as far as the own-or-another's
check of the query only where both are open. A new operation fails here until somebody wrote down who may call it.
"""

import importlib
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kelmah import services
from kelmah.contracts.common import Role
from kelmah.gateway import routes
from kelmah.gateway.routes import Route
from kelmah.kit.policy import GATEWAY, Rule

STATED: dict[str, Any] = tomllib.loads(Path(__file__).with_name("authorization.toml").read_text(encoding="utf-8"))
SERVED = Path(routes.__file__).with_name("openapi.json")
#: Nobody, and somebody in each role.
CALLERS: tuple[Role | None, ...] = (None, *Role)
#: Signed in, and staff by one factor alone: what sets up the second, and what leads out.
ONE_FACTOR = "one_factor"
NAMED: dict[str, frozenset[Role] | None] = {"public": None, "signed_in": frozenset(), ONE_FACTOR: frozenset()}


def operations() -> dict[str, tuple[Route, Rule]]:
    """Every operation of the gateway's document, with its two doors."""
    table, found = routes.load(), {}
    policies = {name: importlib.import_module(f"kelmah.services.{name}.controllers").POLICY for name in services.NAMES}
    for path, item in msgspec.json.decode(SERVED.read_bytes())["paths"].items():
        for verb, operation in item.items():
            route = (table.match("/".join("~" if part.startswith("{") else part for part in path.split("/"))) or {})[
                verb.upper()
            ]
            found[f"{route.service}.{operation['operationId']}"] = (
                route, policies[route.service][operation["operationId"]],
            )  # fmt: skip
    return found


OPERATIONS = operations()


def outcome(roles: frozenset[Role] | None, caller: Role | None) -> str:
    if roles is None:
        return "in"
    if caller is None:
        return "401"
    return "in" if not roles or caller in roles else "403"


def stated(name: str, caller: Role | None) -> str:
    who = STATED[name]
    roles = NAMED[who] if isinstance(who, str) else frozenset(Role(one) for one in who)
    return outcome(roles, caller)


def test_every_operation_has_an_outcome_and_every_outcome_an_operation() -> None:
    assert sorted(OPERATIONS) == sorted(STATED)


@pytest.mark.parametrize("name", OPERATIONS)
def test_both_doors_let_in_whom_the_statement_names(name: str) -> None:
    route, rule = OPERATIONS[name]
    assert GATEWAY in rule.callers
    for caller in CALLERS:
        outer, inner = outcome(route.roles, caller), outcome(rule.roles, caller)
        met = inner if outer == "in" else outer
        assert met == stated(name, caller), f"{caller or 'nobody'}: the gateway says {outer}, the service {inner}"
    assert rule.one_factor == (STATED[name] == ONE_FACTOR)
