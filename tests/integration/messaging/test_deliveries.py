"""How notifications leave the app: by preference, at a fair hour, gathered, and ended at one click."""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kelmah.contracts import auth, job, payment
from kelmah.contracts.user import NotificationKind as Topic
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.messaging import service as rules
from kelmah.services.messaging.errors import DeliveryFailed
from tests.fakes.messaging import FakePlatform
from tests.fixtures.events import envelope
from tests.fixtures.mailbox import Mailbox
from tests.fixtures.outside import Browser, Outside
from tests.fixtures.service import Service
from tests.integration.messaging.conftest import Instances, say
from tests.integration.messaging.test_notifications import AMOUNT, API, ESCROW, JOB, funded, log, tell

UNSUBSCRIBE = re.compile(r"https://api\.kelmah\.example(/api/v1/notifications/unsubscribe\?token=[A-Za-z0-9._%-]+)")


@pytest.fixture
def noon() -> Iterator[None]:
    """Noon in Accra, whatever the hour."""
    now = datetime.now(UTC)
    clock.set_shift(now.replace(hour=12, minute=0, second=0, microsecond=0) - now)
    yield
    clock.reset()


async def send(service: Service, notification_id: str, channel: str) -> None:
    await rules.send_delivery(service.context, f"{notification_id}:{channel}")


async def applied(service: Service, hirer: Principal) -> str:
    """Something that can wait."""
    event = job.ApplicationReceived(**JOB, hirer_id=hirer.user_id, worker_id="w")
    await rules.notify(service.context, envelope(event), event)
    return str((await service.call("GET", API, by=hirer)).data["items"][0]["id"])


async def test_what_is_not_wanted_is_not_shown_or_sent(
    service: Service, worker: Principal, platform: FakePlatform, mailbox: Mailbox
) -> None:
    platform.prefer(worker, in_app=False)
    event = payment.EscrowFunded(**ESCROW, hirer_id="h", worker_id=worker.user_id, amount=AMOUNT)
    await rules.notify(service.context, envelope(event), event)
    page = (await service.call("GET", API, by=worker)).data
    assert (page["items"], page["unreadCount"]) == ([], 0)
    rows = await service.context.mongo.collection("deliveries").find({"user_id": worker.user_id}).to_list()
    assert rows == []

    # A preference that changes before the mail goes counts.
    platform.prefer(worker, email=True)
    notification_id = await funded(service, worker)
    platform.prefer(worker)
    await send(service, notification_id, "email")
    assert await log(service, notification_id, worker) == {"email": ("skipped", "preference")}
    assert mailbox.messages() == []


async def test_why_did_i_get_this(service: Service, worker: Principal, stranger: Principal) -> None:
    notification_id = await funded(service, worker)
    detail = (await service.call("GET", f"{API}/{notification_id}", by=worker)).data
    assert detail["topic"] == "payments"
    assert detail["why"] == "the money is yours or of your contract"
    assert detail["notification"]["title"] == "Money is held for you"
    assert [one["channel"] for one in detail["deliveries"]] == ["email", "push"]
    refused = await service.call("GET", f"{API}/{notification_id}", by=stranger)
    assert (refused.status, refused.data["code"]) == (404, "messaging.notification_not_found")


async def test_the_link_in_a_mail_ends_its_kind_at_one_click(
    service: Service, hirer: Principal, platform: FakePlatform, mailbox: Mailbox
) -> None:
    await send(service, await applied(service, hirer), "email")
    (mail,) = await mailbox.wait_for(f"{hirer.user_id}@people.example")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    found = UNSUBSCRIBE.fullmatch(str(mail["List-Unsubscribe"]).replace("\n", "").replace(" ", "").strip("<>"))
    assert found is not None
    path = found[1]
    plain = mail.get_body(("plain",))
    assert plain is not None
    assert path in plain.get_content()
    assert hirer.user_id not in path

    # Programs that look at mails follow links: nothing ends by that.
    page = await service.call("GET", path, headers={"accept-language": "fr"})
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<button>Ne plus recevoir de tels messages</button>" in page.body.decode()
    assert platform.preferences[hirer.user_id].channels[Topic.APPLICATIONS].email

    one_click = {"content-type": "application/x-www-form-urlencoded"}
    for _ in range(2):
        reply = await service.call("POST", path, raw=b"List-Unsubscribe=One-Click", headers=one_click)
        assert reply.status == 200
    channels = platform.preferences[hirer.user_id].channels
    assert not channels[Topic.APPLICATIONS].email
    assert channels[Topic.PAYMENTS].email
    assert await log(service, await applied(service, hirer), hirer) == {"push": ("due", None)}


