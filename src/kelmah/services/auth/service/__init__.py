"""The rules of the auth service."""

from kelmah.services.auth.service.accounts import (
    contacts,
    create_account,
    me,
    register,
    resend_verification,
    verify_email,
)
from kelmah.services.auth.service.api_keys import check as check_api_key
from kelmah.services.auth.service.api_keys import create as create_api_key
from kelmah.services.auth.service.api_keys import list_own as list_api_keys
from kelmah.services.auth.service.api_keys import revoke as revoke_api_key
from kelmah.services.auth.service.api_keys import rotate as rotate_api_key
from kelmah.services.auth.service.breaches import open_breaches
from kelmah.services.auth.service.bridging import reset_by_bridge
from kelmah.services.auth.service.context import Client, Context, client_of
from kelmah.services.auth.service.email_changes import confirm as confirm_email_change
from kelmah.services.auth.service.email_changes import request as request_email_change
from kelmah.services.auth.service.email_changes import send as send_email_change
from kelmah.services.auth.service.email_changes import send_done as send_email_changed
from kelmah.services.auth.service.exports import drop as drop_export
from kelmah.services.auth.service.exports import fetch as fetch_export
from kelmah.services.auth.service.exports import gather as gather_export
from kelmah.services.auth.service.exports import list_own as list_exports
from kelmah.services.auth.service.exports import make_link as make_export_link
from kelmah.services.auth.service.exports import request as request_export
from kelmah.services.auth.service.hashing import open_hasher
from kelmah.services.auth.service.lifecycle import change_role, end_sessions_of, not_me
from kelmah.services.auth.service.lifecycle import deactivate as deactivate_account
from kelmah.services.auth.service.lifecycle import delete as delete_account
from kelmah.services.auth.service.logins import login, login_mfa, login_passkey, step_up
from kelmah.services.auth.service.mails import resend_verification as send_verification_again
from kelmah.services.auth.service.mails import send_known, send_notice, send_password_reset, send_verification
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
from kelmah.services.auth.service.own import export as export_account
from kelmah.services.auth.service.passkeys import add as add_passkey
from kelmah.services.auth.service.passkeys import list_own as list_passkeys
from kelmah.services.auth.service.passkeys import remove as remove_passkey
from kelmah.services.auth.service.passkeys import rename as rename_passkey
from kelmah.services.auth.service.passkeys import start_adding as start_adding_passkey
from kelmah.services.auth.service.passkeys import start_using as start_using_passkey
from kelmah.services.auth.service.passwords import change as change_password
from kelmah.services.auth.service.passwords import forgot as forgot_password
from kelmah.services.auth.service.passwords import reset as reset_password
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
    "add_passkey",
    "change_password",
    "change_role",
    "check_api_key",
    "client_of",
    "confirm_email_change",
    "confirm_mfa",
    "contacts",
    "create_account",
    "create_api_key",
    "create_staff",
    "deactivate_account",
    "delete_account",
    "disable_mfa",
    "drop_export",
    "end_all_own",
    "end_own",
    "end_sessions_of",
    "exchange_oauth",
    "export_account",
    "fetch_export",
    "finish_oauth",
    "forgot_password",
    "gather_export",
    "link_identity",
    "list_api_keys",
    "list_exports",
    "list_identities",
    "list_own",
    "list_passkeys",
    "login",
    "login_mfa",
    "login_passkey",
    "logout",
    "make_export_link",
    "me",
    "not_me",
    "open_breaches",
    "open_hasher",
    "open_providers",
    "public_keys",
    "refresh",
    "register",
    "remove_passkey",
    "rename_passkey",
    "request_email_change",
    "request_export",
    "resend_verification",
    "reset_by_bridge",
    "reset_password",
    "revocations_since",
    "revoke_api_key",
    "rotate_api_key",
    "rotate_signing_keys",
    "send_email_change",
    "send_email_changed",
    "send_known",
    "send_notice",
    "send_password_reset",
    "send_verification",
    "send_verification_again",
    "set_up_mfa",
    "start_adding_passkey",
    "start_link",
    "start_oauth",
    "start_using_passkey",
    "step_up",
    "unlink_identity",
    "verify_email",
]
