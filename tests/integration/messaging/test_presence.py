"""Presence over real sockets: who is online, idle or away, on two instances with one Redis."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.messaging import service as rules
from tests.fixtures.service import Service
from tests.integration.messaging.conftest import Instance, Instances, none_left


async def test_people_come_and_go(
    instances: Instances, hirer: Principal, worker: Principal, stranger: Principal, conversation_id: str
) -> None:
    here, there = instances

    async def status(by: Principal) -> Any:
        reply = await here.service.call("GET", f"/api/v1/presence?ids={worker.user_id}&ids={by.user_id}", by=by)
        return {one["userId"]: one["status"] for one in reply.data["items"]}

    async with here.talk(hirer) as client:
        async with there.talk(worker), there.talk(worker):
            frame = await client.until("presence")
            assert (frame["userId"], frame["status"]) == (worker.user_id, "online")
            assert await status(hirer) == {worker.user_id: "online", hirer.user_id: "online"}
            # Strangers learn nothing.
            assert await status(stranger) == {stranger.user_id: "offline"}
        await none_left(there, worker)
        clock.shift(timedelta(seconds=31))
        try:
            await rules.refresh_presence(here.service.context, {hirer.user_id: ["s"]})
            await asyncio.gather(
                rules.expire_presence(here.service.context), rules.expire_presence(there.service.context)
            )
            frame = await client.until("presence")
            assert (frame["userId"], frame["status"]) == (worker.user_id, "offline")
            assert await status(hirer) == {worker.user_id: "offline", hirer.user_id: "online"}
        finally:
            clock.reset()
    events = here.service.context.mongo.collection("events").find({"subject": f"presence:{worker.user_id}"})
    found = [json.loads(row["data"])["status"] for row in await events.sort("sequence", 1).to_list()]
    assert found == ["online", "offline"]


async def test_who_does_nothing_is_idle_and_comes_back(
    instances: Instances,
    hirer: Principal,
    worker: Principal,
    conversation_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One active device is enough; five minutes without any make idle, and pings do not count."""
    monkeypatch.setattr("kelmah.services.messaging.socket.answering.ACTIVITY_S", 0)
    here, there = instances
    context = here.service.context

    async def seen() -> str:
        reply = await here.service.call("GET", f"/api/v1/presence?ids={worker.user_id}", by=hirer)
        return str(reply.data["items"][0]["status"])

    async with here.talk(hirer) as client, there.talk(worker) as phone, here.talk(worker) as tablet:
        assert (await client.until("presence"))["status"] == "online"
        try:
            clock.shift(timedelta(minutes=4, seconds=59))
            sockets = {worker.user_id: ["a", "b"], hirer.user_id: ["c"]}
            await rules.refresh_presence(context, sockets)
            await phone.send(type="ping")
            await phone.until("pong")
            assert await seen() == "online"
            clock.shift(timedelta(minutes=5, seconds=1))
            await rules.refresh_presence(context, sockets)
            await asyncio.gather(rules.expire_presence(context), rules.expire_presence(there.service.context))
            assert (await client.until("presence"))["status"] == "idle"
            assert await seen() == "idle"
            await tablet.send(type="active")
            assert (await client.until("presence"))["status"] == "online"
            assert await seen() == "online"
        finally:
            clock.reset()


async def test_people_choose_how_they_are_seen(
    instances: Instances, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    here, there = instances

    async def choose(**choice: bool) -> Any:
        reply = await here.service.call("PUT", "/api/v1/presence/me", choice, by=worker)
        assert reply.status == 200
        assert (await here.service.call("GET", "/api/v1/presence/me", by=worker)).data == reply.data
        return reply.data

    async def seen() -> str:
        reply = await here.service.call("GET", f"/api/v1/presence?ids={worker.user_id}", by=hirer)
        return str(reply.data["items"][0]["status"])

    async with here.talk(hirer) as client:
        async with there.talk(worker):
            assert (await client.until("presence"))["status"] == "online"
            assert await choose(away=True) == {"away": True, "hidden": False, "status": "away"}
            assert (await client.until("presence"))["status"] == await seen() == "away"
            assert await choose(hidden=True) == {"away": False, "hidden": True, "status": "offline"}
            assert (await client.until("presence"))["status"] == await seen() == "offline"
        await none_left(there, worker)
        # Whoever hides comes and goes unseen.
        await here.service.context.redis.zrem(_online_key(here), worker.user_id)
        async with there.talk(worker):
            await client.send(type="ping")
            assert (await client.receive())["type"] == "pong"
            assert await seen() == "offline"
            assert await choose() == {"away": False, "hidden": False, "status": "online"}
            assert (await client.until("presence"))["status"] == await seen() == "online"
    reply = await here.service.call("PUT", "/api/v1/presence/me", {"away": "yes"}, by=worker)
    assert (reply.status, reply.data["errors"][0]["field"]) == (400, "away")


def _online_key(instance: Instance) -> str:
    return f"{instance.service.context.settings.redis_prefix}:messaging:online"


async def test_presence_is_asked_for_by_id(service: Service, hirer: Principal) -> None:
    for query in ("", "?ids=" + "&ids=".join([new_id()] * 101)):
        reply = await service.call("GET", f"/api/v1/presence{query}", by=hirer)
        assert (reply.status, reply.data["errors"][0]["field"]) == (400, "ids")
