"""The job service in memory, on a real MongoDB and Redis, with the other services faked."""

from collections.abc import AsyncIterator

import pytest

from kelmah.services.job.app import create_app
from kelmah.services.job.documents import DOCUMENTS
from kelmah.services.job.settings import JobSettings
from tests.fakes.payment import FakePaymentClient
from tests.fakes.user import FakeUserClient
from tests.fixtures.service import Service, running, settings_for
from tests.integration.job.steps import Desk

NOWHERE = ["http://127.0.0.1:9"]


@pytest.fixture(scope="session")
async def job_service(mongo_url: str, mongo_prefix: str, redis_url: str, redis_prefix: str) -> AsyncIterator[Service]:
    settings = settings_for(
        JobSettings,
        mongo_url=mongo_url,
        mongo_prefix=mongo_prefix,
        redis_url=redis_url,
        redis_prefix=redis_prefix,
        service_urls={"user": NOWHERE, "payment": NOWHERE},
    )
    async with running(create_app, settings, DOCUMENTS) as service:
        yield service


@pytest.fixture
def payment(job_service: Service) -> FakePaymentClient:
    client = FakePaymentClient()
    job_service.replace(payment=client)
    return client


@pytest.fixture
def users(job_service: Service) -> FakeUserClient:
    client = FakeUserClient()
    job_service.replace(user=client)
    return client


@pytest.fixture
def desk(job_service: Service, payment: FakePaymentClient, users: FakeUserClient) -> Desk:
    return Desk(job_service)
