"""Each app by its own console script, and the workers by Dramatiq's own command."""

import asyncio
import signal

import aiohttp
import pytest

from kelmah import services
from kelmah.cli.platform import Platform, answers
from kelmah.cli.processes import free_port
from tests.e2e.conftest import Command, run, start

APPS = ("gateway", *services.NAMES)


@pytest.mark.slow
async def test_each_script_serves_its_app(running_platform: Platform) -> None:
    ports = {name: free_port() for name in APPS}
    commands: dict[str, Command] = {}
    try:
        for name, port in ports.items():
            own = {**running_platform.env, f"KELMAH_{name.upper()}_PORT": str(port)}
            commands[name] = await start(f"kelmah-{name}", env=own)
        for name, port in ports.items():
            await ready(commands[name], f"http://127.0.0.1:{port}/readyz")
    finally:
        for command in commands.values():
            command.child.send_signal(signal.SIGTERM)
        statuses = {name: (await command.finish(30)).status for name, command in commands.items()}
    # uvicorn raises the signal anew once it has drained.
    assert statuses == dict.fromkeys(APPS, 0) | dict.fromkeys(("gateway", "messaging"), -signal.SIGTERM)


async def ready(command: Command, url: str) -> None:
    async with asyncio.timeout(60):
        while command.child.returncode is None:
            try:
                if await answers(url):
                    return
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(0.1)
    pytest.fail((await command.finish()).stderr)


@pytest.mark.slow
@pytest.mark.parametrize("name", APPS)
async def test_scripts_take_no_arguments(name: str) -> None:
    refused = await run(f"kelmah-{name}", "--port", "1")
    assert refused.status == 1
    assert refused.stderr == (
        f"kelmah-{name} takes no arguments (--port 1); it is set by KELMAH_… variables, see .env.example\n"
    )


@pytest.mark.slow
async def test_a_script_without_settings_says_what_is_missing() -> None:
    refused = await run("kelmah-auth")
    assert refused.status == 1
    assert "set KELMAH_AUTH_MONGO_URL or KELMAH_MONGO_URL" in refused.stderr


@pytest.mark.slow
async def test_dramatiqs_own_command_runs_the_workers(running_platform: Platform) -> None:
    command = await start("dramatiq", "kelmah.workers", "--processes", "1", env=running_platform.env)
    await command.until("workers.ready", 60)
    command.child.send_signal(signal.SIGTERM)
    assert (await command.finish(30)).status == 0


async def test_an_unknown_app_is_named() -> None:
    refused = await run("kelmah", "serve", "reviews")
    assert refused.status == 1
    assert "there is no app 'reviews'; choose one of gateway, auth" in refused.stderr
