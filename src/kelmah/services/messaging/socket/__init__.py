"""The WebSocket of the messaging service."""

from kelmah.services.messaging.socket.handler import open_socket
from kelmah.services.messaging.socket.hub import Hub

__all__ = ["Hub", "open_socket"]
