"""API keys: made, shown once, checked, rotated, revoked, and ended with whatever ends their owner's trust."""

import asyncio
import hashlib
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from tests.fixtures.mailbox import Mailbox
from tests.fixtures.service import Reply, Service
from tests.integration.auth.conftest import Visitor, events_of, mailed_token, new_member, run_timers
from tests.integration.auth.test_lifecycle import admin, change
from tests.integration.auth.test_mfa import fresh

PATH = "/api/v1/auth/api-keys"


async def make(auth: Service, by: Principal | None, **more: Any) -> Reply:
    return await auth.call("POST", PATH, {"name": "Payroll", "scopes": ["jobs:read", "contracts:read"]} | more, by=by)


async def made(auth: Service, by: Principal, **more: Any) -> dict[str, Any]:
    reply = await make(auth, by, **more)
    assert reply.status == 201, reply.body
    return dict(reply.data)


async def check(auth: Service, key: str) -> Reply:
    """What the gateway asks."""
    body = {"keyId": key.split("_")[1], "digest": hashlib.sha256(key.encode()).hexdigest()}
    return await auth.call("POST", "/internal/api-keys/check", body)


async def listed(auth: Service, by: Principal) -> list[dict[str, Any]]:
    return list((await auth.call("GET", PATH, by=by)).data["items"])


async def test_a_key_is_shown_once_and_kept_as_a_hash(auth: Service, mailbox: Mailbox) -> None:
    member = await new_member(auth)
    who = fresh(member)
    new = await made(auth, who, scopes=["jobs:read", "jobs:read", "contracts:read"], expiresInDays=2)
    assert new["key"].startswith(f"{new['prefix']}_")
    assert new["prefix"] == f"kelmah_{new['id']}"
    assert (new["name"], new["scopes"], new["lastUsedAt"]) == ("Payroll", ["contracts:read", "jobs:read"], None)
    row = str(await auth.context.mongo.collection("api_keys").find_one({"_id": new["id"]}))
    assert new["key"].rpartition("_")[2] not in row
    [shown] = await listed(auth, member.principal)
    assert shown == {name: value for name, value in new.items() if name != "key"}
    assert (await events_of(auth, f"user:{who.user_id}"))[-1] == "auth.api_key_created.v1"
    await run_timers(auth)
    assert mailbox.messages(member.email)[-1]["Subject"] == "A key for your Kelmah account was made"


async def test_the_gateway_learns_for_whom_and_how_far(auth: Service, member: Visitor, moved_clock: Any) -> None:
    new = await made(auth, fresh(member))
    holder = (await check(auth, new["key"])).data
    assert (holder["userId"], holder["role"], sorted(holder["scopes"])) == (
        member.principal.user_id, "worker", ["contracts:read", "jobs:read"],
    )  # fmt: skip
    [used] = await listed(auth, member.principal)
    moved_clock(timedelta(seconds=30))
    await check(auth, new["key"])
    assert await listed(auth, member.principal) == [used]  # written once a minute at most
    moved_clock(timedelta(seconds=61))
    await check(auth, new["key"])
    assert (await listed(auth, member.principal))[0]["lastUsedAt"] > used["lastUsedAt"]
    moved_clock(timedelta(days=91))
    assert (await check(auth, new["key"])).data["code"] == "auth.api_key_unknown"


async def test_the_first_use_in_an_hour_is_an_event_with_its_origin(
    auth: Service, member: Visitor, moved_clock: Any
) -> None:
    new = await made(auth, fresh(member))
    body = {"keyId": new["id"], "digest": hashlib.sha256(new["key"].encode()).hexdigest()}
    origin = {"x-forwarded-for": "192.0.2.9", "user-agent": "payroll/2", "x-request-id": new_id()}
    for minutes in (0, 1, 57, 61):
        moved_clock(timedelta(minutes=minutes))
        await asyncio.gather(*(auth.call("POST", "/internal/api-keys/check", body, headers=origin) for _ in range(5)))
    events = auth.context.events
    used = [one.envelope async for one in events.find(types=["auth.api_key_used.v1"], actor=member.principal.user_id)]
    assert len(used) == 2
    assert msgspec.json.decode(used[0].data) == {"userId": member.principal.user_id, "keyId": new["id"]}
    assert used[0].requestid == origin["x-request-id"]
    opened = [await events.people.open(used[0].person, token) for token in (used[0].address, used[0].device)]
    assert opened == ["192.0.2.9", "payroll/2"]


