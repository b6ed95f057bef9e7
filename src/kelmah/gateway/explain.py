"""The gateway explains itself: its routes, and what it would do with a request."""

from collections.abc import Mapping

from kelmah.contracts.common import Contract
from kelmah.gateway import rewriting
from kelmah.gateway.incoming import clean_path
from kelmah.gateway.routes import Route, RouteTable
from kelmah.gateway.upstreams import Service
from kelmah.kit.errors import NotFound


class RouteView(Contract, frozen=True, kw_only=True):
    """One line of the table."""

    methods: list[str]
    path: str
    service: str
    auth: str
    limit: str
    cost: int
    timeout_s: float
    streams: bool
    retries: bool
    balance: str
    cache: str | None
    host: str
    priority: int
    rewrite: str | None
    request_headers: str | None
    answer_headers: str | None


class RouteList(Contract, frozen=True, kw_only=True):
    """The whole table."""

    items: list[RouteView]


class InstanceView(Contract, frozen=True, kw_only=True):
    """One instance as the balancer sees it; `out` says why it gets no requests."""

    name: str
    weight: int
    running: int
    latency_ms: float | None
    circuit: str
    out: str | None


class Explanation(Contract, frozen=True, kw_only=True):
    """What happens to one request. `goes_to` is the instance it would get now, where chance has no part in it."""

    route: RouteView
    sent: str
    limit: str
    instances: list[InstanceView]
    goes_to: str | None


def list_routes(table: RouteTable) -> RouteList:
    """All routes in the order of the file."""
    return RouteList(items=[view(route) for route in table.routes])


def explain(table: RouteTable, method: str, path: str, services: Mapping[str, Service], host: str = "") -> Explanation:
    """What the gateway does with a request. `services` is empty where no gateway runs.

    Raises:
        NotFound: no route leads there, or not by this method; says which.
        MalformedTarget: the path would be refused.
    """
    sent = clean_path(path.partition("?")[0].encode()).decode()
    found = table.match(sent, host.encode())
    if found is None:
        raise NotFound(f"no route leads to {sent}")
    route = found.get("GET" if method.upper() == "HEAD" else method.upper())
    if route is None:
        raise NotFound(f"{sent} takes {', '.join(sorted(found))} only")
    limit = table.limits[route.limit]
    who = "address" if limit.by_address or route.roles is None else "person"
    without = "refused" if limit.fails_closed else "counted in each process"
    balancer = services[route.service].balancer if route.service in services else None
    likely = balancer.preview(route.balance) if balancer else None
    return Explanation(
        route=view(route),
        sent=sent if route.rewrite is None else route.rewrite.apply(sent),
        limit=f"{limit.limit.quota} in {limit.limit.window_s} s, {limit.limit.capacity} at once, by {who}; "
        f"without Redis {without}",
        instances=[
            InstanceView(
                name=member.instance.name,
                weight=member.weight,
                running=member.running,
                latency_ms=None if member.latency_s is None else round(member.latency_s * 1000, 1),
                circuit=balancer.circuit(member),
                out=balancer.why_out(member),
            )
            for member in balancer.members
        ]
        if balancer
        else [],
        goes_to=likely.instance.name if likely else None,
    )


def view(route: Route) -> RouteView:
    """A route for people."""
    auth = "public" if route.roles is None else ", ".join(sorted(route.roles)) or "signed in"
    return RouteView(
        methods=sorted(route.methods),
        path=route.path,
        service=route.service,
        auth=auth,
        limit=route.limit,
        cost=route.cost,
        timeout_s=route.timeout_s,
        streams=route.streams,
        retries=route.retries,
        balance=route.balance,
        host=route.host,
        priority=route.priority,
        rewrite=rewriting.told(route.rewrite),
        request_headers=rewriting.told_changes(route.request_headers),
        answer_headers=rewriting.told_changes(route.answer_headers),
        cache=None
        if route.cache is None
        else f"{route.cache.ttl_s} s, {route.cache.stale_s} s more while the service fails",
    )
