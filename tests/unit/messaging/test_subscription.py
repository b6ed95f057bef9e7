"""What Redis pushes, as it comes: whole, in pieces, and refusals."""

import pytest

from kelmah.services.messaging.socket.subscription import parse

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
