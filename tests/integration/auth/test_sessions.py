"""Logging in, refreshing and ending."""

import asyncio
import base64
import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kelmah.kit import clock
from kelmah.kit.ids import new_id
from kelmah.kit.places import open_places
from kelmah.services.auth.service import open_hasher
from kelmah.services.auth.settings import AuthSettings
from tests.fixtures.mailbox import Mailbox
from tests.fixtures.places import places_file
from tests.fixtures.service import Service, person
from tests.integration.auth.conftest import PASSWORD, Visitor, claims, events_of, new_member, run_timers


async def session_row(auth: Service, session_id: str) -> dict[str, Any]:
    row: dict[str, Any] = await auth.context.mongo.collection("sessions").find_one({"_id": session_id})
    return row


async def test_login_gives_tokens_that_the_published_keys_verify(auth: Service, member: Visitor) -> None:
    tokens = member.tokens
    assert tokens is not None
    assert (tokens["tokenType"], tokens["expiresIn"]) == ("Bearer", 600)
    assert tokens["user"]["email"] == member.email
    header = json.loads(base64.urlsafe_b64decode(tokens["accessToken"].split(".")[0] + "=="))
    published = [key["kid"] for key in member.keys["keys"]] if member.keys else []
    assert header == {"alg": "EdDSA", "kid": published[0], "typ": "at+jwt"}
    found = claims(tokens["accessToken"], member.keys)
    assert found == {
        "iss": "https://kelmah.example",
        "aud": "kelmah",
        "sub": tokens["user"]["id"],
        "sid": found["sid"],
        "role": "worker",
        "jti": found["jti"],
        "iat": found["iat"],
        "nbf": found["iat"],
        "exp": found["iat"] + 600,
        "auth_time": found["iat"],
        "amr": ["pwd"],
    }
    assert await events_of(auth, f"session:{found['sid']}") == ["auth.logged_in.v1"]


async def test_no_token_is_stored_in_the_clear(auth: Service, member: Visitor) -> None:
    assert member.tokens is not None
    await member.refresh(member.tokens["refreshToken"])
    row = str(await session_row(auth, member.principal.session_id))
    assert member.tokens["refreshToken"] not in row
    assert member.headers["x-forwarded-for"] not in row


async def test_a_wrong_password_and_an_unknown_address_answer_the_same(auth: Service, member: Visitor) -> None:
    wrong = await member.login(password="not the right one")
    unknown = await member.login(email=f"{new_id()}@example.com")
    assert wrong.status == unknown.status == 401
    differing = ("requestId",)
    assert {k: v for k, v in wrong.data.items() if k not in differing} == {
        k: v for k, v in unknown.data.items() if k not in differing
    }
    assert wrong.data["code"] == "auth.invalid_credentials"
    rows = auth.context.mongo.collection("events").find({"type": "auth.login_refused.v1"}).sort("_id", -1).limit(2)
    users = [json.loads(row["data"])["userId"] async for row in rows]
    assert sorted(users, key=str) == sorted([None, member.principal.user_id], key=str)


async def test_an_unverified_account_is_told_only_with_the_right_password(auth: Service, visitor: Visitor) -> None:
    await visitor.register()
    right = await visitor.login()
    assert (right.status, right.data["code"]) == (403, "auth.email_not_verified")
    assert (await visitor.login(password="not the right one")).data["code"] == "auth.invalid_credentials"
    [index, *_] = auth.context.email_indexes(visitor.email)
    account = await auth.context.mongo.collection("accounts").find_one({"email_index": index})
    assert await auth.context.mongo.collection("sessions").count_documents({"account_id": account["_id"]}) == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [("email", {"$gt": ""}), ("password", {"$ne": ""}), ("password", ""), ("email", "nobody"), ("admin", True)],
)
async def test_bad_input_is_named(visitor: Visitor, field: str, value: Any) -> None:
    reply = await visitor.login(**{field: value})
    assert reply.status == 400
    assert [error["field"] for error in reply.data["errors"]] == [field]


async def test_a_device_name_that_is_too_easy_is_refused(visitor: Visitor) -> None:
    visitor.headers["kelmah-device"] = "laptop"
    assert (await visitor.login()).status == 400


