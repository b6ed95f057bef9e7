"""Registering, proving the address, and being asked about."""

import asyncio
import dataclasses
import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kelmah.contracts.auth import Contact
from kelmah.contracts.common import Role
from kelmah.contracts.user import NotificationPreferences
from kelmah.kit import clock
from kelmah.kit.errors import Unavailable
from kelmah.kit.ids import new_id
from kelmah.services.auth import service as rules
from kelmah.services.auth.service import open_breaches
from tests.fixtures.mailbox import Mailbox
from tests.fixtures.service import Service, person
from tests.integration.auth.conftest import PASSWORD, Visitor, events_of, mailed_token, run_timers


async def accounts_with(auth: Service, email: str) -> int:
    indexes = auth.context.email_indexes(email)
    found: int = await auth.context.mongo.collection("accounts").count_documents({"email_index": {"$in": indexes}})
    return found


async def test_registering_makes_an_unverified_account_and_tells(auth: Service, visitor: Visitor) -> None:
    reply = await visitor.register(role="hirer", firstName="  Ama ")
    assert reply.status == 201
    view = reply.data
    assert view == {
        "id": view["id"],
        "email": visitor.email,
        "firstName": "Ama",
        "lastName": "Owusu",
        "role": "hirer",
        "emailVerified": False,
        "createdAt": view["createdAt"],
    }
    assert await events_of(auth, f"user:{view['id']}") == ["auth.user_registered.v1"]
    timer = await auth.context.mongo.collection("timers").find_one({"args": [view["id"]]})
    assert timer["actor"] == "auth.send_verification"


async def test_nothing_personal_is_stored_in_the_clear(auth: Service, visitor: Visitor) -> None:
    user_id = (await visitor.register()).data["id"]
    stored = str(await auth.context.mongo.collection("accounts").find_one({"_id": user_id}))
    for secret in (visitor.email, visitor.email.partition("@")[0], "Esi", "Owusu", PASSWORD):
        assert secret not in stored
    assert "$argon2id$v=19$m=64,t=1,p=1$" in stored


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "not a mail address"),
        ("email", "\uff45si@example.com"),
        ("email", "esi\x00@example.com"),
        ("email", {"$gt": ""}),
        ("email", "e" * 300 + "@example.com"),
        ("password", "short"),
        ("password", "nul \x00 in the middle"),
        ("password", "x" * 129),
        ("password", {"$ne": None}),
        ("password", None),
        ("firstName", ""),
        ("firstName", "Esi\nBcc: all"),
        ("firstName", "1234"),
        ("lastName", "Owu\u202esu"),
        ("lastName", "x" * 81),
        ("lastName", "Owusu\u2067"),
        ("lastName", "Owu\x7fsu"),
        ("lastName", "Owusu\u2028admin"),
        ("firstName", "<b>Esi</b>"),
        ("firstName", "Esi<script>alert(1)</script>"),
        ("role", "admin"),
        ("role", "moderator"),
        ("role", ["worker"]),
        ("isAdmin", True),
    ],
)
async def test_bad_input_names_its_field_and_changes_nothing(
    auth: Service, visitor: Visitor, field: str, value: Any
) -> None:
    reply = await visitor.register(**{field: value})
    assert reply.status == 400
    assert [error["field"] for error in reply.data["errors"]] == [field]
    assert await accounts_with(auth, visitor.email) == 0


@pytest.mark.parametrize("password", ["password1", "12345678", "Esi-Owusu-1", "Kelmah2026", "qwertyuiop"])
async def test_a_guessable_password_is_refused_with_the_reason(auth: Service, visitor: Visitor, password: str) -> None:
    reply = await visitor.register(password=password)
    assert (reply.status, reply.data["code"]) == (400, "auth.password_refused")
    assert reply.data["errors"][0]["field"] == "password"
    assert len(reply.data["errors"][0]["message"]) > 20
    assert await accounts_with(auth, visitor.email) == 0


