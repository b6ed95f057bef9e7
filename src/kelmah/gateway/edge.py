"""The gateway itself: every request and every handshake comes in here, and is refused, answered or passed on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from litestar.enums import ScopeType
from litestar.types import HTTPScope, Message, Receive, Scope, Send, WebSocketScope

from kelmah.gateway import explain, limits, own
from kelmah.gateway.api_keys import KeyClaims
from kelmah.gateway.cache import Cache, is_public
from kelmah.gateway.cors import VARIES, CrossOrigin
from kelmah.gateway.errors import OriginRefused, ScopeMissing, UpgradeRequired
from kelmah.gateway.health import Health
from kelmah.gateway.incoming import (
    Addresses,
    Body,
    Headers,
    check_headers,
    passed_on,
    read_path,
    read_query,
)
from kelmah.gateway.limits import Limits
from kelmah.gateway.proxy import Proxy, Request
from kelmah.gateway.routes import WEBSOCKET, Route, RouteTable
from kelmah.gateway.settings import GatewaySettings
from kelmah.gateway.sockets import Sockets
from kelmah.gateway.tokens import Claims, TokenVerifier
from kelmah.gateway.upstreams import Service
from kelmah.kit import errors, problem
from kelmah.kit.context import Origin, Principal, current_origin, set_deadline, trace
from kelmah.kit.observe import Metrics, add_headers

log = structlog.get_logger(__name__)

#: Characters of the User-Agent that name a device to the services.
MAX_DEVICE_CHARS = 200
#: An unread body larger than this is not waited for: the connection is closed instead.
MAX_SKIPPED_BYTES = 65_536
#: HTTP/0.9 has no headers, so two readers need not agree on where such a request ends.
_VERSIONS = frozenset({"1.0", "1.1", "2", "2.0", "3"})


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the gateway is made of."""

    settings: GatewaySettings
    table: RouteTable
    verifier: TokenVerifier
    limits: Limits
    proxy: Proxy
    cache: Cache
    sockets: Sockets
    health: Health
    metrics: Metrics


