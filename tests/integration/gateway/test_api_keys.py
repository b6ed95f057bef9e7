"""A program with an API key at the gateway: its scopes, its owner's role, its own limit, and its end."""

import asyncio
import hashlib
from typing import Any

from kelmah.kit import clock
from kelmah.kit.ids import new_id
from tests.integration.gateway.platform import Platform
from tests.integration.gateway.test_edge import subscribed


def give_key(gateway: Platform, **holder: Any) -> tuple[str, dict[str, str]]:
    """A key that the auth service knows: its id, and the header that a program sends."""
    key_id = new_id()
    key = f"kelmah_{key_id}_{'s' * 43}"
    gateway.behind.api_keys[hashlib.sha256(key.encode()).hexdigest()] = {
        "keyId": key_id, "userId": "ama", "role": "worker", "scopes": ["jobs:read"],
        "expiresAt": int(clock.now().timestamp()) + 600,
    } | holder  # fmt: skip
    return key_id, {"authorization": f"Bearer {key}"}


async def ask(gateway: Platform, path: str, headers: dict[str, str], method: str = "GET") -> tuple[int, Any]:
    async with gateway.client.request(method, path, headers=headers) as answer:
        return answer.status, await answer.json() if method != "HEAD" else None


async def test_a_key_opens_what_its_scopes_name_and_nothing_else(gateway: Platform) -> None:
    _, headers = give_key(gateway)
    status, seen = await ask(gateway, "/api/v1/mine", headers)
    assert (status, seen["user"]) == (200, "ama")
    assert (await ask(gateway, "/api/v1/echo", headers, "HEAD"))[0] == 200
    for method, path in (
        ("POST", "/api/v1/echo"),  # another scope
        ("DELETE", "/api/v1/echo"),  # no scope, though anybody may call it
        ("GET", "/api/v1/slow"),
        ("POST", "/api/v1/closed"),
    ):
        status, problem = await ask(gateway, path, headers, method)
        assert (status, problem["code"]) == (403, "scope_missing"), path
    assert gateway.behind.calls == 1  # one look-up, and no service was asked for what was refused


async def test_a_key_has_no_more_than_its_owners_role(gateway: Platform) -> None:
    _, worker = give_key(gateway)
    status, problem = await ask(gateway, "/api/v1/staff", worker)
    assert (status, problem["code"]) == (403, "forbidden")
    _, admin = give_key(gateway, role="admin")
    assert (await ask(gateway, "/api/v1/staff", admin))[0] == 200


async def test_a_key_opens_no_socket(gateway: Platform) -> None:
    _, headers = give_key(gateway, scopes=["jobs:read", "jobs:write"])
    upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    sent = headers | upgrade | {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}
    assert (await ask(gateway, "/api/v1/ws", sent))[0] == 403


async def test_a_key_is_counted_by_itself(gateway: Platform) -> None:
    (_, one), (_, two) = give_key(gateway), give_key(gateway)
    owner = gateway.bearer(user_id="ama")
    assert [(await ask(gateway, "/api/v1/limited", one))[0] for _ in range(4)] == [200, 200, 200, 429]
    for others in (two, owner, {}):
        assert (await ask(gateway, "/api/v1/limited", others))[0] == 200


async def test_a_revoked_key_is_out_at_once(gateway: Platform) -> None:
    key_id, headers = give_key(gateway)
    assert (await ask(gateway, "/api/v1/mine", headers))[0] == 200
    await subscribed(gateway)
    assert await gateway.redis.publish(f"{gateway.prefix}:auth:revocations", key_id) == 1
    async with asyncio.timeout(10):
        found = await ask(gateway, "/api/v1/mine", headers)
        while found[0] == 200:
            found = await ask(gateway, "/api/v1/mine", headers)
    assert (found[0], found[1]["code"]) == (401, "api_key_refused")


async def test_a_key_elsewhere_than_in_the_header_is_nothing(gateway: Platform) -> None:
    _, headers = give_key(gateway)
    key = headers["authorization"].removeprefix("Bearer ")
    status, problem = await ask(gateway, f"/api/v1/mine?api_key={key}", {"x-api-key": key})
    assert (status, problem["code"]) == (401, "unauthenticated")