async def test_a_password_made_of_the_address_is_refused(visitor: Visitor) -> None:
    reply = await visitor.register(password=visitor.email.partition("@")[0])
    assert (reply.status, reply.data["code"]) == (400, "auth.password_refused")


async def test_a_leaked_password_is_refused(auth: Service, visitor: Visitor, tmp_path: Path) -> None:
    path = tmp_path / "leaked.txt"
    path.write_text(hashlib.sha1(PASSWORD.encode()).hexdigest().upper() + ":3\n")  # noqa: S324
    with open_breaches(path) as breaches:
        auth.replace(breaches=breaches)
        reply = await visitor.register()
        auth.replace(breaches=None)
    assert (reply.status, reply.data["code"]) == (400, "auth.password_refused")
    assert reply.data["errors"] == [{"field": "password", "message": "This password is on a list of leaked ones"}]
    assert await accounts_with(auth, visitor.email) == 0


@pytest.mark.parametrize("size", [100_000, 10_000_000])
async def test_a_body_that_is_too_large_is_not_read(visitor: Visitor, size: int) -> None:
    for reply in (await visitor.register(password="x" * size), await visitor.login(password="x" * size)):
        assert (reply.status, reply.data["code"]) == (413, "payload_too_large")


OPERATORS: dict[str, dict[str, Any]] = {
    "login": {"email": "a@example.com", "password": PASSWORD},
    "login/mfa": {"challenge": "x" * 43, "code": "123456"},
    "refresh": {"refreshToken": "x" * 43},
    "logout": {"refreshToken": "x" * 43},
    "verify-email": {"token": "x" * 43},
    "resend-verification": {"email": "a@example.com"},
    "forgot-password": {"email": "a@example.com"},
    "reset-password": {"token": "x" * 43, "newPassword": PASSWORD},
    "not-me": {"token": "x" * 43},
    "email-change/confirm": {"token": "x" * 43},
    "oauth/exchange": {"code": "x" * 43},
}


@pytest.mark.parametrize("value", [{"$gt": ""}, {"$ne": None}, {"$where": "1"}, [{"$regex": ".*"}]], ids=str)
@pytest.mark.parametrize("operation", OPERATORS)
async def test_operators_of_the_database_are_no_values(visitor: Visitor, operation: str, value: Any) -> None:
    for field in OPERATORS[operation]:
        reply = await visitor.post(operation, OPERATORS[operation] | {field: value})
        assert (reply.status, [one["field"] for one in reply.data["errors"]]) == (400, [field])


async def test_a_taken_address_is_answered_alike_in_any_spelling(
    auth: Service, visitor: Visitor, mailbox: Mailbox
) -> None:
    first = await visitor.register()
    stored = await account_with(auth, visitor.email)
    for spelling in (visitor.email, visitor.email.upper(), f" {visitor.email} "):
        reply = await visitor.register(email=spelling, password="another fine pass phrase", firstName="Kofi")
        assert reply.status == first.status == 201
        assert reply.data == first.data | {
            "id": reply.data["id"], "createdAt": reply.data["createdAt"], "firstName": "Kofi", "email": spelling.strip()
        }  # fmt: skip
        assert reply.data["id"] != first.data["id"]
        assert await auth.context.mongo.collection("accounts").find_one({"_id": reply.data["id"]}) is None
    after = await account_with(auth, visitor.email)
    assert {**after, "touched_at": None} == {**stored, "touched_at": None}
    assert await accounts_with(auth, visitor.email) == 1
    await visitor.post("verify-email", {"token": await mailed_token(auth, mailbox, visitor.email)})
    assert (await visitor.login(password="another fine pass phrase")).status == 401
    assert (await visitor.login()).status == 200
    assert (await visitor.register()).status == 201
    await run_timers(auth)
    assert mailbox.messages(visitor.email)[-1]["Subject"] == "You have an account at Kelmah"


