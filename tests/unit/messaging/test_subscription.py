"""What Redis pushes, as it comes: whole, in pieces, and refusals."""

import pytest

from kelmah.services.messaging.socket import subscription as module
from kelmah.services.messaging.socket.subscription import Push, Subscription, parse

PUSHES = [(b"subscribe", b"a:b", b"1"), (b"message", b"a:b", b"\r\n*3\r\n$1"), (b"message", b"a:b", b""), (b"pong",)]
#: RESP2 and RESP3.
WIRES = [
    b"".join(
        b"+PONG\r\n"
        if push == (b"pong",)
        else kind + b"3\r\n$%d\r\n%b\r\n$3\r\n%b\r\n" % (len(push[0]), push[0], push[1]) + last
        for push, last in zip(PUSHES, (b":1\r\n", b"$8\r\n\r\n*3\r\n$1\r\n", b"$0\r\n\r\n", b""), strict=True)
    )
    for kind in (b"*", b">")
]


@pytest.mark.parametrize("wire", WIRES)
def test_pushes_come_whole_wherever_they_are_cut(wire: bytes) -> None:
    for cut in range(len(wire) + 1):
        first, at = parse(wire[:cut])
        rest, end = parse(wire[at:])
        assert first + rest == PUSHES
        assert at + end == len(wire)


@pytest.mark.parametrize("data", [b"-NOPERM no\r\n", b"!21\r\n", b"HTTP/1.1 400\r\n"])
def test_what_is_no_push_ends_the_subscription(data: bytes) -> None:
    with pytest.raises(ConnectionError):
        parse(data)


class Wire:
    """What is said to Redis."""

    def __init__(self) -> None:
        self.said: list[bytes] = []
        self.transport = self

    def write(self, data: bytes) -> None:
        self.said.append(data)

    def abort(self) -> None:
        return


def opened(monkeypatch: pytest.MonkeyPatch) -> tuple[Subscription, Wire, list[Push]]:
    monkeypatch.setattr(module, "ASK_AFTER_S", 0.02)
    monkeypatch.setattr(module, "GIVE_UP_AFTER_S", 0.05)
    heard: list[Push] = []
    found, wire = Subscription(heard.append), Wire()
    found._writer = wire  # type: ignore[assignment]  # what is used of it
    return found, wire, heard


async def test_a_silent_redis_is_asked_and_then_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    found, wire, _ = opened(monkeypatch)
    with pytest.raises(ConnectionError, match="silent"):
        await found.watch()
    assert set(wire.said) == {b"*1\r\n$4\r\nPING\r\n"}


@pytest.mark.parametrize("end", [None, OSError("reset")])
async def test_a_lost_connection_ends_the_watch(monkeypatch: pytest.MonkeyPatch, end: Exception | None) -> None:
    found, wire, heard = opened(monkeypatch)
    found.data_received(WIRES[0][:30])
    found.data_received(WIRES[0][30:])
    found.connection_lost(end)
    with pytest.raises(OSError, match="closed" if end is None else "reset"):
        await found.watch()
    found.subscribe(b"a")
    assert (heard, wire.said) == (PUSHES, [])


async def test_what_fails_on_a_push_ends_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _, _ = opened(monkeypatch)
    found.data_received(b"-NOPERM no\r\n")
    with pytest.raises(ConnectionError, match="NOPERM no"):
        await found.watch()
