"""The route table: what the gateway lets through to which service, under which rules. Everything else is refused.

The table is the file `routes.toml` of this package. Paths are matched on segment borders: an exact segment before a
`{parameter}`, and that before a closing `*`, which stands for one or more segments. Routes of a higher priority go
before all others, and of the same priority those of one host before those of any.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import product
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from kelmah.contracts.auth import Scope
from kelmah.contracts.common import Role
from kelmah.contracts.events import EVENT_TYPES
from kelmah.gateway import rewriting
from kelmah.gateway.balancer import Way
from kelmah.gateway.rewriting import HeaderChanges, HeaderRule, Rewrite, RewriteRule
from kelmah.kit.ratelimit import Limit

#: Stands for GET with an upgrade to WebSocket.
WEBSOCKET = "WS"
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", WEBSOCKET})
_SEGMENT = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._~-]+|\{[a-z_]+\}")
_HOST = re.compile(r"(?!-)[a-z0-9-]+(?:\.[a-z0-9-]+)*")
_PORT = re.compile(r":\d*\Z")
_ROOTS = ("/api/v1/", "/.well-known/")
#: What a cached answer may depend on besides its address.
_VARY = frozenset({b"accept", b"accept-language"})


class RouteError(ValueError):
    """The route table does not fit. The message lists every fault."""


class _LimitClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    quota: int
    window_s: int
    burst: int | None = None
    per: Literal["person", "address"] = "person"
    without_redis: Literal["local", "refuse"] = "local"


class _Cache(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ttl_s: Annotated[int, Meta(ge=1, le=86_400)]
    stale_s: Annotated[int, Meta(ge=0, le=86_400)] = 0
    until: tuple[str, ...] = ()
    vary: tuple[str, ...] = ()


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    auth: Literal["public", "signed_in"] | list[Role]
    limit: str = "default"
    cost: Annotated[int, Meta(ge=1, le=1000)] = 1
    timeout_s: Annotated[float, Meta(gt=0, le=3600)] = 10.0
    streams: bool = False
    retry: Literal["safe", "never"] = "safe"
    balance: Way | None = None
    cache: _Cache | None = None
    host: str = ""
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    rewrite: RewriteRule | None = None
    request_headers: HeaderRule | None = None
    answer_headers: HeaderRule | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    limits: dict[str, _LimitClass]
    services: dict[str, dict[str, _Entry | list[_Entry]]]
    scopes: dict[Scope, list[str]] = {}


@dataclass(frozen=True, slots=True)
class LimitClass:
    """A rate limit that routes share.

    Attributes:
        by_address: counted by address even where somebody is signed in.
        fails_closed: nothing is let through while Redis is away.
    """

    limit: Limit
    by_address: bool
    fails_closed: bool


@dataclass(frozen=True, slots=True)
class CacheRule:
    """How long an answer may be given to others.

    Attributes:
        ttl_s: seconds that it is good.
        stale_s: seconds thereafter in which it stands in for a service that fails.
        until: types of events, each of which makes it old at once.
        vary: headers that the service may see, and that make another answer.
    """

    ttl_s: int
    stale_s: int
    until: tuple[str, ...]
    vary: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table.

    Attributes:
        methods: of HTTP, or `WS` alone.
        roles: None: anybody; empty: any signed-in person; else persons in one of these roles.
        cost: units of the limit that one request takes.
        timeout_s: seconds that the service may leave us waiting, for its first byte and between any two.
        streams: the body is passed on as it comes, unsigned, and the answer likewise.
        balance: how one of the service's instances is chosen.
        scopes: what an API key must have, by method; no API key is taken by the others.
        retries: whether a second try does no harm where the method is safe or an Idempotency-Key is sent.
        host: the only one that it is for; of any if empty.
        priority: routes with a higher one are looked at first.
        rewrite: how the path becomes the service's.
    """

    methods: frozenset[str]
    path: str
    service: str
    roles: frozenset[Role] | None
    limit: str
    cost: int
    timeout_s: float
    streams: bool
    retries: bool
    balance: Way
    cache: CacheRule | None = None
    scopes: Mapping[str, Scope] = field(default_factory=dict)
    host: str = ""
    priority: int = 0
    rewrite: Rewrite | None = None
    request_headers: HeaderChanges | None = None
    answer_headers: HeaderChanges | None = None

    @property
    def operation_id(self) -> str:
        """The route's name in logs and metrics."""
        return f"{self.service}:{self.host}{self.path}"

    @property
    def segments(self) -> list[str]:
        """Of its path, every parameter without its name."""
        return ["{}" if part.startswith("{") else part for part in self.path.split("/")[1:]]

    def covers(self, other: "Route") -> bool:
        """Whether every request to the other one fits this one, too, but for the method."""
        if self.host and self.host != other.host:
            return False
        ours, theirs = self.segments, other.segments
        if ours[-1] == "*":
            ours, theirs = ours[:-1], theirs[: len(ours) - 1] if len(theirs) >= len(ours) else []
        if len(ours) != len(theirs):
            return False
        return all(mine == one or (mine == "{}" and one != "*") for mine, one in zip(ours, theirs, strict=True))


