"""The payment service on a real database, with cards and jobs in memory."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from kelmah.contracts.common import Role
from kelmah.contracts.job import ContractFacts
from kelmah.contracts.payment import Provider
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.idempotency import Answer, IdempotencyKeys, Reservation
from kelmah.kit.ids import new_id
from kelmah.services.payment.app import create_app
from kelmah.services.payment.documents import DOCUMENTS
from kelmah.services.payment.service import end_step, verify_ledger
from kelmah.services.payment.settings import PaymentSettings
from tests.fakes.cards import FakeCards
from tests.fakes.jobs import FakeJobClient
from tests.fixtures.service import Reply, Service, person, running, settings_for

API = "/api/v1/payments"
WEBHOOK_SECRETS = ["whsec_new", "whsec_old"]


@pytest.fixture(autouse=True)
def _all_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is answered with success was kept in the transaction of its effect: no crash can have it done twice."""
    keep = IdempotencyKeys.keep

    async def checked(self: IdempotencyKeys, reservation: Reservation, answer: Answer) -> None:
        assert reservation.remembered == answer
        await keep(self, reservation, answer)

    monkeypatch.setattr(IdempotencyKeys, "keep", checked)


class Payments:
    """The running service and its neighbours, with the steps that most tests take."""

    def __init__(self, service: Service, cards: FakeCards, jobs: FakeJobClient) -> None:
        self.service = service
        self.cards = cards
        self.jobs = jobs

    @property
    def context(self) -> Any:
        return self.service.context

    async def post(
        self, path: str, body: Any = None, *, by: Principal, key: str | None = None, caller: str = "gateway"
    ) -> Reply:
        headers = {"Idempotency-Key": key or new_id()}
        if path == "/methods":  # no test that calls this is about how long ago one signed in
            by = msgspec.structs.replace(by, authenticated_at=int(clock.now().timestamp()))
        return await self.service.call("POST", API + path, body, by=by, headers=headers, caller=caller)

    async def get(self, path: str, *, by: Principal) -> Reply:
        return await self.service.call("GET", API + path, by=by)

    async def deposit(
        self, by: Principal, amount: int, *, currency: str = "GHS", method: str = "pm_card_visa", key: str | None = None
    ) -> Reply:
        body = {"amount": {"amount": amount, "currency": currency}, "paymentMethod": method}
        return await self.post("/wallet/deposits", body, by=by, key=key)

    async def available(self, by: Principal, currency: str = "GHS") -> int:
        balances = (await self.get("/wallet", by=by)).data["balances"]
        return next((int(one["available"]["amount"]) for one in balances if one["currency"] == currency), 0)

    async def hirer_with(self, amount: int) -> Principal:
        hirer = person(Role.HIRER)
        assert (await self.deposit(hirer, amount)).status == 201
        return hirer

    async def fund(self, contract: ContractFacts, index: int = 0, *, by: Principal, key: str | None = None) -> Reply:
        body = {"contractId": contract.id, "milestoneId": contract.milestones[index].id}
        return await self.post("/escrows", body, by=by, key=key)

    async def account_of(self, by: Principal, account: str = "acct_mine") -> str:
        """An account that this person can withdraw to."""
        reply = await self.post("/methods", {"token": account}, by=by)
        assert reply.status == 201
        return str(reply.data["id"])

    async def withdraw(
        self, by: Principal, amount: int, method_id: str, *, currency: str = "GHS", key: str | None = None
    ) -> Reply:
        body = {"amount": {"amount": amount, "currency": currency}, "methodId": method_id}
        return await self.post("/wallet/withdrawals", body, by=by, key=key)

    async def rich(self, amount: int, role: Role = Role.WORKER) -> Principal:
        """Somebody who signed in just now and whose money has been in the wallet for long."""
        who = person(role)
        assert (await self.deposit(who, amount)).status == 201
        clock.shift(timedelta(hours=25))
        return msgspec.structs.replace(who, authenticated_at=int(clock.now().timestamp()))

    async def held(self, by: Principal, currency: str = "GHS") -> int:
        balances = (await self.get("/wallet", by=by)).data["balances"]
        return next((int(one["held"]["amount"]) for one in balances if one["currency"] == currency), 0)

    async def funded(self, amount: int = 10_000) -> tuple[Principal, Principal, str]:
        """A hirer and a worker with an escrow of `amount` between them, and its id."""
        hirer, worker = await self.hirer_with(amount), person(Role.WORKER)
        reply = await self.fund(self.jobs.make_contract(hirer.user_id, worker.user_id, amount), by=hirer)
        assert reply.status == 201
        return hirer, worker, reply.data["id"]

    async def events(self, kind: str, **facts: str) -> list[dict[str, Any]]:
        """Data of the events of a type that carry these facts."""
        rows = self.context.mongo.collection("events").find({"type": f"payment.{kind}.v1"}).sort("_id")
        found = [json.loads(row["data"]) async for row in rows]
        return [one for one in found if facts.items() <= one.items()]

    async def brought(self, worker: Principal) -> Principal:
        """Somebody who brought this worker, as the worker said."""
        referrer = person(Role.WORKER)
        code = (await self.get("/referral-code", by=referrer)).data["code"]
        assert (await self.post("/referrer", {"code": code}, by=worker)).status == 201
        return referrer

    async def disputed(self, amount: int = 1_000, *, raised_by: int = 0) -> tuple[Principal, Principal, str]:
        """A hirer and a worker with a dispute over `amount` between them, and its id."""
        *sides, escrow_id = await self.funded(amount)
        body = {"escrowId": escrow_id, "reason": "The wall leans."}
        reply = await self.post("/disputes", body, by=sides[raised_by])
        assert reply.status == 201
        return sides[0], sides[1], reply.data["id"]

    async def rule(self, dispute_id: str, worker: int, hirer: int, *, by: Principal | None = None) -> Reply:
        body = {"workerAmount": worker, "hirerAmount": hirer, "note": "as the photos show"}
        return await self.post(f"/disputes/{dispute_id}/resolve", body, by=by or person(Role.SUPPORT))

    async def let_pass(self, dispute_id: str) -> None:
        """The deadline of a dispute's step comes, and its timer goes off."""
        timer = await self.timer(f"dispute:{dispute_id}")
        assert timer is not None
        self.shift_to(timer["due"])
        await end_step(self.context, *timer["args"])

    def shift_to(self, instant: datetime) -> None:
        """Move the clock just past an instant."""
        clock.shift(instant - clock.now() + timedelta(seconds=1))

    async def books(self) -> list[dict[str, Any]]:
        """The whole ledger: every entry and every account."""
        return [
            row
            for name in ("ledger_entries", "ledger_accounts")
            async for row in self.context.mongo.collection(name).find().sort("_id")
        ]

    @asynccontextmanager
    async def untouched(self) -> AsyncIterator[None]:
        """What happens inside must leave the ledger as it is, to the last entry."""
        before = await self.books()
        yield
        assert await self.books() == before

    async def timer(self, key: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = await self.context.mongo.collection("timers").find_one({"_id": key})
        return found


async def clear(payments: Payments) -> None:
    """Forget all that the service keeps."""
    for document in DOCUMENTS:
        await document.get_pymongo_collection().delete_many({})


@pytest.fixture(scope="module")
async def running_service(
    mongo_url: str, mongo_prefix: str, redis_url: str, redis_prefix: str
) -> AsyncIterator[Service]:
    settings = settings_for(
        PaymentSettings,
        mongo_url=mongo_url,
        mongo_prefix=f"{mongo_prefix}{new_id()[-6:]}_",
        redis_url=redis_url,
        redis_prefix=redis_prefix,
        service_urls={"job": ["http://127.0.0.1:9"]},
        stripe_api_key="sk_test_unused",
        stripe_base_url="http://127.0.0.1:9",
        stripe_webhook_secrets=WEBHOOK_SECRETS,
        stripe_timeout_s=2,
        max_waiting_requests=1000,
    )
    async with running(create_app, settings, DOCUMENTS) as service:
        yield service


@pytest.fixture
async def payments(running_service: Service) -> AsyncIterator[Payments]:
    """The service with fakes of this test's own. Afterwards the whole ledger must be sound, whatever happened."""
    before = running_service.context
    cards, jobs = FakeCards(before.providers[Provider.STRIPE].read_webhook), FakeJobClient()
    running_service.replace(providers={Provider.STRIPE: cards}, job=jobs)
    try:
        yield Payments(running_service, cards, jobs)
        report = await verify_ledger(running_service.context)
        assert report.faults == []
    finally:
        running_service.app.state.context = before
        clock.reset()
