"""What the gateway answers by itself: health, metrics, the API's description, and the page that explains it."""

import gzip
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import resources
from ipaddress import ip_network
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec
import prometheus_client
from litestar.types import Send

from kelmah.gateway.health import OK, Health, Readiness, for_strangers
from kelmah.gateway.incoming import Headers, is_inside
from kelmah.kit import errors
from kelmah.kit.observe import Metrics

#: The page runs the scripts and styles that come with it, calls this gateway, and nothing else.
DOCS_CSP = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_KINDS = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/json",
}
#: Below this, compressing does not pay.
_MIN_COMPRESSED_BYTES = 1_024
_ASSETS = ("swagger-ui-bundle.js", "swagger-ui.css", "start.js")
#: What all of these addresses take.
METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Question(NamedTuple):
    """A GET or HEAD of one of the gateway's own addresses."""

    headers: Mapping[bytes, bytes]
    address: str
    head_only: bool
    query: bytes = b""


Show = Callable[[Question, Send], Awaitable[None]]
#: What becomes of a method, path and host, or the whole table where there is no path.
TellRoutes = Callable[[str, str | None, str], msgspec.Struct]


class Operation(NamedTuple):
    """How an address is answered, and the name by which metrics know it."""

    operation_id: str
    show: Show


class Page:
    """A file of this package, with its compressed form and its tag."""

    def __init__(self, file: str) -> None:
        self._plain = resources.files(__package__).joinpath(file).read_bytes()
        self._packed = gzip.compress(self._plain, 6, mtime=0) if len(self._plain) >= _MIN_COMPRESSED_BYTES else None
        self._tag = f'W/"{hashlib.sha256(self._plain).hexdigest()[:16]}"'.encode()
        self._kind = _KINDS[file.rpartition(".")[2]].encode()

    async def show(self, question: Question, send: Send) -> None:
        """Answer with it, or say that the client has it already."""
        headers: Headers = [
            (b"etag", self._tag),
            (b"cache-control", b"no-cache"),
            (b"content-security-policy", DOCS_CSP),
            (b"vary", b"Accept-Encoding"),
        ]
        if self._tag in question.headers.get(b"if-none-match", b""):
            await answer(send, 304, b"", headers)
            return
        content = self._plain
        if self._packed is not None and b"gzip" in question.headers.get(b"accept-encoding", b""):
            content = self._packed
            headers.append((b"content-encoding", b"gzip"))
        await answer(send, 200, content, [*headers, (b"content-type", self._kind)], head_only=question.head_only)


def operations(
    health: Health, metrics: Metrics, metrics_networks: Sequence[str], tell_routes: TellRoutes
) -> dict[str, Operation]:
    """The gateway's own addresses; /metrics, /routes and the names in /health are for the machine room only."""
    networks = [ip_network(network) for network in metrics_networks]

    async def show_live(question: Question, send: Send) -> None:
        await _answer_json(send, OK, Readiness(status=OK, checks={}), question)

    async def show_ready(question: Question, send: Send) -> None:
        found = await health.own()
        await _answer_json(send, found.status, found, question)

    async def show_health(question: Question, send: Send) -> None:
        found = await health.platform()
        if not is_inside(question.address, networks):
            found = for_strangers(found)
        await _answer_json(send, found.status, found, question)

    async def show_metrics(question: Question, send: Send) -> None:
        if not is_inside(question.address, networks):
            raise errors.NotFound
        kind = [(b"content-type", prometheus_client.CONTENT_TYPE_LATEST.encode())]
        text = prometheus_client.generate_latest(metrics.registry)
        await answer(send, 200, text, kind, head_only=question.head_only)

    async def show_routes(question: Question, send: Send) -> None:
        if not is_inside(question.address, networks):
            raise errors.NotFound
        asked = dict(parse_qsl(question.query.decode("ascii")))
        found = tell_routes(asked.get("method", "GET"), asked.get("path"), asked.get("host", ""))
        await _answer_json(send, OK, found, question)

    shows: dict[str, Show] = {
        "/routes": show_routes,
        "/livez": show_live,
        "/readyz": show_ready,
        "/health": show_health,
        "/metrics": show_metrics,
        "/openapi.json": Page("openapi.json").show,
        "/docs": Page("static/index.html").show,
        **{f"/docs/{asset}": Page(f"static/{asset}").show for asset in _ASSETS},
    }
    return {path: Operation(f"gateway:{path}", show) for path, show in shows.items()}


async def _answer_json(send: Send, status: str, content: msgspec.Struct, question: Question) -> None:
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    code = 200 if status == OK else 503
    await answer(send, code, msgspec.json.encode(content), headers, head_only=question.head_only)


async def answer(send: Send, status: int, content: bytes, headers: Headers, *, head_only: bool = False) -> None:
    """Send a whole answer at once."""
    length = [] if status in (204, 304) else [(b"content-length", str(len(content)).encode())]
    whole: Any = {
        "type": "http.response.start", "status": status, "headers": [*headers, *length],
        "body": b"" if head_only else content,
    }  # fmt: skip
    await send(whole)
