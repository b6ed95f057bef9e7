"""Pictures of finished works."""

from typing import Any

from litestar import Request, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from kelmah.contracts.user import PortfolioImage
from kelmah.kit.context import Principal, current_principal
from kelmah.services.user.service import Context, images
from kelmah.services.user.service.images import ImageSize


@post(
    "/api/v1/users/me/portfolio/{item_id:str}/images",
    operation_id="AddMyPortfolioImage",
    summary="Add a picture to a finished work",
    description="The body is the picture itself: JPEG, PNG, WebP or GIF, told by its content, of at most 10 MiB.",
    tags=["My profile"],
    opt={"streams_body": True},
)
async def add_my_portfolio_image(
    item_id: FromPath[str],
    request: Request[Any, Any, Any],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> PortfolioImage:
    return await images.add(context, item_id, request.stream(), by=principal)


@delete(
    "/api/v1/users/me/portfolio/{item_id:str}/images/{image_id:str}",
    operation_id="RemoveMyPortfolioImage",
    summary="Remove a picture",
    tags=["My profile"],
)
async def remove_my_portfolio_image(
    item_id: FromPath[str],
    image_id: FromPath[str],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> None:
    await images.remove(context, item_id, image_id, by=principal)


@get(
    "/api/v1/workers/{user_id:str}/images/{image_id:str}",
    operation_id="GetWorkerImage",
    summary="A picture of a worker's finished work",
    tags=["Discovery"],
)
async def get_worker_image(
    user_id: FromPath[str],
    image_id: FromPath[str],
    context: NamedDependency[Context],
    size: FromQuery[ImageSize] = ImageSize.FULL,
) -> Stream:
    return Stream(
        await images.open_image(context, user_id, image_id, size, viewer=current_principal.get()),
        media_type=images.MEDIA_TYPE,
        headers={"x-content-type-options": "nosniff", "cache-control": "private, max-age=3600"},
    )


HANDLERS = [add_my_portfolio_image, remove_my_portfolio_image, get_worker_image]
