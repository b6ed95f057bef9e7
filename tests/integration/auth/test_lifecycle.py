"""Rest, export, deletion, roles, and the owner's "this was not me"."""

import asyncio
import re
from typing import Any

import msgspec
import pytest

from kelmah.contracts.common import Role
from kelmah.kit.agents import browser_of, device_of, system_of
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from tests.fixtures.mailbox import Mailbox
from tests.fixtures.service import Reply, Service
from tests.integration.auth.conftest import Visitor, events_of, mailed_token, new_member, run_timers
from tests.integration.auth.test_mfa import fresh, switch_on


async def account_row(auth: Service, visitor: Visitor) -> dict[str, Any] | None:
    found: dict[str, Any] | None = await auth.context.mongo.collection("accounts").find_one(
        {"_id": visitor.principal.user_id}
    )
    return found


async def live_sessions(auth: Service, user_id: str) -> int:
    found: int = await auth.context.mongo.collection("sessions").count_documents(
        {"account_id": user_id, "revoked_at": None}
    )
    return found


@pytest.mark.parametrize(
    ("agent", "browser", "system", "device"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64) Firefox/145.0", "Firefox", "Windows", "Firefox on Windows"),
        (
            "Mozilla/5.0 (Linux; Android 14) SamsungBrowser/28.0 Chrome/130.0 Mobile Safari/537.36",
            "Samsung Internet", "Android", "Samsung Internet on Android",
        ),
        ("(iPhone; CPU iPhone OS 18_1 like Mac OS X) Safari/604.1", "Safari", "iPhone", "Safari on iPhone"),
        ("(Macintosh; Intel Mac OS X) Chrome/142.0 Safari/537.36 Edg/142.0", "Edge", "macOS", "Edge on macOS"),
        ("curl/8.5.0", None, None, "An unknown device"),
        ("<script> on Linux", None, "Linux", "A program on Linux"),
        (None, None, None, "An unknown device"),
    ],
)  # fmt: skip
def test_devices_have_names(agent: str | None, browser: str | None, system: str | None, device: str) -> None:
    assert (browser_of(agent), system_of(agent), device_of(agent)) == (browser, system, device)


async def test_the_owner_undoes_a_strangers_login_by_one_link(auth: Service, mailbox: Mailbox) -> None:
    member = await new_member(auth, device=True)
    member.headers |= {"kelmah-device": new_id(), "user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0"}
    await member.login()
    thief = member.tokens
    assert thief is not None
    token = await mailed_token(auth, mailbox, member.email)
    [mail] = mailbox.messages(member.email)
    body = mail.get_body(("plain",))
    assert body is not None
    assert "Firefox on Linux" in body.get_content()
    assert re.search(r"http://127.0.0.1:5000/not-me\?token=", body.get_content())

    new_password = "green gonja by the Volta"
    assert (await member.post("not-me", {"token": "x" * 43})).data["code"] == "auth.token_refused"
    assert (await member.post("reset-password", {"token": token, "newPassword": new_password})).status == 400
    assert await live_sessions(auth, member.principal.user_id) == 2
    assert (await member.post("not-me", {"token": token})).status == 204
    assert (await member.post("not-me", {"token": token})).status == 400
    assert await live_sessions(auth, member.principal.user_id) == 0
    assert (await member.refresh(thief["refreshToken"])).status == 401
    assert (await member.login()).data["code"] == "auth.invalid_credentials"  # the password is of no use any more
    reset = {"token": await mailed_token(auth, mailbox, member.email), "newPassword": new_password}
    assert (await member.post("reset-password", reset)).status == 204
    assert (await member.login(password=reset["newPassword"])).status == 200


async def test_an_account_rests_and_wakes(auth: Service, mailbox: Mailbox) -> None:
    member = await new_member(auth)
    path = "/api/v1/auth/me/deactivate"
    assert (await auth.call("POST", path, by=member.principal)).data["code"] == "step_up_required"
    assert (await auth.call("POST", path)).status == 401
    row = await account_row(auth, member)
    assert row is not None
    assert row["deactivated_at"] is None
    before = fresh(member)
    assert (await auth.call("POST", path, by=before)).status == 204
    assert (await auth.call("POST", path, by=before)).status == 401
    assert await live_sessions(auth, before.user_id) == 0
    told = await member.login()
    assert (told.status, told.data["code"]) == (403, "auth.account_deactivated")
    assert (await member.login(password="another one", reactivate=True)).data["code"] == "auth.invalid_credentials"
    assert (await member.login(reactivate=True)).status == 200
    types = await events_of(auth, f"user:{before.user_id}")
    assert types[-3:] == [
        "auth.account_deactivated.v1", "auth.session_revoked.v1", "auth.account_reactivated.v1",
    ]  # fmt: skip
    await run_timers(auth)
    assert mailbox.messages(member.email)[-1]["Subject"] == "Your Kelmah account is at rest"


async def test_one_gets_all_that_is_kept_and_no_secret(auth: Service) -> None:
    member = await new_member(auth, device=True)
    secret, _ = await switch_on(auth, member)
    assert (await auth.call("GET", "/api/v1/auth/me/export", by=member.principal)).status == 403
    reply = await auth.call("GET", "/api/v1/auth/me/export", by=fresh(member))
    assert reply.status == 200
    assert reply.data["account"]["email"] == member.email
    assert [one["address"] for one in reply.data["sessions"]] == [member.headers["x-forwarded-for"]]
    assert (len(reply.data["devices"]), reply.data["secondFactor"], reply.data["roleChanges"]) == (1, True, [])
    assert "argon2" not in reply.body.decode()
    assert secret not in reply.body.decode()


