"""What can go wrong in the auth service."""

from kelmah.kit import errors


class EmailTaken(errors.Conflict):
    code, title = "auth.email_taken", "There is an account with this e-mail address"


class InvalidCredentials(errors.Unauthenticated):
    code, title = "auth.invalid_credentials", "The e-mail address or the password is wrong"


class EmailNotVerified(errors.Forbidden):
    code, title = "auth.email_not_verified", "Verify the e-mail address first; a new mail can be asked for"


class AccountDeactivated(errors.Forbidden):
    code, title = "auth.account_deactivated", "This account is at rest; log in with reactivate to wake it"


class AccountSuspended(errors.Forbidden):
    code, title = "auth.account_suspended", "This account is suspended; write to support"


class RoleKept(errors.Conflict):
    code, title = "auth.role_kept", "Nobody changes their own role, and this person may have that role already"


class RefreshRefused(errors.Unauthenticated):
    """One answer for a forged, used, expired and revoked token, so that nothing is learned by trying."""

    code, title = "auth.refresh_refused", "This session has ended; log in again"


class TokenRefused(errors.BadInput):
    code, title = "auth.token_refused", "This token was used, is too old or was never valid; ask for a new mail"


class PasswordRefused(errors.BadInput):
    code, title = "auth.password_refused", "This password is too easy to guess"


class WrongPassword(errors.Forbidden):
    code, title = "auth.wrong_password", "The current password is wrong"


class TooManyAttempts(errors.TooManyRequests):
    code, title = "auth.too_many_attempts", "Too many attempts; wait a little"


class Busy(errors.Unavailable):
    code, title = "auth.busy", "Too many people log in at this moment"


class KeyNotYetPublished(errors.Conflict):
    code, title = "auth.key_not_yet_published", "Verifiers may not have seen the next signing key yet"


class ProviderUnknown(errors.NotFound):
    code, title = "auth.provider_unknown", "One cannot sign in with this provider here"


class OAuthRefused(errors.Unauthenticated):
    """One answer for whatever does not fit, from a strange state to a forged token; the log says which."""

    code, title = "auth.oauth_refused", "The sign-in with this provider was not completed; begin again"


class ProviderUnavailable(errors.Unavailable):
    code, title = "auth.provider_unavailable", "The provider does not answer at this moment"


class ProviderEmailUnverified(errors.Forbidden):
    code, title = "auth.provider_email_unverified", "Prove your e-mail address to the provider first"


class LinkFirst(errors.Conflict):
    code, title = "auth.link_first", "There is an account with this e-mail address: log in to it and link the provider"


class RoleNeeded(errors.BadInput):
    code, title = "auth.role_needed", "A new account needs a role: send the same code with one"


class IdentityTaken(errors.Conflict):
    code, title = "auth.identity_taken", "This identity, or another one of this provider, is linked already"


class LastWayIn(errors.Conflict):
    code, title = "auth.last_way_in", "Set a password first: nothing else lets you in"


class MfaRefused(errors.Unauthenticated):
    code, title = "auth.mfa_refused", "This code is wrong or was used"


class ChallengeRefused(errors.Unauthenticated):
    code, title = "auth.challenge_refused", "This log-in took too long or was used; begin again"


class MfaAlreadyOn(errors.Conflict):
    code, title = "auth.mfa_already_on", "The second factor is on; disable it first"


class MfaNotOn(errors.Conflict):
    code, title = "auth.mfa_not_on", "There is no second factor to prove or disable"


class PasskeyRefused(errors.Unauthenticated):
    """One answer for whatever does not fit, from an unknown passkey to a forged signature; the log says which."""

    code, title = "auth.passkey_refused", "The passkey was not accepted; begin again"


class PasskeyTaken(errors.Conflict):
    code, title = "auth.passkey_taken", "This passkey is in use already"


class TooManyPasskeys(errors.Conflict):
    code, title = "auth.too_many_passkeys", "Remove a passkey first: you have as many as one may have"


class TooManyKeys(errors.Conflict):
    code, title = "auth.too_many_keys", "Revoke an API key first: you have as many as one may have"


class KeyUnknown(errors.NotFound):
    """One answer for a forged, revoked and expired key, and for one whose owner's account is at rest."""

    code, title = "auth.api_key_unknown", "There is no such API key"


class ExportNotReady(errors.Conflict):
    code, title = "auth.export_not_ready", "The archive is being gathered; you will be told when it is ready"
