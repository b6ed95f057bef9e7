"""A running messaging service, two people who talk, and real sockets."""

import asyncio
import json
import socket as sockets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
import uvicorn
from beanie import init_beanie
from websockets.asyncio.client import ClientConnection, connect

from kelmah.contracts.common import Role
from kelmah.kit import clock, signing
from kelmah.kit.context import Principal
from kelmah.kit.frames import FramesServer
from kelmah.kit.ids import new_id
from kelmah.services.messaging.app import create_app
from kelmah.services.messaging.documents import DOCUMENTS
from kelmah.services.messaging.settings import MessagingSettings
from tests.fakes.messaging import FakePlatform
from tests.fixtures.mailbox import Mailbox
from tests.fixtures.outside import Outside, encoded, outside_world
from tests.fixtures.service import KEY, Service, person, running, settings_for

ORIGIN = "https://kelmah.example"


@pytest.fixture(scope="session")
async def outside() -> AsyncIterator[Outside]:
    async with outside_world() as outside:
        yield outside


@pytest.fixture(scope="session")
def settings(
    mongo_url: str, mongo_prefix: str, redis_url: str, redis_prefix: str, mail_server: Mailbox, outside: Outside
) -> MessagingSettings:
    return settings_for(
        MessagingSettings,
        mongo_url=mongo_url,
        mongo_prefix=mongo_prefix,
        redis_url=redis_url,
        redis_prefix=redis_prefix,
        smtp_url=mail_server.url,
        mail_sender="Kelmah <no-reply@kelmah.example>",
        public_url="https://api.kelmah.example",
        allowed_origins=[ORIGIN],
        service_urls={name: ["http://127.0.0.1:9"] for name in ("auth", "user", "job")},
        socket_frames_per_s=50,
        messages_per_minute=100_000,
        stranger_messages=10_000,
        sms_url=outside.url.replace("http://", "http://AC1:secret@") + "?from=Kelmah",
        vapid_private_key=encoded(bytes(31) + b"\x07"),
        push_origins=[outside.url],
    )


@pytest.fixture(scope="session")
def platform() -> FakePlatform:
    return FakePlatform()


@asynccontextmanager
async def started(settings: MessagingSettings, platform: FakePlatform) -> AsyncIterator[Service]:
    """One instance; its calls to other services end in the fake."""
    async with running(create_app, settings, DOCUMENTS) as service:
        service.replace(user=platform, auth=platform, job=platform)
        yield service


@pytest.fixture(scope="session")
async def service(settings: MessagingSettings, platform: FakePlatform) -> AsyncIterator[Service]:
    async with started(settings, platform) as service:
        yield service


@pytest.fixture
def hirer(platform: FakePlatform) -> Principal:
    who = person(Role.HIRER)
    platform.know(who, "Efua")
    return who


@pytest.fixture
def worker(platform: FakePlatform) -> Principal:
    who = person(Role.WORKER)
    platform.know(who, "Kofi")
    return who


@pytest.fixture
def stranger(platform: FakePlatform) -> Principal:
    who = person(Role.WORKER)
    platform.know(who, "Yaw")
    return who


@pytest.fixture
async def conversation_id(service: Service, hirer: Principal, worker: Principal) -> str:
    reply = await service.call(
        "POST", "/api/v1/conversations", {"kind": "direct", "participantIds": [worker.user_id]}, by=hirer
    )
    assert reply.status == 201
    return str(reply.data["id"])


async def say(service: Service, conversation_id: str, text: str, by: Principal, **more: Any) -> dict[str, Any]:
    """Send a message over HTTP."""
    reply = await service.call(
        "POST",
        f"/api/v1/conversations/{conversation_id}/messages",
        {"clientId": new_id(), "text": text} | more,
        by=by,
    )
    assert reply.status == 201, reply.data
    found: dict[str, Any] = reply.data
    return found


class Client:
    """The far end of a socket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, **frame: Any) -> None:
        await self.connection.send(json.dumps(frame))

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            found: dict[str, Any] = json.loads(await self.connection.recv())
            return found

    async def until(self, kind: str) -> dict[str, Any]:
        """The next frame of a kind; others are passed over."""
        while (frame := await self.receive())["type"] != kind:
            pass
        return frame

    async def close_code(self) -> int | None:
        """The code that the server closes with."""
        async with asyncio.timeout(15):
            with suppress(Exception):
                while True:
                    await self.connection.recv()
        return self.connection.close_code


class Instance:
    """One instance that listens on a port."""

    def __init__(self, service: Service, port: int) -> None:
        self.service = service
        self.port = port

    def target(self, ticket: str) -> str:
        return f"/api/v1/ws?ticket={ticket}"

    async def ticket(self, by: Principal) -> str:
        reply = await self.service.call("POST", "/api/v1/ws-tickets", by=by)
        assert reply.status == 201, reply.data
        return str(reply.data["ticket"])

    @asynccontextmanager
    async def open(self, *, ticket: str, origin: str | None = ORIGIN, **more: Any) -> AsyncIterator[Client]:
        target = self.target(ticket)
        signed = signing.sign(
            caller="gateway",
            callee="messaging",
            method="GET",
            target=target,
            digest=signing.body_digest(b""),
            principal=None,
            keys={"messaging": [KEY]},
        )
        headers = signed | ({"origin": origin} if origin else {})
        url = f"ws://127.0.0.1:{self.port}{target}"
        async with connect(url, additional_headers=headers, proxy=None, **more) as connection:
            yield Client(connection)

    @asynccontextmanager
    async def talk(self, by: Principal, **more: Any) -> AsyncIterator[Client]:
        """A socket of this person after its hello."""
        async with self.open(ticket=await self.ticket(by), **more) as client:
            hello = await client.receive()
            assert hello["type"] == "hello"
            assert hello["userId"] == by.user_id
            yield client


@asynccontextmanager
async def listening(service: Service, *, ws: Any = FramesServer) -> AsyncIterator[Instance]:
    """Serve an app that was started on a free port, as `kelmah serve messaging` does."""
    with sockets.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(service.app, lifespan="off", ws=ws, log_config=None, timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110  # it tells nobody
            await asyncio.sleep(0.01)
        try:
            yield Instance(service, listener.getsockname()[1])
        finally:
            server.should_exit = True
            await task


async def none_left(instance: Instance, who: Principal) -> None:
    """The server counts a socket out a moment after the client closed it; Redis tells nobody."""
    context = instance.service.context
    online = f"{context.settings.redis_prefix}:messaging:online"
    async with asyncio.timeout(10):
        while True:
            until = await context.redis.zscore(online, who.user_id)
            if until <= (clock.now() + timedelta(seconds=30)).timestamp():
                return
            await asyncio.sleep(0.01)


Instances = tuple[Instance, Instance]


@pytest.fixture(scope="session")
async def instances(service: Service, settings: MessagingSettings, platform: FakePlatform) -> AsyncIterator[Instances]:
    """Two instances on one database and one Redis."""
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(started(settings, platform))
        # Documents are bound to one client a process: both instances use the first one's.
        shared = service.context
        await init_beanie(shared.mongo.database, document_models=list(DOCUMENTS), skip_indexes=True)
        other.replace(mongo=shared.mongo, events=shared.events, timers=shared.timers, idempotency=shared.idempotency)
        yield (
            await stack.enter_async_context(listening(service)),
            await stack.enter_async_context(listening(other)),
        )


@pytest.fixture
def make_person(platform: FakePlatform) -> Callable[[], Principal]:
    def make() -> Principal:
        who = person(Role.WORKER)
        platform.know(who, "Abena")
        return who

    return make
