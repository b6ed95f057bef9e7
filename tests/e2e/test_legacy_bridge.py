"""People of the old database, who were not moved yet, use the platform through the gateway."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import bcrypt
import psycopg
import pytest
from pymongo import AsyncMongoClient

from kelmah.cli import platform
from kelmah.cli.platform import Platform
from kelmah.cli.processes import Process
from kelmah.legacy import revisions
from tests.integration.legacy.conftest import MakeDatabase, make_database

__all__ = ["make_database"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PASSWORD = "akwaaba 1999"


@pytest.fixture(scope="module")
def old(make_database: MakeDatabase) -> str:
    url = make_database()
    revisions.upgrade(url)
    return url


@pytest.fixture(scope="module")
async def bridged(old: str) -> AsyncIterator[Platform]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KELMAH_LEGACY_POSTGRES_URL", old)
        patch.setenv("KELMAH_AUTH_BCRYPT_COST", "4")
        async with platform.running(home=None) as started:
            yield started


def add(url: str, email: str, headline: str) -> str:
    """Somebody of before; gives the id here."""
    key, hashed = str(uuid.uuid4()), bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO users (id, email, phone, first_name, last_name, role, status, email_verified_at, created_at) "
            "VALUES (%s, %s, '024 123 4567', 'Ama', 'Kusi', 'worker', 'active', '2024-05-01', '2024-05-01')",
            (key, email),
        )
        connection.execute("INSERT INTO credentials (user_id, password_hash) VALUES (%s, %s)", (key, hashed))
        connection.execute("INSERT INTO profiles (user_id, headline) VALUES (%s, %s)", (key, headline))
    return uuid.UUID(key).hex


async def call(at: Platform, method: str, path: str, body: Any = None, *, token: str = "") -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session,
        session.request(method, at.gateway_url + path, json=body, headers=headers) as reply,
    ):
        return reply.status, await reply.json(content_type=None)


async def log_in(at: Platform, email: str, password: str = PASSWORD) -> tuple[int, Any]:
    return await call(at, "POST", "/api/v1/auth/login", {"email": email, "password": password})


async def hash_of(at: Platform, user_id: str) -> str | None:
    async with AsyncMongoClient[dict[str, Any]](at.env["KELMAH_MONGO_URL"]) as client:
        name = at.env.get("KELMAH_AUTH_MONGO_DATABASE", "kelmah_auth")
        found = await client[name]["accounts"].find_one({"_id": user_id})
    return found["password_hash"] if found else None


async def test_an_old_person_logs_in_and_finds_the_old_profiles(bridged: Platform, old: str) -> None:
    ama, kofi = add(old, "ama@example.com", "Plumber"), add(old, "kofi@example.com", "Tiler")
    status, refused = await log_in(bridged, "ama@example.com", "another password")
    assert (status, refused["code"], await hash_of(bridged, ama)) == (401, "auth.invalid_credentials", None)

    status, first = await log_in(bridged, "AMA@example.com")
    assert (status, first["user"]["id"]) == (200, ama)
    hashed = await hash_of(bridged, ama)
    assert hashed is not None
    assert hashed.startswith("$argon2id$")
    # From now on the old hash is not asked for.
    with psycopg.connect(old) as connection:
        connection.execute("UPDATE credentials SET password_hash = NULL WHERE user_id = %s", (ama,))
    status, second = await log_in(bridged, "ama@example.com")
    assert status == 200
    assert await hash_of(bridged, ama) == hashed

    token = second["accessToken"]
    status, me = await call(bridged, "GET", "/api/v1/users/me", token=token)
    assert (status, me["headline"], me["phone"]) == (200, "Plumber", "+233241234567")
    status, other = await call(bridged, "GET", f"/api/v1/users/{kofi}", token=token)
    assert (status, other["headline"], other["displayName"]) == (200, "Tiler", "Ama K.")
    assert await hash_of(bridged, kofi) is None  # looking at somebody moves nobody


async def restarted(at: Platform, name: str, **more: str) -> Process:
    """The service, started anew with other settings."""
    process = at.processes[name]
    await at.supervisor.stop(process)
    return await at.supervisor.start(replace(process.spec, env={**process.spec.env, **more}))


async def test_a_switch_of_each_service_turns_it_off(bridged: Platform, old: str) -> None:
    add(old, "esi@example.com", "Mason")
    yaw = add(old, "yaw@example.com", "Painter")
    token = (await log_in(bridged, "ama@example.com"))[1]["accessToken"]
    await restarted(bridged, "user", KELMAH_USER_LEGACY_BRIDGE="false")
    assert (await call(bridged, "GET", f"/api/v1/users/{yaw}", token=token))[0] == 404
    assert (await log_in(bridged, "esi@example.com"))[0] == 200  # that of auth is still on

    await restarted(bridged, "auth", KELMAH_AUTH_LEGACY_BRIDGE="false")
    assert (await log_in(bridged, "yaw@example.com"))[0] == 401
    assert (await log_in(bridged, "esi@example.com"))[0] == 200  # who was moved stays
