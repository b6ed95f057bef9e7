"""Who may call what: one table a service, deny by default.

`Policy` maps each operation id to a rule. An app with an operation that has no rule does not start. Rules speak of
roles and calling services; whether a thing is the caller's own is part of the query that reads it. Staff come by two
factors, or get no further than to set one up.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from litestar.di import NamedDependency
from litestar.enums import ScopeType
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from kelmah.contracts.common import Role
from kelmah.kit.context import Principal, current_principal, require_second_factor
from kelmah.kit.errors import Forbidden, Unauthenticated

GATEWAY = "gateway"


class Rule(NamedTuple):
    """`roles` None: no person needed; empty: any signed-in person. `callers`: which processes may call.
    `one_factor`: staff may come by one factor alone.
    """

    roles: frozenset[Role] | None
    callers: frozenset[str] = frozenset({GATEWAY})
    one_factor: bool = False


Policy = Mapping[str, Rule]

#: Anybody, through the gateway.
PUBLIC = Rule(roles=None)
#: Any person with a valid access token.
SIGNED_IN = Rule(roles=frozenset())

#: As `SIGNED_IN`, and staff who have yet to set up their second factor: to do that, and to leave.
ONE_FACTOR = Rule(roles=frozenset(), one_factor=True)


def roles(*allowed: Role) -> Rule:
    """Persons in one of these roles."""
    return Rule(roles=frozenset(allowed))


def services(*allowed: str) -> Rule:
    """Only these services of ours, for operations under /internal."""
    return Rule(roles=None, callers=frozenset(allowed))


class PolicyMiddleware(ASGIMiddleware):
    """Holds the table of an app and refuses what it does not allow.

    A middleware rather than a guard, because guards run last: nobody may take an idempotency key, or learn that one
    is missing, who may not call the operation.
    """

    scopes = (ScopeType.HTTP, ScopeType.WEBSOCKET)

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        self._check(scope, scope["route_handler"])
        await next_app(scope, receive, send)

    def _check(self, scope: Scope, handler: BaseRouteHandler) -> None:
        if handler.opt.get("unguarded"):  # health, metrics and schema: kept from outside by the network
            return
        rule = self._policy.get(operation_id(handler))
        if rule is None:
            if isinstance(handler, HTTPRouteHandler) and handler.http_methods == {"OPTIONS"}:
                return  # Litestar's own answer, which tells the methods and nothing else
            raise Forbidden
        if scope["state"].get("caller") not in rule.callers:
            raise Forbidden
        if not scope["state"].get("body_signed", False) and not handler.opt.get("streams_body"):
            raise Unauthenticated("The body of this call is not signed.")
        if rule.roles is None:
            return
        principal = current_principal.get()
        if principal is None:
            raise Unauthenticated
        if rule.roles and principal.role not in rule.roles:
            raise Forbidden
        if not rule.one_factor:
            require_second_factor(principal)


def operation_id(handler: BaseRouteHandler) -> str:
    """The name of an operation, the same in the policy, in OpenAPI and in metrics."""
    if isinstance(handler, HTTPRouteHandler) and isinstance(handler.operation_id, str):
        return handler.operation_id
    return str(handler.name or handler.fn.__name__)


def check_complete(policy: Policy, handlers: list[BaseRouteHandler]) -> None:
    """Raises RuntimeError when an operation has no rule, or a rule no operation."""
    operations = {
        operation_id(handler)
        for handler in handlers
        if not handler.opt.get("unguarded")
        and not (isinstance(handler, HTTPRouteHandler) and handler.http_methods == {"OPTIONS"})
    }
    if missing := operations - policy.keys():
        raise RuntimeError(f"operations without a rule: {sorted(missing)}")
    if stale := policy.keys() - operations:
        raise RuntimeError(f"rules without an operation: {sorted(stale)}")


async def provide_principal(context: NamedDependency[Any]) -> Principal:
    """The signed-in person, as a dependency named `principal`.

    It asks for `context` so that the two are made one after the other: for two at once Litestar starts a group of
    tasks, which costs more than both.

    Raises:
        Unauthenticated: the operation's rule is public and nobody is signed in.
    """
    principal = current_principal.get()
    if principal is None:
        raise Unauthenticated
    return principal
