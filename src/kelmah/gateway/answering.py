"""One request and its answer on the edge's server."""

from asyncio import Handle, get_running_loop

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle
from uvicorn.protocols.utils import ClientDisconnected

log = structlog.get_logger(__name__)


class Answering(RequestResponseCycle):
    """As uvicorn's own, at half the cost: our headers are lower-case already, and are checked all at once.

    And with two differences: who sends to a client that is gone is told so, and can stop; and a message that starts an
    answer may have all of its `body`, and so be the only one.
    """

    #: The head while it waits for the first of the body, and what writes it should none come at once.
    _head = b""
    _flushing: Handle | None = None

    async def run_asgi(self, app) -> None:  # type: ignore[no-untyped-def]  # uvicorn's types are its own
        """Run the app, and close the connection where the answer did not come to its end."""
        try:
            await app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except Exception as error:
            log.error("http.failed", exc_info=error)
            if not self.response_started:
                await self.send_500_response()
        finally:
            if not self.response_complete and not self.disconnected:
                self.transport.close()
            self.on_response = _nothing

    async def send(self, message) -> None:  # type: ignore[no-untyped-def]  # as above
        """Take a part of the answer.

        Raises:
            ClientDisconnected: there is nobody to take it.
            RuntimeError: it is none.
        """
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            raise ClientDisconnected
        if not self.response_started:
            self._start(message["status"], message["headers"])
            if "body" in message:
                self._continue(message["body"], False)
            else:
                self._flushing = get_running_loop().call_soon(self._write, b"")
        elif not self.response_complete:
            self._continue(message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError("the answer is complete already")

    def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.response_started = True
        self.waiting_for_100_continue = False
        lines = [*map(b": ".join, self.default_headers), *map(b": ".join, headers)]
        named = dict(headers)
        if b"content-length" in named:
            # An answer without a body may tell how long that of another would be.
            self.expected_content_length = 0 if status in (204, 304) else int(named[b"content-length"])
            self.chunked_encoding = False
        closes = b"connection" in named and any(
            name == b"connection" and b"close" in value.lower() for name, value in headers
        )
        if closes:
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append(b"connection: close")
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in (204, 304):
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked")
        head = b"\r\n".join(lines)
        if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1 or b"\0" in head:
            raise RuntimeError("a header would end the head")
        # The body comes at once as a rule, and goes with the head: a write costs as much as all of this.
        self._head = b"%b%b\r\n\r\n" % (STATUS_LINE[status], head)

    def _write(self, data: bytes) -> None:
        if self._head:
            if self._flushing is not None:
                self._flushing.cancel()
            data, self._head = self._head + data, b""
        if data:
            self.transport.write(data)

    def _continue(self, body: bytes, more: bool) -> None:
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
        elif self.chunked_encoding:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self._write(chunk if more else chunk + b"0\r\n\r\n")
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("the answer is longer than its Content-Length")
            self._write(body)
        if not more:
            self._write(b"")
            if self.expected_content_length:
                raise RuntimeError("the answer is shorter than its Content-Length")
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()


def _nothing() -> None:
    """Nobody waits for the end of an answer that is over."""
