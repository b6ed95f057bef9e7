"""Passkeys on a software authenticator, honest and hostile."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from kelmah.kit import clock
from kelmah.kit.ids import new_id
from kelmah.services.auth.settings import AuthSettings
from tests.fakes.authenticator import Authenticator, code_of, decoded, encoded
from tests.fixtures.mailbox import Mailbox
from tests.fixtures.service import Reply, Service
from tests.integration.auth.conftest import (
    Visitor,
    claims,
    events_of,
    new_member,
    new_visitor,
    run_timers,
)
from tests.integration.auth.test_lifecycle import account_row, live_sessions
from tests.integration.auth.test_mfa import answer, challenge_of, fresh, switch_on

REFUSED = (401, "auth.passkey_refused")


@pytest.fixture
def device(settings: AuthSettings) -> Authenticator:
    return Authenticator(settings.public_url)


def outcome(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.data["code"]


async def begin(member: Visitor, **more: Any) -> Any:
    reply = await member.post("passkeys/options", **({"by": fresh(member)} | more))
    assert reply.status == 200, reply.body
    return reply.data


async def add(member: Visitor, device: Authenticator, **bent: Any) -> Reply:
    started = await begin(member)
    body = {
        "name": "Phone", "ceremony": started["ceremony"], "credential": device.create(started["publicKey"], **bent)
    }  # fmt: skip
    return await member.post("passkeys", body, by=fresh(member))


async def equipped(auth: Service, device: Authenticator) -> Visitor:
    """A member with a passkey on this device."""
    member = await new_member(auth)
    reply = await add(member, device)
    assert reply.status == 201, reply.body
    return member


async def challenge(visitor: Visitor, body: Any = None, **more: Any) -> Any:
    reply = await visitor.post("passkeys/challenge", body or {}, **more)
    assert reply.status == 200, reply.body
    return reply.data


async def log_in(visitor: Visitor, device: Authenticator, *, change: Any = None, **bent: Any) -> Reply:
    started = await challenge(visitor)
    credential = device.get(started["publicKey"], **bent)
    if change:
        change(credential)
    return await visitor.post("login/passkey", {"passkey": {"ceremony": started["ceremony"], "credential": credential}})


async def test_a_passkey_is_added_and_logs_in_without_a_name(
    auth: Service, mailbox: Mailbox, device: Authenticator
) -> None:
    member = await new_member(auth)
    started = await begin(member)
    options = started["publicKey"]
    assert options["rp"] == {"name": "Kelmah", "id": "127.0.0.1"}
    assert options["attestation"] == "none"
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert len(decoded(options["challenge"])) >= 16
    added = await add(member, device)
    assert (added.status, added.data["name"], added.data["synced"], added.data["lastUsedAt"]) == (
        201, "Phone", False, None,
    )  # fmt: skip
    again = await begin(member)
    assert [one["id"] for one in again["publicKey"]["excludeCredentials"]] == [encoded(device.passkeys[0].id)]
    await run_timers(auth)
    assert mailbox.messages(member.email)[-1]["Subject"] == "A passkey was added to your Kelmah account"
    assert (await events_of(auth, f"user:{member.principal.user_id}"))[-1] == "auth.passkey_added.v1"

    reply = await log_in(await new_visitor(auth), device)
    assert (reply.status, reply.data["user"]["id"]) == (200, member.principal.user_id)
    assert claims(reply.data["accessToken"], member.keys)["amr"] == ["pop", "mfa"]
    [listed] = (await auth.call("GET", "/api/v1/auth/passkeys", by=member.principal)).data["items"]
    assert listed["lastUsedAt"] is not None


async def test_a_passkey_asks_for_no_further_factor(auth: Service, device: Authenticator) -> None:
    member = await equipped(auth, device)
    await switch_on(auth, member)
    assert (await log_in(member, device)).status == 200


async def test_a_passkey_is_the_second_factor_of_one_login(auth: Service, device: Authenticator) -> None:
    member = await equipped(auth, device)
    secret, _ = await switch_on(auth, member)
    first, second = await challenge_of(member), await challenge_of(member)
    started = await challenge(member, {"challenge": first})

    async def finish(login: str, ceremony: Any, **more: Any) -> Reply:
        proof = {"ceremony": ceremony["ceremony"], "credential": device.get(ceremony["publicKey"])}
        return await member.post("login/mfa", {"challenge": login, "passkey": proof} | more)

    assert outcome(await finish(second, started)) == REFUSED  # of another login
    assert outcome(await finish(first, await challenge(member))) == REFUSED  # to log in by itself
    both = await finish(first, await challenge(member, {"challenge": first}), code=code_of(secret, at=30))
    assert both.status == 400
    assert (await member.post("login/mfa", {"challenge": first})).status == 400
    done = await finish(first, await challenge(member, {"challenge": first}))
    assert done.status == 200
    assert claims(done.data["accessToken"], member.keys)["amr"] == ["pwd", "pop", "mfa"]
    assert outcome(await answer(member, first, code_of(secret, at=30))) == (401, "auth.challenge_refused")


async def test_somebody_elses_passkey_is_no_second_factor_of_mine(auth: Service, device: Authenticator) -> None:
    thief = device
    await equipped(auth, thief)
    member = await new_member(auth)
    await switch_on(auth, member)
    login = await challenge_of(member)
    started = await challenge(member, {"challenge": login})
    mine = encoded(member.principal.user_id.encode())
    for handle in (thief.passkeys[0].user_handle, decoded(mine)):
        credential = thief.get(started["publicKey"], user_handle=handle)
        proof = {"ceremony": started["ceremony"], "credential": credential}
        assert outcome(await member.post("login/mfa", {"challenge": login, "passkey": proof})) == REFUSED
        started = await challenge(member, {"challenge": login})


async def test_a_passkey_steps_up_in_its_session_alone(auth: Service, device: Authenticator) -> None:
    member, other = await equipped(auth, device), await new_member(auth)
    await switch_on(auth, member)

    async def step_up(by: Any, started: Any) -> Reply:
        proof = {"ceremony": started["ceremony"], "credential": device.get(started["publicKey"])}
        return await member.post("step-up", {"passkey": proof}, by=by)

    assert outcome(await step_up(member.principal, await challenge(member))) == REFUSED
    theirs = await challenge(other, by=other.principal)
    assert outcome(await step_up(member.principal, theirs)) == REFUSED
    assert outcome(await step_up(other.principal, await challenge(other, by=other.principal))) == REFUSED
    done = await step_up(member.principal, await challenge(member, by=member.principal))
    assert done.status == 200
    found = claims(done.data["accessToken"], member.keys)
    assert found["auth_time"] >= found["iat"] - 1
    assert "pop" in found["amr"]


def other_signature(credential: Any) -> None:
    raw = bytearray(decoded(credential["response"]["signature"]))
    raw[-1] ^= 1
    credential["response"]["signature"] = encoded(bytes(raw))


def other_data(credential: Any) -> None:
    raw = bytearray(decoded(credential["response"]["authenticatorData"]))
    raw[36] ^= 1  # the count
    credential["response"]["authenticatorData"] = encoded(bytes(raw))


def unknown_id(credential: Any) -> None:
    credential["id"] = credential["rawId"] = encoded(b"x" * 32)


def two_ids(credential: Any) -> None:
    credential["rawId"] = encoded(b"x" * 32)


def no_handle(credential: Any) -> None:
    del credential["response"]["userHandle"]


def garbage(field: str) -> Any:
    def change(credential: Any) -> None:
        credential["response"][field] = encoded(b"\xff\x00garbage")

    return change


BENT: list[dict[str, Any]] = [
    {"origin": "https://kelmah.evil.example"},
    {"origin": "http://127.0.0.1:5000.evil.example"},
    {"origin": "null"},
    {"rp_id": "evil.example"},
    {"challenge": encoded(b"another challenge of the device")},
    {"type": "webauthn.create"},
    {"present": False},
    {"verified": False},
    {"user_handle": b"somebody else"},
    {"change": other_signature},
    {"change": other_data},
    {"change": unknown_id},
    {"change": two_ids},
    {"change": no_handle},
    {"change": garbage("clientDataJSON")},
    {"change": garbage("authenticatorData")},
    {"change": garbage("signature")},
]


@pytest.mark.parametrize("bent", BENT, ids=range(len(BENT)))
async def test_a_bent_answer_begins_no_session(auth: Service, device: Authenticator, bent: dict[str, Any]) -> None:
    member = await equipped(auth, device)
    assert outcome(await log_in(member, device, **bent)) == REFUSED
    assert await live_sessions(auth, member.principal.user_id) == 1
    assert (await log_in(member, device)).status == 200


async def test_an_answer_serves_once(auth: Service, device: Authenticator, moved_clock: Any) -> None:
    member = await equipped(auth, device)
    started = await challenge(member)
    body = {"passkey": {"ceremony": started["ceremony"], "credential": device.get(started["publicKey"])}}
    replies = await asyncio.gather(*(member.post("login/passkey", body) for _ in range(3)))
    assert sorted(one.status for one in replies) == [200, 401, 401]
    later = await challenge(member)
    replayed = {"passkey": {"ceremony": later["ceremony"], "credential": body["passkey"]["credential"]}}
    assert outcome(await member.post("login/passkey", replayed)) == REFUSED
    for forged in ("x" * 43, new_id()):
        forged_body = {"passkey": body["passkey"] | {"ceremony": forged}}
        assert outcome(await member.post("login/passkey", forged_body)) == REFUSED
    key = f"{auth.context.settings.redis_prefix}:auth:passkey-use:*"
    lives = [await auth.context.redis.ttl(one) async for one in auth.context.redis.scan_iter(match=key)]
    assert all(0 < life <= 300 for life in lives)


async def test_a_count_that_falls_back_is_a_copy(auth: Service, device: Authenticator) -> None:
    member = await equipped(auth, device)
    for _ in range(3):
        assert (await log_in(member, device)).status == 200
    for count in (0, 1, 3):
        assert outcome(await log_in(member, device, count=count)) == REFUSED
    device.passkeys[0].count = 10
    assert (await log_in(member, device)).status == 200


async def test_a_synced_passkey_does_not_count(auth: Service, settings: AuthSettings) -> None:
    device = Authenticator(settings.public_url, synced=True)
    member = await equipped(auth, device)
    [listed] = (await auth.call("GET", "/api/v1/auth/passkeys", by=member.principal)).data["items"]
    assert listed["synced"] is True
    assert [(await log_in(member, device)).status for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    "bent",
    [
        {"origin": "https://evil.example"}, {"rp_id": "evil.example"}, {"challenge": encoded(b"x" * 32)},
        {"type": "webauthn.get"}, {"verified": False}, {"present": False},
    ],
    ids=str,
)  # fmt: skip
async def test_a_bent_passkey_is_not_added(
    auth: Service, member: Visitor, device: Authenticator, bent: dict[str, Any]
) -> None:
    assert outcome(await add(member, device, **bent)) == REFUSED
    assert (await auth.call("GET", "/api/v1/auth/passkeys", by=member.principal)).data["items"] == []


async def test_adding_is_bound_to_the_person_the_session_and_once(auth: Service, device: Authenticator) -> None:
    member, other = await new_member(auth), await new_member(auth)
    assert outcome(await member.post("passkeys/options", by=member.principal)) == (403, "step_up_required")
    assert (await member.post("passkeys/options")).status == 401
    started = await begin(member)
    body = {"name": "Mine", "ceremony": started["ceremony"], "credential": device.create(started["publicKey"])}
    assert outcome(await member.post("passkeys", body, by=member.principal)) == (403, "step_up_required")
    assert outcome(await other.post("passkeys", body, by=fresh(other))) == REFUSED
    assert outcome(await member.post("passkeys", body, by=fresh(member))) == REFUSED  # the other one used it up
    assert (await add(member, device)).status == 201
    # The credential of somebody else, presented as one's own.
    taken = device.passkeys[-1]
    started = await begin(other)
    stolen = device.create(started["publicKey"])
    attested = decoded(stolen["response"]["attestationObject"]).replace(device.passkeys[-1].id, taken.id)
    stolen["response"]["attestationObject"] = encoded(attested)
    stolen["id"] = stolen["rawId"] = encoded(taken.id)
    body = {"name": "Stolen", "ceremony": started["ceremony"], "credential": stolen}
    assert outcome(await other.post("passkeys", body, by=fresh(other))) == (409, "auth.passkey_taken")
    [listed] = (await auth.call("GET", "/api/v1/auth/passkeys", by=member.principal)).data["items"]
    assert listed["name"] == "Phone"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("name",), ""), (("name",), "a\u202eb"), (("name",), {"$ne": 1}), (("ceremony",), "x"),
        (("credential", "id"), "=" * 20), (("credential", "id"), "a" * 1_401), (("credential", "type"), "password"),
        (("credential", "response", "attestationObject"), "a" * 32_769), (("credential", "response"), None),
        (("credential", "response", "clientDataJSON"), "a\x00b"),
    ],
)  # fmt: skip
async def test_bad_input_names_the_field(
    auth: Service, member: Visitor, device: Authenticator, path: tuple[str, ...], value: Any
) -> None:
    started = await begin(member)
    body = {"name": "Phone", "ceremony": started["ceremony"], "credential": device.create(started["publicKey"])}
    within: Any = body
    for step in path[:-1]:
        within = within[step]
    within[path[-1]] = value
    reply = await member.post("passkeys", body, by=fresh(member))
    assert reply.status == 400
    assert path[-1] in reply.body.decode()


async def test_passkeys_are_renamed_and_removed_by_their_owner(
    auth: Service, mailbox: Mailbox, device: Authenticator
) -> None:
    member, stranger = await equipped(auth, device), await new_member(auth)
    [passkey] = (await auth.call("GET", "/api/v1/auth/passkeys", by=member.principal)).data["items"]
    path = f"/api/v1/auth/passkeys/{passkey['id']}"
    assert (await auth.call("PATCH", path, {"name": "Mine"}, by=stranger.principal)).status == 404
    assert (await auth.call("DELETE", path, by=fresh(stranger))).status == 404
    assert outcome(await auth.call("DELETE", path, by=member.principal)) == (403, "step_up_required")
    assert (await auth.call("PATCH", path, {"name": "Old phone"}, by=member.principal)).data["name"] == "Old phone"
    replies = await asyncio.gather(*(auth.call("DELETE", path, by=fresh(member)) for _ in range(2)))
    assert sorted(one.status for one in replies) == [204, 404]
    assert outcome(await log_in(member, device)) == REFUSED
    await run_timers(auth)
    assert mailbox.messages(member.email)[-1]["Subject"] == "A passkey was removed from your Kelmah account"


async def test_the_last_way_in_stays(auth: Service, device: Authenticator) -> None:
    member = await equipped(auth, device)
    accounts = auth.context.mongo.collection("accounts")
    await accounts.update_one({"_id": member.principal.user_id}, {"$set": {"password_hash": None}})
    [passkey] = (await auth.call("GET", "/api/v1/auth/passkeys", by=member.principal)).data["items"]
    path = f"/api/v1/auth/passkeys/{passkey['id']}"
    assert outcome(await auth.call("DELETE", path, by=fresh(member))) == (409, "auth.last_way_in")
    assert (await log_in(member, device)).status == 200


async def test_nobody_has_more_than_twenty(auth: Service, member: Visitor, settings: AuthSettings) -> None:
    rows = auth.context.mongo.collection("passkeys")
    row = {"account_id": member.principal.user_id, "name": "x", "credential_id": "AA", "public_key": b"",
           "sign_count": 0, "synced": False}  # fmt: skip
    await rows.insert_many([row | {"_id": new_id(), "created_at": clock.now()} for _ in range(settings.max_passkeys)])
    assert outcome(await add(member, Authenticator(settings.public_url))) == (409, "auth.too_many_passkeys")
    assert await rows.count_documents({"account_id": member.principal.user_id}) == settings.max_passkeys


async def test_rest_deletion_and_not_me_hold_for_passkeys(
    auth: Service, mailbox: Mailbox, device: Authenticator, moved_clock: Any
) -> None:
    member = await equipped(auth, device)
    assert (await auth.call("POST", "/api/v1/auth/me/deactivate", by=fresh(member))).status == 204
    assert outcome(await log_in(member, device)) == (403, "auth.account_deactivated")
    started = await challenge(member)
    proof = {"ceremony": started["ceremony"], "credential": device.get(started["publicKey"])}
    woken = await member.post("login/passkey", {"passkey": proof, "reactivate": True})
    assert woken.status == 200

    exported = (await auth.call("GET", "/api/v1/auth/me/export", by=fresh(member))).data
    assert [one["name"] for one in exported["passkeys"]] == ["Phone"]
    member.tokens = woken.data
    assert (await auth.call("DELETE", "/api/v1/auth/me", by=fresh(member))).status == 204
    assert outcome(await log_in(member, device)) == REFUSED
    assert await account_row(auth, member) is None

    # A thief who was in added a passkey: the owner's word takes it away, and leaves those of before.
    owner = await new_member(auth, device=True)
    assert (await add(owner, device)).status == 201
    own = device.passkeys[-1]
    moved_clock(timedelta(days=8))
    owner.headers["kelmah-device"] = new_id()
    await owner.login()
    assert (await add(owner, device)).status == 201
    token = await not_me_token(auth, mailbox, owner)
    assert (await owner.post("not-me", {"token": token})).status == 204
    assert outcome(await log_in(owner, device, passkey=device.passkeys[-1])) == REFUSED
    assert (await log_in(owner, device, passkey=own)).status == 200


async def not_me_token(auth: Service, mailbox: Mailbox, member: Visitor) -> str:
    """The token of the mail about the new device."""
    await run_timers(auth)
    for message in reversed(mailbox.messages(member.email)):
        body = message.get_body(("plain",))
        if body is not None and "/not-me?token=" in body.get_content():
            return str(body.get_content().partition("/not-me?token=")[2].split()[0])
    raise AssertionError("no such mail")
