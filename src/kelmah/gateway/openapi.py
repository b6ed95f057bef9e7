"""One OpenAPI document of all services, with what the route table says of who may call."""

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kelmah.gateway import examples
from kelmah.gateway.routes import WEBSOCKET, Route, RouteTable

Document = dict[str, Any]

_VERBS = ("get", "put", "post", "delete", "patch")
_PARAMETER = re.compile(r"\{[^}]*\}")
_SCHEME, _KEY_SCHEME = "accessToken", "apiKey"
_SCHEMES = {
    _SCHEME: {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    _KEY_SCHEME: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "kelmah_…",
        "description": "An API key, for programs. The scope that it needs is named at each operation that takes one.",
    },
}
_INFO = {
    "title": "Kelmah API",
    "version": "1",
    "description": "Hirers find skilled workers: contracts with milestones, escrow, chat and reviews.",
}


def merge(documents: Mapping[str, Document], table: RouteTable) -> Document:
    """One document of what clients can reach, from the documents of the services by name.

    Operations that no route leads to are left out (`unrouted` names them). A component whose name means different
    things to two services is called `<Service><Name>`. Who must be signed in is what the route table says.
    """
    clashing = _clashing(documents)
    paths: Document = {}
    components: Document = {}
    for service, original in sorted(documents.items()):
        document = copy.deepcopy(original)
        names = {
            (kind, name): _prefixed(service, name) if (kind, name) in clashing else name
            for kind, name, _ in _components(document)
        }
        for kind, name, content in _components(document):
            components.setdefault(kind, {})[names[kind, name]] = _renamed(content, names)
        for path, verb, operation in _operations(document):
            route = _route(table, service, path, verb)
            if route is not None:
                operation["security"] = [] if route.roles is None else _security(route, verb)
                paths.setdefault(path, {})[verb] = _renamed(operation, names)
    components["securitySchemes"] = _SCHEMES
    merged: Document = {
        "openapi": "3.1.0",
        "info": _INFO,
        "servers": [{"url": "/"}],
        "paths": {path: paths[path] for path in sorted(paths)},
        "components": components,
    }
    examples.add_examples(merged)
    return merged


def unrouted(documents: Mapping[str, Document], table: RouteTable) -> list[str]:
    """Public operations of the services that clients cannot reach, for the check that there are none."""
    return sorted(
        f"{verb.upper()} {path} ({service})"
        for service, document in documents.items()
        for path, verb, _ in _operations(document)
        if path.startswith("/api/") and _route(table, service, path, verb) is None
    )


def unserved(documents: Mapping[str, Document], table: RouteTable) -> list[str]:
    """Routes that lead to no operation, for the check that there are none. OpenAPI does not describe sockets."""
    served = {
        (route.path, verb.upper())
        for service, document in documents.items()
        for path, verb, _ in _operations(document)
        if (route := _route(table, service, path, verb)) is not None
    }
    return sorted(
        f"{method} {route.path} ({route.service})"
        for route in table.routes
        for method in route.methods
        if method != WEBSOCKET and (route.path, method) not in served
    )


def _route(table: RouteTable, service: str, path: str, verb: str) -> Route | None:
    # A parameter may stand for anything but a literal segment: a word that no route spells.
    found = table.match(_PARAMETER.sub("~", path)) or {}
    route = found.get(verb.upper())
    return route if route is not None and route.service == service else None


def _security(route: Route, verb: str) -> list[dict[str, list[str]]]:
    """An access token, or an API key with the operation's scope where it has one."""
    scope = route.scopes.get(verb.upper())
    return [{_SCHEME: []}, *([{_KEY_SCHEME: [scope.value]}] if scope else [])]


def _operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, item in document.get("paths", {}).items():
        for verb in _VERBS:
            if verb in item:
                operation = item[verb]
                shared = item.get("parameters", [])
                if shared:
                    operation = operation | {"parameters": [*shared, *operation.get("parameters", [])]}
                yield path, verb, operation


def _components(document: Document) -> Iterator[tuple[str, str, Any]]:
    for kind, named in document.get("components", {}).items():
        if kind != "securitySchemes":
            for name, content in named.items():
                yield kind, name, content


def _clashing(documents: Mapping[str, Document]) -> set[tuple[str, str]]:
    """Components that have one name and more than one meaning, or that refer to such."""
    meanings: dict[tuple[str, str], Any] = {}
    clashing: set[tuple[str, str]] = set()
    everything = [found for document in documents.values() for found in _components(document)]
    for kind, name, content in everything:
        if meanings.setdefault((kind, name), content) != content:
            clashing.add((kind, name))
    while more := {
        (kind, name)
        for kind, name, content in everything
        if (kind, name) not in clashing and _refers(content, clashing)
    }:
        clashing |= more
    return clashing


def _refers(content: Any, names: set[tuple[str, str]]) -> bool:
    if isinstance(content, dict):
        return any(_refers(value, names) for value in content.values())
    if isinstance(content, list):
        return any(_refers(one, names) for one in content)
    return _reference(content) in names


def _renamed(content: Any, names: Mapping[tuple[str, str], str]) -> Any:
    """With all references by the new names: in `$ref`, and in the mapping of a discriminator."""
    if isinstance(content, dict):
        return {key: _renamed(value, names) for key, value in content.items()}
    if isinstance(content, list):
        return [_renamed(one, names) for one in content]
    found = _reference(content)
    return f"#/components/{found[0]}/{names[found]}" if found is not None and found in names else content


def _reference(reference: Any) -> tuple[str, str] | None:
    parts = reference.split("/") if isinstance(reference, str) else []
    return (parts[2], parts[3]) if len(parts) == 4 and parts[:2] == ["#", "components"] else None


def _prefixed(service: str, name: str) -> str:
    return service.capitalize() + name
