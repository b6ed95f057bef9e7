"""The operations of the auth service, and who may call them."""

from collections.abc import Sequence
from typing import Annotated

from litestar import Response, delete, get, post
from litestar.datastructures import ResponseHeader
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler

from kelmah.contracts.auth import (
    AccountView,
    ChangePasswordRequest,
    Contact,
    EmailRequest,
    LoginMfaRequest,
    LoginRequest,
    LogoutRequest,
    MfaChallenge,
    PublicKeys,
    RefreshRequest,
    RegisterRequest,
    ResetPasswordRequest,
    Revocations,
    SessionView,
    SignedIn,
    StepUp,
    StepUpRequest,
    TokenRequest,
    Tokens,
)
from kelmah.contracts.common import Page, Role
from kelmah.kit.context import Principal, current_principal
from kelmah.kit.policy import ONE_FACTOR, PUBLIC, SIGNED_IN, Policy, roles, services
from kelmah.services.auth import service
from kelmah.services.auth.controllers.api_keys import API_KEY_CONTROLLERS
from kelmah.services.auth.controllers.client import CLIENT, SECRET
from kelmah.services.auth.controllers.exports import EXPORT_CONTROLLERS
from kelmah.services.auth.controllers.factors import FACTOR_CONTROLLERS
from kelmah.services.auth.controllers.lifecycle import LIFECYCLE_CONTROLLERS
from kelmah.services.auth.controllers.oauth import OAUTH_CONTROLLERS
from kelmah.services.auth.controllers.passkeys import PASSKEY_CONTROLLERS
from kelmah.services.auth.service import Client, Context

POLICY: Policy = {
    "Register": PUBLIC,
    "VerifyEmail": PUBLIC,
    "ResendVerification": PUBLIC,
    "Login": PUBLIC,
    "LoginMfa": PUBLIC,
    "NotMe": PUBLIC,
    "RequestEmailChange": SIGNED_IN,
    "ConfirmEmailChange": PUBLIC,
    "DeactivateMe": SIGNED_IN,
    "ExportMe": SIGNED_IN,
    "RequestDataExport": SIGNED_IN,
    "ListDataExports": SIGNED_IN,
    "CreateDataExportLink": SIGNED_IN,
    "FetchDataExport": PUBLIC,  # the link says whose
    "DeleteMe": SIGNED_IN,
    "ChangeRole": roles(Role.ADMIN),
    "EndSessionsOf": roles(Role.ADMIN),
    "StepUp": ONE_FACTOR,
    "SetUpMfa": ONE_FACTOR,
    "VerifyMfa": ONE_FACTOR,
    "DisableMfa": SIGNED_IN,
    "StartAddingPasskey": ONE_FACTOR,
    "AddPasskey": ONE_FACTOR,
    "StartPasskey": PUBLIC,
    "LoginPasskey": PUBLIC,
    "ListPasskeys": SIGNED_IN,
    "RenamePasskey": SIGNED_IN,
    "RemovePasskey": SIGNED_IN,
    "CreateApiKey": SIGNED_IN,
    "ListApiKeys": SIGNED_IN,
    "RotateApiKey": SIGNED_IN,
    "RevokeApiKey": SIGNED_IN,
    "CheckApiKey": services("gateway"),
    "StartOAuth": PUBLIC,
    "FinishOAuth": PUBLIC,
    "ExchangeOAuth": PUBLIC,
    "StartLink": SIGNED_IN,
    "LinkIdentity": SIGNED_IN,
    "ListIdentities": SIGNED_IN,
    "UnlinkIdentity": SIGNED_IN,
    "RefreshTokens": PUBLIC,
    "ForgotPassword": PUBLIC,
    "ResetPassword": PUBLIC,
    "GetSigningKeys": PUBLIC,
    "Logout": PUBLIC,
    "ChangePassword": SIGNED_IN,
    "GetMe": ONE_FACTOR,
    "ListSessions": ONE_FACTOR,
    "EndSessions": ONE_FACTOR,
    "EndSession": ONE_FACTOR,
    "GetContacts": services("user", "messaging", "payment", "review"),
    "GetRevocations": services("gateway"),
}

