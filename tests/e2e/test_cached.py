"""A cached answer of the running platform is made old by what happens in a service."""

import asyncio
from typing import Any

import pytest

from kelmah.cli.demo.client import Api
from tests.e2e.test_bad_input import people

__all__ = ["people"]
pytestmark = pytest.mark.slow

#: Seconds, fewer than the 30 for which the answer would be good by itself.
PATIENCE_S = 25
JOB = {
    "title": "Rewire a three-room house",
    "description": "Old wiring out, new wiring and sockets in, tested and labelled.",
    "category": "electrical",
    "skills": ["electrician"],
    "budget": {"amount": 50_000, "currency": "GHS"},
    "location": {"region": "Greater Accra", "city": "Accra", "coordinates": [-0.187, 5.6037]},
}


async def facets(api: Api) -> tuple[str, Any]:
    async with api.session.get(f"{api.url}/api/v1/jobs/facets") as answer:
        assert answer.status == 200
        return answer.headers["cache-status"], await answer.json()


async def test_a_published_job_makes_the_facets_old_before_their_time(people: list[Api]) -> None:
    anybody, hirer = people[0], people[-2]
    job = await hirer.post("/jobs", JOB)
    async with asyncio.timeout(PATIENCE_S):
        _, before = await facets(anybody)
        assert (await facets(anybody))[0] == "kelmah; hit"
        await hirer.post(f"/jobs/{job['id']}/publish")
        while (found := await facets(anybody))[1]["count"] == before["count"]:  # noqa: ASYNC110  # another process's doing
            await asyncio.sleep(0.1)
    assert found[1]["count"] == before["count"] + 1
    assert (await facets(anybody))[0] == "kelmah; hit"
