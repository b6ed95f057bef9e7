"""Conversations about a job or a contract, opened by events, and with support, where staff joins for all to see."""

import asyncio
from typing import Any

import pytest

from kelmah.contracts.common import Role
from kelmah.contracts.job import ApplicationReceived, ContractSigned
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.messaging import service as rules
from tests.fixtures.events import envelope
from tests.fixtures.service import Reply, Service, person
from tests.integration.messaging.conftest import say

API = "/api/v1/conversations"
SUPPORT = "/api/v1/moderation/support-conversations"


@pytest.fixture
async def job_id(service: Service, hirer: Principal, worker: Principal) -> str:
    """The worker applied to this job of the hirer's; its event comes twice."""
    job_id = new_id()
    event = ApplicationReceived(
        application_id=new_id(), job_id=job_id, hirer_id=hirer.user_id, worker_id=worker.user_id
    )
    told = envelope(event)
    for _ in range(2):
        await rules.on_application_received(service.context, told, event)
    return job_id


async def opened(service: Service, by: Principal, **body: Any) -> Reply:
    return await service.call("POST", API, body, by=by)


async def test_an_application_opens_a_conversation(
    service: Service, hirer: Principal, worker: Principal, stranger: Principal, job_id: str
) -> None:
    mine = await opened(service, worker, kind="job", jobId=job_id)
    theirs = await opened(service, hirer, kind="job", jobId=job_id, participantIds=[worker.user_id])
    assert (mine.status, theirs.status) == (200, 200)
    assert mine.data["id"] == theirs.data["id"]
    assert (mine.data["kind"], mine.data["jobId"], mine.data["contractId"]) == ("job", job_id, None)
    assert [one["userId"] for one in mine.data["participants"]] == [hirer.user_id, worker.user_id]
    # No contract yet: what leads away is flagged here as in private.
    message = await say(service, mine.data["id"], "call me on 024 123 4567", worker)
    assert message["flags"] == ["phone"]
    for by, body in (
        (stranger, {"jobId": job_id}),
        (stranger, {"jobId": job_id, "participantIds": [worker.user_id]}),
        (hirer, {"jobId": job_id, "participantIds": [stranger.user_id]}),
        (hirer, {"jobId": job_id}),
        (worker, {"jobId": "another"}),
    ):
        refused = await opened(service, by, kind="job", **body)
        assert (refused.status, refused.data["code"]) == (404, "messaging.job_not_found"), body
    for body in ({}, {"jobId": job_id, "contractId": "c"}, {"jobId": job_id, "participantIds": ["a", "b"]}):
        bad = await opened(service, worker, kind="job", **body)
        assert (bad.status, bad.data["errors"][0]["field"]) == (400, "jobId"), body
    found = await service.context.mongo.collection("conversations").count_documents({"job_id": job_id})
    assert found == 1


async def test_who_blocked_the_other_is_not_written_to_about_a_job(
    service: Service, hirer: Principal, worker: Principal, job_id: str
) -> None:
    conversation_id = (await opened(service, worker, kind="job", jobId=job_id)).data["id"]
    assert (await service.call("PUT", f"/api/v1/blocks/{worker.user_id}", by=hirer)).status in (200, 201)
    body = {"clientId": "a", "text": "hello?"}
    reply = await service.call("POST", f"{API}/{conversation_id}/messages", body, by=worker)
    assert (reply.status, reply.data["code"]) == (403, "messaging.writing_refused")
    assert await service.context.mongo.collection("messages").count_documents({"conversation_id": conversation_id}) == 0


async def test_a_contract_in_force_has_a_conversation(service: Service, hirer: Principal, worker: Principal) -> None:
    contract_id = new_id()
    event = ContractSigned(
        contract_id=contract_id, job_id="j", hirer_id=hirer.user_id, worker_id=worker.user_id,
        signed_by=worker.user_id, complete=True,
    )  # fmt: skip
    await asyncio.gather(*(rules.on_contract_signed(service.context, envelope(event), event) for _ in range(2)))
    page = await service.call("GET", API, by=worker)
    assert [(one["kind"], one["contractId"]) for one in page.data["items"]] == [("contract", contract_id)]