#: Has the browser forget what a page of this origin kept (ASVS 14.3.1). Cookies may be other sites' of the domain too.
FORGET = [ResponseHeader(name="clear-site-data", value='"cache", "storage"')]
ACCOUNT, SESSIONS, PASSWORD, INTERNAL = ["Account"], ["Sessions"], ["Password"], ["Internal"]


@post("/api/v1/auth/register", operation_id="Register", summary="Make an account", tags=ACCOUNT, dependencies=CLIENT)
async def register(
    data: JSONBody[RegisterRequest], context: NamedDependency[Context], client: NamedDependency[Client]
) -> AccountView:
    return await service.register(context, data, client=client)


@post(
    "/api/v1/auth/verify-email",
    operation_id="VerifyEmail",
    summary="Prove the e-mail address by a mail's token",
    tags=ACCOUNT,
    status_code=204,
    opt=SECRET,
)
async def verify_email(data: JSONBody[TokenRequest], context: NamedDependency[Context]) -> None:
    await service.verify_email(context, data.token)


@post(
    "/api/v1/auth/resend-verification",
    operation_id="ResendVerification",
    summary="Send the verification mail again",
    tags=ACCOUNT,
    status_code=204,
    dependencies=CLIENT,
)
async def resend_verification(
    data: JSONBody[EmailRequest], context: NamedDependency[Context], client: NamedDependency[Client]
) -> None:
    await service.resend_verification(context, data.email, client=client)


@get("/api/v1/auth/me", operation_id="GetMe", summary="Read one's own account", tags=ACCOUNT)
async def get_me(context: NamedDependency[Context], principal: NamedDependency[Principal]) -> AccountView:
    return await service.me(context, principal)


@post(
    "/api/v1/auth/login",
    operation_id="Login",
    summary="Begin a session",
    tags=SESSIONS,
    status_code=200,
    opt=SECRET,
    dependencies=CLIENT,
)
async def login(
    data: JSONBody[LoginRequest], context: NamedDependency[Context], client: NamedDependency[Client]
) -> SignedIn | MfaChallenge:
    return await service.login(context, data, client=client)


@post(
    "/api/v1/auth/login/mfa",
    operation_id="LoginMfa",
    summary="Begin a session by the second factor",
    tags=SESSIONS,
    status_code=200,
    opt=SECRET,
    dependencies=CLIENT,
)
async def login_mfa(
    data: JSONBody[LoginMfaRequest], context: NamedDependency[Context], client: NamedDependency[Client]
) -> SignedIn:
    return await service.login_mfa(context, data, client=client)


@post(
    "/api/v1/auth/step-up",
    operation_id="StepUp",
    summary="Prove once more who one is, for what needs it",
    tags=SESSIONS,
    status_code=200,
    opt=SECRET,
    dependencies=CLIENT,
)
async def step_up(
    data: JSONBody[StepUpRequest],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    client: NamedDependency[Client],
) -> StepUp:
    return await service.step_up(context, data, by=principal, client=client)


@post(
    "/api/v1/auth/refresh",
    operation_id="RefreshTokens",
    summary="Get the next tokens of a session",
    tags=SESSIONS,
    status_code=200,
    opt=SECRET,
    dependencies=CLIENT,
)
async def refresh_tokens(
    data: JSONBody[RefreshRequest], context: NamedDependency[Context], client: NamedDependency[Client]
) -> Tokens:
    return await service.refresh(context, data.refresh_token, client=client)


@post(
    "/api/v1/auth/logout",
    operation_id="Logout",
    summary="End this session",
    tags=SESSIONS,
    status_code=204,
    opt=SECRET,
    response_headers=FORGET,
)
async def logout(context: NamedDependency[Context], data: JSONBody[LogoutRequest | None] = None) -> None:
    token = data.refresh_token if data else None
    await service.logout(context, token, by=current_principal.get())