async def test_what_is_no_key_is_unknown(auth: Service, member: Visitor) -> None:
    key = (await made(auth, fresh(member)))["key"]
    for wrong in (key[:-1] + ("a" if key[-1] != "a" else "b"), key.replace(key.split("_")[1], new_id())):
        assert (await check(auth, wrong)).status == 404
    assert (await auth.call("POST", "/internal/api-keys/check", {"keyId": "x", "digest": {"$ne": 1}})).status == 400
    body = {"keyId": key.split("_")[1], "digest": hashlib.sha256(key.encode()).hexdigest()}
    for caller in ("job", "user"):
        assert (await auth.call("POST", "/internal/api-keys/check", body, caller=caller)).status == 403


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scopes", []), ("scopes", ["*"]), ("scopes", ["jobs:admin"]), ("scopes", "jobs:read"), ("name", ""),
        ("name", "a\nb"), ("name", "\u202eevil"), ("name", "   "), ("name", "x" * 81), ("expiresInDays", 0),
        ("expiresInDays", 366), ("expiresInDays", {"$gt": 0}), ("role", "admin"),
    ],
)  # fmt: skip
async def test_bad_input_names_the_field_and_makes_nothing(
    auth: Service, member: Visitor, field: str, value: Any
) -> None:
    reply = await make(auth, fresh(member), **{field: value})
    assert reply.status == 400
    assert field in reply.body.decode()
    assert await listed(auth, member.principal) == []


async def test_making_and_rotating_take_a_fresh_proof(auth: Service, member: Visitor) -> None:
    assert (await make(auth, None)).status == 401
    assert (await make(auth, member.principal)).data["code"] == "step_up_required"
    new = await made(auth, fresh(member))
    stale = await auth.call("POST", f"{PATH}/{new['id']}/rotate", {}, by=member.principal)
    assert stale.data["code"] == "step_up_required"
    assert len(await listed(auth, member.principal)) == 1


async def test_somebody_elses_key_is_not_there(auth: Service, member: Visitor) -> None:
    new, stranger = await made(auth, fresh(member)), await new_member(auth)
    assert (await auth.call("DELETE", f"{PATH}/{new['id']}", by=stranger.principal)).status == 404
    assert (await auth.call("POST", f"{PATH}/{new['id']}/rotate", {}, by=fresh(stranger))).status == 404
    assert await listed(auth, stranger.principal) == []
    assert (await check(auth, new["key"])).status == 200


async def test_nobody_has_more_than_ten_even_at_once(auth: Service, member: Visitor) -> None:
    for _ in range(8):
        await made(auth, fresh(member))
    replies = await asyncio.gather(*(make(auth, fresh(member)) for _ in range(5)))
    assert sorted(one.status for one in replies) == [201, 201, 409, 409, 409]
    assert {one.data["code"] for one in replies if one.status == 409} == {"auth.too_many_keys"}
    keys = await listed(auth, member.principal)
    assert len(keys) == 10
    old = keys[-1]["id"]
    over = {"overlapHours": 1}
    assert (await auth.call("POST", f"{PATH}/{old}/rotate", over, by=fresh(member))).status == 201  # one over
    assert (await auth.call("POST", f"{PATH}/{old}/rotate", over, by=fresh(member))).status == 409
    assert len(await listed(auth, member.principal)) == 11


