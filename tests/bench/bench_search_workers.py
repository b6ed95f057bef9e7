"""How fast workers are found: each search by 20 callers at once through the service's door, beside its raw queries.

`KELMAH_BENCH_WORKERS` says how many workers there are, one table a number, the smallest first (10000,50000);
`KELMAH_BENCH_ROUNDS` how often each caller asks (10); `KELMAH_BENCH_ONLY` names the searches to measure (by `;`):

    nox -s bench -- search_workers
"""

import logging
import os
import random
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import structlog
from pymongo import monitoring

from kelmah.cli import asgi
from kelmah.contracts import regions, taxonomy
from kelmah.contracts.common import Role
from kelmah.kit import clock
from kelmah.kit.ids import new_id
from kelmah.services.job.service.matching import CANDIDATES
from kelmah.services.user.app import create_app
from kelmah.services.user.documents import DOCUMENTS
from kelmah.services.user.documents import profiles as documents
from kelmah.services.user.documents.profiles import Place, Point, ProfileDocument, Rate, SkillEntry, SlotEntry
from kelmah.services.user.service import profiles, spelling
from kelmah.services.user.settings import UserSettings
from tests.bench import searches
from tests.bench.searches import Figures, Sent
from tests.fixtures.service import Service, person, running, settings_for

SIZES = [int(size) for size in os.environ.get("KELMAH_BENCH_WORKERS", "10000,50000").split(",")]
#: Different people; the others are one of these with another place, rate, rating and number.
PEOPLE = 2_000
TOWNS = {
    "Accra": ("Greater Accra", -0.187, 5.604), "Tema": ("Greater Accra", -0.017, 5.670),
    "Kumasi": ("Ashanti", -1.624, 6.689), "Tamale": ("Northern", -0.843, 9.401),
    "Takoradi": ("Western", -1.760, 4.890), "Cape Coast": ("Central", -1.250, 5.105),
    "Ho": ("Volta", 0.471, 6.601), "Wa": ("Upper West", -2.509, 10.060),
}  # fmt: skip
WORDS = [
    "neat", "quick", "honest", "tools", "van", "weekend", "team", "houses", "hotels",
    "shops", "schools", "repairs", "old", "new", "small", "large",
]  # fmt: skip
NAMES = [
    "Ama", "Kofi", "Esi", "Yaw", "Abena", "Kwame", "Akosua", "Kojo", "Efua", "Kwesi",
    "Adwoa", "Fiifi", "Zainab", "Musa", "Selorm", "Dela", "Nii", "Naa",
]  # fmt: skip
#: Name → path; DAY is a Monday.
SEARCHES = {
    "best rated": "/workers?minRating=1",
    "a word": "/workers?q=plumber",
    "words": "/workers?q=electrician+in+kumasi",
    "slips": "/workers?q=elektrician+akosau",
    "a rare word": "/workers?q=number321",
    "a trade": "/workers?skill=tiler",
    "a family": "/workers?skill=electrical",
    "a region": "/workers?region=Upper+West",
    "a rare language": "/workers?language=fr",
    "cheapest": "/workers?maxRate=3000&sort=rate",
    "free on a day": "/workers?skill=painter&availableOn=DAY",
    "near": "/workers?near=-0.187,5.604",
    "near, trade": "/workers?near=-1.624,6.689&skill=mason&radiusKm=100",
    "near, rare word": "/workers?near=-0.187,5.604&radiusKm=500&q=number321",
    "near, best rated": "/workers?near=-0.187,5.604&sort=rating",
    "all of it, explained": "/workers?near=-0.187,5.604&skill=electrical&language=tw&maxRate=8000&minRating=3"
    "&availableOn=DAY&explain=true",
    "facets": "/workers/facets",
    "facets of a word": "/workers/facets?q=plumber",
    "suggestions": "/search/suggestions?q=elec",
    "hirers": "/hirers?q=hotel",
    "facts for a job": f"/internal/workers?limit={CANDIDATES}&skills=plumber&skills=tiler&lng=-0.187&lat=5.604",
}


