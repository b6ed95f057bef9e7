"""What the benches of searches share: many callers at once, the database's own queries beside, and the growth."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from pymongo import IndexModel, monitoring

from kelmah.kit import mongo as mongodb
from kelmah.kit.mongo import Mongo

CALLERS = 20
#: How often each caller asks.
ROUNDS = int(os.environ.get("KELMAH_BENCH_ROUNDS", "10"))
#: Names of the searches that alone are measured; all unless given.
_ONLY = os.environ.get("KELMAH_BENCH_ONLY")
LIMIT_MS = 150
#: What the driver adds to a command.
_DRIVER = ("lsid", "$clusterTime", "$db", "$readPreference")


class Sent(monitoring.CommandListener):
    """The queries that were sent to MongoDB while `queries` is a list."""

    def __init__(self) -> None:
        self.queries: list[dict[str, Any]] | None = None

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if self.queries is not None and event.command_name in ("find", "aggregate"):
            self.queries.append({key: value for key, value in event.command.items() if key not in _DRIVER})

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


class Taken(NamedTuple):
    """Milliseconds: of wall clock by share of the calls, and of CPU a call here and in MongoDB."""

    p50: float
    p95: float
    here: float
    mongod: float


class Figures(NamedTuple):
    """A search through the service's door, and the queries that it sends, alone."""

    search: Taken
    raw: Taken
    queries: int


def chosen(searches: Mapping[str, str]) -> Mapping[str, str]:
    """Those of the searches that are measured."""
    return searches if _ONLY is None else {name: searches[name] for name in _ONLY.split(";")}


async def measure(call: Callable[[], Awaitable[Any]], mongo: Mongo, sent: Sent) -> Figures:
    """A search by all callers at once, then its queries in the same way."""
    await call()
    queries: list[dict[str, Any]] = []
    sent.queries = queries
    await call()
    sent.queries = None

    async def raw() -> None:
        for query in queries:
            await mongo.database.command(query)

    return Figures(await _taken(call, mongo), await _taken(raw, mongo), len(queries))


async def _taken(call: Callable[[], Awaitable[Any]], mongo: Mongo) -> Taken:
    taken: list[float] = []

    async def caller() -> None:
        for _ in range(ROUNDS):
            start = time.perf_counter()
            await call()
            taken.append((time.perf_counter() - start) * 1000)

    here, there = time.process_time(), await _cpu_ms(mongo)
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    here, there = time.process_time() - here, await _cpu_ms(mongo) - there
    taken.sort()
    p50, p95 = (taken[int(share * len(taken))] for share in (0.5, 0.95))
    return Taken(p50, p95, here * 1000 / len(taken), there / len(taken))


async def _cpu_ms(mongo: Mongo) -> float:
    """What MongoDB used since it started; nothing where it does not tell."""
    extra = (await mongo.client.admin.command("serverStatus"))["extra_info"]
    return float(extra.get("user_time_us", 0) + extra.get("system_time_us", 0)) / 1000


def print_head(title: str) -> None:
    print(f"\n{title}; {CALLERS} callers; milliseconds")
    print(f"{'search':24}{'p50':>8}{'p95':>8}{'raw p50':>9}{'raw p95':>8} | CPU a call: here  mongod | queries")


def print_row(name: str, figures: Figures) -> None:
    ours, raw = figures.search, figures.raw
    times = f"{ours.p50:8.1f}{ours.p95:8.1f}{raw.p50:9.1f}{raw.p95:8.1f}"
    print(f"{name:24}{times} |{ours.here:17.1f}{ours.mongod:8.1f} |{figures.queries:8}", flush=True)


def print_growth(sizes: Sequence[int], found: Sequence[Mapping[str, Figures]]) -> None:
    """How much longer each search takes in the largest collection than in the smallest, as its own queries do."""
    if len(sizes) > 1:
        print(f"\nfrom {sizes[0]:,} to {sizes[-1]:,}: times as long\n{'search':24}{'p95':>8}{'raw p95':>9}{'CPU':>8}")
        for name, after in found[-1].items():
            before = found[0][name]
            cpu = (after.search.here + after.search.mongod) / (before.search.here + before.search.mongod)
            times = (after.search.p95 / before.search.p95, after.raw.p95 / before.raw.p95, cpu)
            print(f"{name:24}{times[0]:8.1f}{times[1]:9.1f}{times[2]:8.1f}")
    slow = [name for name, figures in found[-1].items() if figures.search.p95 > LIMIT_MS]
    print(f"\np95 over {LIMIT_MS} ms at {sizes[-1]:,}: {', '.join(slow) or 'none'}")


@asynccontextmanager
async def roomy(mongo: Mongo) -> AsyncIterator[None]:
    """Give MongoDB the cache of a server instead of that of a test; back to what it was afterwards."""
    admin = mongo.client.admin
    status = await admin.command("serverStatus")
    before = status["wiredTiger"]["cache"]["maximum bytes configured"]
    setting = "wiredTigerEngineRuntimeConfig"
    await admin.command({"setParameter": 1, setting: "cache_size=2G"})
    try:
        yield
    finally:
        await admin.command({"setParameter": 1, setting: f"cache_size={before // 2**20}M"})


def database_prefix(run: str, size: int) -> str:
    """How the name of a size's database begins: `KELMAH_BENCH_KEEP` names databases that outlive the run, and are used
    again when they hold as many. Drop them when the shape of the documents changes.
    """
    return f"{os.environ.get('KELMAH_BENCH_KEEP', run)}{size}_"


async def fill(
    url: str, mongo: Mongo, collection: str, indexes: Sequence[IndexModel], rows: Iterator[dict[str, Any]], count: int
) -> None:
    """Insert without indexes, which are built at once at the end: five times as fast. What is there already stays."""
    start = time.perf_counter()
    stored = mongo.collection(collection)
    if await stored.estimated_document_count() == count:
        print(f"\n{count:,} {collection} were there")
        return
    await stored.drop()
    for at in range(0, count, 2_000):
        await stored.insert_many([next(rows) for _ in range(min(2_000, count - at))], ordered=False)
    async with mongodb.connect(url, mongo.database.name, answer_timeout_s=None) as patient:
        await patient.collection(collection).create_indexes(list(indexes))
    print(f"\n{count:,} {collection} written and indexed in {time.perf_counter() - start:.0f} s")
