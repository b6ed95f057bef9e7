"""The figures of a person, and of the platform for admins."""

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from kelmah.contracts.user import PlatformAnalytics, UserAnalytics
from kelmah.kit.context import Principal
from kelmah.services.user.service import Context, analytics

Days = Annotated[int, QueryParameter(ge=1, le=365, description="How far back from now.")]


@get("/api/v1/users/me/analytics", operation_id="GetMyAnalytics", summary="How it goes for me", tags=["Analytics"])
async def get_my_analytics(
    context: NamedDependency[Context], principal: NamedDependency[Principal], days: Days = 30
) -> UserAnalytics:
    return await analytics.get_mine(context, by=principal, days=days)


@get("/api/v1/analytics/platform", operation_id="GetPlatformAnalytics", summary="How it goes", tags=["Analytics"])
async def get_platform_analytics(days: Days = 30) -> PlatformAnalytics:
    return await analytics.get_platform(days=days)


HANDLERS = [get_my_analytics, get_platform_analytics]