async def test_wrong_passwords_are_slowed_down_and_the_owner_still_gets_in(auth: Service) -> None:
    owner = await new_member(auth, device=True)
    attacker = Visitor(auth, owner.email, {"x-forwarded-for": "2001:db8::1"}, password="a guess of a password")
    statuses = [(await attacker.login()).status for _ in range(8)]
    assert statuses[:6] == [401] * 6
    assert statuses[6:] == [429] * 2
    refused = await attacker.login()
    assert refused.data["code"] == "auth.too_many_attempts"
    assert int(refused.headers["retry-after"]) >= 1
    # The right password does not help a stranger while the account's bucket waits, and the owner is not locked out.
    assert (await attacker.login(password=PASSWORD)).status == 429
    assert (await owner.login()).status == 200


async def test_an_address_that_sprays_many_accounts_is_stopped(auth: Service) -> None:
    codes: list[int] = []
    while 429 not in codes and len(codes) < 300:  # one try comes back every 3 seconds, however slow we are
        number = len(codes)
        sprayer = Visitor(auth, f"{number}.{new_id()}@example.com", {"x-forwarded-for": f"2001:db8:5:5::{number:x}"})
        codes.append((await sprayer.login()).status)
    assert codes[:100] == [401] * 100
    assert codes[-1] == 429


async def test_stronger_parameters_replace_a_hash_at_login(auth: Service, settings: AuthSettings) -> None:
    member = await new_member(auth)
    before = auth.context
    async with open_hasher(settings.model_copy(update={"hash_passes": 2})) as stronger:
        auth.replace(hasher=stronger)
        try:
            assert (await member.login()).status == 200
        finally:
            auth.replace(hasher=before.hasher)
    row = await auth.context.mongo.collection("accounts").find_one({"_id": member.principal.user_id})
    assert row["password_hash"].startswith("$argon2id$v=19$m=64,t=2,p=1$")
    assert (await member.login()).status == 200


async def test_a_full_line_at_the_hasher_is_told(auth: Service, settings: AuthSettings) -> None:
    member = await new_member(auth)
    before = auth.context
    async with open_hasher(settings.model_copy(update={"hash_threads": 1, "max_waiting_hashes": 1})) as narrow:
        started, over = threading.Event(), threading.Event()

        def occupy() -> None:
            started.set()
            over.wait(30)

        first = asyncio.create_task(narrow.run(occupy))
        await asyncio.to_thread(started.wait, 30)
        second = asyncio.create_task(narrow.run(lambda: None))
        await asyncio.sleep(0)
        auth.replace(hasher=narrow)
        try:
            reply = await member.login()
            assert (reply.status, reply.data["code"], reply.headers["retry-after"]) == (503, "auth.busy", "1")
            over.set()
            await asyncio.gather(first, second)
            assert (await member.login()).status == 200
        finally:
            over.set()
            auth.replace(hasher=before.hasher)


async def test_each_refresh_token_serves_once(auth: Service, member: Visitor) -> None:
    assert member.tokens is not None
    first = member.tokens["refreshToken"]
    second = (await member.refresh(first)).data
    assert set(second) == {"accessToken", "refreshToken", "tokenType", "expiresIn"}
    assert second["refreshToken"] != first
    assert claims(second["accessToken"], member.keys)["sid"] == member.principal.session_id
    assert (await member.refresh(second["refreshToken"])).status == 200


async def test_a_used_token_ends_the_family_and_tells(auth: Service, member: Visitor, mailbox: Mailbox) -> None:
    assert member.tokens is not None
    await run_timers(auth)
    mailbox.clear()
    first = member.tokens["refreshToken"]
    second = (await member.refresh(first)).data["refreshToken"]
    reused = await member.refresh(first)
    assert (reused.status, reused.data["code"]) == (401, "auth.refresh_refused")
    assert (await member.refresh(second)).status == 401
    row = await session_row(auth, member.principal.session_id)
    assert row["revoked_reason"] == "refresh_reused"
    types = await events_of(auth, f"user:{member.principal.user_id}")
    assert types.count("auth.session_revoked.v1") == 1
    prefix = auth.context.settings.redis_prefix
    assert await auth.context.redis.zscore(f"{prefix}:auth:revoked", member.principal.session_id) is not None
    await run_timers(auth)
    [mail] = mailbox.messages(member.email)
    assert mail["Subject"] == "We ended one of your Kelmah sessions"


async def test_a_token_used_long_ago_ends_the_family_too(auth: Service, member: Visitor) -> None:
    assert member.tokens is not None
    first = token = member.tokens["refreshToken"]
    for _ in range(3):
        token = (await member.refresh(token)).data["refreshToken"]
    assert (await member.refresh(first)).status == 401
    assert (await member.refresh(token)).status == 401