@dataclass(slots=True)
class _Node:
    children: "dict[str, _Node]" = field(default_factory=dict)
    parameter: "_Node | None" = None
    routes: dict[str, Route] = field(default_factory=dict)
    rest: dict[str, Route] = field(default_factory=dict)


class RouteTable:
    """All routes, and the limit classes that they name."""

    def __init__(self, routes: list[Route], limits: Mapping[str, LimitClass]) -> None:
        """Build the table.

        Raises:
            RouteError: two routes claim one method of one path, or a path, method or limit is not known.
        """
        self.routes = tuple(routes)
        self.limits = dict(limits)
        # One tree for each priority and host, in the order in which they are asked; one in all, as a rule.
        layers = sorted({(-route.priority, not route.host, route.host) for route in routes})
        self._trees = {(host, -priority): _Node() for priority, _, host in layers}
        self._has_hosts = any(host for host, _ in self._trees)
        faults = [fault for route in routes for fault in self._add(route)]
        faults += _shadowed(routes)
        if faults:
            raise RouteError("the route table does not fit:\n" + "\n".join(f"  - {fault}" for fault in faults))
        #: Paths without parameters, which come before all others where no route has a host or a priority.
        self._exact: Mapping[str, Mapping[str, Route]] = {}
        if len(self._trees) == 1 and not self._has_hosts:
            fixed = {route.path for route in routes if not route.path.endswith("*") and "{" not in route.path}
            self._exact = {path: self.match(path) or {} for path in fixed}

    @property
    def services(self) -> frozenset[str]:
        """Every service that a route leads to."""
        return frozenset(route.service for route in self.routes)

    def match(self, path: str, host: bytes = b"") -> Mapping[str, Route] | None:
        """The routes of a path (percent-encoded, without query) by method, or None where there is none.

        `host` is the header, with its port or without.
        """
        if (exact := self._exact.get(path)) is not None:
            return exact
        segments = path.split("/")
        asked = _PORT.sub("", host.decode("latin-1").lower()) if self._has_hosts else ""
        matches = [
            found
            for (of, _), tree in self._trees.items()
            if (not of or of == asked) and (found := _find(tree, segments, 1))
        ]
        if len(matches) < 2:
            return matches[0] if matches else None
        return {method: route for found in reversed(matches) for method, route in found.items()}

    def _add(self, route: Route) -> Iterator[str]:
        name = f"{' '.join(sorted(route.methods))} {route.path}"
        if (
            not route.methods
            or not route.methods <= _METHODS
            or (WEBSOCKET in route.methods and len(route.methods) > 1)
        ):
            yield f"{name}: methods are of {', '.join(sorted(_METHODS))}, and WS stands alone"
        if route.limit not in self.limits:
            yield f"{name}: no limit class is named {route.limit!r}"
        elif route.cost > self.limits[route.limit].limit.capacity:
            yield f"{name}: costs more than {route.limit!r} ever has"
        if route.cache is not None:
            yield from _faults_of_cache(name, route, route.cache)
        yield from (f"{name}: {fault}" for fault in _faults_of_changes(route))
        *segments, last = route.path.split("/")[1:]
        if last != "*":
            segments.append(last)
        if not route.path.startswith(_ROOTS) or not all(_SEGMENT.fullmatch(segment) for segment in segments):
            yield f"{name}: paths start with {' or '.join(_ROOTS)}, then segments, {{parameters}}, and a * at the end"
            return
        node = self._trees[route.host, route.priority]
        for segment in segments:
            if segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.children.setdefault(segment, _Node())
        claimed = node.rest if last == "*" else node.routes
        for method in route.methods:
            if method in claimed:
                yield f"{name}: {method} is already claimed by {claimed[method].path}"
            claimed[method] = route


def _faults_of_changes(route: Route) -> Iterator[str]:
    if route.host and not _HOST.fullmatch(route.host):
        yield f"{route.host!r} is no host name in small letters, without a port"
    if route.rewrite is not None:
        yield from rewriting.faults_of_rewrite(route.path, route.rewrite)
    if route.request_headers is not None:
        yield from rewriting.faults_of_changes(route.request_headers, to_client=False)
    if route.answer_headers is not None:
        yield from rewriting.faults_of_changes(route.answer_headers, to_client=True)


