"""What other processes of ours ask the auth service (`/internal`)."""

from kelmah.contracts.common import Response, Role


class Contact(Response, frozen=True, kw_only=True):
    """How a person is reached and called. Personal data: never logged, never put into an event."""

    user_id: str
    role: Role
    first_name: str
    last_name: str
    email: str
    email_verified: bool
    locale: str = "en"


class Revocation(Response, frozen=True, kw_only=True):
    """A session that ended early. Access tokens that carry it die of themselves at `expires_at` (epoch seconds)."""

    session_id: str
    expires_at: int


class Revocations(Response, frozen=True, kw_only=True):
    """Sessions that ended early, oldest first. Ask again with `since=until` (epoch milliseconds); at once if `more`."""

    items: list[Revocation]
    until: int
    more: bool