@pytest.mark.parametrize("token", ["", "x", "k1.AAAA", "../..", "%00", "k1." + "A" * 2000])
async def test_links_that_nobody_sent_end_nothing(service: Service, token: str) -> None:
    for method in ("POST",):
        reply = await service.call(method, f"{API}/unsubscribe?token={token}")
        assert reply.status == 400


async def test_a_link_cannot_carry_a_script_into_its_page(service: Service) -> None:
    page = await service.call("GET", f"{API}/unsubscribe?token=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert b"<script" not in page.body
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


async def test_security_mails_cannot_be_ended(service: Service, worker: Principal, mailbox: Mailbox) -> None:
    event = auth.PasswordChanged(user_id=worker.user_id, how="reset")
    await rules.notify(service.context, envelope(event), event)
    (row,) = (await service.call("GET", API, by=worker)).data["items"]
    assert row["kind"] == "password_changed"
    # It goes although it was read, and in the dead of night.
    await service.call("POST", f"{API}/read", {"ids": [row["id"]]}, by=worker)
    await service.call("PUT", f"{API}/settings", {"quietHours": {"start": "00:00", "end": "23:59"}}, by=worker)
    await send(service, row["id"], "email")
    (mail,) = await mailbox.wait_for(f"{worker.user_id}@people.example")
    assert mail["List-Unsubscribe"] is None


@pytest.mark.usefixtures("noon")
async def test_nobody_is_disturbed_in_quiet_hours(
    service: Service, worker: Principal, platform: FakePlatform, mailbox: Mailbox
) -> None:
    body = {"quietHours": {"start": "11:00", "end": "13:30"}, "digest": "off", "digestHour": 8}
    reply = await service.call("PUT", f"{API}/settings", body, by=worker)
    assert reply.data == body | {"phone": None}
    assert (await service.call("GET", f"{API}/settings", by=worker)).data == reply.data

    notification_id = await funded(service, worker)
    end = clock.now().replace(hour=13, minute=30, second=0, microsecond=0)
    timer = await service.context.mongo.collection("timers").find_one({"_id": f"delivery:{notification_id}:email"})
    assert timer["due"] == end
    await send(service, notification_id, "email")  # early
    assert mailbox.messages() == []
    assert (await log(service, notification_id, worker))["email"] == ("due", None)

    clock.shift(timedelta(hours=2))
    await send(service, notification_id, "email")
    assert len(await mailbox.wait_for(f"{worker.user_id}@people.example")) == 1

    # In another zone it is another hour; and a night spans midnight.
    platform.prefer(worker, email=True, zone="Asia/Tokyo")
    await service.call("PUT", f"{API}/settings", {"quietHours": {"start": "22:00", "end": "06:00"}}, by=worker)
    other = await funded(service, worker)  # 14:00 in Accra is 23:00 in Tokyo
    timer = await service.context.mongo.collection("timers").find_one({"_id": f"delivery:{other}:email"})
    assert timer["due"] == clock.now().replace(hour=21, minute=0, second=0, microsecond=0)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"quietHours": {"start": "24:00", "end": "06:00"}}, "quietHours.start"),
        ({"quietHours": {"start": "22:00", "end": "22:00"}}, "quietHours.end"),
        ({"quietHours": {"start": "22:00"}}, "quietHours"),
        ({"digest": "hourly"}, "digest"),
        ({"digestHour": 24}, "digestHour"),
        ({"phone": "+233241234567"}, "phone"),
    ],
)
async def test_settings_that_do_not_fit(service: Service, worker: Principal, body: dict[str, Any], field: str) -> None:
    reply = await service.call("PUT", f"{API}/settings", body, by=worker)
    assert reply.status == 400
    assert reply.data["errors"][0]["field"].startswith(field.split(".")[0])
    after = (await service.call("GET", f"{API}/settings", by=worker)).data
    assert after == {"quietHours": None, "digest": "off", "digestHour": 8, "phone": None}


