"""Who did what, when and from where: `kelmah audit` after each kind of act, and after a login that was refused."""

import csv
import io
import json
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import NamedTuple

import aiohttp
import pytest
from rich.console import Console

from kelmah import services
from kelmah.cli.demo import journey
from kelmah.cli.demo.client import Api, Mailbox, Steps
from kelmah.cli.platform import Platform
from kelmah.kit.ids import new_id
from tests.e2e.conftest import Finished, run
from tests.fakes.authenticator import code_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PRICE = {"amount": 20_000, "currency": "GHS"}


class Town(NamedTuple):
    """A hirer, a worker and an administrator whom an operator made, all signed in from one address and device."""

    platform: Platform
    anybody: Api
    hirer: journey.Actor
    worker: journey.Actor
    admin: Api
    admin_id: str
    #: When they came.
    since: str


async def as_operator(platform: Platform, *arguments: str, **variables: str) -> Finished:
    finished = await run("kelmah", *arguments, env={**platform.env, **variables})
    assert finished.status == 0, finished.stdout + finished.stderr
    return finished


@pytest.fixture
async def town(running_platform: Platform) -> AsyncIterator[Town]:
    since = datetime.now(UTC).isoformat()
    address, password = f"{new_id()}@example.com", secrets.token_urlsafe(18)
    names = ("--role", "admin", "--first-name", "Esi", "--last-name", "Boateng", "--password-variable", "NEW_PASSWORD")
    await as_operator(running_platform, "users", "create", address, *names, NEW_PASSWORD=password)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30), headers={"User-Agent": "Probe"}) as http:
        anybody = Api(http, running_platform.gateway_url)
        steps = Steps(Console(quiet=True))
        hirer, worker = await journey.join(steps, anybody, Mailbox(running_platform.mailbox))
        session = await anybody.post("/auth/login", {"email": address, "password": password})
        admin = anybody.signed_in(session["accessToken"])
        secret = (await admin.post("/auth/mfa/setup"))["secret"]
        await admin.post("/auth/mfa/verify", {"code": code_of(secret)})
        both = await anybody.post("/auth/refresh", {"refreshToken": session["refreshToken"]})
        admin = anybody.signed_in(both["accessToken"])
        yield Town(running_platform, anybody, hirer, worker, admin, session["user"]["id"], since)


async def funded(town: Town) -> tuple[str, str]:
    """A contract whose milestone is in escrow: both ids."""
    hirer, worker = town.hirer.api, town.worker.api
    await hirer.post("/payments/wallet/deposits", {"amount": PRICE, "paymentMethod": "pm_card_visa"})
    work = {"title": "Tile a floor", "description": "Twelve square metres, tiles are here.", "category": "tiling"}
    place = {"skills": ["tiler"], "budget": PRICE, "location": journey.PLACE}
    job = await hirer.post("/jobs", work | place)
    await hirer.post(f"/jobs/{job['id']}/publish")
    offer = {"proposedRate": PRICE, "coverLetter": "I have laid tiles for nine years."}
    application = await worker.post(f"/jobs/{job['id']}/applications", offer)
    accepted = await hirer.post(f"/applications/{application['id']}/accept")
    contract_id = str(accepted.get("contractId") or accepted["id"])
    await worker.post(f"/contracts/{contract_id}/sign")
    contract = await hirer.post(f"/contracts/{contract_id}/sign")
    body = {"contractId": contract_id, "milestoneId": contract["milestones"][0]["id"]}
    return contract_id, str((await hirer.post("/payments/escrows", body))["id"])


async def act(town: Town) -> dict[str, str]:
    """One act of each kind; the types of their events, with who did it."""
    hirer, worker, admin = town.hirer, town.worker, town.admin
    _, refunded = await funded(town)
    await worker.api.post(f"/payments/escrows/{refunded}/refund")
    _, disputed = await funded(town)
    dispute = await hirer.api.post("/payments/disputes", {"escrowId": disputed, "reason": "Nobody came for a week."})
    ruling = {"workerAmount": 0, "hirerAmount": PRICE["amount"], "note": "The worker agrees."}
    await admin.post(f"/payments/disputes/{dispute['id']}/resolve", ruling)

    body = {"kind": "direct", "participantIds": [worker.id]}
    conversation = await hirer.api.post("/conversations", body)
    path = f"/conversations/{conversation['id']}/messages"
    message = await hirer.api.post(path, {"clientId": new_id(), "text": "Pay me outside of here."})
    report = {"conversationId": conversation["id"], "messageId": message["id"], "reason": "off_platform"}
    reported = await worker.api.post("/reports", report)
    decision = {"uphold": True, "note": "A warning."}
    await admin.post(f"/moderation/reports/{reported['id']}/decision", decision)

    key = await hirer.api.post("/auth/api-keys", {"name": "Books", "scopes": ["jobs:read"]})
    await town.anybody.signed_in(key["key"]).get("/jobs")
    await admin.call("PUT", f"/admin/users/{worker.id}/role", {"role": "support", "reason": "Joins the support team"})
    wrong = {"email": f"{new_id()}@example.com", "password": "not the password"}
    await town.anybody.call("POST", "/auth/login", wrong, expect=401)
    return {
        "auth.logged_in.v1": town.admin_id,
        "auth.api_key_created.v1": hirer.id,
        "auth.api_key_used.v1": hirer.id,
        "auth.role_changed.v1": town.admin_id,
        "auth.login_refused.v1": "",
        "payment.escrow_funded.v1": hirer.id,
        "payment.escrow_refunded.v1": worker.id,
        "payment.dispute_raised.v1": hirer.id,
        "payment.dispute_ruled.v1": town.admin_id,
        "job.contract_signed.v1": hirer.id,
        "messaging.conversation_reported.v1": worker.id,
        "messaging.report_decided.v1": town.admin_id,
    }


async def audited(town: Town, *arguments: str) -> str:
    """What the command prints about what happened since they came."""
    return (await as_operator(town.platform, "audit", "--since", town.since, *arguments)).stdout


async def test_acts_are_noted_with_who_and_from_where(town: Town) -> None:
    due = await act(town)
    printed = (await audited(town, "--format", "json", "--verify")).splitlines()
    assert sum(": " in line and "head" in line for line in printed) == len(services.NAMES)  # each chain is whole
    rows = [json.loads(line) for line in printed if line.startswith("{")]
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    last = {row["type"]: row for row in rows}
    for name, actor in due.items():
        row = last[name]
        found = (name, row["actor"] or "", row["address"], row["device"])
        assert found == (name, actor, "127.0.0.1", "Probe")
        assert all(row[field] for field in ("request", "correlation", "digest")), row
    # The administrator was made by an operator.
    made = last["auth.operator_acted.v1"]
    assert made["data"] == {"command": "users create", "target": "admin"}
    assert made["actor"].startswith("operator:")
    assert made["device"].startswith("kelmah ")
    same = {row["type"] for row in rows if row["request"] == made["request"] and row["actor"] == made["actor"]}
    assert "auth.user_registered.v1" in same

    of_admin = ("--actor", town.admin_id, "--type", "payment.", "--address", "127.0.0.1", "--format", "csv")
    exported = list(csv.DictReader(io.StringIO(await audited(town, *of_admin))))
    assert [(row["type"], row["actor"]) for row in exported] == [("payment.dispute_ruled.v1", town.admin_id)]
    assert json.loads(exported[0]["data"])["hirerAmount"] == PRICE["amount"]
