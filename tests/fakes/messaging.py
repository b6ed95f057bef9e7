"""The other services as the messaging service meets them."""

from collections.abc import Sequence

import msgspec

from kelmah.contracts.auth import Contact
from kelmah.contracts.job import ContractFacts, ContractStatus
from kelmah.contracts.user import Channels, NotificationPreferences, Person
from kelmah.contracts.user import NotificationKind as Topic
from kelmah.kit.context import Principal
from kelmah.kit.errors import NotFound, Unavailable


class FakePlatform:
    """Knows the people and contracts that a test made; stands in for the clients of user, auth and job."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.contacts: dict[str, Contact] = {}
        self.contracts: dict[str, ContractFacts] = {}
        self.preferences: dict[str, NotificationPreferences] = {}
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
        self.prefer(who, email=True, push=True, locale=locale)

    def prefer(
        self,
        who: Principal,
        *,
        in_app: bool = True,
        email: bool = False,
        sms: bool = False,
        push: bool = False,
        zone: str = "Africa/Accra",
        locale: str = "en",
    ) -> None:
        """Let a person choose the same for everything."""
        chosen = Channels(in_app=in_app, email=email, sms=sms, push=push)
        self.preferences[who.user_id] = NotificationPreferences(
            user_id=who.user_id, locale=locale, time_zone=zone, channels=dict.fromkeys(Topic, chosen)
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

    async def get_preferences(self, *, user_id: str) -> NotificationPreferences:
        if self.is_away:
            raise Unavailable
        if user_id not in self.preferences:
            raise NotFound
        return self.preferences[user_id]

    async def unsubscribe(self, *, user_id: str, kind: Topic) -> None:
        found = await self.get_preferences(user_id=user_id)
        channels = found.channels | {kind: msgspec.structs.replace(found.channels[kind], email=False)}
        self.preferences[user_id] = msgspec.structs.replace(found, channels=channels)
