"""The auth service in memory, with people who registered in it."""

import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from kelmah.contracts.common import Role
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.auth import service as rules
from kelmah.services.auth.app import create_app
from kelmah.services.auth.documents import DOCUMENTS
from kelmah.services.auth.service.signing import _REGISTRY
from kelmah.services.auth.settings import AuthSettings
from tests.fixtures.mailbox import Mailbox
from tests.fixtures.service import Reply, Service, running, settings_for

PASSWORD = "blue kente on a Friday"
TIMERS: dict[str, Callable[..., Awaitable[None]]] = {
    "auth.send_verification": rules.send_verification,
    "auth.resend_verification": rules.send_verification_again,
    "auth.send_password_reset": rules.send_password_reset,
    "auth.send_email_change": rules.send_email_change,
    "auth.send_email_changed": rules.send_email_changed,
    "auth.send_known": rules.send_known,
    "auth.send_notice": rules.send_notice,
    "auth.gather_export": rules.gather_export,
    "auth.drop_export": rules.drop_export,
}
_addresses = (f"10.{a}.{b}.{c}" for a, b, c in itertools.product(range(256), range(256), range(1, 255)))


@pytest.fixture(scope="session")
async def settings(
    mongo_url: str, mongo_prefix: str, redis_url: str, redis_prefix: str, mail_server: Mailbox
) -> AuthSettings:
    return settings_for(
        AuthSettings,
        mongo_url=mongo_url,
        mongo_prefix=mongo_prefix,
        redis_url=redis_url,
        redis_prefix=redis_prefix,
        smtp_url=mail_server.url,
        hash_memory_kib=64,
        hash_passes=1,
    )


@pytest.fixture(scope="session")
async def auth(settings: AuthSettings) -> AsyncIterator[Service]:
    async with running(create_app, settings, DOCUMENTS) as service:
        yield service


@pytest.fixture
def moved_clock() -> Iterator[Any]:
    """`clock.shift`, undone afterwards."""
    yield clock.shift
    clock.reset()


@dataclass
class Visitor:
    """Somebody at an address of their own, perhaps with an account and a session."""

    auth: Service
    email: str
    headers: dict[str, str]
    password: str = PASSWORD
    tokens: dict[str, Any] | None = None

    async def post(self, operation: str, body: Any = None, **more: Any) -> Reply:
        more.setdefault("headers", self.headers)
        return await self.auth.call("POST", f"/api/v1/auth/{operation}", body, **more)

    async def register(self, *, headers: dict[str, str] | None = None, **more: Any) -> Reply:
        body = {"email": self.email, "password": self.password, "firstName": "Esi", "lastName": "Owusu"}
        return await self.post("register", body | {"role": "worker"} | more, headers=headers or self.headers)

    async def login(self, **more: Any) -> Reply:
        reply = await self.post("login", {"email": self.email, "password": self.password} | more)
        if reply.status == 200:
            self.tokens = reply.data
        return reply

    async def refresh(self, token: str, **headers: str) -> Reply:
        return await self.post("refresh", {"refreshToken": token}, headers=self.headers | headers)

    @property
    def principal(self) -> Principal:
        """As the gateway reads it from the access token."""
        assert self.tokens is not None
        found = claims(self.tokens["accessToken"], self.keys)
        return Principal(
            user_id=found["sub"], role=Role(found["role"]), session_id=found["sid"], methods=tuple(found["amr"])
        )

    keys: dict[str, Any] | None = None


def claims(token: str, keys: Any) -> dict[str, Any]:
    """The claims of an access token whose signature is good."""
    return dict(jwt.decode(token, KeySet.import_key_set(keys), registry=_REGISTRY).claims)


@pytest.fixture
async def visitor(auth: Service) -> Visitor:
    return await new_visitor(auth)


@pytest.fixture
async def member(auth: Service) -> Visitor:
    """Somebody with a verified account, logged in without a device id."""
    return await new_member(auth)


async def new_member(auth: Service, *, device: bool = False) -> Visitor:
    somebody = await new_visitor(auth)
    if device:
        somebody.headers["kelmah-device"] = new_id()
    view = await rules.create_account(
        auth.context,
        email=somebody.email,
        password=PASSWORD,
        first_name="Esi",
        last_name="Owusu",
        role=Role.WORKER,
        verified=True,
    )
    assert view.email_verified is True
    assert (await somebody.login()).status == 200
    return somebody


async def new_visitor(auth: Service) -> Visitor:
    keys = (await auth.call("GET", "/.well-known/jwks.json")).data
    headers = {"x-forwarded-for": next(_addresses), "user-agent": "pytest"}
    return Visitor(auth, f"esi.{new_id()}@example.com", headers, keys=keys)


async def run_timers(auth: Service, *, but: str = "") -> None:
    """Do what is due, as the workers would."""
    timers = auth.context.timers
    while (timer := await timers.take_due()) is not None:
        if timer.actor != but:
            await TIMERS[timer.actor](auth.context, *timer.args)
        await timers.finish(timer)


async def mailed_token(auth: Service, mailbox: Mailbox, email: str) -> str:
    """The token of the newest mail to somebody, once what is due was done."""
    await run_timers(auth)
    messages = mailbox.messages(email)
    body = messages[-1].get_body(("plain",))
    assert body is not None
    match = re.search(r"^Token: (\S+)$", body.get_content(), re.MULTILINE)
    assert match is not None
    return match[1]


async def events_of(auth: Service, subject: str) -> list[str]:
    """The types of the events about something, in order."""
    rows = auth.context.mongo.collection("events").find({"subject": subject}).sort("sequence", 1)
    return [row["type"] async for row in rows]