async def test_an_address_is_not_filled_with_mails_whoever_has_it(auth: Service, visitor: Visitor) -> None:
    networks = (f"198.51.100.{number}" for number in range(1, 8))
    replies = [await visitor.register(headers={"x-forwarded-for": one}) for one in networks]
    assert [reply.status for reply in replies] == [201] * 5 + [429] * 2


async def account_with(auth: Service, email: str) -> dict[str, Any]:
    found: dict[str, Any] | None = await auth.context.mongo.collection("accounts").find_one(
        {"email_index": {"$in": auth.context.email_indexes(email)}}
    )
    assert found is not None
    return found


async def test_of_twins_that_register_at_once_one_has_the_account(auth: Service, visitor: Visitor) -> None:
    replies = await asyncio.gather(*(visitor.register() for _ in range(5)))
    assert [reply.status for reply in replies] == [201] * 5
    assert await accounts_with(auth, visitor.email) == 1
    stored = await account_with(auth, visitor.email)
    assert [reply.data["id"] for reply in replies].count(stored["_id"]) == 1


async def test_the_mail_proves_the_address_once(auth: Service, visitor: Visitor, mailbox: Mailbox) -> None:
    user_id = (await visitor.register()).data["id"]
    token = await mailed_token(auth, mailbox, visitor.email)
    [message] = mailbox.messages(visitor.email)
    html = message.get_body(("html",))
    assert html is not None
    assert f"/verify-email?token={token}" in html.get_content()

    assert (await visitor.post("verify-email", {"token": token})).status == 204
    assert await events_of(auth, f"user:{user_id}") == ["auth.user_registered.v1", "auth.email_verified.v1"]
    again = await visitor.post("verify-email", {"token": token})
    assert (again.status, again.data["code"]) == (400, "auth.token_refused")
    assert (await visitor.login()).data["user"]["emailVerified"] is True


async def test_of_twins_that_prove_at_once_one_does(auth: Service, visitor: Visitor, mailbox: Mailbox) -> None:
    user_id = (await visitor.register()).data["id"]
    token = await mailed_token(auth, mailbox, visitor.email)
    replies = await asyncio.gather(*(visitor.post("verify-email", {"token": token}) for _ in range(4)))
    assert sorted(reply.status for reply in replies) == [204, 400, 400, 400]
    assert (await events_of(auth, f"user:{user_id}")).count("auth.email_verified.v1") == 1


async def test_an_old_token_proves_nothing(auth: Service, visitor: Visitor, mailbox: Mailbox, moved_clock: Any) -> None:
    await visitor.register()
    token = await mailed_token(auth, mailbox, visitor.email)
    moved_clock(timedelta(hours=24))
    reply = await visitor.post("verify-email", {"token": token})
    assert (reply.status, reply.data["code"]) == (400, "auth.token_refused")
    assert (await visitor.login()).data["code"] == "auth.email_not_verified"


@pytest.mark.parametrize("token", ["never-made-by-anybody", "x" * 512])
async def test_a_made_up_token_proves_nothing(visitor: Visitor, token: str) -> None:
    reply = await visitor.post("verify-email", {"token": token})
    assert (reply.status, reply.data["code"]) == (400, "auth.token_refused")


async def test_a_token_serves_its_own_purpose_only(auth: Service, visitor: Visitor, mailbox: Mailbox) -> None:
    await visitor.register()
    token = await mailed_token(auth, mailbox, visitor.email)
    reply = await visitor.post("reset-password", {"token": token, "newPassword": "another fine pass phrase"})
    assert (reply.status, reply.data["code"]) == (400, "auth.token_refused")
    assert (await visitor.post("verify-email", {"token": token})).status == 204


async def test_asking_again_answers_alike_and_mails_only_who_waits(
    auth: Service, visitor: Visitor, member: Visitor, mailbox: Mailbox
) -> None:
    await visitor.register()
    await run_timers(auth)
    mailbox.clear()
    unknown = f"{new_id()}@example.com"
    for email in (visitor.email, member.email, unknown):
        reply = await visitor.post("resend-verification", {"email": email})
        assert (reply.status, reply.body) == (204, b"")
    await run_timers(auth)
    assert len(mailbox.messages(visitor.email)) == 1
    assert mailbox.messages(member.email) == []
    assert mailbox.messages(unknown) == []


