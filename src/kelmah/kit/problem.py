"""Every error as RFC 9457 problem+json, with the field it is about."""

import math
import re
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.params import ParameterKwarg
from litestar.routes import HTTPRoute
from litestar.types import HTTPResponseStartEvent, Send
from pymongo.errors import AutoReconnect, DuplicateKeyError, ExecutionTimeout, NetworkTimeout, WTimeoutError
from redis.exceptions import RedisError

from kelmah.contracts.common import FieldError, Problem
from kelmah.kit import errors
from kelmah.kit.context import trace

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
_BY_STATUS: dict[int, type[errors.KelmahError]] = {
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    413: errors.PayloadTooLarge,
    415: errors.UnsupportedMediaType,
    429: errors.TooManyRequests,
}
#: Faults of the machine room rather than of our code: the caller may come again.
_OUTAGES = (AutoReconnect, NetworkTimeout, ExecutionTimeout, WTimeoutError, RedisError, ConnectionError, TimeoutError)
_AT_PATH = re.compile(r" - at (?:`key` in )?`\$(?P<key>\[\.\.\.\])?\.?(?P<path>[^`]*)`$")
_FIELD_NAMED = re.compile(r"(?:required field|unknown field) `(?P<field>[^`]+)`")
_MISSING = re.compile(r"Missing required \w+ parameter '(?P<field>[^']+)'")


def render(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The answer for any exception. What is not known becomes a 500 without its details."""
    known = translate(error)
    if isinstance(known, errors.MethodNotAllowed):
        known.facts["allow"] = _allowed(request)
    if known.errors and isinstance(error, ValidationException):
        known.errors = _as_sent(request, known.errors)
    return Response(
        body(known, request.scope["path"]), status_code=known.status_code, media_type=MEDIA_TYPE, headers=headers(known)
    )


async def respond(send: Send, error: errors.KelmahError, *, instance: str | None = None) -> None:
    """Answer with a problem from outside Litestar."""
    start: HTTPResponseStartEvent = {
        "type": "http.response.start",
        "status": error.status_code,
        "headers": [(b"content-type", MEDIA_TYPE.encode())]
        + [(name.encode(), value.encode()) for name, value in headers(error).items()],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body(error, instance), "more_body": False})


def headers(error: errors.KelmahError) -> dict[str, str]:
    """The headers that belong to a problem."""
    found = {"cache-control": "no-store"}
    if error.retry_after_s is not None:
        found["retry-after"] = str(math.ceil(error.retry_after_s))
    if error.status_code == HTTPStatus.UNAUTHORIZED:
        found["www-authenticate"] = "Bearer"
    if allow := error.facts.get("allow"):
        found["allow"] = allow
    return found


def body(error: errors.KelmahError, instance: str | None = None) -> bytes:
    """The JSON of a problem. A 5xx never carries the message, which may say too much."""
    return msgspec.json.encode(
        Problem(
            type=f"urn:kelmah:error:{error.code}",
            title=error.title,
            status=error.status_code,
            code=error.code,
            request_id=trace().request_id,
            detail=error.message if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR else None,
            instance=instance,
            errors=error.errors,
        )
    )


def translate(error: Exception) -> errors.KelmahError:
    """One of our errors for any exception; logs what is unexpected."""
    if isinstance(error, errors.KelmahError):
        return error
    if isinstance(error, ValidationException):
        return errors.BadInput(errors=_field_errors(error))
    if isinstance(error, HTTPException):
        kind = _BY_STATUS.get(error.status_code, errors.BadInput if error.status_code < 500 else errors.KelmahError)
        return kind()
    if isinstance(error, UnicodeDecodeError):  # Litestar lets it through where the body of a request is not UTF-8
        return errors.BadInput("The text is not UTF-8.")
    if isinstance(error, DuplicateKeyError):
        # A service names its expected duplicates; this is the race that slipped by its check.
        log.warning("problem.duplicate", index=list((error.details or {}).get("keyPattern", {})))
        return errors.Conflict()
    if isinstance(error, _OUTAGES):
        log.warning("problem.outage", error=type(error).__name__)
        return errors.Unavailable(retry_after_s=1)
    log.error("problem.unexpected", exc_info=error)
    return errors.KelmahError()


def _allowed(request: Request[Any, Any, Any]) -> str:
    """The methods of this path, for `Allow` (RFC 9110 §15.5.6), which Litestar leaves out."""
    path = request.scope["path"].rstrip("/") or "/"
    matching = (
        route
        for route in request.app.routes
        if isinstance(route, HTTPRoute) and re.fullmatch(re.sub(r"{[^}]+}", "[^/]+", route.path_format), path)
    )
    return ", ".join(sorted({method for route in matching for method in route.methods}))


def _as_sent(request: Request[Any, Any, Any], found: list[FieldError]) -> list[FieldError]:
    """The errors with parameters named as clients send them, `radiusKm`, and not as our functions do."""
    handler = request.route_handler
    signatures = [handler.parsed_fn_signature]
    signatures += [provider.parsed_fn_signature for provider in handler.resolve_dependencies().values()]
    names = {
        name: parameter.kwarg_definition.name
        for signature in signatures
        for name, parameter in signature.parameters.items()
        if isinstance(parameter.kwarg_definition, ParameterKwarg) and parameter.kwarg_definition.name
    }
    return [FieldError(field=names.get(one.field, one.field), message=one.message) for one in found]


def _field_errors(error: ValidationException) -> list[FieldError]:
    """Litestar's and msgspec's complaints, each with the path of its field."""
    extra = error.extra if isinstance(error.extra, list) else []
    found = [_field_error(one) for one in extra if isinstance(one, dict)]
    if not found and (match := _MISSING.match(error.detail)):
        return [FieldError(field=match["field"], message="is required")]
    return found or [FieldError(field="", message=error.detail)]


def _field_error(one: dict[str, Any]) -> FieldError:
    return field_error(str(one.get("message", "")), str(one.get("key", "")))


def field_error(message: str, field: str = "") -> FieldError:
    """One complaint of msgspec or Litestar, with the path of its field taken out of the sentence."""
    if match := _AT_PATH.search(message):
        field, message = match["path"], message[: match.start()]
    if match := _FIELD_NAMED.search(message):
        field = f"{field}.{match['field']}" if field and field != "data" else match["field"]
    return FieldError(field="" if field == "data" else field, message=message)
