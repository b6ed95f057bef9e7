"""What the auth service says: accounts, sessions and tokens."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from kelmah.contracts.common import Event, Request, Response, Role

EmailText = Annotated[
    str, Meta(min_length=3, max_length=254, description="A mail address.", examples=["ama@example.com"])
]
NameText = Annotated[str, Meta(min_length=1, max_length=80, examples=["Ama"])]
NewPassword = Annotated[
    str,
    Meta(
        min_length=8,
        max_length=128,
        pattern=r"^[^\x00]+\Z",
        description="8 to 128 characters of any kind. Refused when common or made of the person's own data.",
        examples=["blue kente on a Friday"],
    ),
]
GivenPassword = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^\x00]+\Z")]
#: A token that the service made; longer ones are not worth reading.
OpaqueToken = Annotated[str, Meta(min_length=16, max_length=512, pattern=r"^[A-Za-z0-9._-]+\Z")]


#: A code of an authenticator app, or a recovery code with or without its hyphens.
FactorCode = Annotated[
    str, Meta(pattern=r"^([0-9]{6}|[A-Za-z2-7]{4}(-?[A-Za-z2-7]{4}){3})\Z", max_length=19, examples=["287082"])
]


class RegisterRequest(Request, frozen=True, kw_only=True):
    """A new account. Staff accounts are never made here."""

    email: EmailText
    password: NewPassword
    first_name: NameText
    last_name: NameText
    role: Literal["worker", "hirer"]


class LoginRequest(Request, frozen=True, kw_only=True):
    """`reactivate` wakes an account that its owner put to rest."""

    email: EmailText
    password: GivenPassword
    reactivate: bool = False


class LoginMfaRequest(Request, frozen=True, kw_only=True):
    """The answer to the challenge of a login."""

    challenge: OpaqueToken
    code: FactorCode


class StepUpRequest(Request, frozen=True, kw_only=True):
    """The code where the second factor is on, else the password."""

    password: GivenPassword | None = None
    code: FactorCode | None = None


class ChangeRoleRequest(Request, frozen=True, kw_only=True):
    role: Role
    reason: Annotated[str, Meta(min_length=3, max_length=500, examples=["Joins the support team"])]


class MfaCodeRequest(Request, frozen=True, kw_only=True):
    code: FactorCode


class OAuthExchangeRequest(Request, frozen=True, kw_only=True):
    """The code that the browser came back with; `role` where there is no account yet."""

    code: OpaqueToken
    role: Literal["worker", "hirer"] | None = None
    reactivate: bool = False


class LinkRequest(Request, frozen=True, kw_only=True):
    """The code that the browser came back with, from whoever is signed in."""

    code: OpaqueToken


class RefreshRequest(Request, frozen=True, kw_only=True):
    """A refresh token serves once; its successor comes with the answer."""

    refresh_token: OpaqueToken


class LogoutRequest(Request, frozen=True, kw_only=True):
    """Ends the session of this token, for a client whose access token has expired."""

    refresh_token: OpaqueToken | None = None


class TokenRequest(Request, frozen=True, kw_only=True):
    """The token of a mail."""

    token: OpaqueToken


class EmailRequest(Request, frozen=True, kw_only=True):
    """The answer is the same whether or not the address has an account."""

    email: EmailText


class ResetPasswordRequest(Request, frozen=True, kw_only=True):
    token: OpaqueToken
    new_password: NewPassword


class ChangePasswordRequest(Request, frozen=True, kw_only=True):
    current_password: GivenPassword
    new_password: NewPassword


class AccountView(Response, frozen=True, kw_only=True):
    """An account as its owner sees it."""

    id: str
    email: str
    first_name: str
    last_name: str
    role: Role
    email_verified: bool
    created_at: datetime


class Tokens(Response, frozen=True, kw_only=True):
    """What a client keeps of a session. `expiresIn` counts the seconds that the access token lives."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105  # a scheme, not a secret


class SignedIn(Tokens, frozen=True, kw_only=True):
    """The answer to a login."""

    user: AccountView


class RoleChange(Response, frozen=True, kw_only=True):
    """Who gave whom which role, and why."""

    user_id: str
    old_role: Role
    new_role: Role
    by: str
    reason: str
    at: datetime


class DeviceView(Response, frozen=True, kw_only=True):
    """A device on which one has signed in."""

    first_seen_at: datetime
    last_seen_at: datetime


class AccountExport(Response, frozen=True, kw_only=True):
    """All that this service keeps of a person, but for secrets. Other services export theirs."""

    account: AccountView
    exported_at: datetime
    sessions: list["SessionView"]
    identities: list["IdentityView"]
    devices: list[DeviceView]
    role_changes: list[RoleChange]
    second_factor: bool


