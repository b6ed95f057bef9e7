"""Operations of the second factor."""

from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from kelmah.contracts.auth import MfaCodeRequest, MfaSetup, RecoveryCodes
from kelmah.kit.context import Principal
from kelmah.services.auth import service
from kelmah.services.auth.controllers.client import CLIENT, SECRET
from kelmah.services.auth.service import Client, Context

FACTORS = ["Second factor"]


@post(
    "/api/v1/auth/mfa/setup",
    operation_id="SetUpMfa",
    summary="Get a secret for an authenticator app",
    description="Needs a fresh authentication (`step_up_required`). Asking again replaces what is not verified yet.",
    tags=FACTORS,
    status_code=200,
    opt=SECRET,
)
async def set_up_mfa(context: NamedDependency[Context], principal: NamedDependency[Principal]) -> MfaSetup:
    return await service.set_up_mfa(context, by=principal)


@post(
    "/api/v1/auth/mfa/verify",
    operation_id="VerifyMfa",
    summary="Switch the second factor on by its first code",
    tags=FACTORS,
    status_code=200,
    opt=SECRET,
    dependencies=CLIENT,
)
async def verify_mfa(
    data: JSONBody[MfaCodeRequest],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    client: NamedDependency[Client],
) -> RecoveryCodes:
    return await service.confirm_mfa(context, data.code, by=principal, client=client)


@post(
    "/api/v1/auth/mfa/disable",
    operation_id="DisableMfa",
    summary="Switch the second factor off by a last code",
    tags=FACTORS,
    status_code=204,
    opt=SECRET,
    dependencies=CLIENT,
)
async def disable_mfa(
    data: JSONBody[MfaCodeRequest],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    client: NamedDependency[Client],
) -> None:
    await service.disable_mfa(context, data.code, by=principal, client=client)


FACTOR_CONTROLLERS = (set_up_mfa, verify_mfa, disable_mfa)
