"""A rolling restart under load, on real processes that enter and leave the registry: no request is lost.

Half of the load must not be tried a second time, so nothing is covered up by retries.
"""

import asyncio
import base64
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from redis.asyncio import Redis

from kelmah import services
from kelmah.cli.processes import Process, Spec, Supervisor, free_port
from kelmah.kit.settings import load
from tests.fixtures.service import KEY, build_indexes
from tests.integration.gateway.platform import Behind, auth_app, behind_the_door, serving, token

LINGER_S = 4
ROUTES = """
[limits]
default = { quota = 1000000, window_s = 60 }
[services.auth]
"GET /.well-known/jwks.json" = { auth = "public" }
[services.user]
"GET /api/v1/skills" = { auth = "public" }
"DELETE /api/v1/users/me/bookmarks/{id}" = { auth = "signed_in" }
[services.messaging]
"GET /api/v1/push-subscriptions/key" = { auth = "signed_in" }
"DELETE /api/v1/push-subscriptions/{id}" = { auth = "signed_in" }
"""
#: What is asked for, and how the service itself may answer.
ASKED = {
    "user": (("GET", "/api/v1/skills", {200}), ("DELETE", "/api/v1/users/me/bookmarks/none", {204, 404})),
    "messaging": (
        ("GET", "/api/v1/push-subscriptions/key", {200, 404}),
        ("DELETE", "/api/v1/push-subscriptions/none", {204, 404}),
    ),
}


class Fleet:
    """A gateway that finds its services in the registry, and instances that come and go."""

    def __init__(self, supervisor: Supervisor, directory: Path, env: dict[str, str]) -> None:
        self._supervisor = supervisor
        self._directory = directory
        self._env = env

    async def start(self, name: str, port: int, **more: str) -> Process:
        env = self._env | {f"KELMAH_{name.upper()}_PORT": str(port)} | more
        spec = Spec(
            name=f"{name}-{port}",
            command=(sys.executable, "-m", "kelmah.cli", "serve", name),
            log_file=self._directory / f"{name}-{port}.log",
            env={key: value for key, value in os.environ.items() if not key.startswith("KELMAH_")} | env,
            inherit_env=False,
            ready=_answers(f"http://127.0.0.1:{port}/livez"),
            ready_timeout_s=90,
            stop_grace_s=30,
        )
        return await self._supervisor.start(spec)

    async def start_instance(self, name: str, port: int, **more: str) -> Process:
        return await self.start(name, port, KELMAH_ADVERTISE_URL=f"http://127.0.0.1:{port}", KELMAH_ZONE="here", **more)

    async def stop(self, process: Process) -> None:
        await self._supervisor.stop(process)


def _answers(url: str) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status == 200

    return ask


@asynccontextmanager
async def fleet(
    directory: Path, mongo_url: str, database: str, redis_url: str, prefix: str, *, routes: str = ROUTES
) -> AsyncIterator[tuple[Fleet, Behind]]:
    (directory / "routes.toml").write_text(routes)
    behind = Behind()
    async with AsyncExitStack() as stack:
        redis = Redis.from_url(redis_url)
        stack.push_async_callback(redis.aclose)
        auth = await stack.enter_async_context(serving(behind_the_door(auth_app(behind), "auth", redis, prefix)))
        keys = json.dumps({name: [KEY.get_secret_value()] for name in ("gateway", "auth", "user", "messaging", "job")})
        env = {
            "KELMAH_ENVIRONMENT": "test",
            "KELMAH_MONGO_URL": mongo_url,
            "KELMAH_REDIS_URL": redis_url,
            "KELMAH_REDIS_PREFIX": prefix,
            "KELMAH_INCOMING_KEYS": keys,
            "KELMAH_GATEWAY_INCOMING_KEYS": "{}",
            "KELMAH_OUTGOING_KEYS": keys,
            "KELMAH_FIELD_KEYS": json.dumps([base64.b64encode(bytes(32)).decode()]),
            "KELMAH_SERVICE_URLS": json.dumps({"auth": [auth], "user": ["registry:"], "messaging": ["registry:"]}),
            "KELMAH_GATEWAY_ROUTES_PATH": str(directory / "routes.toml"),
            "KELMAH_SMTP_URL": "smtp://127.0.0.1:9",
            "KELMAH_MAIL_SENDER": "Kelmah <no-reply@kelmah.example>",
            "KELMAH_LINGER_S": str(LINGER_S),
        } | {f"KELMAH_{name.upper()}_MONGO_DATABASE": f"{database}{name}" for name in ASKED}
        for name in ASKED:
            service = services.load(name)
            await build_indexes(load(service.settings, env), service.documents)
        yield Fleet(await stack.enter_async_context(Supervisor()), directory, env), behind


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("service", ["user", "messaging"])
async def test_a_rolling_restart_under_load_loses_no_request(
    service: str, tmp_path: Path, mongo_url: str, mongo_prefix: str, redis_url: str, redis_prefix: str
) -> None:
    answers: Counter[int | str] = Counter()
    is_over = asyncio.Event()
    prefix = f"{redis_prefix}rolling-{service}"
    async with fleet(tmp_path, mongo_url, mongo_prefix, redis_url, prefix) as (running, behind):
        ports, gateway = [free_port(), free_port()], free_port()
        instances = list(await asyncio.gather(*(running.start_instance(service, port) for port in ports)))
        await running.start("gateway", gateway)
        headers = {"authorization": f"Bearer {token(behind)}"}

        async def load(session: aiohttp.ClientSession, method: str, path: str) -> None:
            while not is_over.is_set():
                try:
                    async with session.request(method, path, headers=headers) as answer:
                        answers[answer.status] += 1
                        await answer.read()
                except aiohttp.ClientError as error:
                    answers[type(error).__name__] += 1
                await asyncio.sleep(0.01)

        async with aiohttp.ClientSession(f"http://127.0.0.1:{gateway}") as session:
            loads = [
                asyncio.create_task(load(session, method, path)) for method, path, _ in ASKED[service] for _ in range(4)
            ]
            for number in (0, 1):
                await running.stop(instances[number])
                instances[number] = await running.start_instance(service, ports[number])
                await asyncio.sleep(2)  # until the gateway found it
            is_over.set()
            await asyncio.gather(*loads)
    good = {status for _, _, statuses in ASKED[service] for status in statuses}
    assert set(answers) <= good, answers
    assert answers.total() > 200
