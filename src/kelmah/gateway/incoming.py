"""What a client sent, checked and cleaned: the target, the headers, the address it came from, and its body."""

import asyncio
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import chain
from urllib.parse import unquote_to_bytes

from litestar.types import Receive, Scope

from kelmah.gateway.errors import HeadersTooLarge, MalformedHeader, MalformedTarget, SlowClient, TargetTooLong
from kelmah.kit import errors

Headers = list[tuple[bytes, bytes]]
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

MAX_TARGET_BYTES = 8_192
MAX_HEADERS = 100
MAX_HEADER_BYTES = 32_768
#: Bytes a second that a body must bring in the long run, after the patience in the settings.
MIN_BODY_RATE = 1_024
MAX_LENGTH_DIGITS = 15

_ALIAS, _VERSIONED = b"/api/", b"/api/v1/"
#: RFC 3986 path characters only. Encoded dots, slashes, backslashes and control characters have no honest use here:
#: two readers of such a path may not agree on what it names.
_PATH = re.compile(
    rb"/(?:(?!\.{1,2}(?:/|\Z))(?:[A-Za-z0-9._~!$&'()*+,;=:@-]++|%(?!2[EeFf]|5[Cc]|[01]|7[Ff])[0-9A-Fa-f]{2})++(?:/|\Z))*\Z"
)
_QUERY = re.compile(rb"[\x21-\x7e]*\Z")
#: What HTTP clients write differently in a query; written once and for all here, before the target is signed.
_QUERY_UNSAFE = re.compile(rb"[\"'<>\\^`{|}\[\]#]")
_HEADER_VALUE = re.compile(rb"[\t\x20-\x7e]*\Z")

#: RFC 9110 §7.6.1, and what is between this hop's ends only.
_HOP_BY_HOP = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te",
        b"trailer", b"transfer-encoding", b"upgrade", b"content-length", b"host", b"expect", b"http2-settings",
    }
)  # fmt: skip
#: What the gateway alone may say to a service; from outside it is dropped.
_RESERVED = frozenset(
    {b"authorization", b"forwarded", b"traceparent", b"x-request-id", b"x-correlation-id", b"x-real-ip"}
)
#: The one name of that kind that is the client's to say: which device it is, in its own words.
_DEVICE = b"kelmah-device"
_RESERVED_PREFIXES = (b"kelmah-", b"x-forwarded-", b"x-user-", b"x-internal-", b"sec-websocket-")


def read_path(scope: Scope) -> bytes:
    """The path as it was sent, percent-encoding kept, with `/api/…` written as `/api/v1/…`.

    Raises:
        MalformedTarget: anything that two readers could take for two different paths.
        TargetTooLong: path and query are more than `MAX_TARGET_BYTES`.
    """
    path: bytes = scope["raw_path"].partition(b"?")[0]
    if len(path) + len(scope["query_string"]) > MAX_TARGET_BYTES:
        raise TargetTooLong
    return clean_path(path)


def clean_path(path: bytes) -> bytes:
    """A path with `/api/…` written as `/api/v1/…`.

    Raises:
        MalformedTarget: anything that two readers could take for two different paths.
    """
    if not is_clean_path(path):
        raise MalformedTarget
    if path.startswith(_ALIAS) and not path.startswith(_VERSIONED):
        path = _VERSIONED + path[len(_ALIAS) :]
    return path


def is_clean_path(path: bytes) -> bool:
    """Whether any two readers take it for the same path."""
    if not _PATH.match(path):
        return False
    try:
        return b"%" not in path or bool(unquote_to_bytes(path).decode())
    except UnicodeDecodeError:
        return False


def read_query(scope: Scope) -> bytes:
    """The query, with the characters escaped that clients and servers do not agree on.

    Raises:
        MalformedTarget: characters that have no place in a query.
    """
    query = scope["query_string"]
    if not _QUERY.match(query):
        raise MalformedTarget
    return _QUERY_UNSAFE.sub(lambda found: b"%%%02X" % found[0][0], query)


