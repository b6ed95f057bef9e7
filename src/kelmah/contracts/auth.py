"""What the auth service says: accounts, sessions and tokens."""

from typing import ClassVar

from kelmah.contracts.common import Event, Response, Role


class UserRegistered(Event, frozen=True, kw_only=True):
    """An account was made; its e-mail is not verified yet."""

    TYPE: ClassVar[str] = "auth.user_registered.v1"
    user_id: str
    role: Role


class EmailVerified(Event, frozen=True, kw_only=True):
    """The person proved to own the account's e-mail address."""

    TYPE: ClassVar[str] = "auth.email_verified.v1"
    user_id: str


class SessionRevoked(Event, frozen=True, kw_only=True):
    """A session ended before its time; access tokens that carry its id are refused from now on."""

    TYPE: ClassVar[str] = "auth.session_revoked.v1"
    user_id: str
    session_id: str
    reason: str


# --- For other services (/internal) ---


class Contact(Response, frozen=True, kw_only=True):
    """How a person is reached and called. Personal data: never logged, never put into an event."""

    user_id: str
    role: Role
    first_name: str
    last_name: str
    email: str
    email_verified: bool
    locale: str = "en"
