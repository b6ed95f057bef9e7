"""What the demo needs of a client: calls, checks, a mailbox, and the list of steps."""

import asyncio
import email
import email.policy
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import aiohttp
from rich.console import Console

ResultT = TypeVar("ResultT")
#: Seconds that mails and notifications may take to arrive.
PATIENCE_S = 30.0
#: Times that a call is made when the platform is busy.
ATTEMPTS = 5
_TOKEN = re.compile(r"^Token: (\S+)$", re.MULTILINE)


class CheckFailed(Exception):
    """A step's result is not what it has to be."""


class Step(NamedTuple):
    """One checked step."""

    name: str
    ok: bool
    ms: float
    detail: str


class Steps:
    """The steps so far, and the story that they tell."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.done: list[Step] = []
        self.story: list[tuple[str, str]] = []

    @property
    def failed(self) -> Step | None:
        return next((step for step in self.done if not step.ok), None)

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Time one step; what is put into the list becomes its detail. An error makes it the last one."""
        details: list[str] = []
        started = time.monotonic()
        try:
            yield details
        except Exception as error:
            self._add(name, False, started, f"{type(error).__name__}: {error}")
            raise
        self._add(name, True, started, "; ".join(details))

    def fail(self, error: Exception) -> None:
        """Note an error that no step has noted."""
        if self.failed is None:
            self._add("demo", False, time.monotonic(), f"{type(error).__name__}: {error}")

    def _add(self, name: str, ok: bool, started: float, detail: str) -> None:
        step = Step(name, ok, round((time.monotonic() - started) * 1000, 1), detail)
        self.done.append(step)
        mark = "[green]✓[/green]" if ok else "[red]✗[/red]"
        self._console.print(f"{mark} {step.ms:8.1f} ms  {name}  [dim]{detail}[/dim]", highlight=False)


class Reply(NamedTuple):
    """An answer of the gateway."""

    status: int
    data: Any
    headers: dict[str, str]


class Api:
    """Calls the gateway, as anybody or as a person who is signed in."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str | None = None) -> None:
        self.session = session
        self.url = url
        self.token = token

    def signed_in(self, token: str) -> "Api":
        """The same gateway, as the person of this access token."""
        return Api(self.session, self.url, token)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    async def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, expect: int | None = None
    ) -> Reply:
        """Call an operation under /api/v1. POSTs carry an Idempotency-Key, so that they may be tried again.

        Raises:
            CheckFailed: the status is not `expect` (any 2xx when it is not given).
        """
        headers = self.headers
        if method == "POST":
            headers["Idempotency-Key"] = key or secrets.token_urlsafe(16)
        for attempt in range(ATTEMPTS):
            async with self.session.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers) as answer:
                data = await answer.json(content_type=None) if await answer.read() else None
                reply = Reply(answer.status, data, {name.lower(): value for name, value in answer.headers.items()})
            if reply.status not in (429, 503) or attempt == ATTEMPTS - 1:
                return _checked(reply, f"{method} {path}", expect)
            await asyncio.sleep(min(float(reply.headers.get("retry-after", "1")), 2 * (attempt + 1)))
        raise AssertionError("the last attempt returns or raises")

    async def get(self, path: str) -> Any:
        """The data of a GET that succeeds."""
        return (await self.call("GET", path)).data

    async def post(self, path: str, body: Any = None) -> Any:
        """The data of a POST that succeeds."""
        return (await self.call("POST", path, body)).data


def _checked(reply: Reply, what: str, expect: int | None) -> Reply:
    if reply.status != expect if expect else reply.status >= 300:
        raise CheckFailed(f"{what} answered {reply.status}: {reply.data}")
    return reply


def check(is_right: bool, message: str) -> None:
    """Raises CheckFailed unless the result is right."""
    if not is_right:
        raise CheckFailed(message)


async def eventually(what: str, ask: Callable[[], Awaitable[ResultT | None]]) -> ResultT:
    """Ask until there is an answer.

    Raises:
        CheckFailed: there was none within `PATIENCE_S`.
    """
    ends = time.monotonic() + PATIENCE_S
    while (answer := await ask()) is None:
        if time.monotonic() > ends:
            raise CheckFailed(f"{what} did not come within {PATIENCE_S:.0f} s")
        await asyncio.sleep(0.1)
    return answer


class Mailbox:
    """The Maildir where a development platform's mail arrives."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def token_for(self, address: str) -> str:
        """The token in the newest mail to this address."""

        async def look() -> str | None:
            return await asyncio.to_thread(self._look, address)

        return await eventually(f"a mail to {address}", look)

    def _look(self, address: str) -> str | None:
        files = sorted((self._path / "new").glob("*"), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files:
            message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
            if address not in str(message["to"]):
                continue
            text = message.get_body(("plain",))
            if text is not None and (match := _TOKEN.search(text.get_content())):
                return match[1]
        return None
