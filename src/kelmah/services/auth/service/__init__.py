"""The rules of the auth service."""

from kelmah.services.auth.service.accounts import (
    contacts,
    create_account,
    me,
    register,
    resend_verification,
    verify_email,
)
from kelmah.services.auth.service.context import Client, Context, client_of
from kelmah.services.auth.service.hashing import open_hasher
from kelmah.services.auth.service.mails import resend_verification as send_verification_again
from kelmah.services.auth.service.mails import send_notice, send_password_reset, send_verification
from kelmah.services.auth.service.passwords import change as change_password
from kelmah.services.auth.service.passwords import forgot as forgot_password
from kelmah.services.auth.service.passwords import reset as reset_password
from kelmah.services.auth.service.revocations import since as revocations_since
from kelmah.services.auth.service.sessions import end_all_own, end_own, list_own, login, logout, refresh
from kelmah.services.auth.service.signing import PUBLIC_KEYS_MAX_AGE_S, Signer
from kelmah.services.auth.service.staff import create_staff, public_keys, rotate_signing_keys

__all__ = [
    "PUBLIC_KEYS_MAX_AGE_S",
    "Client",
    "Context",
    "Signer",
    "change_password",
    "client_of",
    "contacts",
    "create_account",
    "create_staff",
    "end_all_own",
    "end_own",
    "forgot_password",
    "list_own",
    "login",
    "logout",
    "me",
    "open_hasher",
    "public_keys",
    "refresh",
    "register",
    "resend_verification",
    "reset_password",
    "revocations_since",
    "rotate_signing_keys",
    "send_notice",
    "send_password_reset",
    "send_verification",
    "send_verification_again",
    "verify_email",
]
