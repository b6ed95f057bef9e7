"""Request bodies are taken strictly: `"500"` is no integer, and `1` is not true.

Litestar converts what it decoded leniently, so the body is checked against its contract before the handler runs.
"""

from functools import lru_cache
from typing import Any

import msgspec
from litestar.enums import RequestEncodingType, ScopeType
from litestar.handlers import BaseRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.params import BodyKwarg
from litestar.types import ASGIApp, Receive, Scope, Send

from kelmah.kit import errors
from kelmah.kit.problem import field_error


class StrictBodies(ASGIMiddleware):
    """Refuses a JSON body that does not fit its contract to the letter."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        decoder = _decoder(scope["route_handler"])
        body = scope["state"].get("body")
        if decoder is not None and body:
            try:
                decoder.decode(body)
            except msgspec.ValidationError as error:
                raise errors.BadInput(errors=[field_error(str(error))]) from error
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise errors.BadInput.of("", f"This is not JSON: {error}") from error
        await next_app(scope, receive, send)


@lru_cache(maxsize=512)
def _decoder(handler: BaseRouteHandler) -> msgspec.json.Decoder[Any] | None:
    """The decoder of an operation's JSON body; None when it takes none."""
    data = handler.parsed_fn_signature.parameters.get("data")
    if data is None or not isinstance(data.kwarg_definition, BodyKwarg):
        return None
    if data.kwarg_definition.media_type != RequestEncodingType.JSON:
        return None
    return msgspec.json.Decoder(data.annotation)
