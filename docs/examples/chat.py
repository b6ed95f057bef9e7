"""Sends one message over the WebSocket and waits until it is stored: python chat.py URL TOKEN CONVERSATION_ID TEXT.

Needs `websockets`. URL is the gateway's, such as http://127.0.0.1:5000; TOKEN is an access token.
"""

import asyncio
import json
import sys
import uuid
from typing import Any
from urllib.request import Request, urlopen

from websockets.asyncio.client import connect


def ticket(url: str, token: str) -> str:
    """A ticket opens one socket within 30 seconds."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with urlopen(Request(f"{url}/api/v1/ws-tickets", data=b"", headers=headers, method="POST"), timeout=10) as answer:
        found: str = json.load(answer)["ticket"]
        return found


async def send(url: str, token: str, conversation_id: str, text: str) -> dict[str, Any]:
    """Send a message; what is stored. The same client id makes it safe to try again on another socket."""
    client_id = uuid.uuid4().hex
    socket_url = f"ws{url.removeprefix('http')}/api/v1/ws?ticket={await asyncio.to_thread(ticket, url, token)}"
    async with connect(socket_url, proxy=None) as socket:
        hello = json.loads(await socket.recv())
        assert hello["type"] == "hello", hello
        frame = {"type": "send", "conversationId": conversation_id, "clientId": client_id, "text": text}
        await socket.send(json.dumps(frame))
        async for received in socket:
            answer: dict[str, Any] = json.loads(received)
            if answer["type"] == "ack" and answer["clientId"] == client_id:
                message: dict[str, Any] = answer["message"]
                return message
            if answer["type"] == "error" and answer.get("clientId") == client_id:
                raise SystemExit(f"{answer['code']}: {answer.get('detail')}")
    raise SystemExit("the socket closed before the message was stored: connect and send again")


if __name__ == "__main__":
    print(json.dumps(asyncio.run(send(*sys.argv[1:5]))))
