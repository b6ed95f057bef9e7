"""How fast workers are found: each search by 20 callers at once, through the service's door, beside its raw query.

`KELMAH_BENCH_WORKERS` is how many workers there are (10,000), `KELMAH_BENCH_ROUNDS` how often each caller asks (15):

    KELMAH_BENCH_WORKERS=50000 nox -s bench -- search_workers
"""

import asyncio
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest
import structlog
from pymongo import monitoring

from kelmah.contracts import regions, taxonomy
from kelmah.contracts.common import Role
from kelmah.kit import clock
from kelmah.kit.ids import new_id
from kelmah.services.user.app import create_app
from kelmah.services.user.documents import DOCUMENTS
from kelmah.services.user.documents import profiles as documents
from kelmah.services.user.documents.profiles import Place, Point, ProfileDocument, Rate, SkillEntry, SlotEntry
from kelmah.services.user.service import profiles, spelling
from kelmah.services.user.settings import UserSettings
from tests.fixtures.service import Service, running, settings_for

WORKERS = int(os.environ.get("KELMAH_BENCH_WORKERS", "10000"))
ROUNDS = int(os.environ.get("KELMAH_BENCH_ROUNDS", "15"))
CALLERS = 20
LIMIT_MS = 150
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
DRIVERS = ("lsid", "$clusterTime", "$db")
SEARCHES: dict[str, dict[str, Any]] = {
    "best rated": {"minRating": 1},
    "word": {"q": "plumber"},
    "words": {"q": "electrician in kumasi"},
    "slip": {"q": "elektrician akosau"},
    "trade": {"skill": "tiler"},
    "family": {"skill": "electrical"},
    "region": {"region": "Upper West"},
    "rate": {"maxRate": 3000, "sort": "rate"},
    "free": {"skill": "painter", "availableOn": "DAY"},
    "near": {"near": "-0.187,5.604"},
    "near, trade": {"near": "-1.624,6.689", "skill": "mason", "radiusKm": 100},
    "near, rated": {"near": "-0.187,5.604", "sort": "rating"},
    "all of it": {
        "near": "-0.187,5.604", "skill": "electrical", "language": "tw", "maxRate": 8000, "minRating": 3,
        "availableOn": "DAY", "explain": "true",
    },
}  # fmt: skip


class Sent(monitoring.CommandListener):
    """The queries of profiles that were sent to MongoDB."""

    def __init__(self) -> None:
        self.queries: list[dict[str, Any]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name in ("find", "aggregate") and event.command[event.command_name] == "profiles":
            self.queries.append(dict(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


@pytest.mark.timeout(3600)
async def test_search(mongo_url: str, mongo_prefix: str, redis_url: str, redis_prefix: str) -> None:
    sent = Sent()
    monitoring.register(sent)
    settings = settings_for(
        UserSettings,
        mongo_url=mongo_url,
        mongo_prefix=mongo_prefix,
        redis_url=redis_url,
        redis_prefix=redis_prefix,
        service_urls={"auth": ["http://127.0.0.1:9"]},
        log_level="WARNING",
    )
    slow = []
    async with running(create_app, settings, DOCUMENTS) as service:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        await _fill()
        print(f"\n{WORKERS:,} workers, {CALLERS} callers, {CALLERS * ROUNDS} calls each; milliseconds")
        print(f"load of this machine: {os.getloadavg()[0]:.1f}")
        print(f"{'search':14}{'p50':>8}{'p95':>8}{'max':>8}   {'raw p50':>8}{'raw p95':>8}")
        for name, query in SEARCHES.items():
            target = f"/api/v1/workers?{urlencode(query)}".replace("DAY", _day())
            sent.queries.clear()
            await _call(service, target)
            plain = {
                key: value for key, value in sent.queries[-1].items() if key not in ("lsid", "$clusterTime", "$db")
            }
            ours = await _measure(partial(_call, service, target))
            raw = await _measure(partial(service.context.mongo.database.command, plain))
            row = [ours[0.5], ours[0.95], ours[1.0], raw[0.5], raw[0.95]]
            print(f"{name:14}{row[0]:8.1f}{row[1]:8.1f}{row[2]:8.1f}   {row[3]:8.1f}{row[4]:8.1f}", flush=True)
            slow += [name] if ours[0.95] > LIMIT_MS else []
    print(f"p95 over {LIMIT_MS} ms: {', '.join(slow) or 'none'}")


async def _measure(call: Callable[[], Awaitable[Any]]) -> dict[float, float]:
    taken: list[float] = []

    async def caller() -> None:
        for _ in range(ROUNDS):
            start = time.perf_counter()
            await call()
            taken.append((time.perf_counter() - start) * 1000)

    await call()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    taken.sort()
    return {share: taken[min(len(taken) - 1, int(share * len(taken)))] for share in (0.5, 0.95, 1.0)}


async def _call(service: Service, target: str) -> None:
    reply = await service.call("GET", target)
    assert reply.status == 200, reply.data
    assert reply.data["items"], target


def _day() -> str:
    """A Monday."""
    today = clock.now().date()
    return (today + timedelta(days=7 - today.weekday())).isoformat()


async def _fill() -> None:
    """Workers all over Ghana; most are in the first towns."""
    chance = random.Random(7)
    trades = [one for one in taxonomy.skills().values() if one.parent]
    towns = list(TOWNS.items())
    collection = ProfileDocument.get_pymongo_collection()
    vocabulary: set[str] = set()
    for start in range(0, WORKERS, 2_000):
        rows = []
        for number in range(start, min(WORKERS, start + 2_000)):
            city, (region, lng, lat) = chance.choices(towns, weights=[8, 4, 6, 3, 2, 2, 1, 1])[0]
            point = (round(lng + chance.gauss(0, 0.1), 2), round(lat + chance.gauss(0, 0.1), 2))
            skills = chance.sample(trades, chance.randint(1, 3))
            reviews = chance.choice([0, 0, 1, 5, 40])
            profile = ProfileDocument(
                id=new_id(),
                role=Role.WORKER,
                display_name=f"{chance.choice(NAMES)} {chance.choice('ABKMOST')}.",
                private="sealed",
                headline=f"{skills[0].name} {chance.choice(WORDS)}",
                bio=" ".join(chance.choices(WORDS, k=40)) + f" number{number}",
                languages=chance.sample(["en", "tw", "ee", "ha", "ga"], 2),
                place=Place(city=city, region=region, region_key=regions.key(region), point=Point(coordinates=point)),
                hourly_rate=Rate(amount=chance.randrange(1_000, 20_000, 100), currency="GHS"),
                skills=[SkillEntry(id=one.id, years=chance.randint(0, 30)) for one in skills],
                rating_milli=chance.randint(2_500, 5_000) if reviews else 0,
                review_count=reviews,
                created_at=clock.now(),
                updated_at=clock.now(),
            )
            if chance.random() < 0.5:
                days = range(1, chance.randint(5, 7))
                profile.availability.weekly = [SlotEntry(day=day, start="07:00", end="18:00") for day in days]
            profiles.derive(profile)
            vocabulary.update(profile.terms)
            rows.append({"_id": profile.id} | documents.encode(profile))
        await collection.insert_many(rows, ordered=False)
    await spelling.learn(sorted(word for word in vocabulary if not word.startswith("number")))
