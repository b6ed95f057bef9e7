"""The service behind every gateway of the bench: 50 bytes of JSON to each GET, and what our gateway asks of auth.

As cheap as Python can be, so that what is measured is the gateway: `python upstream.py PORT JWKS`.
"""

import asyncio
import sys
from typing import cast

import uvloop

JSON = b'{"id":"0199","title":"Mend a roof","status":"open"}'[:50].ljust(50)


def _answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


class Upstream(asyncio.Protocol):
    """One connection. Requests have no body."""

    others: dict[bytes, bytes]
    usual = _answer(JSON)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._unread = b""

    def data_received(self, data: bytes) -> None:
        *heads, self._unread = (self._unread + data).split(b"\r\n\r\n")
        for head in heads:
            target = head.split(b" ", 2)[1].partition(b"?")[0]
            self._transport.write(self.others.get(target, self.usual))


async def main(port: int, jwks: str) -> None:
    """Serve until killed."""
    ready = b'{"status":"ok","checks":{}}'
    Upstream.others = {
        b"/.well-known/jwks.json": _answer(jwks.encode()),
        b"/internal/revocations": _answer(b'{"items":[],"until":0,"more":false}'),
        b"/readyz": _answer(ready),
        b"/livez": _answer(ready),
    }
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
