"""What the code that serves one request or one message knows about it: ids for tracing, and the caller."""

import random
import re
from contextvars import ContextVar
from typing import NamedTuple

from kelmah.contracts.common import STAFF, Contract, Role
from kelmah.kit import clock
from kelmah.kit.clock import monotonic
from kelmah.kit.errors import SecondFactorRequired, StepUpRequired
from kelmah.kit.ids import new_id

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\Z")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")


class Trace(NamedTuple):
    """Ids that tie an effect to its cause. `traceparent` follows W3C Trace Context, version 00."""

    request_id: str
    correlation_id: str
    traceparent: str
    causation_id: str | None = None


class Principal(Contract, frozen=True, kw_only=True):
    """The person on whose behalf a request is made, as the gateway read it from the access token."""

    user_id: str
    role: Role
    session_id: str
    authenticated_at: int = 0
    methods: tuple[str, ...] = ()
    address: str | None = None
    device: str | None = None


def require_fresh(principal: Principal, *, within_s: int = 600) -> None:
    """Let through only who proved who they are a short while ago; for what a found or stolen session must not do.

    Whoever has a second factor has proved it too: no session of theirs begins, or steps up, without.

    Args:
        principal: the caller.
        within_s: how many seconds ago is fresh.

    Raises:
        StepUpRequired: it was longer ago.
    """
    if principal.authenticated_at + within_s < clock.now().timestamp():
        raise StepUpRequired


def require_second_factor(principal: Principal) -> None:
    """Let nobody of the staff through by one factor alone; their powers are worth more than a password.

    Raises:
        SecondFactorRequired: the session has not proven a second one.
    """
    if principal.role in STAFF and "mfa" not in principal.methods:
        raise SecondFactorRequired


class Origin(NamedTuple):
    """From where somebody calls who may not be signed in, as the gateway saw it: IP address and User-Agent."""

    address: str | None
    device: str | None


#: Milliseconds that the caller still waits; passed on with every call that serves it.
DEADLINE_HEADER = b"kelmah-deadline-ms"

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
current_trace: ContextVar[Trace | None] = ContextVar("current_trace", default=None)
current_principal: ContextVar[Principal | None] = ContextVar("current_principal", default=None)

current_origin: ContextVar[Origin | None] = ContextVar("current_origin", default=None)
#: `system:<actor>` in a worker, `system:<service>` where a service calls on nobody's behalf.
current_system: ContextVar[str | None] = ContextVar("current_system", default=None)


def trace_from(request_id: str | None, correlation_id: str | None, traceparent: str | None) -> Trace:
    """The trace that goes on from incoming headers; what is missing or malformed is made anew."""
    request_id = request_id if request_id and _REQUEST_ID.match(request_id) else new_id()
    correlation_id = correlation_id if correlation_id and _REQUEST_ID.match(correlation_id) else request_id
    # Trace ids are no secrets; the system's random numbers cost too much for them.
    span_id = random.getrandbits(64) or 1
    if not traceparent or not _TRACEPARENT.match(traceparent):
        traceparent = f"00-{new_id()}-{span_id:016x}-01"
    else:
        traceparent = f"{traceparent[:35]}-{span_id:016x}{traceparent[52:]}"
    return Trace(request_id, correlation_id, traceparent)


def trace() -> Trace:
    """The current trace, or a new one outside any request."""
    return current_trace.get() or trace_from(None, None, None)


def set_deadline(header: str | None) -> None:
    """Remember when the caller stops waiting; no header means that it waits without end."""
    _deadline.set(monotonic() + int(header) / 1000 if header and header.isdecimal() and len(header) < 9 else None)


def remaining_s(limit_s: float) -> float:
    """Seconds left for an outbound call: `limit_s`, or less when the caller gives up earlier. May be negative."""
    deadline = _deadline.get()
    return limit_s if deadline is None else min(limit_s, deadline - monotonic())
