"""The user service in memory, and people who use it."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pymongo import monitoring

from kelmah.contracts.auth import Contact
from kelmah.contracts.common import Role
from kelmah.kit.context import Principal
from kelmah.services.user.app import create_app
from kelmah.services.user.documents import DOCUMENTS
from kelmah.services.user.settings import UserSettings
from tests.fakes.auth import FakeAuthClient
from tests.fixtures.service import Reply, Service, person, running, settings_for


class Commands(monitoring.CommandListener):
    """Every command that the service sends to MongoDB while `kept` is a list."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, dict[str, Any]]] | None = None

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if self.kept is not None:
            self.kept.append((event.database_name, dict(event.command)))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


class Town:
    """The service and the people in it."""

    def __init__(self, service: Service, auth: FakeAuthClient, commands: Commands) -> None:
        self.service = service
        self.auth = auth
        self.commands = commands
        self.context = service.context

    def somebody(self, role: Role = Role.WORKER, first_name: str = "Ama", last_name: str = "Kusi") -> Principal:
        """A person with an account and no profile yet."""
        principal = person(role)
        self.auth.contacts[principal.user_id] = Contact(
            user_id=principal.user_id,
            role=role,
            first_name=first_name,
            last_name=last_name,
            email=f"{principal.user_id}@example.com",
            email_verified=True,
        )
        return principal

    async def worker(self, *skills: str, profile: dict[str, Any] | None = None, first_name: str = "Ama") -> Principal:
        """A worker with a profile."""
        principal = self.somebody(first_name=first_name)
        assert (await self.call("PATCH", "/users/me", profile or {}, by=principal)).status == 200
        if skills:
            assert (await self.call("PUT", "/users/me/skills", {"skills": skills}, by=principal)).status == 200
        return principal

    async def call(self, method: str, path: str, body: Any = None, **more: Any) -> Reply:
        return await self.service.call(method, f"/api/v1{path}", body, **more)

    async def stored(self, principal: Principal) -> dict[str, Any]:
        """The person's document, as it is in the database."""
        found = await self.context.mongo.collection("profiles").find_one({"_id": principal.user_id})
        assert found is not None
        return dict(found)

    async def events(self, principal: Principal) -> list[tuple[str, int]]:
        """Types and sequences of what was told of the person."""
        rows = self.context.mongo.collection("events").find({"subject": f"user:{principal.user_id}"})
        return [(row["type"], row["sequence"]) for row in await rows.sort("sequence").to_list()]


@pytest.fixture(scope="session")
def commands() -> Commands:
    return Commands()


@pytest.fixture(scope="session")
async def user_service(
    commands: Commands, mongo_url: str, mongo_prefix: str, redis_url: str, redis_prefix: str
) -> AsyncIterator[Service]:
    monitoring.register(commands)
    settings = settings_for(
        UserSettings,
        mongo_url=mongo_url,
        mongo_prefix=mongo_prefix,
        redis_url=redis_url,
        redis_prefix=redis_prefix,
        service_urls={"auth": ["http://127.0.0.1:9"]},
    )
    async with running(create_app, settings, DOCUMENTS) as service:
        yield service


@pytest.fixture
async def town(user_service: Service, commands: Commands) -> Town:
    auth = FakeAuthClient()
    user_service.replace(auth=auth)
    return Town(user_service, auth, commands)


@pytest.fixture
def word() -> str:
    """A word that no other test uses, so that a search finds this test's people alone."""
    return "w" + uuid.uuid4().hex[:12].replace("s", "x")
