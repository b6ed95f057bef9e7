"""The second factor: set up, asked for, replayed, lost, and switched off; and proving once more who one is."""

import base64
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from kelmah.contracts.common import Role
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.auth import service as rules
from tests.fakes.authenticator import code_of
from tests.fixtures.mailbox import Mailbox
from tests.fixtures.service import Reply, Service
from tests.integration.auth.conftest import (
    PASSWORD,
    Visitor,
    claims,
    events_of,
    mailed_token,
    new_member,
    new_visitor,
    run_timers,
)


def fresh(visitor: Visitor) -> Principal:
    return msgspec.structs.replace(visitor.principal, authenticated_at=int(clock.now().timestamp()))


async def call(auth: Service, visitor: Visitor, operation: str, body: Any = None, **more: Any) -> Reply:
    return await visitor.post(operation, body, **({"by": visitor.principal} | more))


async def switch_on(auth: Service, member: Visitor) -> tuple[str, list[str]]:
    """The secret and the recovery codes."""
    made = await call(auth, member, "mfa/setup", by=fresh(member))
    assert made.status == 200, made.body
    proven = await call(auth, member, "mfa/verify", {"code": code_of(made.data["secret"])})
    assert proven.status == 200, proven.body
    return made.data["secret"], proven.data["codes"]


async def challenge_of(member: Visitor) -> str:
    reply = await member.post("login", {"email": member.email, "password": PASSWORD})
    assert (reply.status, reply.data["mfaRequired"], reply.data["expiresIn"]) == (200, True, 300)
    assert set(reply.data) == {"mfaRequired", "challenge", "expiresIn"}
    return str(reply.data["challenge"])


async def answer(member: Visitor, challenge: str, code: str) -> Reply:
    reply = await member.post("login/mfa", {"challenge": challenge, "code": code})
    if reply.status == 200:
        member.tokens = reply.data
    return reply


async def test_setting_up_asks_for_nothing_until_it_is_proven(auth: Service, member: Visitor) -> None:
    stale = await call(auth, member, "mfa/setup")
    assert (stale.status, stale.data["code"]) == (403, "step_up_required")
    assert (await call(auth, member, "mfa/verify", {"code": "000000"})).data["code"] == "auth.mfa_not_on"
    made = await call(auth, member, "mfa/setup", by=fresh(member))
    parts = urlsplit(made.data["uri"])
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert parse_qs(parts.query)["secret"] == [made.data["secret"]]
    row = await auth.context.mongo.collection("factors").find_one({"_id": member.principal.user_id})
    assert made.data["secret"] not in str(row)
    assert base64.b32decode(made.data["secret"]).hex() not in str(row)
    assert (await member.login()).data["user"]["id"] == member.principal.user_id
    wrong = await call(auth, member, "mfa/verify", {"code": code_of(made.data["secret"], at=300)})
    assert (wrong.status, wrong.data["code"]) == (401, "auth.mfa_refused")
    again = await call(auth, member, "mfa/setup", by=fresh(member))
    assert again.data["secret"] != made.data["secret"]
    old = await call(auth, member, "mfa/verify", {"code": code_of(made.data["secret"])})
    assert old.data["code"] == "auth.mfa_refused"
    for bad in ("12345", "1234567", "abcdef", "１２３４５６"):  # noqa: RUF001  # full-width digits
        assert (await call(auth, member, "mfa/verify", {"code": bad})).status == 400


@pytest.mark.usefixtures("moved_clock")
async def test_a_code_is_asked_for_and_taken_once(auth: Service, mailbox: Mailbox) -> None:
    clock.stop(clock.now())  # the code's half minute must not end in between; `moved_clock` lets it go on
    member = await new_member(auth)
    elsewhere = member.tokens
    await member.login()
    secret, codes = await switch_on(auth, member)
    assert len(set(codes)) == 10
    assert "auth.mfa_enabled.v1" in await events_of(auth, f"user:{member.principal.user_id}")
    assert elsewhere is not None
    assert (await member.refresh(elsewhere["refreshToken"])).status == 401  # other sessions ended
    await run_timers(auth)
    assert mailbox.messages(member.email)[-1]["Subject"] == "Your second factor for Kelmah is on"
    assert (await call(auth, member, "mfa/setup", by=fresh(member))).data["code"] == "auth.mfa_already_on"

    replayed = await answer(member, await challenge_of(member), code_of(secret))
    assert (replayed.status, replayed.data["code"]) == (401, "auth.mfa_refused")  # it served when it was switched on
    clock.stop(clock.now() + timedelta(seconds=60))
    challenge, code = await challenge_of(member), code_of(secret)
    good = await answer(member, challenge, code)
    assert good.status == 200
    assert claims(good.data["accessToken"], member.keys)["amr"] == ["pwd", "otp", "mfa"]
    assert (await answer(member, challenge, code_of(secret, at=30))).data["code"] == "auth.challenge_refused"
    assert (await answer(member, await challenge_of(member), code)).data["code"] == "auth.mfa_refused"


