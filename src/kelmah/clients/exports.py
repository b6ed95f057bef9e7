"""Calls to any service for what it keeps of a person."""

import msgspec

from kelmah.contracts.common import Page
from kelmah.kit.calls import ServiceCaller, quoted

#: Seconds for one page: nobody waits for it, and some pages are dear.
TIMEOUT_S = 10.0


class ExportClient:
    """What the gatherer of archives asks a service."""

    def __init__(self, caller: ServiceCaller) -> None:
        self._caller = caller

    async def get_page(self, *, user_id: str, part: str, cursor: str | None) -> Page[msgspec.Raw]:
        """One page of a part; its items as the service wrote them.

        Raises:
            NotFound: the service has no such part.
        """
        return await self._caller.call(
            "GET",
            quoted("internal", "exports", user_id, part),
            query=None if cursor is None else {"cursor": cursor},
            returns=Page[msgspec.Raw],
            timeout_s=TIMEOUT_S,
        )
