"""The examples of the protocol page run, and its schemas say what frames are."""

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from aiohttp import WSMsgType, web

from kelmah.kit.context import Principal
from tests.integration.messaging.conftest import Instance, Instances

DOCS = Path(__file__).parents[3] / "docs"
TOKEN = "the access token of a test"


@asynccontextmanager
async def gateway(instance: Instance, who: Principal) -> AsyncIterator[str]:
    """What the examples need of a gateway: it knows one token, and signs what it passes on."""

    async def ticket(request: web.Request) -> web.Response:
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        return web.json_response({"ticket": await instance.ticket(who), "expiresIn": 30}, status=201)

    async def socket(request: web.Request) -> web.WebSocketResponse:
        near = web.WebSocketResponse()
        async with instance.open(ticket=request.query["ticket"], origin=None) as far:
            await near.prepare(request)

            async def back() -> None:
                async for text in far.connection:
                    await near.send_str(str(text))

            passing = asyncio.create_task(back())
            async for message in near:
                if message.type is WSMsgType.TEXT:
                    await far.connection.send(message.data)
            passing.cancel()
            await asyncio.gather(passing, return_exceptions=True)
        return near

    app = web.Application()
    app.router.add_post("/api/v1/ws-tickets", ticket)
    app.router.add_get("/api/v1/ws", socket)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.parametrize(
    "command", [[sys.executable, "chat.py"], ["node", "--experimental-websocket", "--no-warnings", "chat.mjs"]]
)
async def test_the_examples_run(
    instances: Instances, hirer: Principal, worker: Principal, conversation_id: str, command: list[str]
) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]} here")
    here, there = instances
    async with gateway(here, hirer) as url, there.talk(worker) as client:
        child = await asyncio.create_subprocess_exec(
            *command, url, TOKEN, conversation_id, "Akwaaba 👋", cwd=DOCS / "examples",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(30):
            stdout, stderr = await child.communicate()
        assert (child.returncode, stderr) == (0, b"")
        frame = await client.until("message")
    assert json.loads(stdout) == frame["message"]
    assert frame["message"]["text"] == "Akwaaba 👋"


def schema(side: str) -> jsonschema.Draft202012Validator:
    found = json.loads((DOCS / "contracts" / f"messaging.{side}_frame.json").read_text())
    return jsonschema.Draft202012Validator(found)


async def test_frames_are_as_the_schemas_say(
    instances: Instances, hirer: Principal, worker: Principal, conversation_id: str
) -> None:
    here, there = instances
    sent: list[dict[str, Any]] = [
        {"type": "send", "conversationId": conversation_id, "clientId": "c1", "text": "a"},
        {"type": "read", "conversationId": conversation_id, "upTo": 1},
        {"type": "typing", "conversationId": conversation_id},
        {"type": "resume", "epoch": "another", "conversations": {conversation_id: 0}},
        {"type": "send", "conversationId": "nothing", "clientId": "c2", "text": "a"},
        {"type": "ping"},
    ]
    to_server, to_client = schema("client"), schema("server")
    seen = set()
    async with there.talk(worker) as right, here.open(ticket=await here.ticket(hirer)) as left:
        for frame in sent:
            to_server.validate(frame)
            await left.send(**frame)
        while (frame := await left.receive())["type"] != "pong":
            to_client.validate(frame)
            seen.add(frame["type"])
        to_client.validate(await right.until("typing"))
    assert {"hello", "ack", "gap", "error"} <= seen
    for bad in ({"type": "dance"}, {"type": "send"}, {"type": "read", "conversationId": "c", "upTo": 0}, {}):
        assert not to_server.is_valid(bad)