class MfaChallenge(Response, frozen=True, kw_only=True):
    """The answer to a login where the second factor is on: send this with a code to `/api/v1/auth/login/mfa`."""

    challenge: str
    expires_in: int
    mfa_required: bool = True


class StepUp(Response, frozen=True, kw_only=True):
    """An access token of the same session, which says that the person was there just now."""

    access_token: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105  # a scheme, not a secret


class MfaSetup(Response, frozen=True, kw_only=True):
    """What an authenticator app is told: the secret in base32, and the same as an address to make a QR code of."""

    secret: str
    uri: str


class RecoveryCodes(Response, frozen=True, kw_only=True):
    """Each serves once in place of a code of the app. Shown this one time."""

    codes: list[str]


class AuthorizationUrl(Response, frozen=True, kw_only=True):
    """Where to send the person's browser."""

    authorization_url: str


class IdentityView(Response, frozen=True, kw_only=True):
    """A provider that one can sign in with."""

    provider: str
    linked_at: datetime


class SessionView(Response, frozen=True, kw_only=True):
    """One place where a person is signed in."""

    id: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str | None
    user_agent: str | None
    #: In words, such as "Firefox on Windows"; what the program says of itself, which may be untrue.
    device: str
    browser: str | None
    system: str | None
    current: bool


class PublicKey(Response, frozen=True, kw_only=True):
    """An Ed25519 key as a JSON Web Key (RFC 7517, RFC 8037)."""

    kid: str
    x: str
    kty: str = "OKP"
    crv: str = "Ed25519"
    use: str = "sig"
    alg: str = "EdDSA"


class PublicKeys(Response, frozen=True, kw_only=True):
    """A JSON Web Key Set: keys that sign now, that will, and that did until a moment ago."""

    keys: list[PublicKey]


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


class PasswordChanged(Event, frozen=True, kw_only=True):
    """The account has another password: `how` is `change` or `reset`."""

    TYPE: ClassVar[str] = "auth.password_changed.v1"
    user_id: str
    how: str


class LoggedIn(Event, frozen=True, kw_only=True):
    """A session began."""

    TYPE: ClassVar[str] = "auth.logged_in.v1"
    user_id: str
    session_id: str
    methods: list[str]


class LoginRefused(Event, frozen=True, kw_only=True):
    """Somebody could not log in; `user_id` is null when the address has no account. For the audit only."""

    TYPE: ClassVar[str] = "auth.login_refused.v1"
    user_id: str | None
    reason: str


class RoleChanged(Event, frozen=True, kw_only=True):
    """An administrator gave the person another role; every session ended with it."""

    TYPE: ClassVar[str] = "auth.role_changed.v1"
    user_id: str
    old_role: Role
    new_role: Role
    by: str


class AccountDeactivated(Event, frozen=True, kw_only=True):
    """The person, or an administrator, put the account to rest: nobody should find it, nothing is lost."""

    TYPE: ClassVar[str] = "auth.account_deactivated.v1"
    user_id: str
    by: str


class AccountReactivated(Event, frozen=True, kw_only=True):
    """The account is in use again."""

    TYPE: ClassVar[str] = "auth.account_reactivated.v1"
    user_id: str


class AccountDeleted(Event, frozen=True, kw_only=True):
    """The account is gone for good. Each service erases what it keeps of the person, but for what the law holds:
    ledger rows stay, under the bare id."""

    TYPE: ClassVar[str] = "auth.account_deleted.v1"
    user_id: str


class MfaEnabled(Event, frozen=True, kw_only=True):
    """From now on the person needs a second factor to log in."""

    TYPE: ClassVar[str] = "auth.mfa_enabled.v1"
    user_id: str


class MfaDisabled(Event, frozen=True, kw_only=True):
    """The person needs no second factor any more."""

    TYPE: ClassVar[str] = "auth.mfa_disabled.v1"
    user_id: str


class IdentityLinked(Event, frozen=True, kw_only=True):
    """The person can sign in with this provider."""

    TYPE: ClassVar[str] = "auth.identity_linked.v1"
    user_id: str
    provider: str


class IdentityUnlinked(Event, frozen=True, kw_only=True):
    """The person cannot sign in with this provider any more."""

    TYPE: ClassVar[str] = "auth.identity_unlinked.v1"
    user_id: str
    provider: str


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


class Revocation(Response, frozen=True, kw_only=True):
    """A session that ended early. Access tokens that carry it die of themselves at `expires_at` (epoch seconds)."""

    session_id: str
    expires_at: int


class Revocations(Response, frozen=True, kw_only=True):
    """Sessions that ended early, oldest first. Ask again with `since=until` (epoch milliseconds); at once if `more`."""

    items: list[Revocation]
    until: int
    more: bool
