"""The one family of errors that reaches clients; each service adds its own in `errors.py`."""

from collections.abc import Iterator
from typing import Any, ClassVar

from kelmah.contracts.common import FieldError


class KelmahError(Exception):
    """A failure that a caller is told of. Subclasses set the three class attributes.

    The message is a sentence for the person who reads the answer; facts are for logs and tests.
    """

    status_code: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong"

    def __init__(
        self,
        message: str = "",
        *,
        retry_after_s: float | None = None,
        errors: list[FieldError] | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(message or self.title)
        self.message = message or self.title
        self.retry_after_s = retry_after_s
        self.errors = errors
        self.facts = facts


class BadInput(KelmahError):
    status_code, code, title = 400, "bad_input", "The request does not fit"

    @classmethod
    def of(cls, field: str, message: str) -> "BadInput":
        """One field that is wrong."""
        return cls(errors=[FieldError(field=field, message=message)])


class Unauthenticated(KelmahError):
    status_code, code, title = 401, "unauthenticated", "A valid access token is needed"


class Forbidden(KelmahError):
    status_code, code, title = 403, "forbidden", "You may not do this"


class StepUpRequired(Forbidden):
    code, title = "step_up_required", "Prove once more who you are (POST /api/v1/auth/step-up), and send this again"


class SecondFactorRequired(Forbidden):
    code, title = (
        "second_factor_required",
        "Staff act by two factors: set up a second one (POST /api/v1/auth/mfa/setup, or a passkey), "
        "then refresh or step up, and send this again",
    )


class NotFound(KelmahError):
    status_code, code, title = 404, "not_found", "There is nothing here"


class MethodNotAllowed(KelmahError):
    status_code, code, title = 405, "method_not_allowed", "This address does not take that method"


class Conflict(KelmahError):
    status_code, code, title = 409, "conflict", "This clashes with the current state"


class PreconditionFailed(KelmahError):
    status_code, code, title = 412, "precondition_failed", "Somebody changed this since you read it"


class PayloadTooLarge(KelmahError):
    status_code, code, title = 413, "payload_too_large", "The request is too large"


class UnsupportedMediaType(KelmahError):
    status_code, code, title = 415, "unsupported_media_type", "This content type is not taken here"


class PreconditionRequired(KelmahError):
    status_code, code, title = 428, "precondition_required", "An If-Match header is needed"


class TooManyRequests(KelmahError):
    status_code, code, title = 429, "too_many_requests", "Too many requests"


class BadGateway(KelmahError):
    status_code, code, title = 502, "bad_gateway", "A service behind this one gave no usable answer"


class Unavailable(KelmahError):
    status_code, code, title = 503, "unavailable", "A service behind this one is not available"


class GatewayTimeout(KelmahError):
    status_code, code, title = 504, "gateway_timeout", "A service behind this one took too long"


class IdempotencyKeyMissing(KelmahError):
    status_code, code, title = 400, "idempotency_key_missing", "An Idempotency-Key header is needed"


class IdempotencyKeyReused(KelmahError):
    status_code, code, title = (
        422,
        "idempotency_key_reused",
        "This Idempotency-Key was used for another request",
    )


class IdempotencyKeyInFlight(KelmahError):
    status_code, code, title = (
        409,
        "idempotency_key_in_flight",
        "The first request with this key is still running",
    )


class IdempotencyAnswerLost(KelmahError):
    status_code, code, title = (
        409,
        "idempotency_answer_lost",
        "The first request with this key was carried out, and its answer was lost: look at what it changed",
    )


#: The classes that an unknown code of another service falls under, by its status.
GENERAL: tuple[type[KelmahError], ...] = (
    BadInput, Unauthenticated, Forbidden, NotFound, Conflict, PreconditionFailed, PayloadTooLarge,
    UnsupportedMediaType, PreconditionRequired, TooManyRequests, BadGateway, Unavailable, GatewayTimeout,
)  # fmt: skip


def every_error() -> Iterator[type[KelmahError]]:
    """All error classes that are imported, for the page of codes and for rebuilding errors of other services."""
    pending = [KelmahError]
    while pending:
        error = pending.pop()
        yield error
        pending.extend(error.__subclasses__())
