"""The review service, running, with contracts that tests make up."""

from collections.abc import AsyncIterator

import pytest

from kelmah.contracts.common import Money
from kelmah.contracts.job import ContractFacts, ContractStatus, MilestoneFacts, MilestoneStatus
from kelmah.kit.context import Principal
from kelmah.kit.errors import NotFound
from kelmah.kit.ids import new_id
from kelmah.services.review.app import create_app
from kelmah.services.review.documents import DOCUMENTS
from kelmah.services.review.settings import ReviewSettings
from tests.fixtures.service import Service, running, settings_for


class Contracts:
    """Stands for the job service's client; holds the contracts that a test makes."""

    def __init__(self) -> None:
        self._contracts: dict[str, ContractFacts] = {}

    def make(
        self,
        hirer: Principal,
        worker: Principal,
        status: MilestoneStatus = MilestoneStatus.RELEASED,
        *,
        amount: int = 50_000,
        trade: str | None = None,
        region: str | None = None,
    ) -> ContractFacts:
        milestone = MilestoneFacts(id=new_id(), title="All of it", amount=Money(amount=amount), status=status)
        contract = ContractFacts(
            id=new_id(),
            job_id=new_id(),
            hirer_id=hirer.user_id,
            worker_id=worker.user_id,
            status=ContractStatus.ACTIVE,
            milestones=[milestone],
            trade=trade,
            region=region,
        )
        self._contracts[contract.id] = contract
        return contract

    async def get_contract(self, *, contract_id: str) -> ContractFacts:
        if contract_id not in self._contracts:
            raise NotFound
        return self._contracts[contract_id]


@pytest.fixture(scope="session")
async def reviews(mongo_url: str, mongo_prefix: str, redis_url: str, redis_prefix: str) -> AsyncIterator[Service]:
    settings = settings_for(
        ReviewSettings,
        mongo_url=mongo_url,
        mongo_prefix=mongo_prefix,
        redis_url=redis_url,
        redis_prefix=redis_prefix,
    )
    async with running(create_app, settings, DOCUMENTS) as service:
        yield service


@pytest.fixture
def contracts(reviews: Service) -> Contracts:
    made = Contracts()
    reviews.replace(job=made)
    return made
