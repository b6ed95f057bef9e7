"""What the stand-ins of payment providers share: deterministic ids, keys that repeat no effect, faults, notices."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from aiohttp import web

from kelmah.kit import clock

Row = dict[str, Any]
Effect = Callable[[Row, Mapping[str, str]], Row]


class Fault(NamedTuple):
    """One request that goes wrong: `how` is `drop` (no answer), or the status of an answer."""

    method: str
    path: str
    when: str
    how: str


class Refusal(Exception):
    """The provider says no: the status and the whole body of its answer."""

    def __init__(self, status: int, body: Row) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


class Notice(NamedTuple):
    """A webhook as it goes over the wire."""

    body: bytes
    headers: dict[str, str]


class ProviderServer:
    """A provider on HTTP. Subclasses add routes with `on`; all state is in `objects`, ids come from a counter."""

    #: The header that carries the caller's own key.
    key_header = ""

    def __init__(self, world: str = "") -> None:
        """`world` goes into every id, so that several servers can share a database."""
        self._world = world
        self.objects: dict[str, Row] = {}
        self.calls: Counter[str] = Counter()
        self.effects: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self.outbox: list[Row] = []
        self.url = ""
        self._answers: dict[str, tuple[str, int, Row]] = {}
        self._numbers: Counter[str] = Counter()
        self._app = web.Application()
        self._runner: web.AppRunner | None = None

    def on(self, method: str, path: str, effect: Effect) -> None:
        """Serve an operation; `effect` gets the decoded body (or the query) and the path's parameters."""

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._serve(request, f"{method} {path}", effect)

        self._app.router.add_route(method, path, handle)

    def fail(self, method: str, path: str, *, when: str = "before", how: str = "drop", times: int = 1) -> None:
        """Have the next requests to an operation (its path as it was added) fail before or after their effect."""
        self.faults += [Fault(method, path, when, how)] * times

    def notices(self, *, double: bool = False, shuffle: int | None = None) -> list[Notice]:
        """Take what waits to be told, perhaps twice each and in an order that the seed makes."""
        rows, self.outbox = self.outbox * (2 if double else 1), []
        if shuffle is not None:
            random.Random(shuffle).shuffle(rows)
        return [self.sign(json.dumps(row).encode()) for row in rows]

    async def deliver(
        self, send: Callable[[Notice], Awaitable[None]], *, delay_s: float = 0, double: bool = False
    ) -> None:
        """Tell everything that waits, after a while."""
        await asyncio.sleep(delay_s)
        for one in self.notices(double=double):
            await send(one)

    def sign(self, body: bytes) -> Notice:
        """A genuine notice with this body."""
        raise NotImplementedError

    def new_id(self, kind: str) -> str:
        """The next id of a kind: always the same ones in the same order."""
        self._numbers[kind] += 1
        return f"{kind}{self._world}{self._numbers[kind]:06d}"

    def now(self) -> int:
        return int(clock.now().timestamp())

    async def read(self, request: web.Request) -> Row:
        """The body as a row."""
        raise NotImplementedError

    def authorize(self, request: web.Request) -> None:
        """Raises Refusal for a caller who is not let in."""

    def clash(self) -> Refusal:
        """A key that came with another request before."""
        raise NotImplementedError

    async def start(self) -> str:
        """Listen; the base URL."""
        self._runner = web.AppRunner(self._app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self.url

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request, operation: str, effect: Effect) -> web.StreamResponse:
        self.calls[operation] += 1
        body = await self.read(request)
        if fault := self._take_fault(operation, "before"):
            return _go_wrong(request, fault)
        try:
            self.authorize(request)
            status, answer = self._once(request, operation, body, effect)
        except Refusal as refusal:
            status, answer = refusal.status, refusal.body
        if fault := self._take_fault(operation, "after"):
            return _go_wrong(request, fault)
        return web.json_response(answer, status=status)

    def _once(self, request: web.Request, operation: str, body: Row, effect: Effect) -> tuple[int, Row]:
        key = request.headers.get(self.key_header) if request.method == "POST" else None
        print_ = f"{request.method} {request.path} {json.dumps(body, sort_keys=True)}"
        if key is not None and key in self._answers:
            known, status, answer = self._answers[key]
            if known != print_:
                raise self.clash()
            return status, answer
        try:
            status, answer = 200, effect(body, request.match_info)
        except Refusal as refusal:
            status, answer = refusal.status, refusal.body
        else:
            self.effects[operation] += 1
        answer = json.loads(json.dumps(answer))  # as it was at this moment, whatever changes later
        if key is not None:
            self._answers[key] = (print_, status, answer)
        return status, answer

    def _take_fault(self, operation: str, when: str) -> Fault | None:
        for fault in self.faults:
            if f"{fault.method} {fault.path}" == operation and fault.when == when:
                self.faults.remove(fault)
                return fault
        return None


def _go_wrong(request: web.Request, fault: Fault) -> web.StreamResponse:
    if fault.how == "drop":
        if request.transport is not None:
            request.transport.abort()
        return web.Response()
    return web.json_response({"error": {"type": "api_error", "message": "out of order"}}, status=int(fault.how))
