"""Whose it is: a person of the right role who asks for what is another's meets what `another.toml` states: 404.

The route table and the policies let the role in (tests/unit/gateway/authorization.toml); here the query has its say.
A new operation on one thing fails here until somebody wrote down what a stranger meets.
"""

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from kelmah.contracts.common import Role
from kelmah.gateway import routes

SERVED = Path(routes.__file__).with_name("openapi.json")
STATED: dict[str, Any] = tomllib.loads(Path(__file__).with_name("another.toml").read_text(encoding="utf-8"))


def operations() -> dict[str, tuple[str, str, str, bool]]:
    """Service and operation → method, path, and whether it takes a body; of those on one thing that is somebody's."""
    table, found = routes.load(), {}
    for path, item in msgspec.json.decode(SERVED.read_bytes())["paths"].items():
        for verb, operation in item.items():
            spot = "/".join("~" if part.startswith("{") else part for part in path.split("/"))
            route = (table.match(spot) or {})[verb.upper()]
            staff = route.roles and not route.roles & {Role.HIRER, Role.WORKER}
            if "{" in path and route.roles is not None and not staff and "{provider}" not in path:
                name = f"{route.service}.{operation['operationId']}"
                found[name] = (verb.upper(), path, route.service, "requestBody" in operation)
    return found


OPERATIONS = operations()


def test_every_operation_on_one_thing_is_stated() -> None:
    assert sorted(STATED["outcomes"]) == sorted(OPERATIONS)
