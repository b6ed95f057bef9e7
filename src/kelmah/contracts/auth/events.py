"""What happened to accounts, sessions and ways to sign in."""

from typing import ClassVar

from kelmah.contracts.auth.keys import Scope
from kelmah.contracts.common import Event, Role


class UserRegistered(Event, frozen=True, kw_only=True):
    """An account was made; its e-mail is not verified yet."""

    TYPE: ClassVar[str] = "auth.user_registered.v1"
    user_id: str
    role: Role


class EmailVerified(Event, frozen=True, kw_only=True):
    """The person proved to own the account's e-mail address."""

    TYPE: ClassVar[str] = "auth.email_verified.v1"
    user_id: str


class EmailChanged(Event, frozen=True, kw_only=True):
    """The account has another e-mail address; its owner proved to own both."""

    TYPE: ClassVar[str] = "auth.email_changed.v1"
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


class RegistrationRefused(Event, frozen=True, kw_only=True):
    """Somebody wanted to register with the address of this account. For the audit only."""

    TYPE: ClassVar[str] = "auth.registration_refused.v1"
    user_id: str


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


class ApiKeyCreated(Event, frozen=True, kw_only=True):
    """A program can act for the person with this key, within its scopes."""

    TYPE: ClassVar[str] = "auth.api_key_created.v1"
    user_id: str
    key_id: str
    scopes: list[Scope]


class ApiKeyRevoked(Event, frozen=True, kw_only=True):
    """The key is refused from now on."""

    TYPE: ClassVar[str] = "auth.api_key_revoked.v1"
    user_id: str
    key_id: str
    reason: str


class ApiKeyUsed(Event, frozen=True, kw_only=True):
    """A program acted with this key: its first use in an hour. For the audit only."""

    TYPE: ClassVar[str] = "auth.api_key_used.v1"
    user_id: str
    key_id: str


class PasskeyAdded(Event, frozen=True, kw_only=True):
    """The person can sign in with this passkey."""

    TYPE: ClassVar[str] = "auth.passkey_added.v1"
    user_id: str
    passkey_id: str


class PasskeyRemoved(Event, frozen=True, kw_only=True):
    """The person cannot sign in with this passkey any more."""

    TYPE: ClassVar[str] = "auth.passkey_removed.v1"
    user_id: str
    passkey_id: str


class DataExportRequested(Event, frozen=True, kw_only=True):
    """Somebody asked, as this person, for an archive of all that is kept of the person."""

    TYPE: ClassVar[str] = "auth.data_export_requested.v1"
    user_id: str
    export_id: str


class DataExportReady(Event, frozen=True, kw_only=True):
    """The archive can be fetched for some days."""

    TYPE: ClassVar[str] = "auth.data_export_ready.v1"
    user_id: str
    export_id: str


class DataExportFetched(Event, frozen=True, kw_only=True):
    """The archive was fetched by a link. For the audit only."""

    TYPE: ClassVar[str] = "auth.data_export_fetched.v1"
    user_id: str
    export_id: str