class Edge:
    """An ASGI app for HTTP and WebSocket."""

    def __init__(self, parts: Parts) -> None:
        settings = parts.settings
        self._parts = parts
        self._verifier, self._limits, self._proxy = parts.verifier, parts.limits, parts.proxy
        self._addresses = Addresses(settings.trusted_proxies)
        self._cors = CrossOrigin(settings.allowed_origins)
        # A page that we serve ourselves may open sockets to us.
        self._socket_origins = CrossOrigin([*settings.allowed_origins, settings.public_url.rstrip("/")])
        self._table = parts.table
        self._own = own.operations(parts.health, parts.metrics, settings.metrics_networks, self._tell_routes)

    @property
    def services(self) -> Mapping[str, Service]:
        """What is behind."""
        return self._proxy.services

    def use(self, table: RouteTable) -> None:
        """Take this table from now on. Requests and sockets that are under way go on as they began."""
        self._limits.use(table.limits)
        self._table = table

    def _tell_routes(self, method: str, path: str | None, host: str) -> explain.RouteList | explain.Explanation:
        if path is None:
            return explain.list_routes(self._table)
        return explain.explain(self._table, method, path, self.services, host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        set_deadline(None)  # how long we wait is ours to say, not the client's
        if scope["type"] == ScopeType.HTTP:
            await self._answer_http(scope, receive, send)
        else:
            await self._answer_socket(scope, receive, send)

    async def _answer_http(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        extra: Headers = []
        is_started = False

        async def give(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start":
                is_started = True
                merged = _merged(message["headers"], extra)
                route: object = scope.get("route_handler")
                if isinstance(route, Route) and route.answer_headers is not None:
                    merged = route.answer_headers.apply(merged)
                message["headers"] = merged
            await send(message)

        try:
            await self._http(scope, receive, give, extra)
        except Exception as error:
            if is_started:
                raise
            if _has_much_unread(scope):
                extra.append((b"connection", b"close"))
            await problem.respond(give, problem.translate(error), instance=scope["path"])

    async def _http(self, scope: HTTPScope, receive: Receive, send: Send, extra: Headers) -> None:
        if scope["http_version"] not in _VERSIONS:
            raise errors.BadInput("Speak HTTP/1.1.")
        path = read_path(scope).decode("ascii")
        scope["path"] = path  # without the slash that a mount appends; for logs
        query = read_query(scope)
        headers = check_headers(scope["headers"])
        extra += self._cors.headers(headers)
        method: str = scope["method"]
        operation = self._own.get(path)
        found = self._table.match(path, headers.get(b"host", b""))
        if operation is None and found is None:
            raise errors.NotFound
        asked = "GET" if method == "HEAD" else method
        if found is not None and operation is None and asked in found and asked != WEBSOCKET:
            scope["route_handler"] = found[asked]  # type: ignore[typeddict-item]  # gives the metrics its name
            request = await self._admit(scope, found[asked], path, query, headers, extra)
            body = self._body(found[asked], headers, receive)
            if body is None and is_public(found[asked], method, headers):
                await self._parts.cache.answer(request, headers, self._ask, send)
            else:
                await self._proxy.forward(request, body, send)
            return
        methods = own.METHODS if operation is not None else _allowed(found or {})
        if method == "OPTIONS":
            allow = ", ".join(sorted(methods)).encode()
            await own.answer(send, 204, b"", [(b"allow", allow), *self._cors.preflight(headers, methods)])
            return
        if method == "GET" and WEBSOCKET in (found or {}) and method not in methods:
            extra += [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]
            raise UpgradeRequired
        if method not in methods or operation is None:
            raise errors.MethodNotAllowed(allow=", ".join(sorted(methods)))
        scope["route_handler"] = operation  # type: ignore[typeddict-item]  # gives the metrics its name
        question = own.Question(headers, self._address(scope, headers), head_only=method == "HEAD", query=query)
        await operation.show(question, send)

    async def _ask(self, request: Request, send: Send) -> None:
        await self._proxy.forward(request, None, send)

    def _body(self, route: Route, headers: Mapping[bytes, bytes], receive: Receive) -> Body | None:
        if b"content-length" not in headers and b"transfer-encoding" not in headers:
            return None
        settings = self._parts.settings
        return Body(
            receive,
            limit_bytes=settings.max_upload_bytes if route.streams else settings.max_body_bytes,
            patience_s=settings.client_timeout_s,
            declared=headers.get(b"content-length"),
        )

    async def _admit(
        self, scope: Scope, route: Route, path: str, query: bytes, headers: dict[bytes, bytes], extra: Headers
    ) -> Request:
        """Who it is, whether there were too many already, and whether they may.

        Raises:
            KelmahError: the answer is no.
        """
        address = self._address(scope, headers)
        device = _device(headers)
        current_origin.set(Origin(address, device))
        claims: Claims | KeyClaims | None = None
        refusal: errors.KelmahError | None = None
        if b"authorization" in headers:
            try:
                claims = self._verifier.recall(headers[b"authorization"]) or await self._verifier.verify(
                    headers[b"authorization"], address=address
                )
            except errors.KelmahError as error:
                refusal = error  # counted all the same, so that tokens cannot be tried without end
        elif route.roles is not None:
            refusal = errors.Unauthenticated()
        key = self._limits.key(
            route.limit,
            user_id=claims.sub if claims else None,
            address=address,
            api_key_id=claims.sid if claims and claims.scopes is not None else None,
        )
        verdict = self._limits.spend(route.limit, key, route.cost) or await self._limits.check(
            route.limit, key, route.cost
        )
        extra += limits.headers(verdict)
        if not verdict.allowed:
            raise errors.TooManyRequests(retry_after_s=verdict.retry_after_s)
        if refusal is not None:
            raise refusal
        if claims is not None and route.roles and claims.role not in route.roles:
            raise errors.Forbidden
        method = scope["method"] if scope["type"] == ScopeType.HTTP else "GET"
        if claims is not None and claims.scopes is not None:
            asked = WEBSOCKET if scope["type"] == ScopeType.WEBSOCKET else "GET" if method == "HEAD" else method
            if route.scopes.get(asked) not in claims.scopes:
                raise ScopeMissing
        return Request(
            route=route,
            method=method,
            target=_target(route, path, query),
            headers=_changed(route, passed_on(scope["headers"], headers.get(b"connection", b""))),
            principal=_principal(claims, address, device) if claims else None,
            address=address,
            has_key=b"idempotency-key" in headers,
        )

    async def _answer_socket(self, scope: WebSocketScope, receive: Receive, send: Send) -> None:
        is_accepted = False

        async def give(message: Message) -> None:
            nonlocal is_accepted
            is_accepted = is_accepted or message["type"] == "websocket.accept"
            await send(message)

        try:
            await receive()  # websocket.connect
            await self._socket(scope, receive, give)
        except Exception as error:
            known = problem.translate(error)
            log.info("socket.refused", code=known.code, status=known.status_code)
            if is_accepted:
                await send({"type": "websocket.close", "code": 1011, "reason": known.code})
            else:
                await _deny(scope, send, known)

    async def _socket(self, scope: WebSocketScope, receive: Receive, send: Send) -> None:
        path = read_path(scope).decode("ascii")
        query = read_query(scope)
        headers = check_headers(scope["headers"])
        route = (self._table.match(path, headers.get(b"host", b"")) or {}).get(WEBSOCKET)
        if route is None:
            raise errors.NotFound
        if not self._socket_origins.allows(headers.get(b"origin")):
            raise OriginRefused
        extra: Headers = []
        request = await self._admit(scope, route, path, query, headers, extra)
        await self._parts.sockets.forward(request, scope, receive, send)

    def _address(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        return self._addresses.client(scope, headers.get(b"x-forwarded-for"))


def _allowed(found: Mapping[str, Route]) -> set[str]:
    """The methods of a path: those of its routes, and what follows from them."""
    methods = {method for method in found if method != WEBSOCKET} | {"OPTIONS"}
    return methods | {"HEAD"} if "GET" in methods else methods


def _target(route: Route, path: str, query: bytes) -> str:
    path = path if route.rewrite is None else route.rewrite.apply(path)
    return path + "?" + query.decode("ascii") if query else path


def _changed(route: Route, headers: Headers) -> Headers:
    return headers if route.request_headers is None else route.request_headers.apply(headers)


def _principal(claims: Claims | KeyClaims, address: str, device: str | None) -> Principal:
    return Principal(
        user_id=claims.sub,
        role=claims.role,
        session_id=claims.sid,
        authenticated_at=claims.auth_time,
        methods=claims.amr,
        address=address,
        device=device,
    )


def _device(headers: Mapping[bytes, bytes]) -> str | None:
    return headers.get(b"user-agent", b"").decode("ascii")[:MAX_DEVICE_CHARS] or None


def _merged(headers: Iterable[tuple[bytes, bytes]], extra: Headers) -> Headers:
    """All headers, with one `vary` out of several."""
    both = [*headers, *extra]
    if VARIES not in extra:
        return both
    vary = [value for name, value in both if name == b"vary"]
    if len(vary) < 2:
        return both
    return [pair for pair in both if pair[0] != b"vary"] + [(b"vary", b", ".join(vary))]


def _has_much_unread(scope: HTTPScope) -> bool:
    """Whether the rest of a refused request is not worth reading; in HTTP/1 only closing stops it."""
    if not scope["http_version"].startswith("1"):
        return False
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"0")
    return b"transfer-encoding" in headers or not length.isdigit() or len(length) > 9 or int(length) > MAX_SKIPPED_BYTES


async def _deny(scope: WebSocketScope, send: Send, error: errors.KelmahError) -> None:
    """Refuse a handshake: with status and problem where the server can, else with its plain 403."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 4000 + error.status_code, "reason": error.code})
        return

    async def as_denial(message: Any) -> None:
        if message["type"] == "http.response.start":
            add_headers(message, trace().request_id.encode())
        denial: Any = {**message, "type": f"websocket.{message['type']}"}
        await send(denial)

    await problem.respond(as_denial, error, instance=scope["path"])
