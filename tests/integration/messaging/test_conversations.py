"""Conversations, messages and read marks over HTTP."""

import asyncio
from typing import Any

import pytest

from kelmah.contracts.events import EVENT_TYPES
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from tests.fakes.messaging import FakePlatform
from tests.fixtures.service import Service
from tests.integration.messaging.conftest import say

API = "/api/v1/conversations"


async def stored(service: Service, collection: str, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await service.context.mongo.collection(collection).find(query).to_list()
    return found


async def unread(service: Service, conversation_id: str, by: Principal) -> int:
    page = (await service.call("GET", API, by=by)).data
    return next(int(one["unreadCount"]) for one in page["items"] if one["id"] == conversation_id)


async def test_two_people_have_one_direct_conversation(service: Service, hirer: Principal, worker: Principal) -> None:
    def start(by: Principal, other: Principal) -> Any:
        return service.call("POST", API, {"kind": "direct", "participantIds": [other.user_id]}, by=by)

    replies = await asyncio.gather(*[start(hirer, worker) for _ in range(4)], *[start(worker, hirer) for _ in range(4)])

    assert sorted(reply.status for reply in replies) == [200] * 7 + [201]
    assert len({reply.data["id"] for reply in replies}) == 1
    view = replies[0].data
    assert view["kind"] == "direct"
    assert {one["userId"]: (one["displayName"], one["role"]) for one in view["participants"]} == {
        hirer.user_id: ("Efua", "hirer"),
        worker.user_id: ("Kofi", "worker"),
    }
    assert (view["lastSequence"], view["unreadCount"], view["lastMessage"]) == (0, 0, None)


async def test_a_contract_has_one_conversation_of_its_two_sides(
    service: Service, platform: FakePlatform, hirer: Principal, worker: Principal, stranger: Principal
) -> None:
    contract_id = new_id()
    platform.agree(contract_id, hirer, worker)
    body = {"kind": "contract", "contractId": contract_id}

    refused = await service.call("POST", API, body, by=stranger)
    assert (refused.status, refused.data["code"]) == (404, "messaging.contract_not_found")
    assert await stored(service, "conversations", contract_id=contract_id) == []

    made = await service.call("POST", API, body, by=worker)
    again = await service.call("POST", API, body, by=hirer)
    assert (made.status, again.status) == (201, 200)
    assert made.data["id"] == again.data["id"]
    assert made.data["contractId"] == contract_id


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"kind": "direct"}, 400, "participantIds"),
        ({"kind": "direct", "participantIds": []}, 400, "participantIds"),
        ({"kind": "direct", "participantIds": ["me"]}, 400, "participantIds"),
        ({"kind": "direct", "participantIds": ["me", "a", "b"]}, 400, "participantIds"),
        ({"kind": "direct", "participantIds": ["a", "b"]}, 400, "participantIds"),
        ({"kind": "direct", "participantIds": ["nobody-here"]}, 404, None),
        ({"kind": "contract"}, 400, "contractId"),
        ({"kind": "contract", "contractId": "c", "participantIds": ["a"]}, 400, "contractId"),
        ({"kind": "contract", "contractId": "none-such"}, 404, None),
        ({"kind": "party"}, 400, "kind"),
        ({"kind": "direct", "participantIds": ["a"], "admin": True}, 400, "admin"),
    ],
)
async def test_bad_conversations(
    service: Service, hirer: Principal, body: dict[str, Any], status: int, field: str | None
) -> None:
    ids = [hirer.user_id if one == "me" else one for one in body.get("participantIds", [])]
    reply = await service.call(
        "POST", API, body | ({"participantIds": ids} if "participantIds" in body else {}), by=hirer
    )
    assert reply.status == status
    if field:
        assert [error["field"].split("[")[0] for error in reply.data["errors"]] == [field]
    assert await stored(service, "conversations", **{"participants.user_id": hirer.user_id}) == []


