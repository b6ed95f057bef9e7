"""The steps of a job's life, each one call, for tests that need what comes after them."""

from typing import Any

from kelmah.contracts.common import Role
from kelmah.kit.context import Principal
from kelmah.services.job.service import milestones
from tests.fixtures.service import Reply, Service, person

ACCRA = [-0.187, 5.6037]
TEMA = [-0.0166, 5.6698]
KUMASI = [-1.6244, 6.6885]
JOB: dict[str, Any] = {
    "title": "Fix a leaking kitchen sink",
    "description": "The pipe under the sink drips.\nPlease bring your own tools.",
    "category": "Water and sanitation",
    "skills": ["Plumbing", "Pump repair"],
    "budget": {"amount": 50_000, "currency": "GHS"},
    "location": {"city": "Accra", "region": "Greater Accra", "coordinates": ACCRA},
}
OFFER: dict[str, Any] = {
    "proposedRate": {"amount": 45_000, "currency": "GHS"},
    "coverLetter": "I have done this for ten years.",
}
API = "/api/v1"


class Desk:
    """Takes jobs through their life. Every step must succeed; what it answers is returned."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def call(self, method: str, path: str, body: Any = None, **more: Any) -> Reply:
        return await self.service.call(method, API + path, body, **more)

    async def ok(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        reply = await self.call(method, path, body, **more)
        assert reply.status in (200, 201, 204), reply.data
        return reply.data

    async def draft(self, hirer: Principal, **changes: Any) -> Any:
        return await self.ok("POST", "/jobs", JOB | changes, by=hirer)

    async def open_job(self, hirer: Principal, **changes: Any) -> Any:
        job = await self.draft(hirer, **changes)
        return await self.ok("POST", f"/jobs/{job['id']}/publish", by=hirer)

    async def application(self, job_id: str, worker: Principal, **changes: Any) -> Any:
        return await self.ok("POST", f"/jobs/{job_id}/applications", OFFER | changes, by=worker)

    async def contract(self, hirer: Principal, worker: Principal, **changes: Any) -> Any:
        job = await self.open_job(hirer)
        application = await self.application(job["id"], worker, **changes)
        accepted = await self.ok("POST", f"/applications/{application['id']}/accept", by=hirer)
        return accepted["contract"]

    async def active(self, hirer: Principal, worker: Principal, **changes: Any) -> Any:
        contract = await self.contract(hirer, worker, **changes)
        for side in (hirer, worker):
            contract = await self.ok("POST", f"/contracts/{contract['id']}/sign", by=side)
        return contract

    async def money(self, contract_id: str, milestone_id: str, state: str, escrow_id: str = "e1") -> Reply:
        path = f"/internal/contracts/{contract_id}/milestones/{milestone_id}/money"
        body = {"state": state, "escrowId": escrow_id}
        return await self.service.call("POST", path, body, caller="payment")

    async def dispute(self, contract_id: str, milestone_id: str, *, is_open: bool = True, sequence: int = 2) -> None:
        """What payment tells of a dispute."""
        context, escrow_id = self.service.context, "e1"
        await milestones.note_dispute(
            context, contract_id, milestone_id, is_open=is_open, sequence=sequence, escrow_id=escrow_id
        )

    async def submitted(self, hirer: Principal, worker: Principal, **changes: Any) -> tuple[Any, str]:
        """An active contract whose first milestone is funded and handed in; with that milestone's id."""
        contract = await self.active(hirer, worker, **changes)
        milestone_id = contract["milestones"][0]["id"]
        await self.money(contract["id"], milestone_id, "funded")
        await self.ok("POST", milestone(contract["id"], milestone_id, "submit"), {"note": "Done."}, by=worker)
        return contract, milestone_id

    async def events(self, subject: str) -> list[str]:
        """The types of a subject's events, in their order, without the prefix and the version."""
        rows = self.service.context.mongo.collection("events").find({"subject": subject}).sort("sequence")
        return [row["type"].removeprefix("job.").removesuffix(".v1") async for row in rows]

    async def timers(self, contract_id: str) -> list[str]:
        rows = self.service.context.mongo.collection("timers").find({"args": contract_id})
        return [row["_id"] async for row in rows]


def milestone(contract_id: str, milestone_id: str, action: str) -> str:
    return f"/contracts/{contract_id}/milestones/{milestone_id}/{action}"


def hirer() -> Principal:
    return person(Role.HIRER)


def worker() -> Principal:
    return person(Role.WORKER)
