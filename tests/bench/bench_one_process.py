"""The platform in one process beside one of its services asked directly, as only the gateway may.

One run, one machine, one process each, 32 connections; a person's own skills, which the service gets from MongoDB:

    nox -s bench -- one_process

Directly, the service takes the signed call and answers; in one process the edge checks the token, takes from the limit,
signs the call, logs and counts it, and hands it to the same service in memory.
"""

import json
import sys
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from kelmah.cli import platform
from kelmah.cli.demo.client import Api
from kelmah.cli.platform import Platform, answers
from kelmah.cli.processes import Spec
from kelmah.contracts.common import Role
from kelmah.kit import signing
from kelmah.kit.context import Principal
from tests.bench.bench_gateway import SECONDS, TARGET, Gateway, measured, request
from tests.e2e.conftest import SEED_DAY, run
from tests.e2e.test_seed import seeded_people, sign_in

SERVICE = "user"


@pytest.mark.timeout(900)
async def test_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KELMAH_GATEWAY_LIMIT_FACTOR", "1000")
    async with platform.running(home=None, one_process=True) as made:
        seeded = await run("kelmah", "seed", "--as-of", str(SEED_DAY), env=made.env)
        assert seeded.status == 0, seeded.stderr
        worker = seeded_people()[-1]
        async with aiohttp.ClientSession() as session:
            token = (await sign_in(Api(session, made.gateway_url), worker.email)).headers["Authorization"]
            async with session.get(f"{made.gateway_url}/api/v1/auth/me", headers={"Authorization": token}) as answer:
                user_id = (await answer.json())["id"]
        port = int(made.gateway_url.rpartition(":")[2])
        together = Gateway("one process", port, made.processes["one-process"], [request(TARGET, authorization=token)])
        alone = await directly(made, user_id, tmp_path / "service.log")
        print(f"\n{SECONDS:.0f} s a load\n|  | req/s | CPU µs | MB | at req/s | added p50 ms | added p99 ms |")
        print("|---|--:|--:|--:|--:|--:|--:|")
        for one in (alone, together):
            print("| " + " | ".join(await measured(one, alone)) + " |", flush=True)


async def directly(made: Platform, user_id: str, log_file: Path) -> Gateway:
    """The service as a process of its own, beside; a signature of a GET is good for a minute."""
    port = int(made.env[f"KELMAH_{SERVICE.upper()}_PORT"])
    command = (sys.executable, "-m", "kelmah.cli", "serve", SERVICE)
    spec = Spec(
        name=SERVICE, command=command, env=dict(made.env), log_file=log_file, ready_timeout_s=90,
        ready=lambda: answers(f"http://127.0.0.1:{port}/readyz"),
    )  # fmt: skip
    process = await made.supervisor.start(spec)
    signed = signing.sign(
        caller="gateway",
        callee=SERVICE,
        method="GET",
        target=TARGET,
        digest=signing.body_digest(b""),
        principal=Principal(user_id=user_id, role=Role.WORKER, session_id="bench"),
        keys={SERVICE: [*map(SecretStr, json.loads(made.env["KELMAH_GATEWAY_OUTGOING_KEYS"])[SERVICE])]},
    )
    return Gateway("the service directly", port, process, [request(TARGET, **signed)])