@pytest.mark.timeout(3600)
async def test_search(mongo_url: str, mongo_prefix: str, redis_url: str, redis_prefix: str) -> None:
    sent = Sent()
    monitoring.register(sent)
    found: list[dict[str, Figures]] = []
    for size in SIZES:
        settings = settings_for(
            UserSettings,
            mongo_url=mongo_url,
            mongo_prefix=searches.database_prefix(mongo_prefix, size),
            redis_url=redis_url,
            redis_prefix=redis_prefix,
            service_urls={"auth": ["http://127.0.0.1:9"]},
            log_level="WARNING",
        )
        async with running(create_app, settings, DOCUMENTS) as service, searches.roomy(service.context.mongo):
            structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
            mongo = service.context.mongo
            await searches.fill(mongo_url, mongo, "profiles", ProfileDocument.Settings.indexes, _rows(), size)
            await spelling.learn(sorted({word for text in (*WORDS, *NAMES, *TOWNS) for word in text.lower().split()}))
            asgi.settle()  # as in a process that serves
            searches.print_head(f"{size:,} workers and hirers; load of this machine {os.getloadavg()[0]:.1f}")
            found.append({})
            for name, path in searches.chosen(SEARCHES).items():
                call = partial(_call, service, path.replace("DAY", _day()))
                found[-1][name] = await searches.measure(call, mongo, sent)
                searches.print_row(name, found[-1][name])
    searches.print_growth(SIZES, found)


async def _call(service: Service, path: str) -> None:
    if path.startswith("/internal"):
        reply = await service.call("GET", path, caller="job")
        assert len(reply.data) == CANDIDATES
        return
    reply = await service.call("GET", f"/api/v1{path}", by=ADMIN)
    assert reply.status == 200, reply.data
    assert reply.data.get("items") or reply.data.get("total"), path


ADMIN = person(Role.ADMIN)


def _day() -> str:
    """A Monday."""
    today = clock.now().date()
    return (today + timedelta(days=7 - today.weekday())).isoformat()


def _rows() -> Iterator[dict[str, Any]]:
    """People all over Ghana without end; most are in the first towns, and one in twenty is a hirer."""
    chance = random.Random(7)
    people = [_person(chance) for _ in range(PEOPLE)]
    number = 0
    while True:
        number += 1
        row, (lng, lat) = chance.choice(people)
        reviews = chance.choice([0, 0, 1, 5, 40])
        point = {"type": "Point", "coordinates": [round(one + chance.gauss(0, 0.1), 2) for one in (lng, lat)]}
        yield row | {
            "_id": new_id(),
            "place": row["place"] | {"point": point},
            "hourly_rate": {"amount": chance.randrange(1_000, 20_000, 100), "currency": "GHS"},
            "rating_milli": chance.randint(2_500, 5_000) if reviews else 0,
            "review_count": reviews,
            "terms": [*row["terms"], f"number{number}"],
        }


def _person(chance: random.Random) -> tuple[dict[str, Any], tuple[float, float]]:
    """Somebody as stored, and the town's place."""
    trades = [one for one in taxonomy.skills().values() if one.parent]
    city, (region, lng, lat) = chance.choices(list(TOWNS.items()), weights=[8, 4, 6, 3, 2, 2, 1, 1])[0]
    role = Role.HIRER if chance.random() < 0.05 else Role.WORKER
    skills = chance.sample(trades, chance.randint(1, 3)) if role is Role.WORKER else []
    languages = chance.sample(["en", "tw", "ee", "ha", "ga"], 2)
    profile = ProfileDocument(
        id=new_id(),
        role=role,
        display_name=f"{chance.choice(NAMES)} {chance.choice('ABKMOST')}.",
        private="sealed",
        headline=f"{skills[0].name if skills else 'hotel'} {chance.choice(WORDS)}",
        bio=" ".join(chance.choices(WORDS, k=40)),
        languages=[*languages, "fr-CI"] if chance.random() < 0.005 else languages,
        place=Place(city=city, region=region, region_key=regions.key(region), point=Point(coordinates=(lng, lat))),
        hourly_rate=Rate(amount=1_000, currency="GHS"),
        skills=[SkillEntry(id=one.id, years=chance.randint(0, 30)) for one in skills],
        created_at=clock.now(),
        updated_at=clock.now(),
    )
    if chance.random() < 0.5:
        days = range(1, chance.randint(5, 7))
        profile.availability.weekly = [SlotEntry(day=day, start="07:00", end="18:00") for day in days]
    profiles.derive(profile)
    return documents.encode(profile), (lng, lat)
