"""A gateway on a real socket, and behind it two small services: over HTTP on sockets of their own, or in memory."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn
from joserfc.jwk import OKPKey
from litestar import Litestar, Request, Response, WebSocket, asgi, get, post, route, websocket
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Stream
from litestar.types import ASGIApp, Receive, Scope, Send
from redis.asyncio import Redis

from kelmah.gateway import server as gateway_server
from kelmah.gateway.app import create_app
from kelmah.gateway.settings import GatewaySettings
from kelmah.kit import clock, errors, problem
from kelmah.kit.context import current_principal
from kelmah.kit.internal import SignedCalls
from kelmah.kit.observe import Metrics, Observer
from tests.fixtures.service import KEY

ROUTES = """
[limits]
default = { quota = 100000, window_s = 60 }
three = { quota = 3, window_s = 3600 }
local = { quota = 8, window_s = 3600 }
closed = { quota = 100000, window_s = 60, without_redis = "refuse" }
[services.auth]
"GET /.well-known/jwks.json" = { auth = "public" }
[services.echo]
"GET POST PUT PATCH DELETE /api/v1/echo" = { auth = "public" }
"GET POST /api/v1/echo/{name}" = { auth = "public" }
"GET /api/v1/mine" = { auth = "signed_in" }
"GET /api/v1/staff" = { auth = ["admin", "moderator"] }
"GET /api/v1/limited" = { auth = "public", limit = "three" }
"GET /api/v1/local" = { auth = "public", limit = "local" }
"POST /api/v1/closed" = { auth = "public", limit = "closed" }
"POST /api/v1/upload" = { auth = "public", streams = true, retry = "never" }
"GET /api/v1/download" = { auth = "public", streams = true }
"GET /api/v1/dies" = { auth = "public" }
"GET /api/v1/dies-late" = { auth = "public", streams = true }
"GET POST /api/v1/flaky" = { auth = "public" }
"POST /api/v1/flaky-once" = { auth = "public", retry = "never" }
"GET /api/v1/slow" = { auth = "public", timeout_s = 0.3 }
"GET /api/v1/status/{code}" = { auth = "public" }
"GET /api/v1/old/*" = { auth = "public", rewrite = { match = "/api/v1/old/(.*)", to = '/api/v1/echo/\\1' }, request_headers = { set = { x-set = "by the route" }, remove = ["x-removed"] }, answer_headers = { set = { x-answer = "yes" }, remove = ["content-type"] } }
"GET /api/v1/only" = { auth = "public", host = "only.example.com", rewrite = { strip = "/api/v1/only", add = "/api/v1/echo" } }
"WS /api/v1/ws" = { auth = "public" }
"GET /api/v1/cached/{how}" = [{ auth = "public", cache = { ttl_s = 60, stale_s = 60, until = ["job.job_closed.v1"], vary = ["Accept-Language"] }, retry = "never", timeout_s = 1 }, { auth = "public", host = "only.example.com", cache = { ttl_s = 60 }, request_headers = { set = { x-mine = "by the route" } } }]
[scopes]
"jobs:read" = ["GET /api/v1/mine", "GET /api/v1/staff", "GET /api/v1/limited", "GET /api/v1/echo"]
"jobs:write" = ["POST /api/v1/echo"]
"""  # noqa: E501


#: How many frames of this kind a flood has: far more than all buffers on their way hold.
FRAMES, FRAME = 1_000, bytes(65_536)


@dataclass
class Behind:
    """What the services see and how they behave; shared with the tests."""

    key: OKPKey = field(default_factory=lambda: OKPKey.generate_key("Ed25519", {"kid": "one"}))
    revoked: list[dict[str, Any]] = field(default_factory=list)
    #: API keys by their SHA-256: what the auth service answers.
    api_keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: int = 0
    calls: int = 0
    ready: bool = True
    step: asyncio.Event = field(default_factory=asyncio.Event)
    received: list[int] = field(default_factory=list)
    close_codes: list[int] = field(default_factory=list)


def _seen(request: Request[Any, Any, Any], body: bytes) -> dict[str, Any]:
    principal = current_principal.get()
    return {
        "method": request.method,
        "target": request.scope["raw_path"].decode() + "?" + request.scope["query_string"].decode(),
        "headers": [[name.decode(), value.decode()] for name, value in request.scope["headers"]],
        "body": body.decode(),
        "signed": request.scope["state"]["body_signed"],
        "user": principal.user_id if principal else None,
        "address": principal.address if principal else None,
        "device": principal.device if principal else None,
    }


def echo_app(behind: Behind) -> Litestar:  # noqa: C901  # many small handlers
    """The service that tells what it got."""

    @route(
        ["/api/v1/echo", "/api/v1/echo/{name:str}"], http_method=["GET", "POST", "PUT", "PATCH", "DELETE"],
        status_code=200,
    )  # fmt: skip
    async def echo(request: Request[Any, Any, Any]) -> dict[str, Any]:
        return _seen(request, await request.body())

    @get(["/api/v1/mine", "/api/v1/staff", "/api/v1/limited", "/api/v1/local"])
    async def mine(request: Request[Any, Any, Any]) -> dict[str, Any]:
        return _seen(request, b"")

    @post("/api/v1/closed", status_code=200)
    async def closed() -> None:
        behind.calls += 1

    @post("/api/v1/upload", status_code=200)
    async def upload(request: Request[Any, Any, Any]) -> dict[str, Any]:
        digest, size = hashlib.sha256(), 0
        async for piece in request.stream():
            digest.update(piece)
            size += len(piece)
            behind.received.append(size)
            behind.step.set()
        return {"size": size, "sha256": digest.hexdigest(), "signed": request.scope["state"]["body_signed"]}

    @get("/api/v1/download")
    async def download(size: FromQuery[int] = 0) -> Stream:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"first"
            await behind.step.wait()
            for _ in range(size):
                yield b"x" * 65_536

        return Stream(pieces(), headers={"x-kept": "yes", "kelmah-secret": "no", "access-control-allow-origin": "*"})

    @get("/api/v1/status/{code:int}")
    async def status(code: FromPath[int]) -> Response[Any]:
        location = {"location": "/elsewhere"} if 300 <= code < 400 else {}
        return Response(None if code in (204, 304) else {"code": code}, status_code=code, headers=location)

    @route(["/api/v1/flaky", "/api/v1/flaky-once"], http_method=["GET", "POST"], status_code=200)
    async def flaky() -> dict[str, int]:
        behind.calls += 1
        if behind.calls <= behind.failures:
            raise errors.Unavailable
        return {"calls": behind.calls}

    @get("/api/v1/cached/{how:str}")
    async def cached(request: Request[Any, Any, Any], how: FromPath[str]) -> Response[Any]:
        behind.calls += 1
        calls = behind.calls
        if calls <= behind.failures:
            raise errors.Unavailable
        if how == "waits":
            await behind.step.wait()
        headers = {
            "set-cookie": {"set-cookie": "a=b"},
            "private": {"cache-control": "private"},
            "tagged": {"etag": '"t"'},
        }
        seen = {"calls": calls, **{name: request.headers.get(name) for name in ("accept-language", "x-mine", "cookie")}}
        large = {"body": "x" * 70_000} if how == "large" else {}
        return Response(seen | large, status_code=404 if how == "missing" else 200, headers=headers.get(how, {}))

    @get("/api/v1/slow")
    async def slow() -> None:
        behind.calls += 1
        await asyncio.Event().wait()

    @asgi("/api/v1/dies", copy_scope=False)
    async def dies(scope: Scope, receive: Receive, send: Send) -> None:
        behind.calls += 1
        await _half(send)

    @asgi("/api/v1/dies-late", copy_scope=False)
    async def dies_late(scope: Scope, receive: Receive, send: Send) -> None:
        await _half(send)

    @websocket("/api/v1/ws")
    async def socket(socket: WebSocket[Any, Any, Any]) -> None:
        if socket.query_params.get("ticket") == "bad":
            await socket.close(code=4403)
            return
        asked = socket.scope["subprotocols"]
        await socket.accept(subprotocols=asked[0] if asked else None)
        principal = current_principal.get()
        await socket.send_json({"user": principal.user_id if principal else None, "headers": dict(socket.headers)})
        while True:
            message: Any = await socket.receive()
            if message["type"] == "websocket.disconnect":
                behind.close_codes.append(message["code"])
                behind.step.set()
                return
            if message.get("text") == "flood":
                for number in range(FRAMES):
                    await socket.send_bytes(FRAME)
                    behind.received.append(number)
                continue
            if message.get("text") == "wait":
                await behind.step.wait()
                continue
            if message.get("bytes") == FRAME:
                behind.received.append(len(FRAME))
                continue
            if message.get("text") == "close":
                await socket.close(code=4001, reason="as you like")
                return
            if message.get("text") == "die":
                raise RuntimeError("the service fell over")
            if message.get("text") is not None:
                await socket.send_text(message["text"])
            else:
                await socket.send_bytes(message["bytes"])

    @get("/readyz", opt={"unguarded": True})
    async def readyz() -> Response[dict[str, Any]]:
        state = "ok" if behind.ready else "unavailable"
        return Response({"status": state, "checks": {"mongo": state}}, status_code=200 if behind.ready else 503)

    return Litestar(
        [echo, mine, closed, upload, download, status, flaky, cached, slow, dies, dies_late, socket, readyz],
        exception_handlers={Exception: problem.render},
        openapi_config=None,
        logging_config=None,
    )


async def _half(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})


def auth_app(behind: Behind) -> Litestar:
    """The service that publishes keys and revocations."""

    @get("/.well-known/jwks.json")
    async def jwks() -> dict[str, Any]:
        return {"keys": [{**behind.key.as_dict(private=False), "use": "sig", "alg": "EdDSA"}]}

    @get("/internal/revocations")
    async def revocations(since: FromQuery[int]) -> dict[str, Any]:
        return {"items": behind.revoked, "until": since, "more": False}

    @post("/internal/api-keys/check", status_code=200)
    async def check_api_key(data: JSONBody[dict[str, str]]) -> dict[str, Any]:
        behind.calls += 1
        if data["digest"] not in behind.api_keys:
            raise errors.NotFound
        return behind.api_keys[data["digest"]]

    @get("/readyz", opt={"unguarded": True})
    async def readyz() -> dict[str, Any]:
        return {"status": "ok", "checks": {}}

    return Litestar(
        [jwks, revocations, check_api_key, readyz],
        exception_handlers={Exception: problem.render},
        openapi_config=None,
        logging_config=None,
    )


def token(behind: Behind, *, user_id: str = "person-1", role: str = "worker", **changes: Any) -> str:
    """An access token that the auth service could have issued."""
    now = int(clock.now().timestamp())
    claims = {
        "iss": "https://kelmah.example", "aud": "kelmah", "sub": user_id, "sid": f"session-of-{user_id}",
        "role": role, "jti": "1", "iat": now, "exp": now + 600, "auth_time": now, "amr": ["pwd"],
    } | changes  # fmt: skip
    head = f"{_b64({'alg': 'EdDSA', 'typ': 'at+jwt', 'kid': 'one'})}.{_b64(claims)}"
    private: Any = behind.key.get_op_key("sign")
    return f"{head}.{_b64(private.sign(head.encode()))}"


def _b64(content: Any) -> str:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@asynccontextmanager
async def serving(app: ASGIApp, *, port: int = 0) -> AsyncIterator[str]:
    """The app as `kelmah serve gateway` serves it, on a free port if none is given; its base URL."""
    served = GatewaySettings.model_construct(host="127.0.0.1", port=port, client_timeout_s=1)
    config = gateway_server.config(app, settings=served, drain_s=10 if port else 1)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve())
    while not server.started:
        assert not running.done(), running.exception()
        await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await running


def behind_the_door(app: Litestar, name: str, redis: Redis, prefix: str) -> ASGIApp:
    """The app as `kit.app` wraps it."""
    door = SignedCalls(
        app.asgi_handler, service=name, keys={"gateway": [KEY]}, redis=redis, prefix=prefix, max_body_bytes=2_000_000
    )
    app.asgi_handler = Observer(door, metrics=Metrics(), concurrent=64, waiting=64)
    return app


@dataclass(kw_only=True)
class Platform:
    """What a test works with. `url` is the gateway's."""

    url: str
    app: Litestar
    behind: Behind
    client: aiohttp.ClientSession
    redis: Redis
    prefix: str
    settings: GatewaySettings

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def bearer(self, **claims: Any) -> dict[str, str]:
        return {"authorization": f"Bearer {token(self.behind, **claims)}"}