@pytest.mark.usefixtures("noon")
async def test_what_can_wait_comes_in_one_mail(
    service: Service, hirer: Principal, platform: FakePlatform, mailbox: Mailbox
) -> None:
    await service.call("PUT", f"{API}/settings", {"digest": "daily", "digestHour": 18}, by=hirer)
    read, first, second = [await applied(service, hirer) for _ in range(3)]
    urgent = await funded(service, hirer)
    assert (await log(service, urgent, hirer))["email"] == ("due", None)
    rows = await service.context.mongo.collection("timers").find({"actor": "messaging.send_digest"}).to_list()
    (timer,) = [row for row in rows if hirer.user_id in row["_id"]]
    assert timer["due"] == clock.now().replace(hour=18, minute=0, second=0, microsecond=0)
    await service.call("POST", f"{API}/read", {"ids": [read]}, by=hirer)

    for _ in range(2):
        await rules.send_digest(service.context, *timer["args"])
    (mail,) = await mailbox.wait_for(f"{hirer.user_id}@people.example")
    assert mail["Subject"] == "Your day at Kelmah: 2 news"
    plain = mail.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().count("A worker applied to your job.") == 2
    assert (await log(service, read, hirer))["email"] == ("skipped", "read")
    for one in (first, second):
        assert (await log(service, one, hirer))["email"] == ("sent", None)

    found = UNSUBSCRIBE.search(plain.get_content())
    assert found is not None
    await service.call("POST", found[1])
    assert (await service.call("GET", f"{API}/settings", by=hirer)).data["digest"] == "off"
    assert not platform.preferences[hirer.user_id].channels[Topic.APPLICATIONS].email
    assert platform.preferences[hirer.user_id].channels[Topic.PAYMENTS].email


async def test_a_message_that_stays_unread_is_mailed_about(
    service: Service, hirer: Principal, worker: Principal, conversation_id: str, mailbox: Mailbox
) -> None:
    for text in "ab":
        await say(service, conversation_id, text, hirer)
    for one, event in await tell(service, conversation_id):
        await rules.on_message_sent(service.context, one, event)
    (row,) = (await service.call("GET", API, by=worker)).data["items"]
    timer = await service.context.mongo.collection("timers").find_one({"_id": f"delivery:{row['id']}:email"})
    wait = timer["due"] - clock.now()
    assert timedelta(minutes=14) < wait <= timedelta(minutes=15)
    await send(service, row["id"], "email")
    (mail,) = await mailbox.wait_for(f"{worker.user_id}@people.example")
    assert mail["Subject"] == "New messages"

    # The next ones, read in time, are not.
    await service.call("POST", f"/api/v1/conversations/{conversation_id}/read", {"upTo": 2}, by=worker)
    await say(service, conversation_id, "c", hirer)
    one, event = (await tell(service, conversation_id))[-1]
    await rules.on_message_sent(service.context, one, event)
    row = (await service.call("GET", API, by=worker)).data["items"][0]
    await service.call("POST", f"/api/v1/conversations/{conversation_id}/read", {"upTo": 3}, by=worker)
    await send(service, row["id"], "email")
    assert (await log(service, row["id"], worker))["email"] == ("skipped", "read")
    assert len(mailbox.messages()) == 1


