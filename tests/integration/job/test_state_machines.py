"""Random walks of a job over the running service beside its table: each step is legal in both or refused in both."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kelmah.contracts.job import JobStatus
from kelmah.kit import clock
from kelmah.services.job import service
from kelmah.services.job.service.states import (
    EDITABLE_JOB,
    JOB_TRANSITIONS,
)
from tests.integration.job.steps import OFFER, Desk, hirer, worker

WALKS = settings(
    max_examples=6,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass
class JobModel:
    """What a job should be."""

    status: JobStatus | None = JobStatus.DRAFT
    version: int = 1
    waiting: list[str] = field(default_factory=list)
    contract: Any = None

    def to(self, target: JobStatus) -> bool:
        """Take the step if the table has it."""
        if self.status is None or target not in JOB_TRANSITIONS[self.status]:
            return False
        self.status = target
        self.version += 1
        return True


JOB_STEPS = ["publish", "expire", "pause", "close", "edit", "delete", "apply", "accept", "cancel", "finish"]


@WALKS
@example(["publish", "apply", "accept", "cancel", "publish", "apply", "accept", "finish", "close"])
@example(["publish", "apply", "pause", "accept", "publish", "accept", "edit", "delete"])
@example(["publish", "apply", "close", "accept", "publish", "edit"])
@example(["publish", "apply", "expire", "pause", "apply", "edit", "accept", "cancel", "expire"])
@example(["publish", "apply", "expire", "publish", "expire", "close", "expire"])
@example(["edit", "delete", "publish", "edit"])
@given(st.lists(st.sampled_from(JOB_STEPS), max_size=14))
async def test_jobs_follow_their_table(desk: Desk, steps: list[str]) -> None:
    anna = hirer()
    job_id = (await desk.draft(anna))["id"]
    model = JobModel()
    for step in steps:
        await _walk(desk, anna, job_id, model, step)
        seen = await desk.call("GET", f"/jobs/{job_id}", by=anna)
        if model.status is None:
            assert seen.status == 404
        else:
            assert (seen.data["status"], seen.data["version"]) == (model.status.value, model.version), step


async def _walk(desk: Desk, anna: Any, job_id: str, model: JobModel, step: str) -> None:
    """Take one step in the service and in the model, and compare the answer."""
    path = f"/jobs/{job_id}"
    refused = 404 if model.status is None else 409
    if step in ("publish", "pause", "close"):
        target = {"publish": JobStatus.OPEN, "pause": JobStatus.PAUSED, "close": JobStatus.CANCELLED}[step]
        legal = not (step == "pause" and model.status is not JobStatus.OPEN) and model.to(target)
        assert (await desk.call("POST", f"{path}/{step}", by=anna)).status == (200 if legal else refused)
        if legal and step == "close":
            model.waiting.clear()
    elif step == "expire":
        clock.shift(timedelta(days=61))
        await service.expire_job(desk.service.context, job_id)
        clock.reset()
        model.to(JobStatus.EXPIRED)
    elif step == "edit":
        tag = {"If-Match": f'"{model.version}"'}
        legal = model.status in EDITABLE_JOB
        reply = await desk.call("PATCH", path, {"title": "Other"}, by=anna, headers=tag)
        assert reply.status == (200 if legal else refused)
        model.version += legal
    elif step == "delete":
        legal = model.status is JobStatus.DRAFT
        assert (await desk.call("DELETE", path, by=anna)).status == (204 if legal else refused)
        model.status = None if legal else model.status
    elif step == "apply":
        reply = await desk.call("POST", f"{path}/applications", OFFER, by=worker())
        if model.status is JobStatus.OPEN:
            model.waiting.append(reply.data["id"])
        assert reply.status == (201 if model.status is JobStatus.OPEN else 404 if hidden(model) else 409)
    elif step == "accept" and model.waiting:
        reply = await desk.call("POST", f"/applications/{model.waiting[-1]}/accept", by=anna)
        legal = model.to(JobStatus.IN_PROGRESS)
        assert reply.status == (200 if legal else 409)
        if legal:
            model.contract = reply.data["contract"]
            model.waiting.clear()
    elif step in ("cancel", "finish") and model.contract is not None:
        await _end_contract(desk, anna, model, step)


def hidden(model: JobModel) -> bool:
    """Whether nobody but the hirer sees the job."""
    return model.status in (None, JobStatus.DRAFT)


async def _end_contract(desk: Desk, anna: Any, model: JobModel, step: str) -> None:
    contract = f"/contracts/{model.contract['id']}"
    if step == "cancel":
        assert (await desk.call("POST", f"{contract}/cancel", by=anna)).status == 200
        assert model.to(JobStatus.PAUSED)
    else:
        by_worker = type(anna)(user_id=model.contract["workerId"], role="worker", session_id="s")
        for side in (anna, by_worker):
            await desk.ok("POST", f"{contract}/sign", by=side)
        await desk.money(model.contract["id"], model.contract["milestones"][0]["id"], "released")
        assert model.to(JobStatus.COMPLETED)
    model.contract = None
