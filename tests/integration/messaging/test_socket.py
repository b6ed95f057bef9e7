"""The WebSocket, over real sockets, with two instances on one Redis."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from kelmah.contracts.auth import SessionRevoked
from kelmah.contracts.events import Envelope
from kelmah.contracts.messaging import MessageSent, TypingNoticeFrame
from kelmah.kit.context import Principal
from kelmah.kit.crypto import digest_token
from kelmah.services.messaging import service as rules
from kelmah.services.messaging.service import live
from tests.fixtures.events import envelope
from tests.fixtures.service import Service
from tests.integration.messaging.conftest import Client, Instance, Instances, listening, none_left, say

API = "/api/v1/conversations"


async def stored(service: Service, conversation_id: str) -> list[tuple[int, str]]:
    rows = service.context.mongo.collection("messages").find({"conversation_id": conversation_id})
    return [(row["sequence"], row["sender_id"]) for row in await rows.sort("sequence", 1).to_list()]


async def refused(instance: Instance, **handshake: Any) -> tuple[int, str]:
    """Status and code of a handshake that is not taken."""
    with pytest.raises(InvalidStatus) as found:
        async with instance.open(**handshake):
            pass
    return found.value.response.status_code, json.loads(found.value.response.body)["code"]


async def test_a_message_reaches_everybody_on_every_instance(
    instances: Instances, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    here, there = instances
    async with here.talk(hirer) as mine, there.talk(hirer) as my_other, there.talk(worker) as theirs:
        await mine.send(type="send", conversationId=conversation_id, clientId="c1", text="Akwaaba")
        ack = await mine.until("ack")
        assert ack["clientId"] == "c1"
        assert (ack["message"]["sequence"], ack["message"]["text"]) == (1, "Akwaaba")
        for client in (my_other, theirs):
            assert (await client.until("message"))["message"] == ack["message"]

        await theirs.send(type="read", conversationId=conversation_id, upTo=1)
        for client in (mine, my_other, theirs):
            frame = await client.until("read")
            assert (frame["userId"], frame["readUpTo"]) == (worker.user_id, 1)

        await theirs.send(type="typing", conversationId=conversation_id)
        frame = await mine.until("typing")
        assert (frame["conversationId"], frame["userId"]) == (conversation_id, worker.user_id)

        # HTTP and the socket are two doors to one room.
        sent = await say(there.service, conversation_id, "over HTTP", worker)
        assert (await mine.until("message"))["message"]["sequence"] in (1, 2)
        assert sent["sequence"] == 2


async def test_sent_twice_is_stored_once(instances: Instances, hirer: Principal, conversation_id: str) -> None:
    here, there = instances
    async with here.talk(hirer) as one, there.talk(hirer) as two:
        frame = {"type": "send", "conversationId": conversation_id, "clientId": "same", "text": "once"}
        await asyncio.gather(*[client.send(**frame) for client in (one, two, one, two)])
        acks = [await client.until("ack") for client in (one, two, one, two)]
        assert len({ack["message"]["id"] for ack in acks}) == 1
        await one.send(**frame | {"text": "something else"})
        error = await one.until("error")
        assert (error["code"], error["clientId"]) == ("messaging.client_id_reused", "same")
    assert await stored(here.service, conversation_id) == [(1, hirer.user_id)]


async def test_everybody_sees_one_order_without_gaps_or_twins(
    instances: Instances, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    here, there = instances

    async def chatter(client: Client, prefix: str) -> None:
        for index in range(15):
            await client.send(type="send", conversationId=conversation_id, clientId=f"{prefix}{index}", text=prefix)

    async def listen(client: Client) -> list[int]:
        found: list[int] = []
        while not found or found[-1] < 30:
            found.append((await client.until("message"))["message"]["sequence"])
        return found

    async with here.talk(hirer) as mine, there.talk(worker) as theirs, here.talk(worker) as phone:
        for client in (mine, theirs, phone):  # a place to count from, so that each sees the very first
            await client.send(
                type="resume", epoch=await rules.epoch(here.service.context), conversations={conversation_id: 0}
            )
            await client.send(type="ping")
            await client.until("pong")
        seen = await asyncio.gather(
            listen(mine), listen(theirs), listen(phone), chatter(mine, "a"), chatter(theirs, "b")
        )
    assert seen[0] == seen[1] == seen[2] == list(range(1, 31))
    assert [sequence for sequence, _ in await stored(here.service, conversation_id)] == list(range(1, 31))


async def test_resume_gives_all_that_is_missing_or_a_gap(
    instances: Instances, hirer: Principal, worker: Principal, stranger: Principal, conversation_id: str
) -> None:
    here, _ = instances
    for text in "abcd":
        await say(here.service, conversation_id, text, hirer)
    epoch = await rules.epoch(here.service.context)
    async with here.talk(worker) as client:
        await client.send(type="resume", epoch=epoch, conversations={conversation_id: 2, "not-there": 0})
        assert [(await client.receive())["message"]["sequence"] for _ in range(2)] == [3, 4]
        assert await client.receive() == {"type": "resumed", "conversations": {conversation_id: 4}}
        # What is published late has been seen.
        await say(here.service, conversation_id, "e", hirer)
        assert (await client.until("message"))["message"]["sequence"] == 5

        for known, other_epoch in (({conversation_id: 9}, epoch), ({conversation_id: 1}, "another life")):
            await client.send(type="resume", epoch=other_epoch, conversations=known)
            assert (await client.until("gap"))["conversationId"] == conversation_id
    async with here.talk(stranger) as client:
        await client.send(type="resume", epoch=epoch, conversations={conversation_id: 0})
        assert await client.receive() == {"type": "resumed", "conversations": {}}


async def test_a_resume_never_gives_a_part(
    instances: Instances, hirer: Principal, worker: Principal, conversation_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kelmah.services.messaging.service.messages.MAX_RESENT", 3)
    here, _ = instances
    for text in "abcd":
        await say(here.service, conversation_id, text, hirer)
    epoch = await rules.epoch(here.service.context)
    async with here.talk(worker) as client:
        await client.send(type="resume", epoch=epoch, conversations={conversation_id: 0})
        frame = await client.receive()
        assert (frame["type"], frame["conversationId"], frame["lastSequence"]) == ("gap", conversation_id, 4)
        assert await client.receive() == {"type": "resumed", "conversations": {}}


async def test_a_frame_that_redis_lost_is_made_good(
    instances: Instances, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    """The durable event publishes once more: what was lost comes, what came already does not come twice."""
    here, _ = instances
    async with here.talk(worker) as client:
        first = await say(here.service, conversation_id, "a", hirer)
        assert (await client.until("message"))["message"]["sequence"] == 1
        event = {
            "conversation_id": conversation_id, "sender_id": hirer.user_id, "recipient_ids": [worker.user_id]
        }  # fmt: skip
        await _tell_again(here.service, event | {"message_id": first["id"], "message_sequence": 1})
        context = here.service.context
        here.service.replace(redis=Redis.from_url("redis://127.0.0.1:1"))
        try:  # stored although Redis is away; the frames of both are lost
            lost = [await say(here.service, conversation_id, text, hirer) for text in "bc"]
        finally:
            await here.service.context.redis.aclose()
            here.service.replace(redis=context.redis)
        await _tell_again(here.service, event | {"message_id": lost[1]["id"], "message_sequence": 3})
        assert [(await client.until("message"))["message"]["sequence"] for _ in range(2)] == [2, 3]


async def _tell_again(service: Service, fields: dict[str, Any]) -> None:
    event = MessageSent(**fields)
    await rules.on_message_sent(service.context, envelope(event), event)


async def test_a_ticket_opens_one_socket(instances: Instances, hirer: Principal) -> None:
    here, there = instances
    ticket = await here.ticket(hirer)
    assert await here.service.context.redis.ttl(
        f"{here.service.context.settings.redis_prefix}:messaging:ticket:{digest_token(ticket)}"
    ) in (29, 30)
    async with there.open(ticket=ticket) as client:
        assert (await client.receive())["userId"] == hirer.user_id
    for again in (ticket, "made-up", "", "x" * 500):
        assert await refused(here, ticket=again) == (401, "messaging.ticket_refused")


async def test_pages_of_other_origins_are_refused(instances: Instances, hirer: Principal) -> None:
    here, _ = instances
    ticket = await here.ticket(hirer)
    for origin in ("https://evil.example", "null", "https://kelmah.example.evil", "http://kelmah.example"):
        assert await refused(here, ticket=ticket, origin=origin) == (403, "messaging.origin_refused")
    async with here.open(ticket=ticket, origin=None) as client:  # an app has no origin, and its ticket is unspent
        assert (await client.receive())["type"] == "hello"


async def test_an_unsigned_handshake_is_refused(instances: Instances, hirer: Principal) -> None:
    here, _ = instances
    target = here.target(await here.ticket(hirer))
    with pytest.raises(InvalidStatus) as found:
        async with connect(f"ws://127.0.0.1:{here.port}{target}", proxy=None):
            pass
    assert found.value.response.status_code == 403


async def test_without_redis_there_is_no_ticket_and_no_socket(instances: Instances, hirer: Principal) -> None:
    here, _ = instances
    ticket = await here.ticket(hirer)
    redis = here.service.context.redis
    here.service.replace(redis=Redis.from_url("redis://127.0.0.1:1"))
    try:
        reply = await here.service.call("POST", "/api/v1/ws-tickets", by=hirer)
        assert (reply.status, reply.data["code"]) == (503, "unavailable")
        assert await refused(here, ticket=ticket) == (503, "unavailable")
    finally:
        await here.service.context.redis.aclose()
        here.service.replace(redis=redis)


async def test_bad_frames_are_told_and_the_socket_stays(
    instances: Instances, hirer: Principal, stranger: Principal, conversation_id: str
) -> None:
    here, _ = instances
    to = {"type": "send", "conversationId": conversation_id}
    frames: list[tuple[Any, str]] = [
        ("{", "messaging.bad_frame"),
        ("[]", "messaging.bad_frame"),
        ({"type": "dance"}, "messaging.bad_frame"),
        ({"type": "ping", "extra": 1}, "messaging.bad_frame"),
        (to | {"clientId": "", "text": "x"}, "messaging.bad_frame"),
        (to | {"clientId": "a", "text": "x" * 10_001}, "messaging.bad_frame"),
        (to | {"clientId": "a", "text": ""}, "bad_input"),
        (to | {"clientId": "a", "text": "\u0000"}, "bad_input"),
        (to | {"clientId": "a", "text": "\u202e"}, "bad_input"),
        (to | {"clientId": "a", "text": "\ud800"}, "messaging.bad_frame"),
        ({"type": "read", "conversationId": conversation_id, "upTo": 0}, "messaging.bad_frame"),
        ({"type": "read", "conversationId": conversation_id, "upTo": 7}, "bad_input"),
        ({"type": "typing", "conversationId": "not-there"}, "messaging.conversation_not_found"),
        (
            {"type": "resume", "epoch": "e", "conversations": {str(n): 0 for n in range(101)}},
            "messaging.bad_frame",
        ),
    ]
    async with here.talk(hirer) as client:
        for sent, code in frames:
            await client.connection.send(sent if isinstance(sent, str) else json.dumps(sent))
            frame = await client.until("error")
            assert (sent, frame["code"]) == (sent, code)
        await client.send(type="ping")
        assert (await client.receive())["type"] == "pong"
    async with here.talk(stranger) as client:
        await client.send(type="send", conversationId=conversation_id, clientId="a", text="let me in")
        frame = await client.until("error")
        assert (frame["code"], frame["clientId"]) == ("messaging.conversation_not_found", "a")
    assert await stored(here.service, conversation_id) == []


async def test_binary_large_and_rushing_frames_close_the_socket(
    instances: Instances, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    here, _ = instances
    async with here.talk(worker) as undisturbed:
        async with here.talk(hirer) as client:
            await client.connection.send(b"\x00\x01")
            assert await client.close_code() == 1003
        async with here.talk(hirer) as client:
            await client.connection.send("x" * 131_073)
            assert await client.close_code() == 1009
        async with here.talk(hirer) as client:
            with contextlib.suppress(Exception):
                await client.connection.send("x" * 20_000_000)
            assert await client.close_code() == 1009
        async with here.talk(hirer) as client:
            with contextlib.suppress(Exception):
                for _ in range(1000):
                    await client.connection.send('{"type":"ping"}')
            assert await client.close_code() == 1008
        await undisturbed.send(type="ping")
        assert (await undisturbed.until("pong"))["type"] == "pong"
    assert await stored(here.service, conversation_id) == []


async def test_a_person_has_so_many_sockets(instances: Instances, make_person: Callable[[], Principal]) -> None:
    here, there = instances
    who = make_person()
    async with contextlib.AsyncExitStack() as stack:
        for index in range(10):
            await stack.enter_async_context((here, there)[index % 2].talk(who))
        assert await refused(here, ticket=await here.ticket(who)) == (429, "messaging.too_many_sockets")
    async with there.talk(who) as client:
        await client.send(type="ping")
        assert (await client.receive())["type"] == "pong"


async def test_an_ended_session_loses_its_sockets_and_tickets(
    instances: Instances, hirer: Principal, make_person: Callable[[], Principal]
) -> None:
    here, there = instances
    who = make_person()
    ticket = await here.ticket(who)
    async with there.talk(who) as ended, there.talk(hirer) as other:
        event = SessionRevoked(user_id=who.user_id, session_id=who.session_id, reason="logout")
        sent: Envelope = envelope(event)
        await rules.on_session_revoked(here.service.context, sent, event)
        assert await ended.close_code() == 4401
        await other.send(type="ping")
        assert (await other.receive())["type"] == "pong"
    assert await refused(here, ticket=ticket) == (401, "messaging.ticket_refused")


async def _count(client: Client, kind: str, count: int) -> int:
    for _ in range(count):
        await client.until(kind)
    return count


async def test_a_slow_reader_loses_its_socket_and_nobody_waits_for_it(
    instances: Instances, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    here, there = instances
    context = there.service.context
    # More than the line and the buffers of both sockets hold.
    frame = TypingNoticeFrame(conversation_id="x" * 100_000, user_id=hirer.user_id, expires_in_s=1)
    async with there.talk(worker, compression=None) as slow, here.talk(worker) as quick:
        listening = asyncio.create_task(_count(quick, "typing", 400))
        slow.connection.transport.pause_reading()
        for _ in range(400):
            await live.publish(context, [worker.user_id], frame)
        assert await listening == 400
        await say(here.service, conversation_id, "quick", hirer)
        assert (await quick.until("message"))["message"]["text"] == "quick"
        slow.connection.transport.resume_reading()
        assert await slow.close_code() == 1013


async def test_any_other_asgi_server_will_do(
    service: Service, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    """As in one process, where no server leaves sockets to the app."""
    async with listening(service, ws="websockets-sansio") as here:
        async with here.talk(worker) as theirs:
            async with here.talk(hirer) as mine:
                for number in range(1, 21):
                    await mine.send(type="send", conversationId=conversation_id, clientId=f"c{number}", text="Akwaaba")
                seen = [(await theirs.until("message"))["message"]["sequence"] for _ in range(20)]
                assert seen == list(range(1, 21))
                await mine.connection.send(b"\x00")
                assert await mine.close_code() == 1003
            async with here.talk(hirer) as mine:
                await mine.connection.send("x" * 131_073)
                assert await mine.close_code() == 1009
            epoch = await rules.epoch(service.context)
            await theirs.send(type="resume", epoch=epoch, conversations={conversation_id: 15})
            assert [(await theirs.until("message"))["message"]["sequence"] for _ in range(5)] == seen[15:]
            event = SessionRevoked(user_id=worker.user_id, session_id=worker.session_id, reason="logout")
            await rules.on_session_revoked(service.context, envelope(event), event)
            assert await theirs.close_code() == 4401
        await none_left(here, worker)


async def test_what_was_missed_while_redis_was_away_is_told(
    instances: Instances, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    """Cut the subscription: every socket of the instance is told of a gap and goes on receiving."""
    here, there = instances
    async with there.talk(worker) as client:
        redis = there.service.context.redis
        killed = await redis.client_kill_filter(_type="pubsub")
        assert killed >= 1
        frame = await client.until("gap")
        assert frame["conversationId"] is None
        await say(here.service, conversation_id, "after", hirer)
        assert (await client.until("message"))["message"]["text"] == "after"


async def test_silence_closes_the_socket(
    instances: Instances, hirer: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, _ = instances
    settings = here.service.context.settings
    here.service.replace(settings=settings.model_copy(update={"socket_heartbeat_s": 0.1}))
    try:
        async with here.talk(hirer) as client:
            assert await client.close_code() == 4408
    finally:
        here.service.replace(settings=settings)