async def test_two_tabs_of_one_device_get_the_same_successor(auth: Service) -> None:
    member = await new_member(auth, device=True)
    assert member.tokens is not None
    token = member.tokens["refreshToken"]
    replies = await asyncio.gather(*(member.refresh(token) for _ in range(5)))
    assert [reply.status for reply in replies] == [200] * 5
    [successor] = {reply.data["refreshToken"] for reply in replies}
    assert (await member.refresh(successor)).status == 200


@pytest.mark.parametrize("case", ["another device", "no device", "too late", "already passed on"])
async def test_anything_else_is_reuse(auth: Service, moved_clock: Any, case: str) -> None:
    member = await new_member(auth, device=True)
    assert member.tokens is not None
    token = member.tokens["refreshToken"]
    successor = (await member.refresh(token)).data["refreshToken"]
    if case == "another device":
        reply = await member.refresh(token, **{"kelmah-device": new_id()})
    elif case == "no device":
        del member.headers["kelmah-device"]
        reply = await member.refresh(token)
    elif case == "too late":
        moved_clock(timedelta(seconds=11))
        reply = await member.refresh(token)
    else:
        successor = (await member.refresh(successor)).data["refreshToken"]
        reply = await member.refresh(token)
    assert reply.status == 401
    assert (await member.refresh(successor)).status == 401
    assert (await session_row(auth, member.principal.session_id))["revoked_reason"] == "refresh_reused"


async def test_a_forged_token_ends_nothing(auth: Service, member: Visitor) -> None:
    assert member.tokens is not None
    token = member.tokens["refreshToken"]
    middle = len(token) // 2
    flipped = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    for forged in (flipped, f"{member.principal.session_id}.{'x' * 43}", token[:-4], token + "AAAA"):
        assert (await member.refresh(forged)).status == 401
    assert (await member.refresh("bad token!" * 3)).status == 400
    assert (await session_row(auth, member.principal.session_id))["revoked_at"] is None
    assert (await member.refresh(token)).status == 200


@pytest.mark.parametrize("days", [14, 60])
async def test_a_session_ends_idle_or_old(auth: Service, member: Visitor, moved_clock: Any, days: int) -> None:
    assert member.tokens is not None
    token = member.tokens["refreshToken"]
    for _ in range(0, days - 10, 10):
        moved_clock(timedelta(days=10))
        token = (await member.refresh(token)).data["refreshToken"]
    moved_clock(timedelta(days=14 if days == 14 else 10))
    assert (await member.refresh(token)).status == 401
    assert (await session_row(auth, member.principal.session_id))["revoked_at"] is None


async def test_one_sees_and_ends_ones_own_sessions_only(auth: Service, member: Visitor) -> None:
    here = member.principal
    await member.login()
    there = member.principal
    stranger = await new_member(auth)
    listed = (await auth.call("GET", "/api/v1/auth/sessions", by=here)).data
    assert listed["nextCursor"] is None
    assert {(one["id"], one["current"]) for one in listed["items"]} == {
        (here.session_id, True),
        (there.session_id, False),
    }
    assert listed["items"][0]["address"] == member.headers["x-forwarded-for"]
    assert listed["items"][0]["userAgent"] == "pytest"

    path = f"/api/v1/auth/sessions/{there.session_id}"
    assert (await auth.call("DELETE", path, by=stranger.principal)).status == 404
    assert (await auth.call("DELETE", path)).status == 401
    assert (await session_row(auth, there.session_id))["revoked_at"] is None
    assert (await auth.call("DELETE", path, by=here)).status == 204
    assert (await auth.call("DELETE", path, by=here)).status == 404
    assert member.tokens is not None
    assert (await member.refresh(member.tokens["refreshToken"])).status == 401


async def test_others_or_all_end_at_once(auth: Service, member: Visitor) -> None:
    first = member.principal
    for _ in range(2):
        await member.login()
    reply = await auth.call("DELETE", "/api/v1/auth/sessions?keepCurrent=true", by=first)
    assert reply.status == 204
    left = (await auth.call("GET", "/api/v1/auth/sessions", by=first)).data["items"]
    assert [one["id"] for one in left] == [first.session_id]
    assert (await auth.call("DELETE", "/api/v1/auth/sessions", by=first)).status == 204
    assert (await auth.call("GET", "/api/v1/auth/sessions", by=first)).data["items"] == []