async def test_a_message_is_stored_once_and_sealed(
    service: Service, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    path, body = f"{API}/{conversation_id}/messages", {"clientId": new_id(), "text": " Akwaaba!\r\n"}

    replies = await asyncio.gather(*[service.call("POST", path, body, by=hirer) for _ in range(5)])

    assert sorted(reply.status for reply in replies) == [200] * 4 + [201]
    assert len({reply.body for reply in replies}) == 1
    view = replies[0].data
    assert (view["sequence"], view["text"], view["senderId"]) == (1, "Akwaaba!", hirer.user_id)
    (row,) = await stored(service, "messages", conversation_id=conversation_id)
    assert "Akwaaba" not in str(row)
    events = await stored(service, "events", subject=f"conversation:{conversation_id}")
    assert [event["type"] for event in events] == ["messaging.message_sent.v1"]
    assert events[0]["type"] in EVENT_TYPES
    assert "Akwaaba" not in str(events)

    changed = await service.call("POST", path, body | {"text": "Something else"}, by=hirer)
    assert (changed.status, changed.data["code"]) == (409, "messaging.client_id_reused")
    # The other person's client ids are their own.
    assert (await service.call("POST", path, body, by=worker)).data["sequence"] == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"text": ""}, "text"),
        ({"text": "  \n "}, "text"),
        ({"text": "x" * 10_001}, "text"),
        ({"text": "nul \u0000"}, "text"),
        ({"text": "abc\u202egpj.exe"}, "text"),
        ({"clientId": ""}, "clientId"),
        ({"clientId": "a b"}, "clientId"),
        ({"clientId": "x" * 65}, "clientId"),
        ({"attachmentIds": ["none-such"]}, "attachmentIds"),
        ({"attachmentIds": ["a", "a"]}, "attachmentIds"),
        ({"attachmentIds": [str(n) for n in range(11)]}, "attachmentIds"),
        ({"senderId": "somebody"}, "senderId"),
    ],
)
async def test_bad_messages_leave_nothing(
    service: Service, hirer: Principal, conversation_id: str, change: dict[str, Any], field: str
) -> None:
    body = {"clientId": new_id(), "text": "hello"} | change
    reply = await service.call("POST", f"{API}/{conversation_id}/messages", body, by=hirer)
    assert reply.status == 400
    assert [error["field"] for error in reply.data["errors"]] == [field]
    assert await stored(service, "messages", conversation_id=conversation_id) == []
    assert await stored(service, "events", subject=f"conversation:{conversation_id}") == []
    assert (await service.call("GET", API, by=hirer)).data["items"][0]["lastSequence"] == 0


async def test_broken_utf8_is_bad_input(service: Service, hirer: Principal, conversation_id: str) -> None:
    raw = b'{"clientId":"a","text":"\xff\xfe"}'
    reply = await service.call("POST", f"{API}/{conversation_id}/messages", raw=raw, by=hirer)
    assert (reply.status, reply.data["code"]) == (400, "bad_input")


async def test_ten_thousand_characters_are_taken(service: Service, hirer: Principal, conversation_id: str) -> None:
    text = "\U0001f528" * 10_000
    assert (await say(service, conversation_id, text, hirer))["text"] == text


async def test_a_stranger_meets_nothing(
    service: Service, hirer: Principal, stranger: Principal, conversation_id: str
) -> None:
    await say(service, conversation_id, "between us", hirer)
    path = f"{API}/{conversation_id}"
    replies = [
        await service.call("GET", f"{path}/messages", by=stranger),
        await service.call("POST", f"{path}/messages", {"clientId": "a", "text": "hi"}, by=stranger),
        await service.call("POST", f"{path}/read", {"upTo": 1}, by=stranger),
        await service.call(
            "POST", f"{path}/attachments", raw=b"%PDF-1.7", headers={"X-Filename": "a.pdf"}, by=stranger
        ),
    ]
    assert [(reply.status, reply.data["code"]) for reply in replies] == [(404, "messaging.conversation_not_found")] * 4
    assert len(await stored(service, "messages", conversation_id=conversation_id)) == 1
    assert (await service.call("GET", API, by=stranger)).data == {"items": [], "nextCursor": None}


async def test_nobody_comes_in_without_signing_in(service: Service, conversation_id: str) -> None:
    for method, path in [
        ("POST", API), ("GET", API), ("GET", f"{API}/{conversation_id}/messages"),
        ("POST", f"{API}/{conversation_id}/messages"), ("POST", f"{API}/{conversation_id}/read"),
        ("POST", f"{API}/{conversation_id}/attachments"), ("GET", "/api/v1/attachments/x"),
        ("GET", "/api/v1/presence?ids=a"), ("POST", "/api/v1/ws-tickets"), ("GET", "/api/v1/notifications"),
        ("POST", "/api/v1/notifications/read"),
    ]:  # fmt: skip
        assert (await service.call(method, path, {} if method == "POST" else None)).status == 401, path


