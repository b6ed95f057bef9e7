"""Operations on the life of an account."""

from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from kelmah.contracts.auth import AccountExport, ChangeRoleRequest, RoleChange, TokenRequest
from kelmah.kit.context import Principal
from kelmah.services.auth import service
from kelmah.services.auth.controllers.client import SECRET
from kelmah.services.auth.service import Context

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
    "/api/v1/auth/me/deactivate",
    operation_id="DeactivateMe",
    summary="Put one's account to rest",
    description=_FRESH + " Logging in with `reactivate` wakes it.",
    tags=ACCOUNT,
    status_code=204,
)
async def deactivate_me(context: NamedDependency[Context], principal: NamedDependency[Principal]) -> None:
    await service.deactivate_account(context, by=principal)


@get(
    "/api/v1/auth/me/export",
    operation_id="ExportMe",
    summary="Get all that is kept of one's account",
    description=_FRESH,
    tags=ACCOUNT,
)
async def export_me(context: NamedDependency[Context], principal: NamedDependency[Principal]) -> AccountExport:
    return await service.export_account(context, by=principal)


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


LIFECYCLE_CONTROLLERS = (not_me, deactivate_me, export_me, delete_me, change_role)
