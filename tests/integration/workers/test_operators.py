"""The operators' commands on a live stage: dead letters, events and the audit."""

import asyncio
import json
import os
import pwd
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from kelmah.cli import audit, dlq, events
from kelmah.contracts.common import Role
from kelmah.contracts.events import EVENT_TYPES, Envelope
from kelmah.contracts.job import JobCreated
from kelmah.kit import clock
from kelmah.kit.chain import Chain
from kelmah.kit.context import Principal, current_principal
from kelmah.kit.deadletters import DeadLetter, DeadLetters
from kelmah.kit.errors import Conflict
from tests.fixtures.operators import answers, name_stage, told
from tests.fixtures.workers import Stage, until
from tests.integration.workers.test_delivery import effects, note_effects

pytestmark = pytest.mark.rabbitmq
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def named(stage: Stage, monkeypatch: pytest.MonkeyPatch, mongo_prefix: str) -> Stage:
    name_stage(stage, monkeypatch, mongo_prefix=mongo_prefix)
    return stage


async def run(capsys: Capture, command: Any, *args: Any, **options: Any) -> list[str]:
    return await asyncio.to_thread(told, capsys, command, *args, **options)


async def letters_of(stage: Stage, count: int) -> list[Any]:
    letters = DeadLetters(stage.context.mongo)

    async def enough() -> Any:
        found = await letters.find()
        return found if len(found) == count else None

    return list(await until(enough))


async def every_letter(stage: Stage) -> list[DeadLetter]:
    return await DeadLetters(stage.context.mongo).find(state=None)


async def test_dead_letters_are_listed_shown_tried_dry_and_replayed_with_one_effect(
    named: Stage, capsys: Capture
) -> None:
    failures: list[Exception] = [Conflict("The job is closed.") for _ in range(3)]
    note_effects(named, failures=failures)
    async with named.working():
        sent = await named.append("job:1", "job:2", "job:3")
        await letters_of(named, 3)
        ids = {f"{one.id}:job.note" for one in sent}
        listed = await run(capsys, dlq.list_, service="job")
        assert {line.split("\t")[0] for line in listed} == ids
        assert all(line.split("\t")[1:4] == ["job.note", "refused", "1"] for line in listed)
        assert await run(capsys, dlq.list_, service="job", reason="exhausted") == []
        shown = json.loads("\n".join(await run(capsys, dlq.show_, f"{sent[0].id}:job.note")))
        assert "Conflict" in shown["stack"]
        assert sent[0].id in shown["body"]

        dry = await run(capsys, dlq.replay_, service="job", dry_run=True)
        assert dry[-1] == "3 to be sent again, of which none is: dry run"
        assert await effects(named) == []
        assert await DeadLetters(named.context.mongo).count() == 3

        lines = await run(capsys, dlq.replay_, service="job", rate=1000)
        assert lines[5].endswith(": done")
        assert [line.split(": ")[1] for line in lines[4:]] == ["sent", "done", "sent", "sent"]

        async def all_done() -> bool:
            return len(await effects(named)) == 3

        await until(all_done)
        assert await run(capsys, dlq.replay_, service="job") == ["0 to be sent again"]
    assert await effects(named) == sorted(one.id for one in sent)
    assert await DeadLetters(named.context.mongo).count() == 0


async def test_when_the_first_dies_again_the_rest_is_left_alone(named: Stage, capsys: Capture) -> None:
    note_effects(named, failures=[Conflict("no") for _ in range(3)])
    async with named.working():
        await named.append("job:1", "job:2")
        await letters_of(named, 2)
        with pytest.raises(SystemExit):
            await run(capsys, dlq.replay_, service="job", limit=2)
        lines = answers(capsys)
        assert lines[-2].endswith("died again")
        assert lines[-1] == "the other 1 stay where they are"
        assert sorted(letter.attempts for letter in await letters_of(named, 2)) == [1, 2]
        with pytest.raises(SystemExit, match="say which"):
            await run(capsys, dlq.discard_)
        await run(capsys, dlq.discard_, actor="job.note", dry_run=True)
        assert await DeadLetters(named.context.mongo).count() == 2
        await run(capsys, dlq.discard_, actor="job.note", limit=1)
        assert await DeadLetters(named.context.mongo).count() == 1
        lines = await run(capsys, audit.audit, type="job.operator", format="json")
        acts = [json.loads(line) for line in lines]
        assert [row["data"]["command"] for row in acts] == ["dlq replay", "dlq discard"]
        assert {row["actor"] for row in acts} == {f"operator:{pwd.getpwuid(os.getuid()).pw_name}"}
        assert {row["data"]["target"] for row in acts} <= {letter.id for letter in await every_letter(named)}
        assert all(row["device"].startswith("kelmah ") and row["request"] for row in acts)
    assert await effects(named) == []