async def test_concurrent_senders_get_one_order_without_gaps(
    service: Service, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    sent = await asyncio.gather(
        *[say(service, conversation_id, f"{index}", (hirer, worker)[index % 2]) for index in range(24)]
    )
    assert sorted(one["sequence"] for one in sent) == list(range(1, 25))

    history: list[dict[str, Any]] = []
    path: str | None = f"{API}/{conversation_id}/messages?limit=10"
    while path:
        page = (await service.call("GET", path, by=worker)).data
        history += page["items"]
        cursor = page["nextCursor"]
        path = f"{API}/{conversation_id}/messages?limit=10&cursor={cursor}" if cursor else None
    assert [one["sequence"] for one in history] == list(range(24, 0, -1))
    assert sorted(history, key=lambda one: one["sequence"]) == sorted(sent, key=lambda one: one["sequence"])
    # Each side has 12 of the other's to read.
    assert await unread(service, conversation_id, hirer) == 12
    assert await unread(service, conversation_id, worker) == 12


async def test_a_gap_is_filled_oldest_first(service: Service, hirer: Principal, conversation_id: str) -> None:
    for index in range(5):
        await say(service, conversation_id, str(index), hirer)
    path = f"{API}/{conversation_id}/messages?limit=2"
    first = (await service.call("GET", f"{path}&after=1", by=hirer)).data
    second = (await service.call("GET", f"{path}&cursor={first['nextCursor']}", by=hirer)).data
    assert [one["sequence"] for one in first["items"] + second["items"]] == [2, 3, 4, 5]
    assert second["nextCursor"] is None


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=%00", "cursor=YQ", "after=-1"])
async def test_bad_pages(service: Service, hirer: Principal, conversation_id: str, query: str) -> None:
    reply = await service.call("GET", f"{API}/{conversation_id}/messages?{query}", by=hirer)
    assert reply.status == 400
    assert reply.data["errors"][0]["field"] == query.split("=")[0]


async def test_read_marks_only_move_forward(
    service: Service, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    for index in range(3):
        await say(service, conversation_id, str(index), hirer)
    await say(service, conversation_id, "my own", worker)
    assert await unread(service, conversation_id, worker) == 3

    async def read(up_to: int) -> Any:
        return await service.call("POST", f"{API}/{conversation_id}/read", {"upTo": up_to}, by=worker)

    assert (await read(2)).data == {"conversationId": conversation_id, "readUpTo": 2, "unreadCount": 1}
    assert (await read(1)).data == {"conversationId": conversation_id, "readUpTo": 2, "unreadCount": 1}
    beyond = await read(5)
    assert (beyond.status, beyond.data["errors"][0]["field"]) == (400, "upTo")
    assert (await read(4)).data == {"conversationId": conversation_id, "readUpTo": 4, "unreadCount": 0}
    assert await unread(service, conversation_id, hirer) == 1


async def test_unread_counts_are_right_whatever_the_interleaving(
    service: Service, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    async def read_along(by: Principal) -> None:
        for _ in range(6):
            page = (await service.call("GET", f"{API}/{conversation_id}/messages?limit=1", by=by)).data
            if page["items"]:
                up_to = page["items"][0]["sequence"]
                reply = await service.call("POST", f"{API}/{conversation_id}/read", {"upTo": up_to}, by=by)
                assert reply.status == 200

    await asyncio.gather(
        *[say(service, conversation_id, str(index), (hirer, worker)[index % 2]) for index in range(16)],
        read_along(hirer),
        read_along(worker),
    )

    (row,) = await stored(service, "conversations", _id=conversation_id)
    rows = await stored(service, "messages", conversation_id=conversation_id)
    for who in (hirer, worker):
        mark = next(one["read_up_to"] for one in row["participants"] if one["user_id"] == who.user_id)
        expected = sum(one["sequence"] > mark and one["sender_id"] != who.user_id for one in rows)
        assert await unread(service, conversation_id, who) == expected


async def test_the_list_shows_the_last_message_and_the_latest_first(
    service: Service, hirer: Principal, worker: Principal, stranger: Principal, conversation_id: str
) -> None:
    other = await service.call("POST", API, {"kind": "direct", "participantIds": [stranger.user_id]}, by=hirer)
    await say(service, conversation_id, "later", worker)
    page = (await service.call("GET", f"{API}?limit=1", by=hirer)).data
    assert [(one["id"], one["lastMessage"]["text"], one["unreadCount"]) for one in page["items"]] == [
        (conversation_id, "later", 1)
    ]
    rest = (await service.call("GET", f"{API}?limit=1&cursor={page['nextCursor']}", by=hirer)).data
    assert [one["id"] for one in rest["items"]] == [other.data["id"]]
    assert rest["nextCursor"] is None


async def test_the_list_does_without_names_when_the_user_service_is_away(
    service: Service, platform: FakePlatform, hirer: Principal, conversation_id: str
) -> None:
    platform.is_away = True
    try:
        page = (await service.call("GET", API, by=hirer)).data
        assert [one["displayName"] for one in page["items"][0]["participants"]] == [None, None]
        made = await service.call("POST", API, {"kind": "direct", "participantIds": ["anybody"]}, by=hirer)
        assert made.status == 503
    finally:
        platform.is_away = False
