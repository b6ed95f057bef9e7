"""Requests and answers of the auth service: accounts, sessions and tokens."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from kelmah.contracts.auth.keys import ApiKeyView
from kelmah.contracts.auth.passkeys import PasskeyProof, PasskeyView
from kelmah.contracts.common import Request, Response, Role

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
    str, Meta(pattern=r"^([0-9]{6}|[A-Za-z2-7]{4}(-?[A-Za-z2-7]{4}){5})\Z", max_length=29, examples=["287082"])
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
    """The answer to the challenge of a login: a code, or a passkey that was asked with the same challenge."""

    challenge: OpaqueToken
    code: FactorCode | None = None
    passkey: PasskeyProof | None = None


class StepUpRequest(Request, frozen=True, kw_only=True):
    """A passkey; or the code where the second factor is on, else the password."""

    password: GivenPassword | None = None
    code: FactorCode | None = None
    passkey: PasskeyProof | None = None


class ChangeEmailRequest(Request, frozen=True, kw_only=True):
    new_email: EmailText


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
    passkeys: list[PasskeyView]
    api_keys: list[ApiKeyView]
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


class SessionPlace(Response, frozen=True, kw_only=True):
    """Roughly where an address is, as a list of networks has it: no proof of where anybody was."""

    country_code: str
    country: str | None
    city: str | None


class SessionView(Response, frozen=True, kw_only=True):
    """One place where a person is signed in."""

    id: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str | None
    #: Null where it is not known.
    place: SessionPlace | None
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
