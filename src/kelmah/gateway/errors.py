"""What the gateway refuses by itself, before any service is asked."""

from kelmah.kit.errors import Forbidden, KelmahError, Unauthenticated, Unavailable


class MalformedRequest(KelmahError):
    status_code, code, title = 400, "gateway.malformed_request", "This is no request of HTTP/1.1"


class MalformedTarget(KelmahError):
    status_code, code, title = 400, "gateway.malformed_target", "The address in the request is malformed"


class MalformedHeader(KelmahError):
    status_code, code, title = 400, "gateway.malformed_header", "A header of the request is malformed"


class SlowClient(KelmahError):
    status_code, code, title = 408, "gateway.slow_client", "The request came too slowly"


class TargetTooLong(KelmahError):
    status_code, code, title = 414, "gateway.target_too_long", "The address in the request is too long"


class UpgradeRequired(KelmahError):
    status_code, code, title = 426, "gateway.upgrade_required", "This address speaks WebSocket only"


class HeadersTooLarge(KelmahError):
    status_code, code, title = 431, "gateway.headers_too_large", "The request's headers are too large"


class TokenRefused(Unauthenticated):
    code, title = "token_refused", "The access token is not valid"


class TokenExpired(Unauthenticated):
    code, title = "token_expired", "The access token has expired"


class SessionEnded(Unauthenticated):
    code, title = "session_ended", "The session of this access token has ended"


class ApiKeyRefused(Unauthenticated):
    code, title = "api_key_refused", "The API key was revoked, has expired or was never valid"


class ScopeMissing(Forbidden):
    code, title = "scope_missing", "This operation is not open to this API key"


class OriginRefused(Forbidden):
    code, title = "gateway.origin_refused", "Pages of this origin may not connect"


class LimitsUnavailable(Unavailable):
    code, title = "gateway.limits_unavailable", "This operation waits until its rate can be limited again"


class Overloaded(Unavailable):
    code, title = "gateway.overloaded", "The service behind this one has more requests than it can answer"