async def test_logout_ends_this_session(auth: Service, member: Visitor) -> None:
    assert member.tokens is not None
    for _ in range(2):
        reply = await auth.call("POST", "/api/v1/auth/logout", by=member.principal)
        assert (reply.status, reply.headers["clear-site-data"]) == (204, '"cache", "storage"')
    assert (await member.refresh(member.tokens["refreshToken"])).status == 401
    types = await events_of(auth, f"user:{member.principal.user_id}")
    assert types.count("auth.session_revoked.v1") == 1
    assert (await auth.call("POST", "/api/v1/auth/logout")).status == 401


async def test_logout_takes_a_refresh_token_where_the_access_token_expired(auth: Service, member: Visitor) -> None:
    assert member.tokens is not None
    token = member.tokens["refreshToken"]
    for _ in range(2):
        assert (await member.post("logout", {"refreshToken": token})).status == 204
    assert (await session_row(auth, member.principal.session_id))["revoked_reason"] == "logout"
    assert (await member.post("logout", {"refreshToken": "k1." + "A" * 80})).status == 401
    assert (await member.post("logout", {"token": token})).status == 400


async def test_a_person_has_so_many_sessions(auth: Service, settings: AuthSettings, member: Visitor) -> None:
    first = member.principal
    auth.replace(settings=settings.model_copy(update={"max_sessions": 2}))
    try:
        for _ in range(2):
            await member.login()
    finally:
        auth.replace(settings=settings)
    left = (await auth.call("GET", "/api/v1/auth/sessions", by=member.principal)).data["items"]
    assert len(left) == 2
    assert (await session_row(auth, first.session_id))["revoked_reason"] == "too_many"


async def test_gateways_hear_of_the_end_and_can_catch_up(auth: Service, member: Visitor) -> None:
    prefix, session_id = auth.context.settings.redis_prefix, member.principal.session_id
    before_ms = int(clock.now().timestamp() * 1000) - 1
    async with auth.context.redis.pubsub() as listener:
        await listener.subscribe(f"{prefix}:auth:revocations")
        assert (await listener.get_message(timeout=5))["type"] == "subscribe"
        await auth.call("POST", "/api/v1/auth/logout", by=member.principal)
        assert (await listener.get_message(timeout=5))["data"] == session_id.encode()
    score = await auth.context.redis.zscore(f"{prefix}:auth:revoked", session_id)
    answer = (await auth.call("GET", f"/internal/revocations?since={before_ms}")).data
    found = {one["sessionId"]: one["expiresAt"] for one in answer["items"]}
    assert found[session_id] == score
    assert answer["more"] is False
    assert answer["until"] < before_ms
    assert (await auth.call("GET", "/internal/revocations?since=0", caller="job", by=person())).status == 403
    assert (await auth.call("GET", "/internal/revocations?since=-1")).status == 400


async def test_a_new_device_is_told_to_the_owner_but_not_the_first(auth: Service, mailbox: Mailbox) -> None:
    member = await new_member(auth, device=True)
    await member.login()
    await run_timers(auth)
    assert mailbox.messages(member.email) == []
    member.headers["kelmah-device"] = new_id()
    await member.login()
    await member.login()
    await run_timers(auth)
    [mail] = mailbox.messages(member.email)
    assert mail["Subject"] == "A new device signed in to Kelmah"


async def test_a_session_says_roughly_where_it_is_if_that_is_known(
    auth: Service, mailbox: Mailbox, tmp_path: Path
) -> None:
    member = await new_member(auth, device=True)
    ghana = {"country": {"iso_code": "GH", "names": {"en": "Ghana"}}, "city": {"names": {"en": "Kumasi"}}}
    (tmp_path / "city.mmdb").write_bytes(places_file({"198.51.100.0/24": ghana}))
    with open_places(tmp_path / "city.mmdb") as places:
        auth.replace(places=places)
        try:
            member.headers |= {"kelmah-device": new_id(), "x-forwarded-for": "198.51.100.7"}
            await member.login()
            await run_timers(auth)
            listed = (await auth.call("GET", "/api/v1/auth/sessions", by=member.principal)).data["items"]
        finally:
            auth.replace(places=None)
    kumasi = {"countryCode": "GH", "country": "Ghana", "city": "Kumasi"}
    assert [(one["current"], one["place"]) for one in listed] == [(True, kumasi), (False, None)]
    [mail] = mailbox.messages(member.email)
    body = mail.get_body(("plain",))
    assert body is not None
    assert ", Kumasi, Ghana, at 2" in body.get_content().replace("\n", " ")
