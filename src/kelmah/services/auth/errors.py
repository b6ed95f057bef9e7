"""What can go wrong in the auth service."""

from kelmah.kit import errors


class EmailTaken(errors.Conflict):
    code, title = "auth.email_taken", "There is an account with this e-mail address"


class InvalidCredentials(errors.Unauthenticated):
    code, title = "auth.invalid_credentials", "The e-mail address or the password is wrong"


class EmailNotVerified(errors.Forbidden):
    code, title = "auth.email_not_verified", "Verify the e-mail address first; a new mail can be asked for"


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
