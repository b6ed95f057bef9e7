"""Operations on the life of an account."""

from litestar import delete, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from kelmah.contracts.auth import ChangeEmailRequest, ChangeRoleRequest, RoleChange, TokenRequest
from kelmah.kit.context import Principal
from kelmah.services.auth import service
from kelmah.services.auth.controllers.client import CLIENT, SECRET
from kelmah.services.auth.service import Client, Context

ACCOUNT, STAFF = ["Account"], ["Administration"]
_FRESH = "Needs a fresh authentication (`step_up_required`)."


@post(
    "/api/v1/auth/not-me",
    operation_id="NotMe",
    summary="Say by a mail's token that a log-in was somebody else's",
    description="Ends every session, makes the password useless and sends a mail to set a new one.",
    tags=["Sessions"],
    status_code=204,
    opt=SECRET,
)
async def not_me(data: JSONBody[TokenRequest], context: NamedDependency[Context]) -> None:
    await service.not_me(context, data.token)


@post(
    "/api/v1/auth/me/email",
    operation_id="RequestEmailChange",
    summary="Ask for another e-mail address",
    description=_FRESH + " Both addresses get a mail, and both must agree.",
    tags=ACCOUNT,
    status_code=204,
    dependencies=CLIENT,
)
async def request_email_change(
    data: JSONBody[ChangeEmailRequest],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    client: NamedDependency[Client],
) -> None:
    await service.request_email_change(context, data.new_email, by=principal, client=client)


@post(
    "/api/v1/auth/email-change/confirm",
    operation_id="ConfirmEmailChange",
    summary="Agree to another e-mail address by a mail's token",
    description="With the second of the two mails the address changes, and other sessions end.",
    tags=ACCOUNT,
    status_code=204,
    opt=SECRET,
)
async def confirm_email_change(data: JSONBody[TokenRequest], context: NamedDependency[Context]) -> None:
    await service.confirm_email_change(context, data.token)


@post(
    "/api/v1/auth/me/deactivate",
    operation_id="DeactivateMe",
    summary="Put one's account to rest",
    description=_FRESH + " Logging in with `reactivate` wakes it.",
    tags=ACCOUNT,
    status_code=204,
)
async def deactivate_me(context: NamedDependency[Context], principal: NamedDependency[Principal]) -> None:
    await service.deactivate_account(context, by=principal)


@delete(
    "/api/v1/auth/me",
    operation_id="DeleteMe",
    summary="Delete one's account for good",
    description=_FRESH + " Rows of the ledger stay, as the law asks, under the bare id.",
    tags=ACCOUNT,
)
async def delete_me(context: NamedDependency[Context], principal: NamedDependency[Principal]) -> None:
    await service.delete_account(context, by=principal)


@put(
    "/api/v1/admin/users/{user_id:str}/role",
    operation_id="ChangeRole",
    summary="Give somebody another role",
    description=_FRESH + " Every session of the person ends.",
    tags=STAFF,
)
async def change_role(
    user_id: FromPath[str],
    data: JSONBody[ChangeRoleRequest],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> RoleChange:
    return await service.change_role(context, user_id, data, by=principal)


@delete(
    "/api/v1/admin/users/{user_id:str}/sessions",
    operation_id="EndSessionsOf",
    summary="End every session and API key of somebody",
    description=_FRESH,
    tags=STAFF,
)
async def end_sessions_of(
    user_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> None:
    await service.end_sessions_of(context, user_id, by=principal)


LIFECYCLE_CONTROLLERS = (
    not_me,
    request_email_change,
    confirm_email_change,
    deactivate_me,
    delete_me,
    change_role,
    end_sessions_of,
)
