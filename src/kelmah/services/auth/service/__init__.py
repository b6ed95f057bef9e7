"""The rules of the auth service."""

from kelmah.services.auth.service.accounts import (
    contacts,
    create_account,
    me,
    register,
    resend_verification,
    verify_email,
)
from kelmah.services.auth.service.bridging import reset_by_bridge
from kelmah.services.auth.service.context import Client, Context, client_of
from kelmah.services.auth.service.hashing import open_hasher
from kelmah.services.auth.service.lifecycle import change_role, not_me
from kelmah.services.auth.service.lifecycle import deactivate as deactivate_account
from kelmah.services.auth.service.lifecycle import delete as delete_account
from kelmah.services.auth.service.lifecycle import export as export_account
from kelmah.services.auth.service.logins import login, login_mfa, step_up
from kelmah.services.auth.service.mails import resend_verification as send_verification_again
from kelmah.services.auth.service.mails import send_notice, send_password_reset, send_verification
from kelmah.services.auth.service.mfa import confirm as confirm_mfa
from kelmah.services.auth.service.mfa import disable as disable_mfa
from kelmah.services.auth.service.mfa import set_up as set_up_mfa
from kelmah.services.auth.service.oauth import AWAY_S
from kelmah.services.auth.service.oauth import exchange as exchange_oauth
from kelmah.services.auth.service.oauth import finish as finish_oauth
from kelmah.services.auth.service.oauth import link as link_identity
from kelmah.services.auth.service.oauth import list_own as list_identities
from kelmah.services.auth.service.oauth import start as start_oauth
from kelmah.services.auth.service.oauth import start_link as start_link
from kelmah.services.auth.service.oauth import unlink as unlink_identity
from kelmah.services.auth.service.oidc import open_providers
from kelmah.services.auth.service.passwords import change as change_password
from kelmah.services.auth.service.passwords import forgot as forgot_password
from kelmah.services.auth.service.passwords import reset as reset_password
from kelmah.services.auth.service.resealing import reseal
from kelmah.services.auth.service.revocations import since as revocations_since
from kelmah.services.auth.service.sessions import end_all_own, end_own, list_own, logout, refresh
from kelmah.services.auth.service.signing import PUBLIC_KEYS_MAX_AGE_S, Signer
from kelmah.services.auth.service.staff import create_staff, public_keys, rotate_signing_keys

__all__ = [
    "AWAY_S",
    "PUBLIC_KEYS_MAX_AGE_S",
    "Client",
    "Context",
    "Signer",
    "change_password",
    "change_role",
    "client_of",
    "confirm_mfa",
    "contacts",
    "create_account",
    "create_staff",
    "deactivate_account",
    "delete_account",
    "disable_mfa",
    "end_all_own",
    "end_own",
    "exchange_oauth",
    "export_account",
    "finish_oauth",
    "forgot_password",
    "link_identity",
    "list_identities",
    "list_own",
    "login",
    "login_mfa",
    "logout",
    "me",
    "not_me",
    "open_hasher",
    "open_providers",
    "public_keys",
    "refresh",
    "register",
    "reseal",
    "resend_verification",
    "reset_by_bridge",
    "reset_password",
    "revocations_since",
    "rotate_signing_keys",
    "send_notice",
    "send_password_reset",
    "send_verification",
    "send_verification_again",
    "set_up_mfa",
    "start_link",
    "start_oauth",
    "step_up",
    "unlink_identity",
    "verify_email",
]
