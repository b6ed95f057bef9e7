"""Another e-mail address: both mailboxes agree, the old one can stop it, and nobody learns who has an account."""

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest

from kelmah.kit.ids import new_id
from tests.fixtures.mailbox import Mailbox
from tests.fixtures.service import Reply, Service
from tests.integration.auth.conftest import Visitor, events_of, mailed_token, new_member, run_timers
from tests.integration.auth.test_lifecycle import account_row, live_sessions
from tests.integration.auth.test_mfa import fresh


async def ask(member: Visitor, new_email: Any, **more: Any) -> Reply:
    return await member.post("me/email", {"newEmail": new_email}, **({"by": fresh(member)} | more))


async def asked(auth: Service, mailbox: Mailbox, member: Visitor, new_email: str) -> tuple[str, str]:
    """The tokens that the old and the new address got."""
    assert (await ask(member, new_email)).status == 204
    return await mailed_token(auth, mailbox, member.email), await mailed_token(auth, mailbox, new_email)


async def confirm(member: Visitor, token: str) -> Reply:
    return await member.post("email-change/confirm", {"token": token})


@pytest.mark.parametrize("new_first", [False, True])
async def test_the_address_changes_when_both_agreed(auth: Service, mailbox: Mailbox, new_first: bool) -> None:
    member = await new_member(auth)
    elsewhere = member.tokens
    await member.login()
    new_email = f"Other.{new_id()}@example.com"
    old_token, new_token = await asked(auth, mailbox, member, new_email)
    first, second = (new_token, old_token) if new_first else (old_token, new_token)
    assert (await confirm(member, first)).status == 204
    row = await account_row(auth, member)
    assert (await confirm(member, first)).data["code"] == "auth.token_refused"
    assert (await member.login(email=new_email)).status == 401
    assert (await confirm(member, second)).status == 204
    after = await account_row(auth, member)
    assert row is not None
    assert after is not None
    assert after["email_index"] != row["email_index"]
    assert new_email.lower() not in str(await auth.context.mongo.collection("email_changes").find_one({})).lower()

    assert elsewhere is not None
    assert (await member.refresh(elsewhere["refreshToken"])).status == 401  # other sessions ended
    assert await live_sessions(auth, member.principal.user_id) == 1
    assert (await auth.call("GET", "/api/v1/auth/me", by=member.principal)).data["email"] == new_email
    assert (await member.post("login", {"email": member.email, "password": member.password})).status == 401
    assert (await member.login(email=new_email.lower())).status == 200
    assert "auth.email_changed.v1" in await events_of(auth, f"user:{member.principal.user_id}")
    await run_timers(auth)
    for address in (member.email, new_email):
        subjects = [one["Subject"] for one in mailbox.messages(address)]
        assert subjects.count("The e-mail address of your Kelmah account changed") == 1
    assert (await member.register()).status == 201  # the old address is free


async def test_the_old_address_stops_it(auth: Service, mailbox: Mailbox) -> None:
    member = await new_member(auth)
    new_email = f"thief.{new_id()}@example.com"
    _, new_token = await asked(auth, mailbox, member, new_email)
    assert (await confirm(member, new_token)).status == 204
    body = mailbox.messages(member.email)[-1].get_body(("plain",))
    assert body is not None
    stop = re.search(r"/not-me\?token=(\S+)", body.get_content())
    assert stop is not None
    assert (await member.post("not-me", {"token": stop[1]})).status == 204
    assert await live_sessions(auth, member.principal.user_id) == 0
    old_token = re.search(r"^Token: (\S+)$", body.get_content(), re.MULTILINE)
    assert old_token is not None
    assert (await confirm(member, old_token[1])).data["code"] == "auth.token_refused"
    assert (await member.login(email=new_email)).status == 401


async def test_asking_takes_a_fresh_proof_and_a_new_address(auth: Service, member: Visitor) -> None:
    assert (await ask(member, "a@example.com", by=member.principal)).data["code"] == "step_up_required"
    assert (await ask(member, "a@example.com", by=None)).status == 401
    for bad in ("nobody", "a@b@c", "", "a@example.com\x00", {"$ne": ""}, member.email, member.email.upper()):
        reply = await ask(member, bad)
        assert (reply.status, "newEmail" in reply.body.decode()) == (400, True), bad
    assert await auth.context.mongo.collection("email_changes").find_one({"_id": member.principal.user_id}) is None


async def test_an_address_with_an_account_is_answered_alike_and_gets_nothing(auth: Service, mailbox: Mailbox) -> None:
    member, other = await new_member(auth), await new_member(auth)
    assert (await ask(member, other.email)).status == 204
    await mailed_token(auth, mailbox, member.email)
    assert mailbox.messages(other.email) == []


async def test_an_address_that_was_taken_meanwhile_stays_its_owners(auth: Service, mailbox: Mailbox) -> None:
    member, other = await new_member(auth), await new_member(auth)
    new_email = f"late.{new_id()}@example.com"
    old_token, new_token = await asked(auth, mailbox, member, new_email)
    assert (await confirm(member, old_token)).status == 204
    other.email = new_email
    assert (await other.register()).status == 201
    assert (await confirm(member, new_token)).data["code"] == "auth.email_taken"
    assert (await auth.call("GET", "/api/v1/auth/me", by=member.principal)).data["email"] == member.email


async def test_only_the_newest_change_counts_and_not_for_ever(
    auth: Service, mailbox: Mailbox, moved_clock: Any
) -> None:
    member = await new_member(auth)
    first = await asked(auth, mailbox, member, f"one.{new_id()}@example.com")
    old_token, new_token = await asked(auth, mailbox, member, f"two.{new_id()}@example.com")
    for token in first:
        assert (await confirm(member, token)).data["code"] == "auth.token_refused"
    replies = await asyncio.gather(*(confirm(member, new_token) for _ in range(3)))
    assert sorted(one.status for one in replies) == [204, 400, 400]
    moved_clock(timedelta(days=1, seconds=1))
    assert (await confirm(member, old_token)).data["code"] == "auth.token_refused"


async def test_mails_are_not_sent_without_end(auth: Service, member: Visitor) -> None:
    statuses = [(await ask(member, f"{number}.{new_id()}@example.com")).status for number in range(7)]
    assert statuses == [204] * 5 + [429] * 2
