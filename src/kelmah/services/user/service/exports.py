"""What this service keeps of a person, for the person's archive."""

from collections.abc import Mapping
from typing import Any

from kelmah.contracts.common import Page
from kelmah.kit.context import Principal
from kelmah.kit.exports import Lister, single
from kelmah.services.user.service import own
from kelmah.services.user.service.context import Context


async def _profile(context: Context, by: Principal, _cursor: str | None) -> Page[Any]:
    return single(await own.export(context, by=by))


PARTS: Mapping[str, Lister] = {"profile": _profile}
