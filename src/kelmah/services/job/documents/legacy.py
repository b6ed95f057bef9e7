"""Queries of the move out of the old database."""

from collections.abc import Sequence

from pymongo import UpdateOne

from kelmah.contracts.job import ContractStatus
from kelmah.kit.mongo import session
from kelmah.services.job.documents.applications import LIVE, ApplicationDocument
from kelmah.services.job.documents.contracts import ContractDocument
from kelmah.services.job.documents.jobs import JobDocument

_LIVE_CONTRACTS = [ContractStatus.OFFERED.value, ContractStatus.AWAITING_SIGNATURES.value, ContractStatus.ACTIVE.value]


async def jobs_by_id(ids: Sequence[str]) -> list[JobDocument]:
    return await JobDocument.find({"_id": {"$in": list(ids)}}, session=session()).to_list()


async def applications_by_id(ids: Sequence[str]) -> list[ApplicationDocument]:
    return await ApplicationDocument.find({"_id": {"$in": list(ids)}}, session=session()).to_list()


async def contracts_by_id(ids: Sequence[str]) -> list[ContractDocument]:
    return await ContractDocument.find({"_id": {"$in": list(ids)}}, session=session()).to_list()


async def live_applications(job_ids: Sequence[str]) -> set[tuple[str, str]]:
    """Job and worker of the live applications to these jobs."""
    wanted = {"job_id": {"$in": list(job_ids)}, "status": {"$in": [one.value for one in LIVE]}}
    rows = ApplicationDocument.get_pymongo_collection().find(wanted, {"job_id": 1, "worker_id": 1}, session=session())
    return {(row["job_id"], row["worker_id"]) async for row in rows}


async def contracted(job_ids: Sequence[str], application_ids: Sequence[str]) -> tuple[set[str], set[str]]:
    """Those of these jobs that have a live contract, and those of these applications that have any."""
    wanted = {"$or": [{"job_id": {"$in": list(job_ids)}}, {"application_id": {"$in": list(application_ids)}}]}
    fields = {"job_id": 1, "application_id": 1, "status": 1}
    jobs, applications = set(), set()
    async for row in ContractDocument.get_pymongo_collection().find(wanted, fields, session=session()):
        applications.add(row.get("application_id", ""))
        if row["status"] in _LIVE_CONTRACTS:
            jobs.add(row["job_id"])
    return jobs, applications


async def count_applications(counts: dict[str, int]) -> None:
    """Add to what jobs count of their applications."""
    changes = [UpdateOne({"_id": job_id}, {"$inc": {"application_count": count}}) for job_id, count in counts.items()]
    if changes:
        await JobDocument.get_pymongo_collection().bulk_write(changes, ordered=False, session=session())