def _shadowed(routes: list[Route]) -> Iterator[str]:
    """Routes that no request would ever get to, because one that is asked first fits, too."""
    for route, first in product(routes, repeat=2):
        is_first = (first.priority, bool(first.host)) > (route.priority, bool(route.host))
        if is_first and (methods := first.methods & route.methods) and first.covers(route):
            yield f"{' '.join(sorted(methods))} {route.path}: never reached, {first.path} comes before it"


def _faults_of_cache(name: str, route: Route, rule: CacheRule) -> Iterator[str]:
    if route.methods != {"GET"} or route.roles is not None or route.streams:
        yield f"{name}: only a public GET that does not stream can be cached"
    if unknown := [one for one in rule.until if one not in EVENT_TYPES]:
        yield f"{name}: no such events: {', '.join(unknown)}"
    if wrong := [one.decode() for one in rule.vary if one not in _VARY]:
        yield f"{name}: answers may vary by {b', '.join(sorted(_VARY)).decode()} only, not by {', '.join(wrong)}"


def _find(node: _Node, segments: list[str], at: int) -> Mapping[str, Route] | None:
    if at == len(segments):
        return node.routes or None
    found = None
    child = node.children.get(segments[at])
    if child is not None:
        found = _find(child, segments, at + 1)
    if found is None and node.parameter is not None and segments[at]:
        found = _find(node.parameter, segments, at + 1)
    return found or (node.rest or None if segments[at] else None)


def parse(text: str) -> RouteTable:
    """Read a route table.

    Raises:
        RouteError: the text is no TOML, or does not fit; says where.
    """
    try:
        file = msgspec.toml.decode(text, type=_File)
        limits = {
            name: LimitClass(
                limit=Limit(name, one.quota, one.window_s, one.burst),
                by_address=one.per == "address",
                fails_closed=one.without_redis == "refuse",
            )
            for name, one in file.limits.items()
        }
    except ValueError as error:  # msgspec's and tomllib's complaints, and a limit out of range
        raise RouteError(f"the route table does not fit: {error}") from error
    routes = [
        _route(service, name, entry)
        for service, entries in file.services.items()
        for name, found in entries.items()
        for entry in (found if isinstance(found, list) else [found])
    ]
    return RouteTable(_scoped(routes, file.scopes), limits)


def _scoped(routes: list[Route], scopes: Mapping[Scope, list[str]]) -> list[Route]:
    """The routes with what an API key must have for them.

    Raises:
        RouteError: a scope names what is no route, or has another scope.
    """
    wanted: dict[tuple[str, str], Scope] = {}
    for scope, names in scopes.items():
        for name in names:
            *methods, path = name.split() or [""]
            for method in methods:
                if wanted.setdefault((method, path), scope) != scope:
                    raise RouteError(f"the route table does not fit: {method} {path} has two scopes")
    if unknown := wanted.keys() - {(method, route.path) for route in routes for method in route.methods}:
        raise RouteError(f"the route table does not fit: scopes name no route: {sorted(unknown)}")
    return [
        replace(
            route,
            scopes={one: wanted[one, route.path] for one in route.methods if (one, route.path) in wanted},
        )
        for route in routes
    ]


def _route(service: str, name: str, entry: _Entry) -> Route:
    *methods, path = name.split() or [""]
    try:
        rewrite = rewriting.rewrite(entry.rewrite)
    except ValueError as error:
        raise RouteError(f"the route table does not fit: {name}: {error}") from error
    return Route(
        methods=frozenset(methods),
        path=path,
        service=service,
        roles=None if entry.auth == "public" else frozenset(() if entry.auth == "signed_in" else entry.auth),
        limit=entry.limit,
        cost=entry.cost,
        timeout_s=entry.timeout_s,
        streams=entry.streams,
        retries=entry.retry == "safe",
        cache=_rule(entry.cache),
        host=entry.host,
        priority=entry.priority,
        rewrite=rewrite,
        request_headers=rewriting.changes(entry.request_headers),
        answer_headers=rewriting.changes(entry.answer_headers),
        balance=entry.balance or (Way.HASH if WEBSOCKET in methods else Way.LEAST_REQUEST),
    )


def _rule(cache: _Cache | None) -> CacheRule | None:
    if cache is None:
        return None
    return CacheRule(cache.ttl_s, cache.stale_s, cache.until, tuple(one.lower().encode() for one in cache.vary))


def load(path: str | None = None) -> RouteTable:
    """The table of this package, or of another file.

    Raises:
        RouteError: it does not fit.
        OSError: the file cannot be read.
    """
    return parse(file_of(path).read_text(encoding="utf-8"))


def file_of(path: str | None = None) -> Path | Traversable:
    """This file, or the one of this package."""
    return Path(path) if path else resources.files(__package__).joinpath("routes.toml")
