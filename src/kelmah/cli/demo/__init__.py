"""`kelmah demo`: the main journey, driven through the gateway and checked step by step."""

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.table import Table

from kelmah.cli import development, platform
from kelmah.cli.demo import journey
from kelmah.cli.demo.client import Api, Mailbox, Step, Steps


def demo(*, json: bool = False, url: str | None = None, mailbox: Path | None = None, one_process: bool = False) -> None:
    """Drive a hirer and a worker from registration to a paid, reviewed job, checking each step.

    Args:
        json: print one JSON object and nothing else.
        url: the gateway of a running platform; without it, the one that `kelmah up` runs here, else a new one that
            is stopped afterwards.
        mailbox: the Maildir where the platform's mail arrives; known for a platform of `kelmah up`.
        one_process: start the platform in one process, when it has to be started.
    """
    steps = asyncio.run(_run(url, mailbox, Console(stderr=True, quiet=json), one_process=one_process))
    ok = steps.failed is None
    if json:
        _print_json(ok, steps.done)
    else:
        _print_story(steps)
    sys.exit(0 if ok else 1)


async def _run(url: str | None, mailbox: Path | None, console: Console, *, one_process: bool) -> Steps:
    steps = Steps(console)
    async with AsyncExitStack() as stack:
        try:
            url, mailbox = await _find_platform(stack, steps, url, mailbox, one_process=one_process)
            timeout = aiohttp.ClientTimeout(total=30)
            session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
            await journey.run(steps, Api(session, url), Mailbox(mailbox))
        except Exception as error:
            steps.fail(error)
    return steps


async def _find_platform(
    stack: AsyncExitStack, steps: Steps, url: str | None, mailbox: Path | None, *, one_process: bool
) -> tuple[str, Path]:
    note = development.HOME / "platform.json"
    if note.exists():
        running = json.loads(note.read_text(encoding="utf-8"))
        url, mailbox = url or running["url"], mailbox or Path(running["mailbox"])
    if url is not None:
        if mailbox is None:
            raise ValueError("say where the platform's mail arrives: --mailbox MAILDIR")
        return url.rstrip("/"), mailbox
    with steps.step("start an ephemeral platform"):
        started = await stack.enter_async_context(platform.running(home=None, one_process=one_process))
    return started.gateway_url, started.mailbox


def _print_json(ok: bool, done: list[Step]) -> None:
    answer: dict[str, Any] = {"ok": ok, "steps": [step._asdict() for step in done]}
    print(json.dumps(answer))  # noqa: T201  # the command's only output


def _print_story(steps: Steps) -> None:
    console = Console()
    table = Table(title="The story", title_justify="left")
    table.add_column("what happened")
    table.add_column("result")
    for name, value in steps.story:
        table.add_row(name, value)
    console.print(table)
    if steps.failed is None:
        total = sum(step.ms for step in steps.done) / 1000
        console.print(f"[green]all {len(steps.done)} steps are right, in {total:.1f} s[/green]")
    else:
        console.print(f"[red]{steps.failed.name}: {steps.failed.detail}[/red]")
        console.print("[bold]→ `kelmah up` keeps its logs under .kelmah/logs[/bold]")
