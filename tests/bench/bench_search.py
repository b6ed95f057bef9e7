"""How fast jobs are found: each search by 20 callers at once through the service's door, beside its raw queries.

`KELMAH_BENCH_JOBS` says how many open jobs there are, one table a number, the smallest first (10000,200000);
`KELMAH_BENCH_ROUNDS` how often each caller asks (10); `KELMAH_BENCH_ONLY` names the searches to measure (by `;`):

    nox -s bench -- search
"""

import logging
import os
import random
from collections.abc import Iterator
from datetime import timedelta
from functools import cache, partial
from typing import Any

import pytest
import structlog
from pymongo import monitoring

from kelmah.cli import asgi
from kelmah.contracts import taxonomy
from kelmah.contracts.common import Location, Role
from kelmah.contracts.job import JobStatus
from kelmah.contracts.user import WorkerFacts
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.job.app import create_app
from kelmah.services.job.documents import DOCUMENTS
from kelmah.services.job.documents.jobs import JobDocument
from kelmah.services.job.documents.search import counted_as
from kelmah.services.job.service import lexicon, ranking, words
from kelmah.services.job.settings import JobSettings
from tests.bench import searches
from tests.bench.searches import Figures, Sent
from tests.factories.matching import TOWNS, VILLAGES, WORK
from tests.fakes.user import FakeUserClient
from tests.fixtures.service import Service, person, running, settings_for

SIZES = [int(size) for size in os.environ.get("KELMAH_BENCH_JOBS", "10000,200000").split(",")]
NOWHERE = ["http://127.0.0.1:9"]
#: Name → path below /jobs.
SEARCHES = {
    "newest": "",
    "a word": "?q=plumber",
    "words": "?q=electrician+in+kumasi",
    "a slip": "?q=elektrician",
    "a rare word": "?q=w321",
    "a trade": "?skill=tiler",
    "a family": "?category=building",
    "a region": "?region=Kumasi",
    "trade, region, urgent": "?skill=tiler&region=Kumasi&urgent=true",
    "budget": "?minBudget=50000&maxBudget=60000&sort=budget",
    "word, budget": "?q=plumber&minBudget=150000&maxBudget=151000",
    "nearest": "?near=-0.187,5.6037&radiusKm=30&sort=nearest",
    "nearest of a trade": "?near=-1.6244,6.6885&radiusKm=50&skill=mason&sort=nearest",
    "nearest with a word": "?near=-0.187,5.6037&q=plumber&sort=nearest",
    "nearest, rare word": "?near=-0.187,5.6037&radiusKm=500&q=w321&sort=nearest",
    "near, newest": "?near=-0.187,5.6037&radiusKm=30",
    "explained": "?q=plumber&near=-0.187,5.6037&sort=nearest&explain=true",
    "facets": "/facets",
    "facets of a word": "/facets?q=plumber",
    "suggestions": "/suggestions?q=elec",
    "recommendations": "/recommendations",
}


@pytest.mark.timeout(3600)
async def test_search(mongo_url: str, mongo_prefix: str, redis_url: str, redis_prefix: str) -> None:
    sent = Sent()
    monitoring.register(sent)
    found: list[dict[str, Figures]] = []
    for size in SIZES:
        settings = settings_for(
            JobSettings,
            mongo_url=mongo_url,
            mongo_prefix=searches.database_prefix(mongo_prefix, size),
            redis_url=redis_url,
            redis_prefix=redis_prefix,
            service_urls={"user": NOWHERE, "payment": NOWHERE},
            log_level="WARNING",
        )
        async with running(create_app, settings, DOCUMENTS) as service, searches.roomy(service.context.mongo):
            structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
            mongo = service.context.mongo
            await searches.fill(mongo_url, mongo, "jobs", JobDocument.Settings.indexes, _rows(), size)
            await lexicon.learn(*TOWNS, *VILLAGES)
            asgi.settle()  # as in a process that serves
            searches.print_head(f"{size:,} open jobs; load of this machine {os.getloadavg()[0]:.1f}")
            found.append({})
            kofi = _worker(service)
            for name, path in searches.chosen(SEARCHES).items():
                call = partial(_call, service, path, kofi)
                found[-1][name] = await searches.measure(call, mongo, sent)
                searches.print_row(name, found[-1][name])
    searches.print_growth(SIZES, found)


async def _call(service: Service, path: str, by: Principal) -> None:
    reply = await service.call("GET", f"/api/v1/jobs{path}", by=by)
    assert reply.status == 200, reply.data
    assert "items" in reply.data or "count" in reply.data, path


def _worker(service: Service) -> Principal:
    """A worker of three trades in Accra, whom jobs are recommended to."""
    kofi, users = person(Role.WORKER), FakeUserClient()
    place = Location(city="Accra", region="Greater Accra", coordinates=TOWNS["Accra"])
    skills = ["plumber", "tiler", "mason"]
    users.workers[kofi.user_id] = WorkerFacts(
        user_id=kofi.user_id, display_name="Kofi M.", skills=skills, location=place
    )
    service.replace(user=users)
    return kofi


def _rows() -> Iterator[dict[str, Any]]:
    """Open jobs all over Ghana without end; most are in towns."""
    chance = random.Random(7)
    now = clock.now()
    trades = [one for one in taxonomy.skills().values() if one.parent]
    names = {
        one.id: [text for part in taxonomy.lineage(one.id) for text in (part.name, *part.synonyms)] for one in trades
    }
    places = [*TOWNS.items()] * 4 + [*VILLAGES.items()]
    stems = cache(words.stems)
    number = 0
    while True:
        number += 1
        trade = chance.choice(trades)
        family = taxonomy.lineage(trade.id)[-1].id
        town, (lng, lat) = chance.choice(places)
        title = (chance.choice([trade.name, *trade.synonyms]), chance.choice(WORK))
        description = [*chance.choices(WORK, k=12), f"w{number % 5000}"]
        texts = (*title, *names[trade.id], town, *description)
        at = now - timedelta(seconds=chance.randrange(60 * 86_400))
        point = [round(lng + chance.gauss(0, 0.15), 4), round(lat + chance.gauss(0, 0.15), 4)]
        yield {
            "_id": new_id(),
            "hirer_id": f"hirer{number % 9973}",
            "status": JobStatus.OPEN.value,
            "version": 2,
            "title": " ".join(title),
            "description": " ".join(description),
            "category": family,
            "skills": [trade.id],
            "trades": [family, trade.id],
            "terms": list(dict.fromkeys(stem for text in texts for stem in stems(text))),
            "open_to": ranking.open_to([trade.id], family),
            "counted_as": counted_as([family, trade.id], town),
            "budget": {"amount": chance.randrange(5, 200) * 1000, "currency": "GHS"},
            "location": {
                "city": town,
                "region": town,
                "region_key": taxonomy.fold(town),
                "point": {"type": "Point", "coordinates": point},
            },
            "urgent": chance.random() < 0.05,
            "application_count": 0,
            "created_at": at,
            "updated_at": at,
            "published_at": at,
            "expires_at": now + timedelta(days=60),
        }
