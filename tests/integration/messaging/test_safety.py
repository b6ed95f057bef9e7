"""Blocks, mutes, archives, strangers, flags, and reports with what follows from them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kelmah.contracts import job
from kelmah.contracts.auth import AccountDeleted
from kelmah.contracts.common import Role
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.messaging import service as rules
from tests.fakes.messaging import FakePlatform
from tests.fixtures.events import envelope
from tests.fixtures.service import Service, person
from tests.integration.messaging.conftest import Instances, say
from tests.integration.messaging.test_notifications import API, tell

CONVERSATIONS = "/api/v1/conversations"


async def write(service: Service, conversation_id: str, by: Principal, text: str = "hello") -> tuple[int, str | None]:
    """Try to send a message: status and code."""
    path = f"{CONVERSATIONS}/{conversation_id}/messages"
    reply = await service.call("POST", path, {"clientId": new_id(), "text": text}, by=by)
    return reply.status, reply.data.get("code")


async def agree(service: Service, hirer: Principal, worker: Principal) -> None:
    """Let both have signed a contract."""
    event = job.ContractSigned(
        contract_id=new_id(), job_id="j1", hirer_id=hirer.user_id, worker_id=worker.user_id,
        signed_by=worker.user_id, complete=True,
    )  # fmt: skip
    await rules.on_contract_signed(service.context, envelope(event), event)


async def test_a_block_ends_private_talk_both_ways(
    service: Service, hirer: Principal, worker: Principal, stranger: Principal, platform: FakePlatform,
    conversation_id: str,
) -> None:  # fmt: skip
    platform.agree("c-block", hirer, worker)
    shared = await service.call("POST", CONVERSATIONS, {"kind": "contract", "contractId": "c-block"}, by=hirer)
    first = await service.call("PUT", f"/api/v1/blocks/{hirer.user_id}", by=worker)
    assert (first.status, first.data["userId"]) == (200, hirer.user_id)
    again = await service.call("PUT", f"/api/v1/blocks/{hirer.user_id}", by=worker)
    assert again.status == 200
    listed = (await service.call("GET", "/api/v1/blocks", by=worker)).data
    assert [one["userId"] for one in listed["items"]] == [hirer.user_id]
    assert (await service.call("GET", "/api/v1/blocks", by=hirer)).data["items"] == []

    for who in (hirer, worker):
        assert await write(service, conversation_id, who) == (403, "messaging.writing_refused")
        assert await write(service, shared.data["id"], who) == (201, None)
    page = (await service.call("GET", f"{CONVERSATIONS}/{conversation_id}/messages", by=hirer)).data
    assert page["items"] == []
    opened = await service.call("POST", CONVERSATIONS, {"kind": "direct", "participantIds": [worker.user_id]}, by=hirer)
    assert (opened.status, opened.data["code"]) == (403, "messaging.writing_refused")
    seen = await service.call("GET", f"/api/v1/presence?ids={worker.user_id}", by=hirer)
    assert seen.data["items"] == []

    # Nobody takes back another's block.
    for who in (hirer, stranger):
        assert (await service.call("DELETE", f"/api/v1/blocks/{hirer.user_id}", by=who)).status == 404
    assert await write(service, conversation_id, hirer) == (403, "messaging.writing_refused")
    assert (await service.call("DELETE", f"/api/v1/blocks/{hirer.user_id}", by=worker)).status == 204
    assert await write(service, conversation_id, hirer) == (201, None)


async def test_blocks_that_make_no_sense(service: Service, worker: Principal) -> None:
    own = await service.call("PUT", f"/api/v1/blocks/{worker.user_id}", by=worker)
    assert (own.status, own.data["errors"][0]["field"]) == (400, "userId")
    nobody = await service.call("PUT", "/api/v1/blocks/nobody", by=worker)
    assert (nobody.status, nobody.data["code"]) == (404, "messaging.person_not_found")
    assert (await service.call("GET", "/api/v1/blocks", by=worker)).data["items"] == []


async def test_the_blocked_are_not_shown_who_types_or_is_there(
    instances: Instances, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    here, there = instances
    await here.service.call("PUT", f"/api/v1/blocks/{hirer.user_id}", by=worker)
    async with here.talk(hirer) as left, there.talk(worker) as right:
        await right.send(type="typing", conversationId=conversation_id)
        await right.send(type="ping")
        await right.until("pong")
        await left.send(type="ping")
        assert (await left.receive())["type"] == "pong"


async def test_a_muted_conversation_notifies_of_nothing(
    service: Service, hirer: Principal, worker: Principal, stranger: Principal, conversation_id: str
) -> None:
    path = f"{CONVERSATIONS}/{conversation_id}"
    assert (await service.call("PATCH", path, {"muted": True}, by=stranger)).status == 404
    for body in ({}, {"muted": "yes"}, {"pinned": True}):
        assert (await service.call("PATCH", path, body, by=worker)).status == 400
    reply = await service.call("PATCH", path, {"muted": True}, by=worker)
    assert (reply.data["muted"], reply.data["archived"]) == (True, False)
    await say(service, conversation_id, "a", hirer)
    for one, event in await tell(service, conversation_id):
        await rules.on_message_sent(service.context, one, event)
    assert (await service.call("GET", API, by=worker)).data["items"] == []
    (listed,) = (await service.call("GET", CONVERSATIONS, by=worker)).data["items"]
    assert listed["unreadCount"] == 1
    (other,) = (await service.call("GET", CONVERSATIONS, by=hirer)).data["items"]
    assert not other["muted"]


async def test_an_archived_conversation_comes_back_with_a_message(
    service: Service, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    async def listed(who: Principal, query: str = "") -> list[str]:
        items = (await service.call("GET", f"{CONVERSATIONS}{query}", by=who)).data["items"]
        return [one["id"] for one in items]

    await service.call("PATCH", f"{CONVERSATIONS}/{conversation_id}", {"archived": True}, by=worker)
    assert await listed(worker) == []
    assert await listed(worker, "?archived=true") == [conversation_id]
    assert await listed(hirer) == [conversation_id]
    await say(service, conversation_id, "a", hirer)
    assert await listed(worker) == [conversation_id]
    assert await listed(worker, "?archived=true") == []


@pytest.fixture
async def strict(service: Service) -> AsyncIterator[Service]:
    """The service with its usual limit on strangers."""
    settings = service.context.settings
    service.replace(settings=settings.model_copy(update={"stranger_messages": 3}))
    yield service
    service.replace(settings=settings)


async def test_a_stranger_waits_for_an_answer(
    strict: Service, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    assert [(await write(strict, conversation_id, hirer))[0] for _ in range(4)] == [201, 201, 201, 429]
    assert await write(strict, conversation_id, hirer) == (429, "messaging.stranger_limit")
    assert await write(strict, conversation_id, worker) == (201, None)
    assert await write(strict, conversation_id, hirer) == (201, None)


async def test_people_with_a_contract_are_no_strangers(
    strict: Service, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    await agree(strict, hirer, worker)
    assert [(await write(strict, conversation_id, hirer))[0] for _ in range(5)] == [201] * 5


async def test_what_leads_away_is_flagged_until_there_is_a_contract(
    service: Service, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    sent = await say(service, conversation_id, "Call 024 123 4567 and pay me directly", hirer)
    assert sent["flags"] == ["phone", "payment"]
    page = (await service.call("GET", f"{CONVERSATIONS}/{conversation_id}/messages", by=worker)).data
    assert page["items"][0]["flags"] == ["phone", "payment"]
    rows = await service.context.mongo.collection("events").find({"type": "messaging.message_flagged.v1"}).to_list()
    (row,) = [row for row in rows if sent["id"] in row["data"]]
    assert "024" not in row["data"]
    assert (await say(service, conversation_id, "See you on Monday", hirer))["flags"] == []

    await agree(service, hirer, worker)
    assert (await say(service, conversation_id, "Call 024 123 4567", hirer))["flags"] == []


async def reported(service: Service, conversation_id: str, message_id: str, by: Principal, **more: Any) -> Any:
    body = {"conversationId": conversation_id, "messageId": message_id, "reason": "fraud", "note": "asks for my PIN"}
    return await service.call("POST", "/api/v1/reports", body | more, by=by)


async def test_a_report_is_ruled_on_once(
    service: Service, hirer: Principal, worker: Principal, stranger: Principal, conversation_id: str
) -> None:
    await say(service, conversation_id, "Hello", worker)
    sent = await say(service, conversation_id, "Tell me your PIN", hirer)
    await say(service, conversation_id, "No", worker)
    replies = await asyncio.gather(*[reported(service, conversation_id, sent["id"], worker) for _ in range(4)])
    assert sorted(reply.status for reply in replies) == [200, 200, 200, 201]
    (report_id,) = {reply.data["id"] for reply in replies}
    stored = await service.context.mongo.collection("reports").find_one({"_id": report_id})
    assert "PIN" not in str(stored)

    staff = person(Role.MODERATOR)
    path = f"/api/v1/moderation/reports/{report_id}"
    for who in (hirer, worker, stranger, person(Role.SUPPORT)):
        for method, target, body in (
            ("GET", "/api/v1/moderation/reports", None),
            ("GET", path, None),
            ("POST", f"{path}/decision", {"uphold": True, "note": "mine"}),
        ):
            assert (await service.call(method, target, body, by=who)).status == 403
    queue = (await service.call("GET", "/api/v1/moderation/reports?limit=100", by=staff)).data["items"]
    assert report_id in [one["id"] for one in queue]
    case = (await service.call("GET", path, by=staff)).data
    assert [one["text"] for one in case["messages"]] == ["Hello", "Tell me your PIN"]
    assert (case["note"], case["senderId"], case["reporterId"]) == ("asks for my PIN", hirer.user_id, worker.user_id)

    for body, field in (
        ({"uphold": False, "note": "no harm", "restrictDays": 3}, "restrictDays"),
        ({"uphold": True, "note": ""}, "note"),
        ({"uphold": True, "note": "bad", "restrictDays": 366}, "restrictDays"),
    ):
        refused = await service.call("POST", f"{path}/decision", body, by=staff)
        assert (refused.status, refused.data["errors"][0]["field"]) == (400, field)
    assert await write(service, conversation_id, hirer) == (201, None)

    ruling = {"uphold": True, "note": "phishing", "restrictDays": 7}
    rulings = await asyncio.gather(
        *[service.call("POST", f"{path}/decision", ruling, by=person(Role.ADMIN)) for _ in range(3)]
    )
    assert sorted(reply.status for reply in rulings) == [200, 409, 409]
    assert await write(service, conversation_id, hirer) == (403, "messaging.writing_restricted")
    assert await write(service, conversation_id, worker) == (201, None)
    events = service.context.mongo.collection("events").find({"subject": f"report:{report_id}"})
    assert [row["type"] for row in await events.sort("sequence").to_list()] == [
        "messaging.conversation_reported.v1",
        "messaging.report_decided.v1",
    ]
    restriction = await service.context.mongo.collection("restrictions").find_one({"_id": hirer.user_id})
    assert 6 < (restriction["until"] - clock.now()).total_seconds() / 86_400 <= 7


async def test_reports_that_are_not_taken(
    service: Service, hirer: Principal, worker: Principal, stranger: Principal, conversation_id: str
) -> None:
    sent = await say(service, conversation_id, "Hello", hirer)
    assert (await reported(service, conversation_id, sent["id"], stranger)).status == 404
    own = await reported(service, conversation_id, sent["id"], hirer)
    assert (own.status, own.data["errors"][0]["field"]) == (400, "messageId")
    assert (await reported(service, conversation_id, "nothing", worker)).status == 404
    for more, field in (({"reason": "boring"}, "reason"), ({"note": "x" * 2001}, "note"), ({"note": "a\x00"}, "note")):
        refused = await reported(service, conversation_id, sent["id"], worker, **more)
        assert (refused.status, refused.data["errors"][0]["field"]) == (400, field)
    assert await service.context.mongo.collection("reports").count_documents({"message_id": sent["id"]}) == 0
    missing = await service.call("GET", "/api/v1/moderation/reports/nothing", by=person(Role.ADMIN))
    assert (missing.status, missing.data["code"]) == (404, "messaging.report_not_found")


async def test_a_deleted_person_leaves_no_settings_blocks_presence_or_half_uploads(
    service: Service, hirer: Principal, worker: Principal, stranger: Principal, conversation_id: str
) -> None:
    mongo = service.context.mongo
    before = await mongo.collection("attachments.files").count_documents({})
    for who in (hirer, worker):
        file = {"content-type": "application/octet-stream", "x-filename": "plan.pdf"}
        path = f"/api/v1/conversations/{conversation_id}"
        whole = await service.call("POST", f"{path}/attachments", raw=b"%PDF-1.7", by=who, headers=file)
        assert whole.status == 201
        begun = await service.call("POST", f"{path}/uploads", by=who, headers=file | {"upload-length": "1000"})
        part = file | {"upload-offset": "0"}
        reply = await service.call("PATCH", f"/api/v1/uploads/{begun.data['id']}", raw=b"%PDF", by=who, headers=part)
        assert reply.status in (200, 204)
        assert (await service.call("PUT", "/api/v1/presence/me", {"hidden": True}, by=who)).status == 200
        assert (await service.call("PUT", f"/api/v1/blocks/{stranger.user_id}", by=who)).status in (200, 201, 204)
        settings = {"quietHours": None, "digest": "off", "digestHour": 9}
        assert (await service.call("PUT", "/api/v1/notifications/settings", settings, by=who)).status == 200
    event = AccountDeleted(user_id=worker.user_id)
    for _ in range(2):
        await rules.on_account_deleted(service.context, envelope(event), event)
    # What was sent stays with whom it was sent to; the part that nobody will end is gone.
    assert await mongo.collection("attachments.files").count_documents({}) == before + 3
    places = [("blocks", "user_id"), ("presence_choices", "_id"), ("file_usage", "_id"), ("uploads", "uploader_id")]
    for collection, field in places:
        counts = [await mongo.collection(collection).count_documents({field: who.user_id}) for who in (hirer, worker)]
        assert counts == [1, 0], collection
    kept = await mongo.collection("delivery_settings").find_one({"_id": worker.user_id})
    assert kept == {"_id": worker.user_id, "is_gone": True}
