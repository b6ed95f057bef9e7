"""The HTTP server of the edge: uvicorn, with bounds on what a client may send before an app is asked, and how slowly.

httptools refuses the forms that two readers could take for two requests, granian's parser takes some of them; neither
bounds a request's head or the time it takes.
"""

from asyncio import Event, TimerHandle, Transport
from functools import partial
from typing import Any
from urllib.parse import unquote

import httptools
import structlog
import uvicorn
from litestar.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from kelmah.gateway.answering import Answering
from kelmah.gateway.errors import HeadersTooLarge, MalformedRequest, SlowClient
from kelmah.gateway.settings import GatewaySettings
from kelmah.gateway.sockets import MAX_MESSAGE_BYTES
from kelmah.kit import problem
from kelmah.kit.context import current_trace, trace, trace_from
from kelmah.kit.errors import KelmahError
from kelmah.kit.observe import REQUEST_ID_HEADER, SECURITY_HEADERS

log = structlog.get_logger(__name__)

#: Bytes of one message that are not its body: head, chunk sizes and extensions, trailers; and more a byte of body,
#: of which an honest sender of tiny chunks needs 5.
MAX_OVERHEAD_BYTES, OVERHEAD_A_BODY_BYTE = 65_536, 8
_ASGI: Any = {"version": "3.0", "spec_version": "2.3"}
#: Seconds from the first byte of a head to its last, and between two requests on one connection.
HEAD_S, KEEP_ALIVE_S = 10.0, 30


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    head_s = HEAD_S

    def __init__(self, *arguments: Any, patience_s: float, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._patience_s = patience_s
        self._timer: TimerHandle | None = None
        self._write_timer: TimerHandle | None = None
        self._overhead = 0
        self._is_in_head = True
        #: Whether part of a head has come; and since when no request is answered.
        self._has_begun, self._idle_since = False, 0.0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        """Start to wait for the first head."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of all."""
        self._stop_timer()
        self._stop_keep_alive()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, within bounds."""
        if self.transport.is_closing():
            return
        self._overhead += len(data)
        super().data_received(data)
        if self.parser is None or self.transport.is_closing() or self.transport.get_protocol() is not self:
            return
        if self._overhead > MAX_OVERHEAD_BYTES:
            self._refuse(HeadersTooLarge())
        elif self._is_idle or self._has_begun:
            self._start_timer()  # not anew for every byte

    def on_message_begin(self) -> None:
        """The first byte of a head."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._is_in_head = self._has_begun = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; a trailer is dropped, for it was not there when the head was checked."""
        if self._is_in_head:
            name = name.lower()
            self.headers.append((name, value))
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        """The head is read; from here on the app says how long the body may take."""
        self._is_in_head = self._has_begun = False
        self._stop_timer()
        version, url = self.parser.get_http_version(), httptools.parse_url(self.url)
        scope: Any = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "method": self.parser.get_method().decode("ascii"),
            "scheme": self.scheme,
            "server": self.server,
            "client": self.client,
            "root_path": "",
            "raw_path": url.path or b"",
            "path": unquote((url.path or b"").decode("ascii")),
            "query_string": url.query or b"",
            "headers": self.headers,
            "state": self.app_state.copy(),
        }
        self.scope = scope
        is_upgrade = self.parser.should_upgrade()
        if is_upgrade and self._should_upgrade():
            return
        before = self.cycle
        self.cycle = Answering(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=Event(),
            expect_100_continue=self.expect_100_continue,
            # After an upgrade that is none of ours the parser reads no further: the answer is the last one.
            keep_alive=version != "1.0" and self.parser.should_keep_alive() and not is_upgrade,
            on_response=self.on_response_complete,
        )
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:  # it came while another is being answered, and has its turn then
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def pause_writing(self) -> None:
        """The client takes its answer slowly."""
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self._patience_s, self.transport.abort)

    def resume_writing(self) -> None:
        """It caught up."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._overhead -= len(body) * (1 + OVERHEAD_A_BODY_BYTE)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of a request."""
        self._overhead = 0
        self._is_in_head = True
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand over to the protocol of sockets, which has bounds of its own.

        It does not look at what RFC 6455 §4.2.1 asks of the request itself: HTTP/1.1 or later, and a Host.
        """
        self._stop_timer()
        self._stop_keep_alive()
        if self.parser.get_http_version() != "1.1" or [name for name, _ in self.headers].count(b"host") != 1:
            self._refuse(MalformedRequest())
            return
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed."""
        self._refuse(MalformedRequest())

    def on_response_complete(self) -> None:
        """Answer the next request, or wait for one. As uvicorn's, but one timer serves for many requests."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _unset_keepalive_if_required(self) -> None:
        """Let the timer run on: it looks itself whether something came."""

    def _stop_keep_alive(self) -> None:
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that nothing comes on; without ceremony if not even the last answer was taken."""
        self.timeout_keep_alive_task = None
        if not self._is_idle or self._has_begun:
            return
        left_s = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left_s, self.timeout_keep_alive_handler)
            return
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        super().timeout_keep_alive_handler()

    @property
    def _is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.head_s, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if not self._is_idle:  # half of a next request: what is being answered is still answered
            self.cycle.keep_alive = False
        elif self._is_in_head:
            self._refuse(SlowClient())
        else:
            self.transport.abort()

    def _refuse(self, error: KelmahError) -> None:
        """Answer and close. Where an answer is under way, only close: a second one would be taken for part of it."""
        if self._is_idle or not (self.cycle.response_started or self.pipeline):
            self.transport.write(_answer(error))
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()
        # A client that does not take even this is not waited for.
        self.loop.call_later(self.head_s, self.transport.abort)


def _answer(error: KelmahError) -> bytes:
    current_trace.set(trace_from(None, None, None))
    body = problem.body(error)
    lines = [
        (b"content-type", problem.MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        (REQUEST_ID_HEADER, trace().request_id.encode()),
        *SECURITY_HEADERS,
    ]
    log.info("http.refused", code=error.code, status=error.status_code)
    head = b"".join(name + b": " + value + b"\r\n" for name, value in lines)
    return STATUS_LINE[error.status_code] + head + b"\r\n" + body


def config(app: ASGIApp | str, *, factory: bool = False, settings: GatewaySettings, drain_s: int) -> uvicorn.Config:
    """How uvicorn runs the gateway. `drain_s`: seconds that open requests have to finish after SIGTERM."""
    protocol: Any = partial(GuardedProtocol, patience_s=settings.client_timeout_s)
    return uvicorn.Config(
        app,
        factory=factory,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=protocol,
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        # X-Forwarded-For is believed by the gateway's own settings only.
        proxy_headers=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=drain_s,
    )