def check_headers(sent: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The headers by name.

    Raises:
        HeadersTooLarge: too many, or too large together.
        MalformedHeader: a value that is not printable ASCII, or a second value where there may be one.
    """
    headers = [*sent]
    everything = b"".join(chain.from_iterable(headers))
    if len(headers) > MAX_HEADERS or len(everything) > MAX_HEADER_BYTES:
        raise HeadersTooLarge
    if not _HEADER_VALUE.match(everything):  # the server lets no other names through than tokens
        raise MalformedHeader
    found = dict(headers)
    if len(found) < len(headers):
        names = [name for name, _ in headers]
        if any(names.count(name) > 1 for name in _SINGLE):
            raise MalformedHeader
    return found


_SINGLE = frozenset(
    {b"authorization", b"content-length", b"content-type", b"host", b"origin", b"idempotency-key", b"if-match", _DEVICE}
)


def passed_on(headers: Iterable[tuple[bytes, bytes]], connection: bytes) -> Headers:
    """The client's headers that a service may see. `connection` names more that are for this hop only."""
    named = {name.strip().lower() for name in connection.split(b",")} if connection else ()
    return [(name, value) for name, value in headers if is_for_services(name) and name not in named]


@lru_cache(maxsize=1024)
def is_for_services(name: bytes) -> bool:
    """Not so: headers for this hop only, and the gateway's to write. Underscores are read as hyphens by some."""
    name = name.replace(b"_", b"-")
    if name in _HOP_BY_HOP or name in _RESERVED:
        return False
    return not name.startswith(_RESERVED_PREFIXES) or name == _DEVICE


def sent_back(headers: Headers) -> Headers:
    """A service's headers, by lower-case names, that a client may see."""
    kept = [pair for pair in headers if is_for_the_client(pair[0])]
    if len(kept) < len(headers) and (listed := [value for name, value in headers if name == b"connection"]):
        named = {token.strip() for token in b",".join(listed).lower().split(b",")} - {b"content-length"}
        kept = [pair for pair in kept if pair[0] not in named]
    return kept


@lru_cache(maxsize=1024)
def is_for_the_client(name: bytes) -> bool:
    """Not so: headers for the inner hop only, and those that the outer server or the gateway writes."""
    if name in _HOP_BY_HOP:
        return name == b"content-length"
    return name not in (b"date", b"server", b"x-powered-by", b"x-request-id") and not name.startswith(
        (b"kelmah-", b"access-control-")
    )


class Addresses:
    """Finds the client's address behind the proxies that are trusted."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusted = [ip_network(network) for network in trusted]
        self._is_trusted = lru_cache(maxsize=4096)(self._look_up)

    def client(self, scope: Scope, forwarded_for: bytes | None) -> str:
        """The address nearest to us that no trusted proxy vouches for; the peer's own where none is trusted."""
        peer = scope["client"][0] if scope["client"] else "unknown"
        hops = forwarded_for.decode("latin-1").split(",") if forwarded_for and self._trusted else []
        while hops and self._is_trusted(peer):
            named = hops.pop().strip()
            if not _is_address(named):
                break
            peer = named
        return peer

    def _look_up(self, address: str) -> bool:
        return is_inside(address, self._trusted)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_inside(address: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether an address is in one of the networks; what is no address is in none."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return any((mapped or parsed) in network for network in networks)


@lru_cache(maxsize=4096)
def address_key(address: str) -> str:
    """Who an address is for limits: itself, or its /64 in IPv6, of which one subscriber has all."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(IPv6Network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)


class Body:
    """A request's body, read with a bound on its size and on its slowness."""

    def __init__(self, receive: Receive, *, limit_bytes: int, patience_s: float, declared: bytes | None) -> None:
        """Take the body. `declared` is its Content-Length.

        Raises:
            PayloadTooLarge: it says itself that it is.
            MalformedHeader: the length is no number.
        """
        if declared is not None and not (declared.isdigit() and len(declared) <= MAX_LENGTH_DIGITS):
            raise MalformedHeader
        self._receive = receive
        self._limit_bytes = limit_bytes
        self._gives_up = asyncio.get_running_loop().time() + patience_s
        self._size = 0
        self.is_read = False
        #: Why reading failed, for those who read through something that swallows it.
        self.error: errors.KelmahError | None = None
        if declared is not None and int(declared) > limit_bytes:
            raise self._too_large()

    async def next(self) -> bytes:
        """The next piece, or nothing at the end.

        Raises:
            PayloadTooLarge: more than the limit.
            SlowClient: slower than `MIN_BODY_RATE` after the patience is used up.
            BadInput: the client went away.
        """
        try:
            return await self._next()
        except errors.KelmahError as error:
            self.error = error
            raise

    async def _next(self) -> bytes:
        while not self.is_read:
            try:
                async with asyncio.timeout_at(self._gives_up + self._size / MIN_BODY_RATE):
                    message = await self._receive()
            except TimeoutError as error:
                raise SlowClient from error
            if message["type"] != "http.request":
                raise errors.BadInput("The request ended before its body did.")
            self.is_read = not message.get("more_body", False)
            piece = message.get("body", b"")
            self._size += len(piece)
            if self._size > self._limit_bytes:
                raise self._too_large()
            if piece:
                return piece
        return b""

    async def all(self) -> bytes:
        """The whole body."""
        pieces = []
        while piece := await self.next():
            pieces.append(piece)
        return b"".join(pieces)

    def _too_large(self) -> errors.PayloadTooLarge:
        return errors.PayloadTooLarge(f"At most {self._limit_bytes} bytes are taken.")