async def test_a_challenge_ends_and_dies_with_the_password(auth: Service, mailbox: Mailbox) -> None:
    member = await new_member(auth)
    _, codes = await switch_on(auth, member)
    for forged in ("x" * 43, new_id()):
        assert (await answer(member, forged, codes[0])).data["code"] == "auth.challenge_refused"
    challenge = await challenge_of(member)
    await member.post("forgot-password", {"email": member.email})
    token = await mailed_token(auth, mailbox, member.email)
    reset = {"token": token, "newPassword": "green gonja by the Volta"}
    assert (await member.post("reset-password", reset)).status == 204
    assert (await answer(member, challenge, codes[0])).data["code"] == "auth.challenge_refused"
    login = await member.post("login", {"email": member.email, "password": reset["newPassword"]})
    assert login.data["mfaRequired"] is True  # a reset is no way around it


async def test_a_reset_password_leaves_the_second_factor(auth: Service, mailbox: Mailbox, moved_clock: Any) -> None:
    member = await new_member(auth)
    secret, _ = await switch_on(auth, member)
    await member.post("forgot-password", {"email": member.email})
    reset = {"token": await mailed_token(auth, mailbox, member.email), "newPassword": "green gonja by the Volta"}
    assert (await member.post("reset-password", reset)).status == 204
    moved_clock(timedelta(seconds=60))
    asked = await member.post("login", {"email": member.email, "password": reset["newPassword"]})
    assert (asked.status, asked.data["mfaRequired"]) == (200, True)
    assert (await answer(member, asked.data["challenge"], code_of(secret))).status == 200


@pytest.mark.parametrize("is_younger", [True, False])
async def test_not_me_takes_a_strangers_second_factor_and_leaves_an_older_one(
    auth: Service, mailbox: Mailbox, moved_clock: Any, is_younger: bool
) -> None:
    owner = await new_member(auth, device=True)
    codes: list[str] = []
    if not is_younger:
        codes = (await switch_on(auth, owner))[1]
    moved_clock(timedelta(minutes=5))
    owner.headers |= {"kelmah-device": new_id()}  # from here on it is the stranger, who knows the password
    if codes:
        assert (await answer(owner, await challenge_of(owner), codes[0])).status == 200
    else:
        assert (await owner.login()).status == 200
    token = await mailed_token(auth, mailbox, owner.email)
    if is_younger:
        await switch_on(auth, owner)
    assert (await owner.post("not-me", {"token": token})).status == 204
    reset = {"token": await mailed_token(auth, mailbox, owner.email), "newPassword": "green gonja by the Volta"}
    assert (await owner.post("reset-password", reset)).status == 204
    back = await owner.post("login", {"email": owner.email, "password": reset["newPassword"]})
    assert (back.status, "accessToken" in back.data, "challenge" in back.data) == (200, is_younger, not is_younger)
    told = await events_of(auth, f"user:{owner.principal.user_id}")
    assert ("auth.mfa_disabled.v1" in told) is is_younger


async def test_a_recovery_code_serves_once(auth: Service, member: Visitor) -> None:
    _, codes = await switch_on(auth, member)
    row = str(await auth.context.mongo.collection("factors").find_one({"_id": member.principal.user_id}))
    assert not [code for code in codes if code in row or code.replace("-", "") in row]
    spelled = codes[0].replace("-", "").lower()
    assert (await answer(member, await challenge_of(member), spelled)).status == 200
    assert (await answer(member, await challenge_of(member), codes[0])).data["code"] == "auth.mfa_refused"
    assert (await answer(member, await challenge_of(member), codes[1])).status == 200


async def test_guessing_is_slowed_down(auth: Service, member: Visitor) -> None:
    secret, _ = await switch_on(auth, member)
    challenge = await challenge_of(member)
    right = {code_of(secret, at=at) for at in (-30, 0, 30, 60)}
    wrong = next(one for one in ("000000", "111111", "222222", "333333", "444444") if one not in right)
    seen = [(await answer(member, challenge, wrong)).data["code"] for _ in range(8)]
    assert seen == ["auth.mfa_refused"] * 6 + ["auth.too_many_attempts"] * 2
    assert (await answer(member, challenge, code_of(secret, at=30))).status == 429


