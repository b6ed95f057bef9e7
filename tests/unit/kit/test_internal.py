"""What the door of a service does with bodies that nobody reads."""

import asyncio
from typing import Any, Final

import pytest

from kelmah.kit import internal


def stage(parts: int) -> tuple[Any, Any, list[str]]:
    """A body of so many bytes, one a message, and what happens in order."""
    log: list[str] = []
    left = parts

    async def receive() -> Any:
        nonlocal left
        left -= 1
        log.append("read")
        return {"type": "http.request", "body": b"x", "more_body": left > 0}

    async def send(message: Any) -> None:
        log.append(message["type"])

    return *internal._reading_out(receive, send), log


START: Final = "http.response.start"
BODY: Final = "http.response.body"


@pytest.mark.parametrize("read_by_the_app", [0, 1, 3])
async def test_a_body_is_read_to_its_end_before_the_answer_begins(read_by_the_app: int) -> None:
    receive, send, log = stage(3)
    for _ in range(read_by_the_app):
        await receive()
    await send({"type": START})
    await send({"type": BODY})
    assert log == ["read"] * 3 + [START, BODY]


async def test_no_more_is_read_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(internal, "MAX_UNREAD_BYTES", 2)
    _, send, log = stage(9)
    await send({"type": START})
    assert log == ["read", "read", START]


async def test_whoever_sends_no_more_is_answered_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(internal, "READ_OUT_S", 0.01)
    sent = []

    async def never() -> Any:
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    _, answer = internal._reading_out(never, send)
    await answer({"type": START, "status": 200, "headers": []})
    assert sent == [START]
