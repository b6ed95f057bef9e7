"""Operations of passkeys."""

from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from kelmah.contracts.auth import (
    AddPasskeyRequest,
    PasskeyCeremony,
    PasskeyLoginRequest,
    PasskeyView,
    RenamePasskeyRequest,
    SignedIn,
    StartPasskeyRequest,
)
from kelmah.contracts.common import Page
from kelmah.kit.context import Principal, current_principal
from kelmah.services.auth import service
from kelmah.services.auth.controllers.client import CLIENT, SECRET
from kelmah.services.auth.service import Client, Context

PASSKEYS = ["Passkeys"]
_FRESH = "Needs a fresh authentication (`step_up_required`). "


@post(
    "/api/v1/auth/passkeys/options",
    operation_id="StartAddingPasskey",
    summary="Get what a device needs to make a passkey",
    description=_FRESH + "`publicKey` is for `navigator.credentials.create()`.",
    tags=PASSKEYS,
    status_code=200,
    opt=SECRET,
)
async def start_adding_passkey(
    context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> PasskeyCeremony:
    return await service.start_adding_passkey(context, by=principal)


@post(
    "/api/v1/auth/passkeys",
    operation_id="AddPasskey",
    summary="Sign in with this device from now on",
    description=_FRESH,
    tags=PASSKEYS,
    opt=SECRET,
)
async def add_passkey(
    data: JSONBody[AddPasskeyRequest], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> PasskeyView:
    return await service.add_passkey(context, data, by=principal)


@post(
    "/api/v1/auth/passkeys/challenge",
    operation_id="StartPasskey",
    summary="Get what a passkey needs to prove its owner",
    description="`publicKey` is for `navigator.credentials.get()`. To log in; with the `challenge` of a login, to be "
    "its second factor; and with an access token, to step up in that session.",
    tags=PASSKEYS,
    status_code=200,
    opt=SECRET,
)
async def start_passkey(data: JSONBody[StartPasskeyRequest], context: NamedDependency[Context]) -> PasskeyCeremony:
    return await service.start_using_passkey(context, data, by=current_principal.get())


@post(
    "/api/v1/auth/login/passkey",
    operation_id="LoginPasskey",
    summary="Begin a session by a passkey alone",
    tags=["Sessions"],
    status_code=200,
    opt=SECRET,
    dependencies=CLIENT,
)
async def login_passkey(
    data: JSONBody[PasskeyLoginRequest], context: NamedDependency[Context], client: NamedDependency[Client]
) -> SignedIn:
    return await service.login_passkey(context, data, client=client)


@get("/api/v1/auth/passkeys", operation_id="ListPasskeys", summary="See one's passkeys", tags=PASSKEYS)
async def list_passkeys(principal: NamedDependency[Principal]) -> Page[PasskeyView]:
    return await service.list_passkeys(principal)


@patch("/api/v1/auth/passkeys/{passkey_id:str}", operation_id="RenamePasskey", summary="Rename one", tags=PASSKEYS)
async def rename_passkey(
    passkey_id: FromPath[str],
    data: JSONBody[RenamePasskeyRequest],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> PasskeyView:
    return await service.rename_passkey(context, passkey_id, data, by=principal)


@delete(
    "/api/v1/auth/passkeys/{passkey_id:str}",
    operation_id="RemovePasskey",
    summary="Take a passkey from one's account",
    description=_FRESH,
    tags=PASSKEYS,
)
async def remove_passkey(
    passkey_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> None:
    await service.remove_passkey(context, passkey_id, by=principal)


PASSKEY_CONTROLLERS = (
    start_adding_passkey,
    add_passkey,
    start_passkey,
    login_passkey,
    list_passkeys,
    rename_passkey,
    remove_passkey,
)
