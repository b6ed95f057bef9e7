"""What the job service keeps that follows from its events, or from the text of its jobs."""

from collections.abc import AsyncIterator

from kelmah.contracts.job import ApplicationReceived
from kelmah.kit.projections import Change, History, Projection, projection
from kelmah.services.job.documents import jobs
from kelmah.services.job.service.context import Context
from kelmah.services.job.service.jobs import search_fields


def projections(context: Context) -> list[Projection]:
    """Counts of applications, and what searches go by."""
    rows = context.mongo.collection("jobs")
    return [
        projection(
            "job.application_counts",
            _application_counts,
            of=rows,
            fields=("application_count",),
            empty={"application_count": 0},
        ),
        projection("job.search", _search, of=rows, fields=("terms", "trades", "open_to", "counted_as")),
    ]


async def _application_counts(history: History) -> AsyncIterator[Change]:
    async for _, event in history.of(ApplicationReceived):
        yield Change(event.job_id, {"$inc": {"application_count": 1}})


async def _search(_: History) -> AsyncIterator[Change]:
    async for job in jobs.every():
        yield Change(job.id, {"$set": search_fields(job)})