@asynccontextmanager
async def platform(
    mode: str, directory: Path, redis_url: str, prefix: str, *, gateway_redis_url: str | None = None, **settings: Any
) -> AsyncIterator[Platform]:
    """Run a gateway; `mode` is `http` or `memory`."""
    behind = Behind()
    routes_file = directory / "routes.toml"
    routes_file.write_text(ROUTES)
    async with AsyncExitStack() as stack:
        redis = Redis.from_url(redis_url)
        stack.push_async_callback(redis.aclose)
        services = {
            "echo": behind_the_door(echo_app(behind), "echo", redis, prefix),
            "auth": behind_the_door(auth_app(behind), "auth", redis, prefix),
        }
        urls = {}
        if mode == "http":
            urls = {name: [await stack.enter_async_context(serving(app))] for name, app in services.items()}
        made = GatewaySettings.model_validate(
            {
                "environment": "test",
                "redis_url": gateway_redis_url or redis_url,
                "redis_prefix": prefix,
                "outgoing_keys": {"echo": [KEY], "auth": [KEY]},
                "service_urls": urls,
                "routes_path": str(routes_file),
                "client_timeout_s": 1,
                "allowed_origins": ["https://app.example.com"],
            }
            | settings
        )
        app = create_app(made, apps=services if mode == "memory" else None)
        url = await stack.enter_async_context(serving(app))
        client = await stack.enter_async_context(
            aiohttp.ClientSession(url, auto_decompress=False, timeout=aiohttp.ClientTimeout(total=20))
        )
        yield Platform(url=url, app=app, behind=behind, client=client, redis=redis, prefix=prefix, settings=made)
