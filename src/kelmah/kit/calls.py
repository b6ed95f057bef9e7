"""Calls from one service to another: signed, bounded in time, retried within a budget, behind a breaker.

A callee is reached over HTTP at one of its instances or, when the apps live in one process, in memory; the same
signature and the same door either way. An error raised by the callee arrives as the same error class.
"""

import asyncio
import random
from collections.abc import Coroutine, Mapping, Sequence
from contextvars import Context
from datetime import timedelta
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import quote, unquote, urlencode

import msgspec
import structlog
from litestar.types import ASGIApp, Message
from pydantic import SecretStr
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import ConnectError, RequestError, RequestTimeoutError

from kelmah.contracts.common import Problem
from kelmah.kit import clock, errors, signing
from kelmah.kit.breaker import CircuitBreaker, CircuitOpen, RetryBudget
from kelmah.kit.context import (
    DEADLINE_HEADER,
    Origin,
    Principal,
    current_origin,
    current_principal,
    remaining_s,
    trace,
)
from kelmah.kit.discovery import Discovery
from kelmah.kit.mongo import in_transaction

log = structlog.get_logger(__name__)

ResultT = TypeVar("ResultT")
#: Seconds a call may take, unless the client says otherwise.
TIMEOUT_S = 3.0
#: A safe call is tried this many times in all.
ATTEMPTS = 3
#: Answers larger than this are refused.
MAX_ANSWER_BYTES = 4_194_304
_RETRYABLE = frozenset({502, 503})


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes


class Transport(Protocol):
    """How bytes get to a callee and back. Raises `errors.Unavailable` or `errors.GatewayTimeout`."""

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Answer: ...


class HTTPTransport:
    """Over HTTP/1.1 to the instances of a service, in turn."""

    def __init__(self, client: Client, found: Discovery | Sequence[str]) -> None:
        """Take the instances as they are found, or a fixed list of URLs."""
        self._client = client
        self._found = found
        self._turn = -1

    async def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Answer:
        url = self._next() + target
        request = self._client.request(method, url).headers(dict(headers)).body_bytes(body)
        try:
            response = await request.timeout(timedelta(seconds=timeout_s)).build().send()
            return Answer(response.status, (await response.bytes()).to_bytes())
        except RequestTimeoutError as error:
            raise errors.GatewayTimeout from error
        except ConnectError as error:
            raise errors.Unavailable(retry_after_s=1) from error
        except RequestError as error:
            raise errors.BadGateway from error

    def _next(self) -> str:
        found = self._found
        urls = [one.url for one in found.endpoints] if isinstance(found, Discovery) else found
        if not urls:
            raise errors.Unavailable(retry_after_s=1)
        self._turn = (self._turn + 1) % len(urls)
        return urls[self._turn].rstrip("/")


