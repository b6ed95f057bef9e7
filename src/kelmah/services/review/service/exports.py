"""What this service keeps of a person, for the person's archive."""

from collections.abc import Mapping
from typing import Any

from kelmah.contracts.common import Page
from kelmah.kit.context import Principal
from kelmah.kit.exports import Lister, single
from kelmah.kit.pagination import MAX_LIMIT
from kelmah.services.review.service import reputations, reviews
from kelmah.services.review.service.context import Context


async def _written(context: Context, by: Principal, cursor: str | None) -> Page[Any]:
    return await reviews.list_written(context, by=by, cursor=cursor, limit=MAX_LIMIT)


async def _received(context: Context, by: Principal, cursor: str | None) -> Page[Any]:
    return await reviews.list_of_subject(context, by.user_id, cursor=cursor, limit=MAX_LIMIT)


async def _reputation(_context: Context, by: Principal, _cursor: str | None) -> Page[Any]:
    return single(await reputations.get_reputation(by.user_id))


PARTS: Mapping[str, Lister] = {"written": _written, "received": _received, "reputation": _reputation}
