"""The other services as the messaging service meets them."""

from collections.abc import Sequence

from kelmah.contracts.auth import Contact
from kelmah.contracts.job import ContractFacts, ContractStatus
from kelmah.contracts.user import Person
from kelmah.kit.context import Principal
from kelmah.kit.errors import NotFound, Unavailable


class FakePlatform:
    """Knows the people and contracts that a test made; stands in for the clients of user, auth and job."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.contacts: dict[str, Contact] = {}
        self.contracts: dict[str, ContractFacts] = {}
        self.is_away = False

    def know(self, who: Principal, name: str, *, locale: str = "en", email_verified: bool = True) -> None:
        self.people[who.user_id] = Person(user_id=who.user_id, role=who.role, display_name=name)
        self.contacts[who.user_id] = Contact(
            user_id=who.user_id,
            role=who.role,
            first_name=name,
            last_name="Mensah",
            email=f"{who.user_id}@people.example",
            email_verified=email_verified,
            locale=locale,
        )

    def agree(self, contract_id: str, hirer: Principal, worker: Principal) -> None:
        self.contracts[contract_id] = ContractFacts(
            id=contract_id,
            job_id="job-1",
            hirer_id=hirer.user_id,
            worker_id=worker.user_id,
            status=ContractStatus.ACTIVE,
            milestones=[],
        )

    async def get_people(self, *, user_ids: Sequence[str]) -> list[Person]:
        if self.is_away:
            raise Unavailable
        return [self.people[one] for one in user_ids if one in self.people]

    async def get_contacts(self, *, user_ids: Sequence[str]) -> list[Contact]:
        if self.is_away:
            raise Unavailable
        return [self.contacts[one] for one in user_ids if one in self.contacts]

    async def get_contract(self, *, contract_id: str) -> ContractFacts:
        if contract_id not in self.contracts:
            raise NotFound
        return self.contracts[contract_id]
