"""Who did what, when and from where: `kelmah audit` after the journey, and after a login that was refused."""

import json

import aiohttp

from kelmah.cli.demo.client import Api
from kelmah.cli.platform import Platform
from kelmah.kit.ids import new_id
from tests.e2e.conftest import run
from tests.e2e.test_demo import against, check_journey


async def test_acts_are_noted_with_their_origin(running_platform: Platform) -> None:
    check_journey(await run("kelmah", *against(running_platform), "--json"))
    email = f"{new_id()}@example.com"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30), headers={"User-Agent": "Probe"}) as http:
        wrong = {"email": email, "password": "not the password"}
        await Api(http, running_platform.gateway_url).call("POST", "/auth/login", wrong, expect=401)
    audited = await run("kelmah", "audit", "--format", "json", "--verify", env=running_platform.env)
    assert audited.status == 0, audited.stderr
    rows = [json.loads(line) for line in audited.stdout.splitlines() if line.startswith("{")]
    last = {row["type"]: row for row in rows}
    signed_in = (
        "payment.escrow_funded.v1",
        "payment.escrow_released.v1",
        "job.milestone_approved.v1",
        "job.contract_signed.v1",
        "auth.logged_in.v1",
    )
    for name in signed_in:
        row = last[name]
        assert (name, row["address"]) == (name, "127.0.0.1")
        assert "aiohttp" in row["device"], name
        assert row["request"], name
        assert len(row["actor"]) == 32, name
    refused = last["auth.login_refused.v1"]
    assert (refused["actor"], refused["address"], refused["device"]) == (None, "127.0.0.1", "Probe")
    assert refused["request"]
