"""Operations of API keys."""

from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from kelmah.contracts.auth import (
    ApiKeyCheck,
    ApiKeyHolder,
    ApiKeyView,
    CreateApiKeyRequest,
    NewApiKey,
    RotateApiKeyRequest,
)
from kelmah.contracts.common import Page
from kelmah.kit.context import Principal
from kelmah.services.auth import service
from kelmah.services.auth.controllers.client import SECRET
from kelmah.services.auth.service import Context

KEYS = ["API keys"]
_FRESH = "Needs a fresh authentication (`step_up_required`). "


@post(
    "/api/v1/auth/api-keys",
    operation_id="CreateApiKey",
    summary="Make a key with which a program acts for oneself",
    description=_FRESH + "The key is shown this one time. A program sends it as `Authorization: Bearer kelmah_…`.",
    tags=KEYS,
    opt=SECRET,
)
async def create_api_key(
    data: JSONBody[CreateApiKeyRequest], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> NewApiKey:
    return await service.create_api_key(context, data, by=principal)


@get("/api/v1/auth/api-keys", operation_id="ListApiKeys", summary="See one's keys", tags=KEYS)
async def list_api_keys(context: NamedDependency[Context], principal: NamedDependency[Principal]) -> Page[ApiKeyView]:
    return await service.list_api_keys(context, principal)


@post(
    "/api/v1/auth/api-keys/{key_id:str}/rotate",
    operation_id="RotateApiKey",
    summary="Put a new key in place of one",
    description=_FRESH + "The new key has the same scopes and as long a life.",
    tags=KEYS,
    opt=SECRET,
)
async def rotate_api_key(
    key_id: FromPath[str],
    data: JSONBody[RotateApiKeyRequest],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> NewApiKey:
    return await service.rotate_api_key(context, key_id, data, by=principal)


@delete("/api/v1/auth/api-keys/{key_id:str}", operation_id="RevokeApiKey", summary="End a key at once", tags=KEYS)
async def revoke_api_key(
    key_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> None:
    await service.revoke_api_key(context, key_id, by=principal)


@post(
    "/internal/api-keys/check",
    operation_id="CheckApiKey",
    summary="For whom a key acts",
    tags=["Internal"],
    status_code=200,
    opt=SECRET,
)
async def check_api_key(data: JSONBody[ApiKeyCheck], context: NamedDependency[Context]) -> ApiKeyHolder:
    return await service.check_api_key(context, data)


API_KEY_CONTROLLERS = (create_api_key, list_api_keys, rotate_api_key, revoke_api_key, check_api_key)
