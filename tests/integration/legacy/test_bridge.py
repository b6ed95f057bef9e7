"""Until somebody is moved: logins and profiles by the old row, and the move on the spot."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import bcrypt
import psycopg
import pytest

from kelmah.contracts.auth import Contact
from kelmah.contracts.common import Role
from kelmah.legacy import revisions
from kelmah.legacy.bridge import open_bridge
from kelmah.services.auth.app import create_app as create_auth
from kelmah.services.auth.documents import DOCUMENTS as AUTH
from kelmah.services.auth.service.bridging import reset_by_bridge
from kelmah.services.auth.settings import AuthSettings
from kelmah.services.user.app import create_app as create_user
from kelmah.services.user.documents import DOCUMENTS as USER
from kelmah.services.user.settings import UserSettings
from tests.fakes.auth import FakeAuthClient
from tests.fixtures.mailbox import Mailbox
from tests.fixtures.service import Reply, Service, person, running, settings_for
from tests.integration.legacy.conftest import MakeDatabase

PASSWORD = "akwaaba 1999"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


@dataclass
class Old:
    """The old database, and people in it."""

    url: str

    def add(self, email: str, *, password_hash: str | None = HASH, **more: Any) -> str:
        """Somebody new; gives the old id."""
        key = str(uuid.uuid4())
        user = {"id": key, "email": email, "first_name": "Ama", "last_name": "Kusi", "role": "worker"}
        user |= {"status": "active", "email_verified_at": "2024-05-01 10:00+00", "phone": "024 123 4567"} | more
        self.run(
            f"INSERT INTO users ({', '.join(user)}) VALUES ({', '.join(f'%({name})s' for name in user)})",  # noqa: S608
            user,
        )
        self.run("INSERT INTO credentials (user_id, password_hash) VALUES (%s, %s)", (key, password_hash))
        self.run("INSERT INTO profiles (user_id, headline, bio) VALUES (%s, 'Plumber', 'Pipes.')", (key,))
        return key

    def run(self, query: str, values: Any = None) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute(query.encode(), values)


@pytest.fixture(scope="module")
def old(make_database: MakeDatabase) -> Old:
    url = make_database()
    revisions.upgrade(url)
    return Old(url)


@pytest.fixture(scope="module")
def settings(
    mongo_url: str, mongo_prefix: str, redis_url: str, redis_prefix: str, mail_server: Mailbox, old: Old
) -> Callable[..., Any]:
    def make(kind: Any, **more: Any) -> Any:
        given: dict[str, Any] = {"legacy_postgres_url": old.url, "legacy_bridge": True}
        if kind is AuthSettings:
            given |= {"smtp_url": mail_server.url, "hash_memory_kib": 64, "hash_passes": 1, "bcrypt_cost": 4}
        return settings_for(
            kind,
            mongo_url=mongo_url,
            mongo_prefix=f"{mongo_prefix}bridge_",
            redis_url=redis_url,
            redis_prefix=f"{redis_prefix}bridge:",
            **(given | more),
        )

    return make


@pytest.fixture(scope="module")
async def auth(settings: Callable[..., Any]) -> AsyncIterator[Service]:
    async with running(create_auth, settings(AuthSettings), AUTH) as service:
        yield service


@pytest.fixture(scope="module")
async def user(settings: Callable[..., Any]) -> AsyncIterator[Service]:
    async with running(create_user, settings(UserSettings), USER) as service:
        service.replace(auth=FakeAuthClient())
        yield service


async def log_in(auth: Service, email: str, password: str = PASSWORD) -> Reply:
    headers = {"x-forwarded-for": f"10.9.{uuid.uuid4().int % 250}.{uuid.uuid4().int % 250}"}
    return await auth.call("POST", "/api/v1/auth/login", {"email": email, "password": password}, headers=headers)


async def account_of(auth: Service, key: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = await auth.context.mongo.collection("accounts").find_one({"_id": uuid.UUID(key).hex})
    return found


async def test_the_first_login_moves_a_person(auth: Service, old: Old) -> None:
    key = old.add("Ama.First@Example.com")
    wrong = await log_in(auth, "ama.first@example.com", "another password")
    assert (wrong.status, wrong.data["code"]) == (401, "auth.invalid_credentials")
    assert await account_of(auth, key) is None

    first = await log_in(auth, "ama.first@example.com")
    assert first.status == 200, first.data
    assert first.data["user"] | {"createdAt": ""} == {
        "id": uuid.UUID(key).hex,
        "email": "Ama.First@Example.com",
        "firstName": "Ama",
        "lastName": "Kusi",
        "role": "worker",
        "emailVerified": True,
        "createdAt": "",
    }
    account = await account_of(auth, key)
    assert account is not None
    assert account["password_hash"].startswith("$argon2id$")

    # From now on the old row does not count.
    old.run("UPDATE credentials SET password_hash = NULL WHERE user_id = %s", (key,))
    assert (await log_in(auth, "ama.first@example.com")).status == 200
    assert (await log_in(auth, "ama.first@example.com", "x" * 12)).status == 401


async def test_many_first_logins_at_once_make_one_account(auth: Service, old: Old) -> None:
    key = old.add("twice@example.com")
    replies = await asyncio.gather(*(log_in(auth, "twice@example.com") for _ in range(5)))
    # One that rehashes the password makes the others, who checked the old hash, begin anew.
    assert {reply.status for reply in replies} <= {200, 401}
    assert 200 in {reply.status for reply in replies}
    rows = auth.context.mongo.collection("legacy_rows").find({"_id": f"users/{key}"})
    assert [row["fate"] async for row in rows] == ["moved"]
    assert (await log_in(auth, "twice@example.com")).status == 200


@pytest.mark.parametrize(
    ("more", "password_hash"),
    [
        ({"status": "deleted"}, HASH),
        ({"deleted_at": "2025-01-01 00:00+00"}, HASH),
        ({"role": "bot"}, HASH),
        ({}, None),
        ({}, "5f4dcc3b5aa765d61d8327deb882cf99"),
    ],
)
async def test_who_cannot_log_in_is_told_what_strangers_are(
    auth: Service, old: Old, more: dict[str, Any], password_hash: str | None
) -> None:
    email = f"{uuid.uuid4().hex}@example.com"
    key = old.add(email, password_hash=password_hash, **more)
    refused, stranger = await log_in(auth, email), await log_in(auth, f"{uuid.uuid4().hex}@example.com")
    assert refused.status == stranger.status == 401
    assert {**refused.data, "requestId": ""} == {**stranger.data, "requestId": ""}
    assert await account_of(auth, key) is None


async def test_who_was_suspended_stays_out(auth: Service, old: Old) -> None:
    old.add("suspended@example.com", status="suspended")
    for _ in range(2):  # by the old row, and by the account
        reply = await log_in(auth, "suspended@example.com")
        assert (reply.status, reply.data["code"]) == (403, "auth.account_suspended")


async def test_wrong_passwords_are_slowed_down_as_ever(auth: Service, old: Old) -> None:
    key = old.add("guessed@example.com")
    replies = [await log_in(auth, "guessed@example.com", f"guess number {n}") for n in range(8)]
    assert [reply.status for reply in replies[:6]] == [401] * 6
    assert replies[-1].status == 429
    assert (await log_in(auth, "guessed@example.com")).status == 429
    assert await account_of(auth, key) is None


async def test_nobody_registers_over_an_old_person(auth: Service, old: Old) -> None:
    key = old.add("taken@example.com")
    body = {"email": "Taken@example.com", "password": "blue kente on a Friday", "firstName": "E", "lastName": "F"}
    reply = await auth.call("POST", "/api/v1/auth/register", body | {"role": "hirer"})
    # Answered as for an unknown address, and a mail goes to the owner, who is moved by then.
    assert (reply.status, reply.data["firstName"]) == (201, "E")
    assert await account_of(auth, key) is None
    timers = auth.context.mongo.collection("timers")
    assert (await timers.delete_many({"actor": "auth.reset_by_bridge"})).deleted_count == 1


async def test_who_was_moved_and_left_may_come_again(auth: Service, old: Old) -> None:
    key = old.add("again@example.com")
    assert (await log_in(auth, "again@example.com")).status == 200
    await auth.context.mongo.collection("accounts").delete_one({"_id": uuid.UUID(key).hex})
    assert (await log_in(auth, "again@example.com")).status == 401
    body = {"email": "again@example.com", "password": "blue kente on a Friday", "firstName": "E", "lastName": "F"}
    assert (await auth.call("POST", "/api/v1/auth/register", body | {"role": "hirer"})).status == 201


async def test_a_connection_that_was_closed_meanwhile_is_made_anew(auth: Service, old: Old) -> None:
    old.add("closed@example.com")
    assert (await log_in(auth, "nobody@example.com")).status == 401
    old.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'kelmah' AND datname = current_database()"
    )
    assert (await log_in(auth, "closed@example.com")).status == 200


async def test_a_forgotten_password_reaches_an_old_person(auth: Service, old: Old, mailbox: Mailbox) -> None:
    key = old.add("forgot@example.com", password_hash=None)
    reply = await auth.call("POST", "/api/v1/auth/forgot-password", {"email": "forgot@example.com"})
    assert reply.status == 204
    timer = await auth.context.mongo.collection("timers").find_one({"actor": "auth.reset_by_bridge"})
    assert timer is not None
    assert "forgot" not in str(timer)
    await reset_by_bridge(auth.context, *timer["args"])
    assert await account_of(auth, key) is not None
    assert len(mailbox.messages("forgot@example.com")) == 1


async def test_a_database_that_is_away_keeps_nobody_out_who_was_moved(
    auth: Service, old: Old, settings: Callable[..., Any]
) -> None:
    old.add("moved@example.com")
    assert (await log_in(auth, "moved@example.com")).status == 200
    away = settings(AuthSettings, legacy_postgres_url="postgresql://kelmah@127.0.0.1:1/none")
    async with open_bridge(away) as bridge:
        before = auth.context.bridge
        auth.replace(bridge=bridge)
        try:
            assert (await log_in(auth, "moved@example.com")).status == 200
            reply = await log_in(auth, "stranger@example.com")
        finally:
            auth.replace(bridge=before)
    assert (reply.status, reply.data["code"]) == (503, "unavailable")


async def test_the_switch_turns_it_off(settings: Callable[..., Any], auth: Service, old: Old) -> None:
    old.add("switch@example.com")
    async with open_bridge(settings(AuthSettings, legacy_bridge=False)) as bridge:
        assert bridge is None
        before = auth.context.bridge
        auth.replace(bridge=bridge)
        try:
            assert (await log_in(auth, "switch@example.com")).status == 401
        finally:
            auth.replace(bridge=before)


# --- Profiles ---


async def test_an_old_profile_is_seen_before_its_person_is_moved(user: Service, old: Old) -> None:
    key = old.add("seen@example.com")
    user_id = uuid.UUID(key).hex
    reply = await user.call("GET", f"/api/v1/users/{user_id}", by=person(Role.HIRER))
    assert reply.status == 200
    assert (reply.data["displayName"], reply.data["headline"], reply.data["bio"]) == ("Ama K.", "Plumber", "Pipes.")
    assert "phone" not in reply.data
    assert await user.context.mongo.collection("profiles").find_one({"_id": user_id}) is None


async def test_a_moved_person_finds_the_old_profile(user: Service, old: Old) -> None:
    key = old.add("owner@example.com")
    user_id = uuid.UUID(key).hex
    user.context.auth.contacts[user_id] = Contact(
        user_id=user_id,
        email="owner@example.com",
        first_name="Ama",
        last_name="Kusi",
        role=Role.WORKER,
        email_verified=True,
        locale="en",
    )
    me = person(Role.WORKER)
    reply = await user.call(
        "GET", "/api/v1/users/me", by=type(me)(user_id=user_id, role=Role.WORKER, session_id=me.session_id)
    )
    assert (reply.data["headline"], reply.data["phone"]) == ("Plumber", "+233241234567")
    row = await user.context.mongo.collection("legacy_rows").find_one({"_id": f"profiles/{key}"})
    assert row["fate"] == "moved"


async def test_strangers_are_nowhere(user: Service) -> None:
    reply = await user.call("GET", f"/api/v1/users/{uuid.uuid4().hex}", by=person(Role.HIRER))
    assert reply.status == 404
    reply = await user.call("GET", "/api/v1/users/not-a-uuid", by=person(Role.HIRER))
    assert reply.status == 404
