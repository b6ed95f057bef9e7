"""Opens one WebSocket: who it is, and over which wire."""

from typing import Any
from urllib.parse import urlsplit

import structlog
from litestar import WebSocket, websocket

from kelmah.kit import errors, problem
from kelmah.kit.app import API_PREFIX
from kelmah.kit.frames import EXTENSION
from kelmah.services.messaging import service
from kelmah.services.messaging.errors import OriginRefused
from kelmah.services.messaging.service import Context
from kelmah.services.messaging.settings import MessagingSettings
from kelmah.services.messaging.socket.connection import POLICY_VIOLATION, Connection
from kelmah.services.messaging.socket.hub import Hub
from kelmah.services.messaging.socket.wire import serve

log = structlog.get_logger(__name__)


@websocket(f"{API_PREFIX}/ws", name="OpenSocket")
async def open_socket(socket: WebSocket[Any, Any, Any]) -> None:
    """Everything but the handshake is in `docs` as the messaging protocol."""
    context: Context = socket.app.state.context
    hub: Hub = socket.app.state.hub
    try:
        connection = await _admit(socket, context, hub)
    except Exception as error:
        await _refuse(socket, problem.translate(error))
        return
    extensions: Any = socket.scope.get("extensions") or {}
    own = extensions.get(EXTENSION)
    max_bytes = context.settings.socket_max_frame_bytes
    if own is None:
        await serve(socket, connection, max_bytes=max_bytes)
        return
    try:
        wire = own["adopt"](connection, max_bytes=max_bytes)
    except OSError:
        connection.on_lost()
    else:
        connection.open(wire)


async def _admit(socket: WebSocket[Any, Any, Any], context: Context, hub: Hub) -> Connection:
    """The socket's person, counted and subscribed.

    Raises:
        KelmahError: and nothing of it is left.
    """
    _check_origin(socket.headers.get("origin"), context.settings)
    if len(hub) >= context.settings.max_sockets:
        raise errors.Unavailable(retry_after_s=5)
    principal = await service.redeem_ticket(context, socket.query_params.get("ticket", ""))
    connection = Connection(hub, principal, await hub.epoch())
    await hub.add(connection)
    try:
        if await service.join(context, connection.id, by=principal):
            hub.spawn(service.announce_coming(context, by=principal))
    except BaseException:
        await hub.remove(connection)
        raise
    return connection


def _check_origin(origin: str | None, settings: MessagingSettings) -> None:
    """A browser always says where its page is from. Other clients may leave it out: their ticket is enough."""
    if origin is None:
        return
    public = urlsplit(settings.public_url)
    if origin not in (f"{public.scheme}://{public.netloc}", *settings.allowed_origins):
        raise OriginRefused


async def _refuse(socket: WebSocket[Any, Any, Any], error: errors.KelmahError) -> None:
    """Answer the handshake with a problem where the server can, else with its plain 403."""
    log.info("messaging.socket.refused", code=error.code)
    if "websocket.http.response" not in (socket.scope.get("extensions") or {}):
        await socket.close(code=POLICY_VIOLATION, reason=error.code)
        return

    async def send(message: Any) -> None:
        message["type"] = f"websocket.{message['type']}"
        await socket.send(message)

    await problem.respond(send, error, instance=socket.scope["path"])
