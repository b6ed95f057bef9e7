"""Calls to the auth service."""

from collections.abc import Sequence

from kelmah.contracts.auth import Contact
from kelmah.kit.calls import ServiceCaller


class AuthClient:
    """What other services ask the auth service."""

    def __init__(self, caller: ServiceCaller) -> None:
        self._caller = caller

    async def get_contacts(self, *, user_ids: Sequence[str]) -> list[Contact]:
        """Contacts of the accounts among these (at most 100) that exist, in no order."""
        return await self._caller.call("GET", "/internal/contacts", query={"ids": user_ids}, returns=list[Contact])