async def test_events_are_listed_shown_verified_and_replayed_to_an_instant(
    redis_stage: Stage, monkeypatch: pytest.MonkeyPatch, mongo_prefix: str, capsys: Capture
) -> None:
    name_stage(redis_stage, monkeypatch, mongo_prefix=mongo_prefix)
    mongo = redis_stage.context.mongo
    principal = Principal(user_id="ama", role=Role.HIRER, session_id="s", address="192.0.2.7", device="Firefox")
    token = current_principal.set(principal)
    try:
        [first] = await redis_stage.append("job:1")
        await asyncio.sleep(0.002)  # the time of an event is kept to the millisecond
        second, other = await redis_stage.append("job:1", "job:2")
    finally:
        current_principal.reset(token)
    assert await Chain(mongo).seal(EVENT_TYPES, limit=10) == 3

    listed = await run(capsys, events.list_, type="job.", subject="job:1")
    assert [line.split("\t")[-1] for line in listed] == [first.id, second.id]
    assert await run(capsys, events.list_, actor="nobody") == []
    shown = json.loads("\n".join(await run(capsys, events.show_, second.id)))
    assert (shown["position"], shown["subject"], shown["published"]) == (2, "job:1", False)

    then = json.loads("\n".join(await run(capsys, events.at_, "job:1", at=first.time)))
    assert (then["sequence"], then["state"]["hirerId"]) == (1, hirer_of(first))
    now = json.loads("\n".join(await run(capsys, events.at_, "job:1", at=clock.now())))
    assert (now["sequence"], now["state"]["hirerId"]) == (2, hirer_of(second))
    with pytest.raises(SystemExit, match="had no event"):
        await run(capsys, events.at_, "job:1", at=first.time - timedelta(seconds=1))

    fine = await run(capsys, events.verify_)
    head = await Chain(mongo).head()
    assert f"job: 3 events, head job:3:{head.digest}" in fine
    assert await run(capsys, events.verify_, service="job", anchor=f"job:3:{head.digest}") != []
    with pytest.raises(SystemExit):
        await run(capsys, events.verify_, service="job", anchor=f"job:3:{'0' * 64}")

    rows = [json.loads(line) for line in await run(capsys, audit.audit, every=True, format="json")]
    assert [row["id"] for row in rows] == [first.id, second.id, other.id]
    assert {(row["actor"], row["address"], row["device"]) for row in rows} == {("ama", "192.0.2.7", "Firefox")}
    assert await run(capsys, audit.audit, every=True, format="json", address="192.0.2.8") == []
    assert await run(capsys, audit.audit, format="json") == []  # a job's making is not for the audit
    table = await run(capsys, audit.audit, every=True, format="csv", actor="ama")
    assert len(table) == 4
    assert await run(capsys, events.forget_, "ama") == ["erased in auth, user, messaging, job, payment, review"]
    rows = [json.loads(line) for line in await run(capsys, audit.audit, every=True, actor="ama", format="json")]
    assert {row["address"] for row in rows} == {"(erased)"}

    text = bytes(second.data).decode()
    flipped = text[:12] + chr(ord(text[12]) ^ 1) + text[13:]
    await mongo.collection("events").update_one({"_id": second.id}, {"$set": {"data": flipped}})
    with pytest.raises(SystemExit):
        await run(capsys, events.verify_, service="job")
    assert answers(capsys)[0] == f"job: position 2 event {second.id}: was changed after it was sealed"


def hirer_of(envelope: Envelope) -> str:
    return msgspec.json.decode(envelope.data, type=JobCreated).hirer_id