async def test_a_revoked_key_is_told_of_and_gone(auth: Service, member: Visitor) -> None:
    new = await made(auth, fresh(member))
    async with auth.context.redis.pubsub() as listener:
        await listener.subscribe(f"{auth.context.settings.redis_prefix}:auth:revocations")
        assert (await auth.call("DELETE", f"{PATH}/{new['id']}", by=member.principal)).status == 204
        while (message := await listener.get_message(timeout=5)) is not None and message["type"] != "message":
            pass
        assert message is not None
        assert message["data"].decode() == new["id"]
    assert (await auth.call("DELETE", f"{PATH}/{new['id']}", by=member.principal)).status == 404
    assert (await check(auth, new["key"])).status == 404
    revoked = (await auth.call("GET", "/internal/revocations")).data["items"]
    assert new["id"] in [one["sessionId"] for one in revoked]
    assert (await events_of(auth, f"user:{member.principal.user_id}"))[-1] == "auth.api_key_revoked.v1"


async def test_rotating_replaces_at_once_or_after_the_overlap(auth: Service, member: Visitor, moved_clock: Any) -> None:
    first = await made(auth, fresh(member), expiresInDays=30)
    second = (await auth.call("POST", f"{PATH}/{first['id']}/rotate", {}, by=fresh(member))).data
    assert (second["name"], second["scopes"]) == (first["name"], first["scopes"])
    assert (await check(auth, first["key"])).status == 404
    rotated = await auth.call("POST", f"{PATH}/{second['id']}/rotate", {"overlapHours": 2}, by=fresh(member))
    third = rotated.data
    assert {(await check(auth, one["key"])).status for one in (second, third)} == {200}
    moved_clock(timedelta(hours=2, seconds=1))
    assert [(await check(auth, one["key"])).status for one in (second, third)] == [404, 200]
    bad = await auth.call("POST", f"{PATH}/{third['id']}/rotate", {"overlapHours": 169}, by=fresh(member))
    assert bad.status == 400
    twins = await asyncio.gather(
        *(auth.call("POST", f"{PATH}/{third['id']}/rotate", {}, by=fresh(member)) for _ in range(3))
    )
    assert sorted(one.status for one in twins) == [201, 404, 404]


async def test_keys_end_with_the_trust_in_their_owner(auth: Service, mailbox: Mailbox) -> None:
    async def holder() -> tuple[Visitor, str]:
        member = await new_member(auth)
        return member, (await made(auth, fresh(member)))["key"]

    resting, key = await holder()
    assert (await auth.call("POST", "/api/v1/auth/me/deactivate", by=fresh(resting))).status == 204
    assert (await check(auth, key)).status == 404

    leaver, key = await holder()
    assert (await auth.call("DELETE", "/api/v1/auth/me", by=fresh(leaver))).status == 204
    assert (await check(auth, key)).status == 404
    row = await auth.context.mongo.collection("api_keys").find_one({"account_id": leaver.principal.user_id})
    assert (row["name"], row["revoked_at"] is not None) == ("", True)

    promoted, key = await holder()
    assert (await change(auth, promoted.principal.user_id, await admin(auth))).status == 200
    assert (await check(auth, key)).status == 404

    careless, key = await holder()
    await careless.post("forgot-password", {"email": careless.email})
    reset = {"token": await mailed_token(auth, mailbox, careless.email), "newPassword": "green gonja by the Volta"}
    assert (await careless.post("reset-password", reset)).status == 204
    assert (await check(auth, key)).status == 404

    careful, key = await holder()
    body = {"currentPassword": careful.password, "newPassword": "green gonja by the Volta"}
    assert (await careful.post("change-password", body, by=careful.principal)).status == 204
    assert (await check(auth, key)).status == 200  # the owner who changes a password keeps the programs running


async def test_the_export_names_keys_and_no_secret(auth: Service, member: Visitor) -> None:
    new = await made(auth, fresh(member))
    reply = await auth.call("GET", "/api/v1/auth/me/export", by=fresh(member))
    assert [one["id"] for one in reply.data["apiKeys"]] == [new["id"]]
    assert new["key"] not in reply.body.decode()
    assert hashlib.sha256(new["key"].encode()).hexdigest() not in reply.body.decode()
    assert clock.now().isoformat()[:10] in reply.body.decode()