async def test_switching_off_takes_a_code(auth: Service, mailbox: Mailbox) -> None:
    member = await new_member(auth)
    assert (await call(auth, member, "mfa/disable", {"code": "123456"})).data["code"] == "auth.mfa_not_on"
    secret, codes = await switch_on(auth, member)
    assert (await call(auth, member, "mfa/disable", {"code": code_of(secret)})).status == 401  # was used to switch on
    assert (await member.post("mfa/disable", {"code": codes[0]})).status == 401  # nobody signed in
    assert (await call(auth, member, "mfa/disable", {"code": codes[0]})).status == 204
    assert (await member.login()).data["user"]["id"] == member.principal.user_id
    await run_timers(auth)
    assert mailbox.messages(member.email)[-1]["Subject"] == "Your second factor for Kelmah is off"
    assert (await events_of(auth, f"user:{member.principal.user_id}"))[-1] == "auth.mfa_disabled.v1"


async def test_stepping_up_makes_the_session_fresh(auth: Service, member: Visitor, moved_clock: Any) -> None:
    moved_clock(timedelta(hours=1))
    assert member.tokens is not None
    member.tokens = member.tokens | (await member.refresh(member.tokens["refreshToken"])).data
    old = claims(member.tokens["accessToken"], member.keys)
    assert old["auth_time"] <= int(clock.now().timestamp()) - 3600
    for body, status, code in (
        ({"password": "another one"}, 403, "auth.wrong_password"),
        ({}, 400, "bad_input"),
        ({"code": "123456"}, 400, "bad_input"),
    ):
        reply = await call(auth, member, "step-up", body)
        assert (reply.status, reply.data["code"]) == (status, code)
    assert (await member.post("step-up", {"password": PASSWORD})).status == 401
    reply = await call(auth, member, "step-up", {"password": PASSWORD})
    new = claims(reply.data["accessToken"], member.keys)
    assert (new["sid"], new["amr"]) == (old["sid"], ["pwd"])
    assert new["auth_time"] >= int(clock.now().timestamp()) - 5
    refreshed = await member.refresh(member.tokens["refreshToken"])
    assert claims(refreshed.data["accessToken"], member.keys)["auth_time"] == new["auth_time"]


async def test_with_a_second_factor_the_password_alone_does_not_step_up(auth: Service, member: Visitor) -> None:
    _, codes = await switch_on(auth, member)
    refused = await call(auth, member, "step-up", {"password": PASSWORD})
    assert (refused.status, refused.data["errors"][0]["field"]) == (400, "code")
    reply = await call(auth, member, "step-up", {"code": codes[0]})
    assert set(claims(reply.data["accessToken"], member.keys)["amr"]) == {"pwd", "otp", "mfa"}
    await call(auth, member, "logout")
    ended = await call(auth, member, "step-up", {"code": codes[1]})
    assert ended.status == 401


@pytest.mark.parametrize("operation", ["mfa/setup", "mfa/verify", "mfa/disable", "step-up"])
async def test_nobody_means_nobody(auth: Service, visitor: Visitor, operation: str) -> None:
    assert (await visitor.post(operation, {"code": "123456"})).status == 401


async def test_staff_do_nothing_by_one_factor_but_set_up_the_second(auth: Service) -> None:
    """The first administrator, made in the machine room, with a password and nothing else."""
    boss, worker = await new_visitor(auth), await new_member(auth)
    names = {"first_name": "Esi", "last_name": "Owusu"}
    await rules.create_staff(auth.context, email=boss.email, password=PASSWORD, role=Role.ADMIN, **names)
    assert (await boss.login()).status == 200
    begun, path = boss.principal, f"/api/v1/admin/users/{worker.principal.user_id}/sessions"
    for method, other in (("DELETE", path), ("POST", "/api/v1/auth/mfa/disable"), ("GET", "/api/v1/auth/api-keys")):
        refused = await auth.call(method, other, {"code": "000000"} if method == "POST" else None, by=fresh(boss))
        assert (refused.status, refused.data["code"]) == (403, "second_factor_required"), other
    assert worker.tokens is not None
    assert (await worker.refresh(worker.tokens["refreshToken"])).status == 200
    for other in ("/api/v1/auth/me", "/api/v1/auth/sessions"):
        assert (await auth.call("GET", other, by=begun)).status == 200

    secret, _ = await switch_on(auth, boss)
    assert boss.tokens is not None
    boss.tokens = (await boss.refresh(boss.tokens["refreshToken"])).data
    assert boss.principal.methods == ("pwd", "otp", "mfa")
    assert (await auth.call("DELETE", path, by=fresh(boss))).status == 204
    # From now on every session of theirs begins with both.
    assert (await answer(boss, await challenge_of(boss), code_of(secret, at=30))).status == 200
    assert boss.principal.methods == ("pwd", "otp", "mfa")
    assert (await auth.call("DELETE", "/api/v1/auth/sessions", by=begun)).status == 204
