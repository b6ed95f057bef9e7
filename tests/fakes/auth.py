"""An auth service that knows the contacts it is given."""

from collections.abc import Sequence

from kelmah.clients.auth import AuthClient
from kelmah.contracts.auth import Contact


class FakeAuthClient(AuthClient):
    """Contacts by user id in `contacts`; `asked` lists every question."""

    def __init__(self) -> None:
        self.contacts: dict[str, Contact] = {}
        self.asked: list[list[str]] = []

    async def get_contacts(self, *, user_ids: Sequence[str]) -> list[Contact]:
        self.asked.append(list(user_ids))
        return [self.contacts[one] for one in user_ids if one in self.contacts]