async def test_browsers_are_pushed_to(
    service: Service, worker: Principal, stranger: Principal, outside: Outside
) -> None:
    key = (await service.call("GET", "/api/v1/push-subscriptions/key", by=worker)).data["publicKey"]
    phone, laptop = Browser(outside), Browser(outside)
    for browser in (phone, laptop, laptop):
        reply = await service.call("POST", "/api/v1/push-subscriptions", browser.subscription, by=worker)
        assert reply.status == 201
    stored = await service.context.mongo.collection("push_subscriptions").find({"user_id": worker.user_id}).to_list()
    assert len(stored) == 2
    assert phone.endpoint not in str(stored)

    notification_id = await funded(service, worker)
    for _ in range(2):
        await send(service, notification_id, "push")
    for browser in (phone, laptop):
        (pushed,) = browser.pushed
        assert pushed["title"] == "Money is held for you"
        assert pushed["id"] == notification_id
        (headers,) = browser.headers
        assert headers["content-encoding"] == "aes128gcm"
        assert headers["ttl"] == "86400"
        assert headers["topic"] == notification_id
        assert headers["authorization"].endswith(f"k={key}")

    # A browser that is gone is forgotten, one that is busy is tried again.
    laptop.answer, phone.answer = 410, 503
    other = await funded(service, worker)
    with pytest.raises(DeliveryFailed):
        await send(service, other, "push")
    phone.answer = 201
    await send(service, other, "push")
    assert (await log(service, other, worker))["push"] == ("sent", None)
    rows = await service.context.mongo.collection("push_subscriptions").find({"user_id": worker.user_id}).to_list()
    (row,) = rows
    path = f"/api/v1/push-subscriptions/{row['_id']}"
    assert (await service.call("DELETE", path, by=stranger)).status == 404
    assert (await service.call("DELETE", path, by=worker)).status == 204
    third = await funded(service, worker)
    await send(service, third, "push")
    assert (await log(service, third, worker))["push"] == ("skipped", "no_browser")


async def test_a_session_that_ends_takes_its_browser_along(
    service: Service, worker: Principal, outside: Outside
) -> None:
    await service.call("POST", "/api/v1/push-subscriptions", Browser(outside).subscription, by=worker)
    event = auth.SessionRevoked(user_id=worker.user_id, session_id=worker.session_id, reason="logout")
    await rules.on_session_revoked(service.context, envelope(event), event)
    rows = service.context.mongo.collection("push_subscriptions")
    assert await rows.count_documents({"user_id": worker.user_id}) == 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"endpoint": "http://127.0.0.1:1/x"}, "endpoint"),
        ({"endpoint": "https://169.254.169.254/latest"}, "endpoint"),
        ({"endpoint": "https://fcm.googleapis.com.evil.example/x"}, "endpoint"),
        ({"endpoint": "file:///etc/passwd"}, "endpoint"),
        ({"keys": {"p256dh": "B" + "A" * 86, "auth": "A" * 22}}, "keys.p256dh"),
        ({"keys": {"p256dh": "short", "auth": "A" * 22}}, "keys.p256dh"),
        ({"keys": {}}, "keys.p256dh"),
    ],
)
async def test_places_that_are_not_pushed_to(
    service: Service, worker: Principal, outside: Outside, change: dict[str, Any], field: str
) -> None:
    body = Browser(outside).subscription | change
    reply = await service.call("POST", "/api/v1/push-subscriptions", body, by=worker)
    assert (reply.status, reply.data["errors"][0]["field"]) == (400, field)
    rows = service.context.mongo.collection("push_subscriptions")
    assert await rows.count_documents({"user_id": worker.user_id}) == 0


async def proven(service: Service, worker: Principal, outside: Outside, phone: str) -> str:
    assert (await service.call("POST", f"{API}/phone", {"phone": phone}, by=worker)).status == 204
    to, sender, text = outside.texts[-1]
    assert sender == "Kelmah"
    assert re.fullmatch(r"Kelmah: [0-9]{7}", text)
    reply = await service.call("POST", f"{API}/phone/verify", {"code": text[-7:]}, by=worker)
    assert reply.data["phone"] == to
    return to


