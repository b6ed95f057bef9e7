"""Messages that are sent at once are stored together: all are kept, in one order, and none fails for another."""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from kelmah.contracts.messaging import NewMessage
from kelmah.kit.context import Principal
from kelmah.kit.events import EVENTS
from kelmah.kit.ids import new_id
from kelmah.services.messaging.service import sending
from tests.fixtures.service import Service
from tests.integration.messaging.conftest import Instances, say

Draft = tuple[str, Principal, dict[str, Any]]


async def conversation(service: Service, one: Principal, other: Principal) -> str:
    body = {"kind": "direct", "participantIds": [other.user_id]}
    return str((await service.call("POST", "/api/v1/conversations", body, by=one)).data["id"])


async def send_all(service: Service, *drafts: Draft) -> list[Any]:
    """All at once: each outcome is the message and whether it is new, or the code of the refusal."""
    outcomes = await asyncio.gather(
        *(
            sending.send_message(
                service.context, where, msgspec.convert({"clientId": new_id()} | new, NewMessage), by=by
            )
            for where, by, new in drafts
        ),
        return_exceptions=True,
    )
    return [getattr(one, "code", one) for one in outcomes]


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many messages each transaction stored."""
    seen: list[int] = []
    store = sending._store

    async def counted(context: Any, new: Any) -> None:
        seen.append(len(new))
        await store(context, new)

    monkeypatch.setattr(sending, "_store", counted)
    return seen


async def test_messages_sent_at_once_take_one_transaction_and_keep_their_order(
    service: Service, make_person: Callable[[], Principal], stores: list[int]
) -> None:
    one, other, third = (make_person() for _ in range(3))
    here, there = await conversation(service, one, other), await conversation(service, one, third)
    talk = [(here, one), (there, third), (here, other), (here, one), (there, one), (here, other)]
    sent = await send_all(service, *((where, by, {"text": f"No. {n}"}) for n, (where, by) in enumerate(talk)))
    assert stores == [6]
    assert [(view.conversation_id, view.sequence, view.text, is_new) for view, is_new in sent] == [
        (here, 1, "No. 0", True),
        (there, 1, "No. 1", True),
        (here, 2, "No. 2", True),
        (here, 3, "No. 3", True),
        (there, 2, "No. 4", True),
        (here, 4, "No. 5", True),
    ]
    told = service.context.mongo.collection(EVENTS).find({"subject": f"conversation:{here}"}).sort("sequence")
    rows = await told.to_list()
    assert [row["sequence"] for row in rows] == [1, 2, 3, 4]
    assert [row["actor"] for row in rows] == [one.user_id, other.user_id, one.user_id, other.user_id]
    (found,) = [
        row for row in (await service.call("GET", "/api/v1/conversations", by=one)).data["items"] if row["id"] == here
    ]
    assert (found["lastSequence"], found["unreadCount"]) == (4, 2)


async def test_each_is_refused_for_its_own_fault(
    service: Service, make_person: Callable[[], Principal], stores: list[int]
) -> None:
    one, other, third = (make_person() for _ in range(3))
    here, there = await conversation(service, one, other), await conversation(service, one, third)
    first = await say(service, here, "The first.", one, clientId="first")
    blocked = await service.call("PUT", f"/api/v1/blocks/{one.user_id}", by=third)
    assert blocked.status == 200, blocked.data
    stores.clear()
    sent = await send_all(
        service,
        (here, one, {"text": "The second."}),
        (here, third, {"text": "Not mine."}),
        (there, one, {"text": "Blocked."}),
        (here, one, {"text": "A reply.", "replyTo": new_id()}),
        (here, one, {"text": "A reply.", "replyTo": first["id"]}),
        (here, one, {"text": "With a file.", "attachmentIds": [new_id()]}),
        (here, one, {"text": "The first.", "clientId": "first"}),
        (here, one, {"text": "Another.", "clientId": "first"}),
        (here, other, {"text": "The last."}),
    )
    assert stores == [3]
    assert [one if isinstance(one, str) else (one[0].text, one[0].sequence, one[1]) for one in sent] == [
        ("The second.", 2, True),
        "messaging.conversation_not_found",
        "messaging.writing_refused",
        "bad_input",
        ("A reply.", 3, True),
        "messaging.attachments_not_usable",
        ("The first.", 1, False),
        "messaging.client_id_reused",
        ("The last.", 4, True),
    ]


async def test_a_stranger_s_limit_holds_within_one_transaction(
    service: Service, hirer: Principal, conversation_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = service.context.settings.model_copy(update={"stranger_messages": 3})
    context = dataclasses.replace(service.context, settings=limited)
    monkeypatch.setattr(service.app.state, "context", context)
    sent = await send_all(service, *[(conversation_id, hirer, {"text": f"No. {n}"}) for n in range(5)])
    assert [one if isinstance(one, str) else one[0].sequence for one in sent] == [
        1,
        2,
        3,
        *["messaging.stranger_limit"] * 2,
    ]


async def test_twins_in_one_transaction_are_one_message(
    service: Service, hirer: Principal, conversation_id: str, stores: list[int]
) -> None:
    twin = {"text": "Once.", "clientId": "twin"}
    first, second, third = await send_all(
        service,
        (conversation_id, hirer, twin),
        (conversation_id, hirer, twin),
        (conversation_id, hirer, twin | {"text": "Twice."}),
    )
    assert stores == [1]
    assert (first[1], second[1], third) == (True, False, "messaging.client_id_reused")
    assert first[0] == second[0]


async def test_twins_over_two_instances_are_one_message(
    instances: Instances, hirer: Principal, conversation_id: str
) -> None:
    """Both find nothing stored, and one of the two transactions runs into the other's."""
    twin = {"text": "Once.", "clientId": "twin"}
    for_both = [send_all(one.service, (conversation_id, hirer, twin)) for one in instances]
    (first,), (second,) = await asyncio.gather(*for_both)
    assert sorted((first[1], second[1])) == [False, True]
    assert first[0] == second[0]


async def test_a_transaction_that_fails_is_taken_apart(
    service: Service, hirer: Principal, worker: Principal, conversation_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault that shows only in the database is its own sender's, and the others are stored."""
    store = sending._store

    async def failing(context: Any, new: Any) -> None:
        if any(one.draft.new.text == "Poison." for one in new):
            raise OSError("the database would have none of it")
        await store(context, new)

    monkeypatch.setattr(sending, "_store", failing)
    sent = await send_all(
        service,
        (conversation_id, hirer, {"text": "Before."}),
        (conversation_id, hirer, {"text": "Poison."}),
        (conversation_id, worker, {"text": "After."}),
    )
    assert isinstance(sent[1], OSError)
    assert [(view.text, view.sequence) for view, _ in (sent[0], sent[2])] == [("Before.", 1), ("After.", 2)]


async def test_an_event_names_who_sent_over_a_socket(
    instances: Instances, hirer: Principal, conversation_id: str
) -> None:
    async with instances[0].talk(hirer) as client:
        await client.send(type="send", conversationId=conversation_id, clientId="by-socket", text="Hello.")
        await client.until("ack")
    events = instances[0].service.context.mongo.collection(EVENTS)
    row = await events.find_one({"subject": f"conversation:{conversation_id}"})
    assert row is not None
    assert row["actor"] == hirer.user_id