async def test_a_deleted_account_leaves_nothing_of_the_person(auth: Service) -> None:
    member = await new_member(auth, device=True)
    await switch_on(auth, member)
    who = fresh(member)
    assert (await auth.call("DELETE", "/api/v1/auth/me", by=member.principal)).status == 403
    assert await account_row(auth, member) is not None
    first, second = await asyncio.gather(*(auth.call("DELETE", "/api/v1/auth/me", by=who) for _ in range(2)))
    assert sorted((first.status, second.status)) == [204, 401]
    assert (await auth.call("GET", "/api/v1/auth/me", by=who)).status == 401
    assert (await member.login()).data["code"] == "auth.invalid_credentials"
    mongo = auth.context.mongo
    for name in ("accounts", "factors"):
        assert await mongo.collection(name).find_one({"_id": who.user_id}) is None
    for name in ("devices", "identities", "proofs"):
        assert await mongo.collection(name).find_one({"account_id": who.user_id}) is None
    async for row in mongo.collection("sessions").find({"account_id": who.user_id}):
        assert row["revoked_at"] is not None
        assert (row["address_sealed"], row["user_agent_sealed"], row["device_hash"]) == (None, None, None)
    assert (await events_of(auth, f"user:{who.user_id}"))[-1] == "auth.account_deleted.v1"
    assert (await member.register()).status == 201  # the address is free again


async def admin(auth: Service) -> Principal:
    member = await new_member(auth)
    await auth.context.mongo.collection("accounts").update_one(
        {"_id": member.principal.user_id}, {"$set": {"role": "admin"}}
    )
    return acting(fresh(member))


def acting(by: Principal) -> Principal:
    """The same person with an administrator's token."""
    return msgspec.structs.replace(by, role=Role.ADMIN, methods=("pwd", "otp", "mfa"))


async def change(auth: Service, user_id: str, by: Principal | None, **more: Any) -> Reply:
    body = {"role": "moderator", "reason": "Joins the team"} | more
    return await auth.call("PUT", f"/api/v1/admin/users/{user_id}/role", body, by=by)


async def test_an_admin_gives_roles_at_once_and_on_record(auth: Service, member: Visitor) -> None:
    boss, user_id = await admin(auth), member.principal.user_id
    assert member.tokens is not None
    for by, status in ((None, 401), (fresh(member), 403), (msgspec.structs.replace(boss, authenticated_at=1), 403)):
        assert (await change(auth, user_id, by)).status == status
    pretender = acting(fresh(await new_member(auth)))  # was one until a moment ago
    assert (await change(auth, user_id, pretender)).data["code"] == "forbidden"
    for bad in ({"role": "king"}, {"reason": ""}, {"reason": "    "}, {"reason": "\u200b\u200b\u200b"}):
        assert (await change(auth, user_id, boss, **bad)).status == 400
    assert (await change(auth, boss.user_id, boss)).data["code"] == "auth.role_kept"
    assert (await change(auth, new_id(), boss)).status == 404
    row = await account_row(auth, member)
    assert row is not None
    assert row["role"] == "worker"
    assert await live_sessions(auth, user_id) == 1

    done = await change(auth, user_id, boss)
    assert (done.status, done.data["oldRole"], done.data["newRole"], done.data["by"]) == (
        200, "worker", "moderator", boss.user_id,
    )  # fmt: skip
    assert (await change(auth, user_id, boss)).data["code"] == "auth.role_kept"
    assert (await member.refresh(member.tokens["refreshToken"])).status == 401
    assert (await member.login()).data["user"]["role"] == "moderator"
    moderator = msgspec.structs.replace(fresh(member), methods=("pwd", "otp", "mfa"))
    exported = (await auth.call("GET", "/api/v1/auth/me/export", by=moderator)).data
    assert [one["reason"] for one in exported["roleChanges"]] == ["Joins the team"]
    assert "auth.role_changed.v1" in await events_of(auth, f"user:{user_id}")


async def test_two_admins_cannot_take_the_role_from_each_other(auth: Service) -> None:
    one, two = await admin(auth), await admin(auth)
    first, second = await asyncio.gather(
        change(auth, two.user_id, one, role="worker"), change(auth, one.user_id, two, role="worker")
    )
    assert sorted((first.status, second.status)) == [200, 403]


async def test_an_admin_ends_the_sessions_of_a_person(auth: Service, member: Visitor) -> None:
    boss, user_id = await admin(auth), member.principal.user_id
    path = f"/api/v1/admin/users/{user_id}/sessions"
    for by, status in ((None, 401), (fresh(member), 403), (msgspec.structs.replace(boss, authenticated_at=1), 403)):
        assert (await auth.call("DELETE", path, by=by)).status == status
    assert await live_sessions(auth, user_id) == 1
    assert (await auth.call("DELETE", f"/api/v1/admin/users/{new_id()}/sessions", by=boss)).status == 404
    assert (await auth.call("DELETE", path, by=boss)).status == 204
    assert await live_sessions(auth, user_id) == 0
    assert await live_sessions(auth, boss.user_id) == 1
    assert member.tokens is not None
    assert (await member.refresh(member.tokens["refreshToken"])).status == 401