class ASGITransport:
    """In memory, to an app of the same process. The app runs in a context of its own, as it would in its process."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Answer:
        path, _, query = target.partition("?")
        scope: Any = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()]
            + [(b"content-length", str(len(body)).encode())],
            "client": ("127.0.0.1", 0),
            "server": ("in-memory", 0),
            "state": {},
        }
        status, answer, given = 500, bytearray(), False

        async def receive() -> Any:
            nonlocal given
            if given:
                return {"type": "http.disconnect"}
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                answer.extend(message["body"])

        run: Coroutine[Any, Any, None] = self._app(scope, receive, send)  # type: ignore[assignment]  # it is one
        task = asyncio.get_running_loop().create_task(run, context=Context())
        try:
            await asyncio.wait_for(task, timeout_s)
        except TimeoutError as error:
            raise errors.GatewayTimeout from error
        return Answer(status, bytes(answer))


class Nowhere:
    """To a service that has no address in the settings."""

    async def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Answer:
        raise errors.Unavailable


class ServiceCaller:
    """Calls one service on behalf of another. Held by the typed clients in `kelmah.clients`."""

    def __init__(
        self, *, caller: str, callee: str, transport: Transport, keys: Mapping[str, Sequence[SecretStr]]
    ) -> None:
        self._caller = caller
        self._callee = callee
        self._transport = transport
        self._keys = keys
        self._breaker = CircuitBreaker()
        self._budget = RetryBudget()

    async def call(
        self,
        method: str,
        path: str,
        *,
        returns: type[ResultT],
        query: Mapping[str, str | Sequence[str]] | None = None,
        body: msgspec.Struct | None = None,
        principal: Principal | None = None,
        safe: bool | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> ResultT:
        """Call one operation and decode its answer.

        Args:
            path: with every variable part quoted (see `quoted`).
            principal: on whose behalf; a call that may change something is made on behalf of whom we serve, so that
                its events say who did it, and from where.
            safe: whether a second call does no harm, so that it may be retried; GET is unless said otherwise.
            timeout_s: for all attempts together; less when our own caller gives up earlier.

        Raises:
            KelmahError: what the callee raised, by its own class; `Unavailable`, `GatewayTimeout` or `BadGateway`
                when there was no usable answer.
            RuntimeError: a transaction is open; a call must not hold it.
        """
        if in_transaction():
            raise RuntimeError("move calls to other services out of the transaction")
        target = path + ("?" + urlencode(query, doseq=True) if query else "")
        content = msgspec.json.encode(body) if body is not None else b""
        if principal is None and method != "GET":
            principal = current_principal.get()
        answer = await self._attempts(
            method, target, content, principal, safe=method == "GET" if safe is None else safe, timeout_s=timeout_s
        )
        if answer.status >= 400:
            raise rebuild(answer)
        try:
            return msgspec.json.decode(answer.body or b"null", type=returns)
        except msgspec.DecodeError as error:
            raise errors.BadGateway from error

    async def _attempts(
        self, method: str, target: str, body: bytes, principal: Principal | None, *, safe: bool, timeout_s: float
    ) -> Answer:
        gives_up = clock.monotonic() + remaining_s(timeout_s)
        self._budget.record_request()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = await self._once(method, target, body, principal, gives_up - clock.monotonic())
            except (errors.Unavailable, errors.BadGateway) as error:
                failure: errors.KelmahError = error
            else:
                if answer.status not in _RETRYABLE:
                    return answer
                failure = rebuild(answer)
            if not safe or attempt == ATTEMPTS or isinstance(failure, CircuitOpen) or not self._budget.try_retry():
                raise failure
            await asyncio.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311  # full jitter needs no secrecy
        raise AssertionError("the last attempt returns or raises")

    async def _once(
        self, method: str, target: str, body: bytes, principal: Principal | None, timeout_s: float
    ) -> Answer:
        if timeout_s <= 0:
            raise errors.GatewayTimeout
        started = clock.monotonic()
        now = trace()
        headers = signing.sign(
            caller=self._caller,
            callee=self._callee,
            method=method,
            target=target,
            digest=signing.body_digest(body),
            principal=principal,
            keys=self._keys,
        )
        headers |= {
            "content-type": "application/json",
            "x-request-id": now.request_id,
            "x-correlation-id": now.correlation_id,
            "traceparent": now.traceparent,
            DEADLINE_HEADER.decode(): str(int(timeout_s * 1000)),
            **_from_where(),
        }
        status: int | str = "none"
        try:
            with self._breaker.call(self._callee) as attempt:
                answer = await self._transport.send(method, target, headers, body, timeout_s)
                status = answer.status
                if status >= 500:
                    attempt.failed()
            return answer
        finally:
            log.info(
                "call.done", callee=self._callee, method=method, path=target.partition("?")[0], status=status,
                duration_ms=round((clock.monotonic() - started) * 1000, 1),
            )  # fmt: skip


def _from_where() -> dict[str, str]:
    """What the gateway saw of whoever it asks this for, as it passes it on with a request; others are not believed."""
    origin = current_origin.get() or Origin(None, None)
    sent = {"x-forwarded-for": origin.address, "user-agent": origin.device}
    return {name: value for name, value in sent.items() if value and value.isascii() and value.isprintable()}


def quoted(*parts: str) -> str:
    """A path of these parts, each quoted, slashes too."""
    return "".join("/" + quote(part, safe="") for part in parts)


def rebuild(answer: Answer) -> errors.KelmahError:
    """The error that the callee raised. A code that is not known here becomes a subclass of its status's class."""
    try:
        problem = msgspec.json.decode(answer.body, type=Problem)
    except msgspec.DecodeError:
        return errors.BadGateway()
    return error_class(problem.code, problem.status, problem.title)(problem.detail or "", errors=problem.errors)


_rebuilt: dict[str, type[errors.KelmahError]] = {}


def error_class(code: str, status: int, title: str) -> type[errors.KelmahError]:
    """The class of an error by its code; made under the general class of its status if it is new here."""
    known = next((one for one in errors.every_error() if one.code == code and one.status_code == status), None)
    if known is not None:
        return known
    if code not in _rebuilt:
        general = next((one for one in errors.GENERAL if one.status_code == status), errors.KelmahError)
        _rebuilt[code] = type("RemoteError", (general,), {"code": code, "status_code": status, "title": title})
    return _rebuilt[code]


def http_client() -> Client:
    """The shared client of a process: no redirects, no cookies, no decompression, bounded."""
    return (
        ClientBuilder()
        .follow_redirects(False)
        .gzip(False)
        .brotli(False)
        .zstd(False)
        .deflate(False)
        .no_proxy()
        .http1_only()
        .connect_timeout(timedelta(seconds=1))
        .pool_timeout(timedelta(seconds=1))
        .pool_idle_timeout(timedelta(seconds=20))
        .max_connections(256)
        .build()
    )
