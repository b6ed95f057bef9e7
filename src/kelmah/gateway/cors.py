"""Cross-origin rules: an exact list of origins, nothing reflected, no credentials."""

from collections.abc import Collection, Mapping

from kelmah.gateway.incoming import Headers

#: Seconds that a browser may remember a preflight answer.
MAX_AGE_S = 600
#: What pages of allowed origins may send; browsers ask for what is not safelisted.
_REQUEST_HEADERS = (
    b"Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Kelmah-Device, X-Request-ID, "
    b"Tus-Resumable, Upload-Checksum, Upload-Length, Upload-Offset, X-Filename"
)
#: What such pages may read of an answer.
_EXPOSED = (
    b"ETag, Idempotent-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID, "
    b"Content-Disposition, Upload-Length, Upload-Offset"
)


#: Of every answer of a gateway that lets pages of other origins in.
VARIES = (b"vary", b"Origin")


class CrossOrigin:
    """Decides by the exact list of the settings."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = frozenset(origin.encode() for origin in allowed)

    def allows(self, origin: bytes | None) -> bool:
        """Whether pages of this origin may call us; no Origin means that no page calls."""
        return origin is None or origin in self._allowed

    def headers(self, sent: Mapping[bytes, bytes]) -> Headers:
        """The headers of any answer to this request."""
        origin = sent.get(b"origin")
        if not self._allowed:
            return []
        if origin not in self._allowed:
            return [VARIES]
        return [
            VARIES,
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _EXPOSED),
        ]

    def preflight(self, sent: Mapping[bytes, bytes], methods: Collection[str]) -> Headers:
        """The further headers of an answer to OPTIONS, empty where nothing is allowed."""
        asked = sent.get(b"access-control-request-method", b"").decode("ascii")
        if sent.get(b"origin") not in self._allowed or asked not in methods:
            return []
        return [
            (b"access-control-allow-methods", ", ".join(sorted(methods)).encode()),
            (b"access-control-allow-headers", _REQUEST_HEADERS),
            (b"access-control-max-age", str(MAX_AGE_S).encode()),
        ]
