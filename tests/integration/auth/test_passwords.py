"""Passwords that were forgotten, reset and changed."""

import asyncio
from datetime import timedelta
from typing import Any

from kelmah.kit.ids import new_id
from tests.fixtures.mailbox import Mailbox
from tests.fixtures.service import Service
from tests.integration.auth.conftest import PASSWORD, Visitor, events_of, mailed_token, run_timers

NEW = "green fields of Kumasi"


async def test_asking_answers_alike_and_mails_only_a_member(auth: Service, member: Visitor, mailbox: Mailbox) -> None:
    unknown = f"{new_id()}@example.com"
    timers = auth.context.mongo.collection("timers")
    for email in (member.email, unknown):
        reply = await member.post("forgot-password", {"email": email})
        assert (reply.status, reply.body) == (204, b"")
        # The same write for both, so that neither answer takes longer.
        index = auth.context.email_indexes(email)[0]
        assert (await timers.find_one({"args": [index]}))["actor"] == "auth.send_password_reset"
    await run_timers(auth)
    assert len(mailbox.messages(member.email)) == 1
    assert mailbox.messages(unknown) == []


async def test_a_reset_ends_every_session_and_logs_nobody_in(auth: Service, member: Visitor, mailbox: Mailbox) -> None:
    assert member.tokens is not None
    user_id = member.principal.user_id
    await member.post("forgot-password", {"email": member.email})
    token = await mailed_token(auth, mailbox, member.email)
    mailbox.clear()
    reply = await member.post("reset-password", {"token": token, "newPassword": NEW})
    assert (reply.status, reply.body) == (204, b"")
    assert (await member.refresh(member.tokens["refreshToken"])).status == 401
    assert (await member.login()).status == 401
    assert (await member.login(password=NEW)).status == 200
    again = await member.post("reset-password", {"token": token, "newPassword": "one more fine phrase"})
    assert (again.status, again.data["code"]) == (400, "auth.token_refused")
    types = await events_of(auth, f"user:{user_id}")
    assert types[-2:] == ["auth.password_changed.v1", "auth.session_revoked.v1"]
    await run_timers(auth)
    assert [mail["Subject"] for mail in mailbox.messages(member.email)] == ["Your Kelmah password was changed"]


async def test_a_refused_password_leaves_the_token_good(auth: Service, member: Visitor, mailbox: Mailbox) -> None:
    await member.post("forgot-password", {"email": member.email})
    token = await mailed_token(auth, mailbox, member.email)
    weak = await member.post("reset-password", {"token": token, "newPassword": "Owusu-Esi-12"})
    assert (weak.status, weak.data["errors"][0]["field"]) == (400, "newPassword")
    assert (await member.login()).status == 200
    assert (await member.post("reset-password", {"token": token, "newPassword": NEW})).status == 204


async def test_an_old_reset_token_is_refused(
    auth: Service, member: Visitor, mailbox: Mailbox, moved_clock: Any
) -> None:
    await member.post("forgot-password", {"email": member.email})
    token = await mailed_token(auth, mailbox, member.email)
    moved_clock(timedelta(minutes=30))
    assert (await member.post("reset-password", {"token": token, "newPassword": NEW})).status == 400
    assert (await member.login()).status == 200


async def test_one_of_twins_resets(auth: Service, member: Visitor, mailbox: Mailbox) -> None:
    await member.post("forgot-password", {"email": member.email})
    token = await mailed_token(auth, mailbox, member.email)
    bodies = [{"token": token, "newPassword": f"{NEW} {number}"} for number in range(3)]
    replies = await asyncio.gather(*(member.post("reset-password", body) for body in bodies))
    assert sorted(reply.status for reply in replies) == [204, 400, 400]
    winner = next(body for body, reply in zip(bodies, replies, strict=True) if reply.status == 204)
    assert (await member.login(password=winner["newPassword"])).status == 200


async def test_a_reset_proves_the_address(auth: Service, visitor: Visitor, mailbox: Mailbox) -> None:
    user_id = (await visitor.register()).data["id"]
    await run_timers(auth)
    await visitor.post("forgot-password", {"email": visitor.email})
    token = await mailed_token(auth, mailbox, visitor.email)
    await visitor.post("reset-password", {"token": token, "newPassword": NEW})
    assert (await visitor.login(password=NEW)).status == 200
    assert "auth.email_verified.v1" in await events_of(auth, f"user:{user_id}")


async def test_changing_keeps_this_session_and_ends_the_others(auth: Service, member: Visitor) -> None:
    assert member.tokens is not None
    elsewhere = member.tokens["refreshToken"]
    await member.login()
    here = member.tokens["refreshToken"]
    body = {"currentPassword": PASSWORD, "newPassword": NEW}
    assert (await member.post("change-password", body, by=member.principal)).status == 204
    assert (await member.refresh(elsewhere)).status == 401
    assert (await member.refresh(here)).status == 200
    assert (await member.login()).status == 401
    assert (await member.login(password=NEW)).status == 200


async def test_changing_takes_the_current_password(auth: Service, member: Visitor) -> None:
    body = {"currentPassword": "not the right one", "newPassword": NEW}
    reply = await member.post("change-password", body, by=member.principal)
    assert (reply.status, reply.data["code"]) == (403, "auth.wrong_password")
    assert (await member.post("change-password", body)).status == 401
    weak = {"currentPassword": PASSWORD, "newPassword": "kelmah-esi-1"}
    refused = await member.post("change-password", weak, by=member.principal)
    assert (refused.status, refused.data["code"]) == (400, "auth.password_refused")
    assert (await member.login()).status == 200
    assert "auth.password_changed.v1" not in await events_of(auth, f"user:{member.principal.user_id}")


async def test_guessing_the_current_password_is_slowed_down(member: Visitor) -> None:
    body = {"currentPassword": "not the right one", "newPassword": NEW}
    statuses = [(await member.post("change-password", body, by=member.principal)).status for _ in range(7)]
    assert statuses == [403] * 6 + [429]


async def test_a_login_that_a_change_overtook_begins_nothing(auth: Service, member: Visitor) -> None:
    body = {"currentPassword": PASSWORD, "newPassword": NEW}
    logins, change = [member.login() for _ in range(4)], member.post("change-password", body, by=member.principal)
    *_, changed = await asyncio.gather(*logins, change)
    assert changed.status == 204
    rows = auth.context.mongo.collection("sessions").find(
        {"account_id": member.principal.user_id, "revoked_at": None}, {"_id": 1}
    )
    # Every session that the old password began has ended, but the one that changed it.
    assert len([row async for row in rows]) == 1
