"""Edits, deletions, replies, reactions, search, and receipts that are kept private."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from kelmah.contracts.common import Role
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.messaging import service as rules
from tests.fixtures.service import Reply, Service, person
from tests.integration.messaging.conftest import Instances, say

CONVERSATIONS = "/api/v1/conversations"


def path_of(message: dict[str, Any]) -> str:
    return f"{CONVERSATIONS}/{message['conversationId']}/messages/{message['id']}"


async def history(service: Service, conversation_id: str, by: Principal) -> list[dict[str, Any]]:
    page = (await service.call("GET", f"{CONVERSATIONS}/{conversation_id}/messages", by=by)).data
    items: list[dict[str, Any]] = page["items"]
    return items[::-1]


async def search(service: Service, query: str, by: Principal) -> list[str]:
    reply = await service.call("GET", f"/api/v1/messages/search?q={query}", by=by)
    assert reply.status == 200, reply.data
    return [one["text"] for one in reply.data["items"]]


async def test_an_edit_is_seen_by_all_and_counted(
    instances: Instances, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    here, there = instances
    sent = await say(here.service, conversation_id, "Come at nine", hirer)
    async with there.talk(worker) as client:
        reply = await here.service.call("PATCH", path_of(sent), {"text": "Come at ten"}, by=hirer)
        frame = await client.until("change")
    assert (reply.status, reply.data["text"], reply.data["change"]) == (200, "Come at ten", 1)
    assert reply.data["editedAt"] is not None
    assert frame["message"] == reply.data
    assert await history(here.service, conversation_id, worker) == [reply.data]
    (listed,) = (await here.service.call("GET", CONVERSATIONS, by=worker)).data["items"]
    assert (listed["lastChange"], listed["unreadCount"]) == (1, 1)
    same = await here.service.call("PATCH", path_of(sent), {"text": " Come at ten "}, by=hirer)
    assert (same.status, same.data["change"]) == (200, 1)
    stored = await here.service.context.mongo.collection("messages").find_one({"_id": sent["id"]})
    assert len(stored["edits"]) == 1
    assert "nine" not in str(stored)


async def test_edits_that_are_refused_change_nothing(
    service: Service, hirer: Principal, worker: Principal, stranger: Principal, conversation_id: str
) -> None:
    sent = await say(service, conversation_id, "Come at nine", hirer)

    async def edit(by: Principal, **body: Any) -> Reply:
        return await service.call("PATCH", path_of(sent), body, by=by)

    assert (await edit(stranger, text="x")).status == 404
    other = await edit(worker, text="x")
    assert (other.status, other.data["code"]) == (403, "messaging.not_your_message")
    for text in ("", "   ", "x" * 10_001, "a\x00b", "\u202eevil"):
        bad = await edit(hirer, text=text)
        assert (bad.status, bad.data["errors"][0]["field"]) == (400, "text")
    clock.shift(timedelta(hours=25))
    try:
        late = await edit(hirer, text="x")
    finally:
        clock.reset()
    assert (late.status, late.data["code"]) == (409, "messaging.too_late_to_edit")
    assert await history(service, conversation_id, worker) == [sent]


async def test_edits_at_once_leave_one_text_and_no_gap(
    service: Service, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    sent = await say(service, conversation_id, "zero", hirer)
    replies = await asyncio.gather(
        *[service.call("PATCH", path_of(sent), {"text": f"text {number}"}, by=hirer) for number in range(5)]
    )
    done = [reply.data for reply in replies if reply.status == 200]
    assert {reply.status for reply in replies} <= {200, 409}
    assert sorted(one["change"] for one in done) == list(range(1, len(done) + 1))
    (now,) = await history(service, conversation_id, worker)
    assert now == max(done, key=lambda one: one["change"])


async def test_a_message_taken_back_is_gone_but_for_staff(
    service: Service, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    sent = await say(service, conversation_id, "Send me your PIN", hirer)
    kept = await say(service, conversation_id, "Why", worker)
    report = {"conversationId": conversation_id, "messageId": sent["id"], "reason": "fraud"}
    report_id = (await service.call("POST", "/api/v1/reports", report, by=worker)).data["id"]
    assert (await service.call("DELETE", path_of(sent), by=worker)).status == 403
    assert (await service.call("DELETE", path_of(sent), by=hirer)).status == 204
    for method, body in (("DELETE", None), ("PATCH", {"text": "x"})):
        assert (await service.call(method, path_of(sent), body, by=hirer)).status == 404
    gone, still = await history(service, conversation_id, worker)
    assert (gone["text"], gone["attachments"], gone["sequence"]) == ("", [], 1)
    assert gone["deletedAt"] is not None
    assert still == kept
    assert await search(service, "PIN", worker) == []

    async def staff_reads() -> list[str]:
        case = await service.call("GET", f"/api/v1/moderation/reports/{report_id}", by=person(Role.ADMIN))
        return [one["text"] for one in case.data["messages"]]

    assert await staff_reads() == ["Send me your PIN"]
    timer = await service.context.mongo.collection("timers").find_one({"_id": f"purge:{sent['id']}"})
    assert (timer["actor"], timer["args"]) == ("messaging.purge_message", [sent["id"]])
    assert timedelta(days=89) < timer["due"] - clock.now() <= timedelta(days=90)
    for _ in range(2):
        await rules.purge_message(service.context, sent["id"])
    assert await staff_reads() == [""]
    # A purge that nobody asked for does nothing.
    await rules.purge_message(service.context, kept["id"])
    assert (await history(service, conversation_id, worker))[1] == kept


async def test_the_files_of_a_deleted_message_cannot_be_read(
    service: Service, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    upload = await service.call(
        "POST", f"{CONVERSATIONS}/{conversation_id}/attachments", raw=b"%PDF-1.7\n%%EOF", by=hirer,
        headers={"content-type": "application/octet-stream", "x-filename": "plan.pdf"},
    )  # fmt: skip
    file = f"/api/v1/attachments/{upload.data['id']}"
    sent = await say(service, conversation_id, "", hirer, attachmentIds=[upload.data["id"]])
    assert (await service.call("GET", file, by=worker)).status == 200
    await service.call("DELETE", path_of(sent), by=hirer)
    for who in (hirer, worker):
        assert (await service.call("GET", file, by=who)).status == 404
    await rules.purge_message(service.context, sent["id"])
    assert not await service.context.blobs.exists(upload.data["id"])


async def test_a_reply_names_a_message_of_its_conversation(
    service: Service, hirer: Principal, worker: Principal, stranger: Principal, conversation_id: str
) -> None:
    first = await say(service, conversation_id, "Nine?", hirer)
    reply = await say(service, conversation_id, "Yes", worker, replyTo=first["id"])
    assert reply["replyTo"] == first["id"]
    other = await service.call(
        "POST", CONVERSATIONS, {"kind": "direct", "participantIds": [stranger.user_id]}, by=hirer
    )
    body = {"clientId": new_id(), "text": "x", "replyTo": first["id"]}
    bad = await service.call("POST", f"{CONVERSATIONS}/{other.data['id']}/messages", body, by=hirer)
    assert (bad.status, bad.data["errors"][0]["field"]) == (400, "replyTo")


async def test_reactions(
    service: Service, hirer: Principal, worker: Principal, stranger: Principal, conversation_id: str
) -> None:
    sent = await say(service, conversation_id, "Done", worker)

    async def react(by: Principal, emoji: str, **more: Any) -> Reply:
        return await service.call("POST", f"{path_of(sent)}/reactions", {"emoji": emoji} | more, by=by)

    replies = await asyncio.gather(*[react(who, "👍") for who in (hirer, hirer, hirer, worker)])
    assert {reply.status for reply in replies} == {200}
    await react(hirer, "👩🏾‍🔧")
    (now,) = await history(service, conversation_id, hirer)
    by_emoji = {one["emoji"]: sorted(one["userIds"]) for one in now["reactions"]}
    assert by_emoji == {"👍": sorted([hirer.user_id, worker.user_id]), "👩🏾‍🔧": [hirer.user_id]}
    assert now["change"] == 3
    assert (await react(hirer, "👍", remove=True)).data["change"] == 4
    assert (await react(hirer, "👍", remove=True)).data["change"] == 4
    for bad in ("", "a", "ok👍", "<b>", "👍" * 17, "\u200d"):
        refused = await react(hirer, bad)
        assert (refused.status, refused.data["errors"][0]["field"]) == (400, "emoji")
    assert (await react(stranger, "👍")).status == 404
    (now,) = await history(service, conversation_id, hirer)
    assert now["change"] == 4

    missed = (await service.call("GET", f"{CONVERSATIONS}/{conversation_id}/changes?after=3", by=worker)).data
    assert missed["items"] == [now]
    assert (await service.call("GET", f"{CONVERSATIONS}/{conversation_id}/changes", by=stranger)).status == 404
    none = (await service.call("GET", f"{CONVERSATIONS}/{conversation_id}/changes?after=4", by=worker)).data
    assert none["items"] == []


async def test_words_are_found_in_ones_own_conversations_alone(
    service: Service, hirer: Principal, worker: Principal, stranger: Principal, conversation_id: str
) -> None:
    await say(service, conversation_id, "The CÉMENT comes on Monday", hirer)
    second = await say(service, conversation_id, "Ten bags of cement on Tuesday", worker)
    await say(service, conversation_id, "No sand", worker)
    other = await service.call(
        "POST", CONVERSATIONS, {"kind": "direct", "participantIds": [stranger.user_id]}, by=hirer
    )
    await say(service, other.data["id"], "cement for the stranger", stranger)

    assert await search(service, "cement", worker) == ["Ten bags of cement on Tuesday", "The CÉMENT comes on Monday"]
    assert await search(service, "Cement%20monday", worker) == ["The CÉMENT comes on Monday"]
    assert await search(service, "cem", worker) == []
    assert await search(service, "cement", stranger) == ["cement for the stranger"]
    assert len(await search(service, "cement", hirer)) == 3
    first = (await service.call("GET", "/api/v1/messages/search?q=cement&limit=2", by=hirer)).data
    target = f"/api/v1/messages/search?q=cement&limit=2&cursor={first['nextCursor']}"
    rest = (await service.call("GET", target, by=hirer)).data
    assert len(first["items"]) == 2
    assert [one["text"] for one in rest["items"]] == ["The CÉMENT comes on Monday"]
    assert rest["nextCursor"] is None
    within = f"/api/v1/messages/search?q=cement&conversationId={conversation_id}"
    assert len((await service.call("GET", within, by=hirer)).data["items"]) == 2
    assert (await service.call("GET", within, by=stranger)).status == 404

    await service.call("PATCH", path_of(second), {"text": "Ten bags of lime"}, by=worker)
    assert await search(service, "lime", hirer) == ["Ten bags of lime"]
    assert len(await search(service, "cement", worker)) == 1

    rows = await service.context.mongo.collection("messages").find({}).to_list()
    by_conversation: dict[str, set[str]] = {}
    for row in rows:
        assert not {"cement", "monday"} & set(row["words"])
        by_conversation.setdefault(row["conversation_id"], set()).update(row["words"])
    # The same word of two conversations is two digests.
    assert not by_conversation[conversation_id] & by_conversation[other.data["id"]]


@pytest.mark.parametrize("query", ["q=", "q=a", "q=%20%20", "q=..", "q=" + "+".join(f"word{n}" for n in range(9))])
async def test_nothing_to_look_for(service: Service, worker: Principal, query: str) -> None:
    reply = await service.call("GET", f"/api/v1/messages/search?{query}", by=worker)
    assert (reply.status, reply.data["errors"][0]["field"]) == (400, "q")


async def test_private_receipts_are_private_both_ways(
    instances: Instances, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    here, there = instances
    service = here.service
    await say(service, conversation_id, "a", hirer)
    await service.call("PATCH", f"{CONVERSATIONS}/{conversation_id}", {"privateReceipts": True}, by=worker)
    async with here.talk(hirer) as left, there.talk(worker) as right:
        await service.call("POST", f"{CONVERSATIONS}/{conversation_id}/read", {"upTo": 1}, by=worker)
        assert (await right.until("read"))["readUpTo"] == 1  # for one's other devices
        await left.send(type="ping")
        while (frame := await left.receive())["type"] != "pong":
            assert frame["type"] != "read"

    async def marks(by: Principal) -> dict[str, int | None]:
        (listed,) = (await service.call("GET", CONVERSATIONS, by=by)).data["items"]
        return {one["userId"]: one["readUpTo"] for one in listed["participants"]}

    assert await marks(hirer) == {hirer.user_id: 0, worker.user_id: None}
    assert await marks(worker) == {hirer.user_id: None, worker.user_id: 1}
    await service.call("PATCH", f"{CONVERSATIONS}/{conversation_id}", {"privateReceipts": False}, by=worker)
    assert await marks(hirer) == {hirer.user_id: 0, worker.user_id: 1}