async def test_texts_go_to_a_proven_phone(
    service: Service, worker: Principal, platform: FakePlatform, outside: Outside
) -> None:
    platform.prefer(worker, sms=True)
    early = await funded(service, worker)
    await send(service, early, "sms")
    assert (await log(service, early, worker))["sms"] == ("skipped", "no_proven_phone")

    assert await proven(service, worker, outside, "024 123 4567") == "+233241234567"
    stored = await service.context.mongo.collection("delivery_settings").find_one({"_id": worker.user_id})
    assert "241234567" not in str(stored)
    notification_id = await funded(service, worker)
    outside.answers = [503]
    with pytest.raises(DeliveryFailed):
        await send(service, notification_id, "sms")
    before = len(outside.texts)
    await asyncio.gather(*[send(service, notification_id, "sms") for _ in range(3)])
    assert outside.texts[before:] == [
        ("+233241234567", "Kelmah", "Kelmah: GHS 12,345.50 is held in escrow. You can start to work.")
    ]

    # The answer to a text was lost: it may have gone, and is not paid for twice.
    lost = await funded(service, worker)
    outside.answers = [500]
    for _ in range(2):
        await send(service, lost, "sms")
    assert (await log(service, lost, worker))["sms"] == ("unknown", "messaging.delivery_unknown")
    refused = await funded(service, worker)
    outside.answers = [400]
    await send(service, refused, "sms")
    assert (await log(service, refused, worker))["sms"] == ("refused", "messaging.delivery_refused")
    assert len(outside.texts) == before + 1

    assert (await service.call("DELETE", f"{API}/phone", by=worker)).status == 204
    assert (await service.call("GET", f"{API}/settings", by=worker)).data["phone"] is None


async def test_codes_cannot_be_guessed(
    service: Service, worker: Principal, stranger: Principal, outside: Outside
) -> None:
    bad = await service.call("POST", f"{API}/phone", {"phone": "12"}, by=worker)
    assert bad.status == 400
    assert (await service.call("POST", f"{API}/phone", {"phone": "0247654321"}, by=worker)).status == 204
    code = outside.texts[-1][2][-7:]
    wrong = f"{(int(code) + 1) % 10_000_000:07}"

    async def attempt(code: str, by: Principal) -> int:
        return (await service.call("POST", f"{API}/phone/verify", {"code": code}, by=by)).status

    assert await attempt(code, stranger) == 400
    assert [await attempt(wrong, worker) for _ in range(5)] == [400] * 5
    assert await attempt(code, worker) == 400
    assert (await service.call("GET", f"{API}/settings", by=worker)).data["phone"] is None

    assert (await service.call("POST", f"{API}/phone", {"phone": "0247654321"}, by=worker)).status == 204
    code = outside.texts[-1][2][-7:]
    clock.shift(timedelta(minutes=11))
    try:
        assert await attempt(code, worker) == 400
    finally:
        clock.reset()
    assert (await service.call("POST", f"{API}/phone", {"phone": "0247654321"}, by=worker)).status == 204
    slow = await service.call("POST", f"{API}/phone", {"phone": "0247654321"}, by=worker)
    assert (slow.status, slow.data["code"]) == (429, "messaging.slow_down")


async def test_strangers_cannot_fill_a_phone_with_codes(
    service: Service, worker: Principal, stranger: Principal, outside: Outside
) -> None:
    async def ask(by: Principal, phone: str) -> int:
        return (await service.call("POST", f"{API}/phone", {"phone": phone}, by=by)).status

    before = len(outside.texts)
    assert [await ask(stranger, "0201112223") for _ in range(2)] == [204] * 2
    # However it is spelled, it is one number, and whoever asks.
    assert [await ask(worker, phone) for phone in ("+233 20 111 2223", "020 111 2223")] == [204, 429]
    assert await ask(worker, "0201112224") == 204
    assert [to for to, _, _ in outside.texts[before:]] == ["+233201112223"] * 3 + ["+233201112224"]


async def test_an_open_socket_is_shown_a_notification(instances: Instances, worker: Principal) -> None:
    here, there = instances
    async with there.talk(worker) as client:
        notification_id = await funded(here.service, worker)
        frame = await client.until("notification")
        assert frame["notification"]["id"] == notification_id
        assert frame["notification"]["title"] == "Money is held for you"
        assert frame["unreadCount"] == 1


def test_ids_fit_a_topic_of_web_push() -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,32}", new_id())
