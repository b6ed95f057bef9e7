"""Keeps answers of chosen public reads in Redis: one request at a time fetches, events and time make them old.

What is kept can be anybody's: only requests without a token come here, and the service is passed nothing of a request
but what is part of the key, so nothing else can have shaped its answer.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import structlog
from litestar.types import Send
from redis.asyncio import Redis
from redis.exceptions import RedisError

from kelmah.gateway import own
from kelmah.gateway.incoming import Headers
from kelmah.gateway.proxy import Request
from kelmah.gateway.routes import CacheRule, Route
from kelmah.kit import clock, errors, freshness
from kelmah.kit.redis import key as redis_key

log = structlog.get_logger(__name__)

#: Largest body that is kept, longest query that is, and how many answers are at once; together 128 MiB.
MAX_BODY_BYTES, MAX_QUERY_BYTES, MAX_ENTRIES = 65_536, 512, 2_048
#: Seconds that Redis may take before the service is asked without it.
TIMEOUT_S = 0.25
#: What is kept of an answer's headers.
_KEPT = frozenset({b"content-type", b"content-language", b"etag", b"last-modified", b"link"})

# Keeps an entry and strikes out the oldest beyond the bound. KEYS: entry, index; ARGV: entry, seconds, most.
_KEEP = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('ZADD', KEYS[2], string.format('%.0f', now + ARGV[2] * 1000000), KEYS[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now))
local over = redis.call('ZCARD', KEYS[2]) - ARGV[3]
if over > 0 then
  local gone = redis.call('ZPOPMIN', KEYS[2], over)
  for i = 1, #gone, 2 do redis.call('DEL', gone[i]) end
end
"""

Ask = Callable[[Request, Send], Awaitable[None]]


class Kept(msgspec.Struct, array_like=True):
    """An answer. `counts`: how often each event that makes it old had happened when it was asked for."""

    headers: list[tuple[bytes, bytes]]
    body: bytes
    etag: bytes
    at: float
    counts: list[int]