async def test_mails_that_one_may_ask_for_are_few(visitor: Visitor) -> None:
    replies = [await visitor.post("resend-verification", {"email": visitor.email}) for _ in range(6)]
    assert [reply.status for reply in replies] == [204] * 5 + [429]
    assert int(replies[-1].headers["retry-after"]) > 60


async def test_one_reads_oneself(auth: Service, member: Visitor) -> None:
    reply = await auth.call("GET", "/api/v1/auth/me", by=member.principal)
    assert (reply.status, reply.data["email"]) == (200, member.email)
    assert reply.headers["cache-control"] == "no-store"
    assert (await auth.call("GET", "/api/v1/auth/me")).status == 401
    assert (await auth.call("GET", "/api/v1/auth/me", by=person())).status == 401


async def test_services_read_contacts_and_others_do_not(auth: Service, member: Visitor) -> None:
    user_id = member.principal.user_id
    path = f"/internal/contacts?ids={user_id}&ids={new_id()}"
    reply = await auth.call("GET", path, caller="payment")
    assert reply.data == [
        {
            "userId": user_id,
            "role": "worker",
            "firstName": "Esi",
            "lastName": "Owusu",
            "email": member.email,
            "emailVerified": True,
            "locale": "en",
        }
    ]
    for caller in ("gateway", "job"):
        assert (await auth.call("GET", path, caller=caller, by=person(Role.ADMIN))).status == 403
    many = "&".join(f"ids={new_id()}" for _ in range(101))
    assert (await auth.call("GET", f"/internal/contacts?{many}", caller="user")).status == 400


async def test_staff_is_made_by_the_machine_room_only(auth: Service, visitor: Visitor) -> None:
    view = await rules.create_staff(
        auth.context, email=visitor.email, password=PASSWORD, first_name="Kofi", last_name="Adu", role=Role.MODERATOR
    )
    assert (view.role, view.email_verified) == (Role.MODERATOR, True)
    assert (await visitor.login()).data["user"]["role"] == "moderator"
    assert [one.user_id for one in await rules.contacts(auth.context, [view.id])] == [view.id]
    assert isinstance((await rules.contacts(auth.context, [view.id]))[0], Contact)
    assert view.created_at <= clock.now()


async def test_mails_speak_the_language_of_the_registration_and_then_of_the_settings(
    auth: Service, visitor: Visitor, mailbox: Mailbox
) -> None:
    await visitor.register(headers=visitor.headers | {"accept-language": "fr-CI,fr;q=0.9,en;q=0.8"})
    await visitor.post("verify-email", {"token": await mailed_token(auth, mailbox, visitor.email)})
    [mail] = mailbox.messages(visitor.email)
    assert mail["Subject"] == "Confirmez votre adresse e-mail pour Kelmah"
    html = mail.get_body(("html",))
    assert html is not None
    assert '<html lang="fr">' in html.get_content()

    await visitor.login()
    for locale, subject in (
        ("en-GH", "Your Kelmah password was changed"),
        ("tw", "Your Kelmah password was changed"),
        (None, "Votre mot de passe Kelmah a changé"),  # nobody can say: as at the registration
    ):
        context = dataclasses.replace(auth.context, user=FakeUserClient(locale))
        await rules.send_notice(context, visitor.principal.user_id, "password_changed", new_id())
        assert mailbox.messages(visitor.email)[-1]["Subject"] == subject


class FakeUserClient:
    """Says what a person chose; away where there is nothing."""

    def __init__(self, locale: str | None) -> None:
        self._locale = locale

    async def get_preferences(self, *, user_id: str) -> NotificationPreferences:
        if self._locale is None:
            raise Unavailable
        return NotificationPreferences(user_id=user_id, locale=self._locale, time_zone="Africa/Accra", channels={})