@get("/api/v1/auth/sessions", operation_id="ListSessions", summary="See where one is signed in", tags=SESSIONS)
async def list_sessions(context: NamedDependency[Context], principal: NamedDependency[Principal]) -> Page[SessionView]:
    return await service.list_own(context, principal)


@delete("/api/v1/auth/sessions", operation_id="EndSessions", summary="End every session, or every other", tags=SESSIONS)
async def end_sessions(
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    keep_current: Annotated[bool, QueryParameter(name="keepCurrent")] = False,
) -> None:
    await service.end_all_own(context, by=principal, keep_current=keep_current)


@delete("/api/v1/auth/sessions/{session_id:str}", operation_id="EndSession", summary="End one session", tags=SESSIONS)
async def end_session(
    session_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> None:
    await service.end_own(context, session_id, by=principal)


@post(
    "/api/v1/auth/forgot-password",
    operation_id="ForgotPassword",
    summary="Ask for a mail that lets one set a new password",
    tags=PASSWORD,
    status_code=204,
    dependencies=CLIENT,
)
async def forgot_password(
    data: JSONBody[EmailRequest], context: NamedDependency[Context], client: NamedDependency[Client]
) -> None:
    await service.forgot_password(context, data.email, client=client)


@post(
    "/api/v1/auth/reset-password",
    operation_id="ResetPassword",
    summary="Set a new password by a mail's token",
    tags=PASSWORD,
    status_code=204,
    opt=SECRET,
)
async def reset_password(data: JSONBody[ResetPasswordRequest], context: NamedDependency[Context]) -> None:
    await service.reset_password(context, data)


@post(
    "/api/v1/auth/change-password",
    operation_id="ChangePassword",
    summary="Replace the password",
    tags=PASSWORD,
    status_code=204,
    opt=SECRET,
    dependencies=CLIENT,
)
async def change_password(
    data: JSONBody[ChangePasswordRequest],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    client: NamedDependency[Client],
) -> None:
    await service.change_password(context, data, by=principal, client=client)


@get("/.well-known/jwks.json", operation_id="GetSigningKeys", summary="Keys that verify access tokens", tags=SESSIONS)
async def get_signing_keys(context: NamedDependency[Context]) -> Response[PublicKeys]:
    age = f"public, max-age={service.PUBLIC_KEYS_MAX_AGE_S}"
    return Response(await service.public_keys(context), headers={"cache-control": age})


@get("/internal/contacts", operation_id="GetContacts", summary="How people are reached and called", tags=INTERNAL)
async def get_contacts(ids: FromQuery[list[str]], context: NamedDependency[Context]) -> list[Contact]:
    return await service.contacts(context, ids)


@get("/internal/revocations", operation_id="GetRevocations", summary="Sessions that ended early", tags=INTERNAL)
async def get_revocations(
    context: NamedDependency[Context],
    since: Annotated[int, QueryParameter(ge=0, le=4_102_444_800_000, description="Epoch milliseconds.")] = 0,
) -> Revocations:
    return await service.revocations_since(context, since)


CONTROLLERS: Sequence[ControllerRouterHandler] = (
    register,
    verify_email,
    resend_verification,
    get_me,
    login,
    login_mfa,
    step_up,
    *FACTOR_CONTROLLERS,
    *PASSKEY_CONTROLLERS,
    *API_KEY_CONTROLLERS,
    *OAUTH_CONTROLLERS,
    *LIFECYCLE_CONTROLLERS,
    *EXPORT_CONTROLLERS,
    refresh_tokens,
    logout,
    list_sessions,
    end_sessions,
    end_session,
    forgot_password,
    reset_password,
    change_password,
    get_signing_keys,
    get_contacts,
    get_revocations,
)