class Cache:
    """The cache of this platform's gateways; who fetches is agreed within each process."""

    def __init__(self, redis: Redis, *, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._keep = redis.register_script(_KEEP)
        self._stored = 0
        self._fetching: dict[str, asyncio.Future[Kept | None]] = {}

    async def answer(self, request: Request, sent: Mapping[bytes, bytes], ask: Ask, send: Send) -> None:
        """Answer a public read from what is kept, or by asking the service.

        Raises:
            KelmahError: as `ask`, where nothing is kept that could stand in.
        """
        rule = request.route.cache
        path, _, query = request.target.partition("?")
        if rule is None or len(query) > MAX_QUERY_BYTES:
            await ask(request, send)
            return
        varying = [(name, sent[name]) for name in rule.vary if name in sent]
        key = self._key(request.route.operation_id, path, query, varying)
        stored = self._stored
        found, counts = await self._find(key, rule)
        if self._stored != stored:  # maybe just this, after we looked and before we would have waited for it
            found, counts = await self._find(key, rule)
        now = clock.now().timestamp()
        if found is not None and found.counts == counts and now < found.at + rule.ttl_s:
            await _give(found, "hit", request, sent, rule, send)
            return
        changes = request.route.request_headers
        headers = varying if changes is None else changes.apply(varying)
        plain = msgspec.structs.replace(request, method="GET", headers=headers, principal=None)
        try:
            fetched = await self._fetch(key, rule, plain, counts, ask)
        except _NotKept as other:
            if other.status < 500 or found is None or now > found.at + rule.ttl_s + rule.stale_s:
                await other.give(request, send)
                return
        except (errors.Unavailable, errors.BadGateway, errors.GatewayTimeout):
            if found is None or now > found.at + rule.ttl_s + rule.stale_s:
                raise
        else:
            await _give(fetched, "fwd=miss", request, sent, rule, send)
            return
        log.info("cache.stale", operation=request.route.operation_id)
        await _give(found, "hit; fwd=stale; detail=error", request, sent, rule, send)

    async def _fetch(self, key: str, rule: CacheRule, request: Request, counts: list[int] | None, ask: Ask) -> Kept:
        """Ask the service, or wait for another request that does.

        Raises:
            _NotKept: the answer is nobody else's.
            KelmahError: there is none.
        """
        waiting = self._fetching.get(key)
        if waiting is not None:
            shared = await asyncio.shield(waiting)
            if shared is not None and shared.counts == counts:
                return shared
        lead: asyncio.Future[Kept | None] = asyncio.get_running_loop().create_future()
        if waiting is None:
            self._fetching[key] = lead
        try:
            collected = _Collected()
            await ask(request, collected.take)
            kept = collected.kept(counts or [])
            if counts is not None:
                await self._store(key, rule, kept)
            lead.set_result(kept)
            return kept
        finally:
            if waiting is None:
                del self._fetching[key]
            if not lead.done():
                lead.set_result(None)

    async def _find(self, key: str, rule: CacheRule) -> tuple[Kept | None, list[int] | None]:
        """What is kept, and the counts; no counts where Redis is away."""
        names = [key, *(freshness.count_key(self._prefix, one) for one in rule.until)]
        try:
            async with asyncio.timeout(TIMEOUT_S):
                rows: list[Any] = await self._redis.mget(names)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("cache.redis_unavailable", error=type(error).__name__)
            return None, None
        try:
            found = None if rows[0] is None else msgspec.msgpack.decode(rows[0], type=Kept)
        except msgspec.DecodeError:  # of another version of us
            found = None
        return found, [int(count or 0) for count in rows[1:]]

    async def _store(self, key: str, rule: CacheRule, kept: Kept) -> None:
        entry = msgspec.msgpack.encode(kept)
        index = redis_key(self._prefix, "gateway", "cached")
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._keep(keys=[key, index], args=[entry, rule.ttl_s + rule.stale_s, MAX_ENTRIES])
            self._stored += 1
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("cache.redis_unavailable", error=type(error).__name__)

    def _key(self, operation: str, path: str, query: str, varying: Headers) -> str:
        """Of the route, which may be for one host only, and all that the service is passed."""
        parts = [operation.encode(), path.encode(), query.encode(), *(part for pair in varying for part in pair)]
        text = b"".join(b"%d:%b" % (len(part), part) for part in parts)
        return redis_key(self._prefix, "gateway", "cache", hashlib.sha256(text).hexdigest())


class _NotKept(Exception):
    """An answer that goes to who asked for it and to nobody else."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self._headers = headers
        self._body = body

    async def give(self, request: Request, send: Send) -> None:
        headers = [pair for pair in self._headers if pair[0] not in (b"content-length", b"transfer-encoding")]
        await own.answer(send, self.status, self._body, headers, head_only=request.method == "HEAD")


class _Collected:
    """Takes an answer whole."""

    def __init__(self) -> None:
        self._status = 0
        self._headers: Headers = []
        self._pieces: list[bytes] = []

    async def take(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], list(message["headers"])
        if "body" in message:
            self._pieces.append(message["body"])

    def kept(self, counts: list[int]) -> Kept:
        """As it can be kept.

        Raises:
            _NotKept: it cannot.
        """
        body, named = b"".join(self._pieces), dict(self._headers)
        control = named.get(b"cache-control", b"").lower()
        if (
            self._status != 200
            or len(body) > MAX_BODY_BYTES
            or b"set-cookie" in named
            or b"content-encoding" in named
            or b"private" in control
        ):
            raise _NotKept(self._status, self._headers, body)
        headers = [pair for pair in self._headers if pair[0] in _KEPT]
        etag = named.get(b"etag")
        if etag is None:
            etag = b'"%b"' % hashlib.sha256(body).hexdigest()[:32].encode()
            headers.append((b"etag", etag))
        return Kept(headers=headers, body=body, etag=etag, at=clock.now().timestamp(), counts=counts)


async def _give(
    kept: Kept, how: str, request: Request, sent: Mapping[bytes, bytes], rule: CacheRule, send: Send
) -> None:
    age = max(0, int(clock.now().timestamp() - kept.at))
    headers = [
        *kept.headers,
        # Browsers ask each time: only here an event is known to have made it old.
        (b"cache-control", b"no-cache"),
        (b"age", str(age).encode()),
        (b"cache-status", f"kelmah; {how}".encode()),
    ]
    if rule.vary:
        headers.append((b"vary", b", ".join(rule.vary)))
    if _matches(sent.get(b"if-none-match", b""), kept.etag):
        await own.answer(send, 304, b"", headers)
        return
    await own.answer(send, 200, kept.body, headers, head_only=request.method == "HEAD")


def _matches(asked: bytes, etag: bytes) -> bool:
    """`If-None-Match`, by weak comparison (RFC 9110 §13.1.2)."""
    tags = {tag.strip().removeprefix(b"W/") for tag in asked.split(b",")}
    return b"*" in tags or etag.removeprefix(b"W/") in tags


def is_public(route: Route, method: str, sent: Mapping[bytes, Any]) -> bool:
    """Whether a request may be answered with what others got."""
    return route.cache is not None and method in ("GET", "HEAD") and b"authorization" not in sent
