"""A sealed review against everything that the gateway publishes: every readable operation, as everybody, finds no word.

`tests/integration/review/test_sealed.py` shows more of the review service itself: that answers do not even differ.
"""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
from yarl import URL

from kelmah.cli.demo.client import Api
from kelmah.cli.platform import Platform
from kelmah.cli.seed.plan import Stage
from tests.e2e.conftest import Finished, run
from tests.e2e.test_seed import PLAN, seeded_people, sign_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WORD = "Quartzwillow"
ID_NAMES = re.compile(r"\{(\w+)\}")


@pytest.fixture
async def anybody(running_platform: Platform, seeded: Finished) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield Api(session, running_platform.gateway_url)


async def test_no_operation_shows_a_sealed_review(anybody: Api, running_platform: Platform) -> None:
    deal = next(deal for deal in PLAN.deals if deal.stage is Stage.RELEASED)
    hirer, worker = await sign_in(anybody, deal.hirer.email), await sign_in(anybody, deal.worker.email)
    contracts = (await hirer.get("/contracts?status=completed&limit=100"))["items"]
    contract = next(one for one in contracts if one["title"] == deal.title)
    text = f"{WORD} says: a thief and a fool, ring 0244 123 456."
    note = f"{WORD} would not come again."
    body = {"contractId": contract["id"], "rating": 1, "text": text, "privateNote": note}
    review = await hirer.post("/reviews", body)
    assert review["status"] == "sealed"

    callers: dict[str, Api] = {"nobody": anybody, "the subject": worker}
    for one in seeded_people():
        if one.email == deal.hirer.email:
            continue  # its author reads it
        callers[one.email] = await sign_in(anybody, one.email)
    # Everything that a path can name: the review, its contract and job, its people.
    ids = {
        review["id"], contract["id"], contract["jobId"], review["subjectId"], review["reviewerId"],
        *(one["id"] for one in (await worker.get("/conversations"))["items"]),
    }  # fmt: skip
    async with anybody.session.get(f"{anybody.url}/openapi.json") as answer:
        document = await answer.json()
    targets = sorted(set(readable(document, sorted(ids))))
    assert len(targets) > 150
    seen: dict[int, int] = {}
    for name, api in callers.items():
        for target in targets:
            url = URL(f"{api.url}{target}", encoded=True)
            async with api.session.get(url, headers=api.headers, allow_redirects=False) as answer:
                found = await answer.read()
            assert WORD.encode() not in found, (name, target)
            seen[answer.status] = seen.get(answer.status, 0) + 1
    assert seen[200] > 200, seen
    # Its author reads it, so the word would have been found.
    assert (await hirer.get(f"/reviews/{review['id']}"))["text"] == text

    env = running_platform.env
    events = await run("kelmah", "events", "list", "--subject", f"review:{review['id']}", env=env)
    assert "review_submitted" in events.stdout, events.stderr
    assert WORD not in events.stdout
    mails = [one.read_bytes() for one in running_platform.mailbox.glob("*/*")]
    assert not any(WORD.encode() in one for one in mails)


def readable(document: dict[str, Any], ids: list[str]) -> Iterator[str]:
    """Every GET, with each id in its path, and each query that names a person or asks for one's own."""
    for path, operations in document["paths"].items():
        if "get" not in operations:
            continue
        names = ID_NAMES.findall(path)
        paths = [ID_NAMES.sub(one, path) for one in ids] if names else [path]
        queries = [one["name"] for one in operations["get"].get("parameters", []) if one["in"] == "query"]
        for target in paths:
            yield target
            for name in queries:
                values = ids if name.lower().endswith("id") else ["true"] if name in ("mine", "all") else []
                yield from (f"{target}?{name}={value}" for value in values)