async def test_support_joins_and_everybody_sees_who(
    service: Service, hirer: Principal, stranger: Principal, platform: Any
) -> None:
    first = await opened(service, hirer, kind="support")
    again = await opened(service, hirer, kind="support")
    assert (first.status, again.status, again.data["id"]) == (201, 200, first.data["id"])
    conversation_id = first.data["id"]
    helper, moderator = person(Role.SUPPORT), person(Role.MODERATOR)
    for who in (helper, moderator):
        platform.know(who, "Support")

    async def waiting() -> list[dict[str, Any]]:
        reply = await service.call("GET", f"{SUPPORT}?limit=100", by=helper)
        return [one for one in reply.data["items"] if one["userId"] == hirer.user_id]

    assert await waiting() == []  # nothing was said yet
    await say(service, conversation_id, "my money?", hirer)
    (case,) = await waiting()
    assert (case["conversationId"], case["staffIds"], case["lastSequence"]) == (conversation_id, [], 1)
    # Nobody reads it who did not join.
    assert (await service.call("GET", f"{API}/{conversation_id}/messages", by=helper)).status == 404
    for who in (hirer, stranger, person(Role.ADMIN)):
        refused = await service.call("POST", f"{SUPPORT}/{conversation_id}/join", by=who)
        assert (refused.status, refused.data["code"]) == (403, "forbidden")

    joined = await asyncio.gather(
        *(service.call("POST", f"{SUPPORT}/{conversation_id}/join", by=who) for who in (helper, helper, moderator))
    )
    assert [one.status for one in joined] == [200, 200, 200]
    (case,) = await waiting()
    assert sorted(case["staffIds"]) == sorted([helper.user_id, moderator.user_id])
    await say(service, conversation_id, "it is on its way", helper)
    view = (await opened(service, hirer, kind="support")).data
    assert (view["lastSequence"], view["unreadCount"], len(view["participants"])) == (2, 1, 3)
    events = service.context.mongo.collection("events")
    rows = await events.find(
        {"type": "messaging.support_joined.v1", "subject": f"conversation:{conversation_id}"}
    ).to_list()
    assert sorted(row["actor"] for row in rows) == sorted([helper.user_id, moderator.user_id])


async def test_support_settles_and_leaves(
    service: Service, hirer: Principal, worker: Principal, conversation_id: str, platform: Any
) -> None:
    support = (await opened(service, hirer, kind="support")).data["id"]
    await say(service, support, "my money?", hirer)
    helper, other = person(Role.SUPPORT), person(Role.SUPPORT)
    platform.know(helper, "Support")

    async def act(what: str, by: Principal, which: str = support) -> tuple[int, str | None]:
        reply = await service.call("POST", f"{SUPPORT}/{which}/{what}", by=by)
        return reply.status, reply.data["code"] if reply.status >= 400 else None

    async def is_waiting() -> bool:
        reply = await service.call("GET", f"{SUPPORT}?limit=100", by=helper)
        return support in [one["conversationId"] for one in reply.data["items"]]

    not_found = (404, "messaging.conversation_not_found")
    for what in ("leave", "close"):  # strangers to it change nothing
        for by in (hirer, worker, person(Role.ADMIN)):
            assert await act(what, by) == (403, "forbidden")
        for which in (conversation_id, "not-there"):
            assert await act(what, helper, which) == not_found
    assert (await act("close", other), await act("leave", other)) == (not_found, (204, None))
    assert await is_waiting()

    await act("join", helper)
    assert [await act("close", helper) for _ in range(2)] == [(200, None)] * 2
    assert not await is_waiting()
    await say(service, support, "and the rest?", hirer)  # opens it anew
    assert await is_waiting()

    assert [await act("leave", helper) for _ in range(2)] == [(204, None)] * 2
    assert await act("close", helper) == not_found
    assert (await service.call("GET", f"{API}/{support}/messages", by=helper)).status == 404
    row = await service.context.mongo.collection("conversations").find_one({"_id": support})
    assert [one["user_id"] for one in row["participants"]] == [hirer.user_id]
    rows = service.context.mongo.collection("events").find(
        {"subject": f"conversation:{support}", "actor": helper.user_id}
    )
    types = [one["type"] for one in await rows.sort("sequence", 1).to_list()]
    assert types == [f"messaging.support_{what}.v1" for what in ("joined", "closed", "left")]


async def test_support_joins_nothing_else(service: Service, conversation_id: str) -> None:
    helper = person(Role.SUPPORT)
    for each in (conversation_id, "not-there"):
        reply = await service.call("POST", f"{SUPPORT}/{each}/join", by=helper)
        assert (reply.status, reply.data["code"]) == (404, "messaging.conversation_not_found")
    row = await service.context.mongo.collection("conversations").find_one({"_id": conversation_id})
    assert len(row["participants"]) == 2


@pytest.mark.parametrize("extra", [{"jobId": "j"}, {"contractId": "c"}, {"participantIds": ["a"]}])
async def test_support_is_about_nothing_else(service: Service, hirer: Principal, extra: dict[str, Any]) -> None:
    reply = await opened(service, hirer, kind="support", **extra)
    assert (reply.status, reply.data["errors"][0]["field"]) == (400, "kind")
