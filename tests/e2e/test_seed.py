"""`kelmah seed` on a running platform: what it makes is there for clients, and is made once."""

import re
from typing import Any

import aiohttp
from pymongo import AsyncMongoClient

from kelmah import services
from kelmah.cli.demo.client import Api, eventually
from kelmah.cli.platform import Platform
from kelmah.cli.seed.people import PASSWORD, person_id
from kelmah.cli.seed.plan import Person, Size, Stage, make_plan
from kelmah.cli.seed.scene import Scene
from tests.e2e.conftest import SEED_DAY, Finished, run

PLAN = make_plan(1, Size.SMALL, SEED_DAY)


def seeded_people() -> list[Person]:
    """One of each role."""
    return [*PLAN.staff, PLAN.hirers[0], PLAN.workers[0]]


async def sign_in(anybody: Api, email: str) -> Api:
    session = await anybody.post("/auth/login", {"email": email, "password": PASSWORD})
    return anybody.signed_in(session["accessToken"])


async def test_it_says_what_it_made(seeded: Finished) -> None:
    made = dict(re.findall(r"│ (?:deals, )?([a-z ]+?) +│ (\d+)", seeded.stdout))
    assert made.pop("people") == "20"
    assert made.keys() == {stage.value for stage in Stage}
    assert sum(map(int, made.values())) == len(PLAN.deals)
    assert "The ledger balances" in seeded.stdout


async def test_again_it_adds_nothing(running_platform: Platform, seeded: Finished) -> None:
    again = await run("kelmah", "seed", env=running_platform.env)
    assert again.status == 0, again.stderr
    assert "is here already: nothing was added" in again.stdout
    assert seeded.stdout.splitlines()[-1] == again.stdout.splitlines()[-1]  # as many entries in the ledger


async def test_clients_find_it(running_platform: Platform, seeded: Finished) -> None:
    deal = next(deal for deal in PLAN.deals if deal.stage is Stage.REVIEWED)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        anybody = Api(session, running_platform.gateway_url)
        worker = await sign_in(anybody, deal.worker.email)
        me = await worker.get("/users/me")
        assert (me["location"]["city"], me["phone"]) == (deal.worker.location.city, f"+233{deal.worker.phone[1:]}")
        contracts = (await worker.get("/contracts?status=completed&limit=100"))["items"]
        contract = next(one for one in contracts if one["title"] == deal.title)
        assert contract["value"]["amount"] == deal.price
        # Ids are the plan's, so another machine has the same.
        assert me["userId"] == person_id(PLAN, deal.worker)
        assert contract["jobId"] == Scene(f"{PLAN.seed}/{deal.name}", deal.begins).first_id
        assert contract["createdAt"] > deal.begins.isoformat()[:19]
        wallet = await worker.get("/payments/wallet")
        assert wallet["balances"][0]["available"]["amount"] >= deal.price - deal.price // 10
        assert (await anybody.get(f"/users/{me['userId']}/reputation"))["reviewCount"] >= 1

        async def told() -> Any:
            page = await worker.get("/notifications?limit=100")
            return {"escrow_released", "review_revealed"} <= {one["kind"] for one in page["items"]} or None

        await eventually("the notifications", told)


async def test_projections_are_what_the_events_make_anew(running_platform: Platform, seeded: Finished) -> None:
    async with AsyncMongoClient[dict[str, Any]](running_platform.env["KELMAH_MONGO_URL"], tz_aware=True) as client:

        async def all_told() -> bool | None:
            for name in services.NAMES:
                if await client[f"kelmah_{name}"]["events"].find_one({"pending": True}):
                    return None
            return True

        await eventually("the relays", all_told)
        sound = await run("kelmah", "events", "rebuild", "--check", env=running_platform.env)
        assert sound.status == 0, sound.stdout + sound.stderr
        lines = sound.stdout.splitlines()
        assert len(lines) == 11
        assert all(line.endswith(": 0 differences") for line in lines)
        assert "payment.balances: 0 differences" in lines

        accounts = client["kelmah_payment"]["ledger_accounts"]
        wallet = await accounts.find_one({"kind": "wallet"})
        assert wallet is not None
        only = ("--only", "payment.balances")
        await accounts.update_one({"_id": wallet["_id"]}, {"$inc": {"balance": 1}})
        try:
            found = await run("kelmah", "events", "rebuild", "--check", *only, env=running_platform.env)
            mended = await run("kelmah", "events", "rebuild", *only, env=running_platform.env)
        finally:
            await accounts.update_one({"_id": wallet["_id"]}, {"$set": {"balance": wallet["balance"]}})
        assert found.status == 1
        assert found.stdout.startswith(f"payment.balances: {wallet['_id']}: should be ")
        assert mended.status == 0, mended.stderr
        assert mended.stdout.splitlines()[-1] == "payment.balances: 1 differences, 1 mended"


async def test_production_is_left_alone(running_platform: Platform) -> None:
    refused = await run("kelmah", "seed", env={**running_platform.env, "KELMAH_ENVIRONMENT": "production"})
    assert refused.status == 1
    assert "this is production" in refused.stderr
    assert refused.stdout == ""
