"""Passes a request on to its service, signed, and the answer back as it comes."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import structlog
from litestar.types import Send
from pydantic import SecretStr

from kelmah.gateway.balancer import Ticket
from kelmah.gateway.client import NotReached
from kelmah.gateway.incoming import SAFE_METHODS, Body, Headers, sent_back
from kelmah.gateway.routes import Route
from kelmah.gateway.upstreams import Call, Instance, Service
from kelmah.kit import errors, signing
from kelmah.kit.breaker import RetryBudget
from kelmah.kit.context import DEADLINE_HEADER, Principal, trace

log = structlog.get_logger(__name__)

#: Tries in all, where a second one does no harm.
ATTEMPTS = 3
_RETRYABLE = frozenset({502, 503})
_CALLER = "gateway"
_SIGNATURE, _IDENTITY = signing.SIGNATURE_HEADER.encode(), signing.IDENTITY_HEADER.encode()

Keys = Mapping[str, Sequence[SecretStr]]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What got past the gateway's checks.

    Attributes:
        method: as the client sent it.
        target: path and query as the service gets them, percent-encoded.
        headers: those of the client that the service may see.
        has_key: whether an Idempotency-Key is among them.
    """

    route: Route
    method: str
    target: str
    headers: Headers
    principal: Principal | None
    address: str
    has_key: bool


def signed_headers(request: Request, keys: Keys, *, method: str, digest: str) -> Headers:
    """The headers of one call: the client's, and what only the gateway may say. A signature serves once."""
    signature = signing.sign(
        caller=_CALLER,
        callee=request.route.service,
        method=method,
        target=request.target,
        digest=digest,
        principal=request.principal,
        keys=keys,
    )
    now = trace()
    return [
        *request.headers,
        (_SIGNATURE, signature[signing.SIGNATURE_HEADER].encode()),
        (_IDENTITY, signature[signing.IDENTITY_HEADER].encode()),
        (b"x-forwarded-for", request.address.encode()),
        (b"x-request-id", now.request_id.encode()),
        (b"x-correlation-id", now.correlation_id.encode()),
        (b"traceparent", now.traceparent.encode()),
        (DEADLINE_HEADER, b"%d" % (request.route.timeout_s * 1000)),
    ]


class _Answer:
    """The way back of one attempt: passes on what comes, unless it is better tried again."""

    def __init__(
        self,
        send: Send,
        *,
        request: Request,
        attempt: Ticket[Instance],
        budget: RetryBudget | None,
    ) -> None:
        """Make it. `budget`: of the service's retries, if another try may follow this one."""
        self._send = send
        self._request = request
        self._attempt = attempt
        self._budget = budget
        self.is_started = False
        self.is_refused = False

    async def start(self, status: int, headers: Headers, body: bytes | None = None) -> bool:
        if status >= 500:
            self._attempt.failed()
        else:
            self._attempt.succeeded()
        if status in _RETRYABLE and self._budget is not None and self._budget.try_retry():
            self.is_refused = True
            return False
        self.is_started = True
        message: Any = {"type": "http.response.start", "status": status, "headers": sent_back(headers)}
        if self._request.method == "HEAD":
            body = b""
        if body is not None:
            message["body"] = body
        await self._send(message)
        return body is None

    async def piece(self, content: bytes, *, last: bool) -> None:
        await self._send({"type": "http.response.body", "body": content, "more_body": not last})


class Proxy:
    """Forwards to the services of the route table."""

    def __init__(self, services: Mapping[str, Service], *, keys: Keys) -> None:
        self.services = services
        self._keys = keys

    async def forward(self, request: Request, body: Body | None, send: Send) -> None:
        """Send the request, with a body or none, to its service, and the answer to the client.

        When the service dies after the answer began, the answer is left unfinished: the server then closes the
        connection, which tells the client.

        Raises:
            KelmahError: nothing was sent to the client yet, and it is this that went wrong.
        """
        is_read = body is None or not request.route.streams or request.method in SAFE_METHODS
        content = b"" if body is None else await body.all() if is_read else body
        service = self.services[request.route.service]
        service.budget.record_request()
        is_safe = request.method in SAFE_METHODS or (request.method == "POST" and request.has_key)
        tries = ATTEMPTS if is_read and is_safe and request.route.retries else 1
        if not service.places.try_take():
            await service.wait_for_place()
        try:
            for number in range(1, tries + 1):
                if await self._once(service, request, content, send, is_last=number == tries):
                    return
                log.info("proxy.retried", callee=service.name, operation=request.route.operation_id, attempt=number)
                await asyncio.sleep(random.uniform(0, 0.05 * 2**number))  # noqa: S311  # full jitter needs no secrecy
        finally:
            service.places.give_back()

    async def _once(
        self, service: Service, request: Request, content: bytes | Body, send: Send, *, is_last: bool
    ) -> bool:
        """One try; False if it failed before the client was sent anything, and another one may be made."""
        budget = None if is_last else service.budget
        unreached: set[str] = set()
        while True:
            attempt = service.balancer.take(
                request.route.balance, request.address, without=unreached, timed=not request.route.streams
            )
            answer = _Answer(send, request=request, attempt=attempt, budget=budget)
            with attempt:
                try:
                    await attempt.instance.send(self._call(request, content), answer)
                    return not answer.is_refused
                except (errors.Unavailable, errors.BadGateway, errors.GatewayTimeout) as error:
                    attempt.failed()
                    failure = error
                except errors.KelmahError:  # it is what the client did wrong
                    attempt.abandoned()
                    raise
            log.warning(
                "proxy.failed", callee=service.name, operation=request.route.operation_id, reason=failure.code,
                answer_began=answer.is_started,
            )  # fmt: skip
            if answer.is_started:
                return True
            # An instance that was not reached was sent nothing: the next one may have it, whatever it is.
            unreached.add(attempt.instance.name)
            is_alone = len(unreached) == len(service.balancer.members)
            if is_alone or not isinstance(failure, NotReached) or not isinstance(content, bytes):
                break
        if isinstance(failure, errors.GatewayTimeout) or budget is None or not budget.try_retry():
            raise failure
        return False

    def _call(self, request: Request, content: bytes | Body) -> Call:
        # Services serve GET and no HEAD: the answer's body is dropped here.
        method = "GET" if request.method == "HEAD" else request.method
        digest = signing.body_digest(content) if isinstance(content, bytes) else signing.UNSIGNED_BODY
        return Call(
            method=method,
            target=request.target,
            headers=signed_headers(request, self._keys, method=method, digest=digest),
            body=content,
            streams=request.route.streams,
            timeout_s=request.route.timeout_s,
        )
