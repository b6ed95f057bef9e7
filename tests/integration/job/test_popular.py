"""Popular searches of jobs: only what several people looked for, bounded, and forgotten after a week."""

import pytest
from redis.exceptions import ConnectionError as RedisGone

from kelmah.kit import clock
from kelmah.services.job.service import popular
from tests.integration.job.steps import Desk, hirer, worker


@pytest.fixture(autouse=True)
async def nothing_counted(desk: Desk) -> None:
    await desk.service.context.redis.delete(popular._key(desk.service.context))


async def _popular(desk: Desk, query: str = "") -> list[tuple[str, int]]:
    return [(one["q"], one["people"]) for one in (await desk.ok("GET", f"/jobs/popular{query}"))["items"]]


async def test_words_are_shown_when_enough_different_people_looked_for_them(desk: Desk) -> None:
    await desk.open_job(hirer())
    people = [worker() for _ in range(popular.MIN_PEOPLE)]
    for one in people[1:]:
        for query in ("q=Leaking+SINK!", "q=leaking+sink", "q=leaking+sink&urgent=false"):
            await desk.ok("GET", f"/jobs?{query}", by=one)
        await desk.ok("GET", "/jobs?q=sink", by=one)
    await desk.ok("GET", "/jobs?q=leaking+sink")  # nobody knows who
    assert await _popular(desk) == []
    await desk.ok("GET", "/jobs?q=sink", by=people[0])
    await desk.ok("GET", "/jobs?q=sink", by=hirer())
    await desk.ok("GET", "/jobs?q=a+leaking+sink", by=people[0])
    assert await _popular(desk) == [("sink", popular.MIN_PEOPLE + 1), ("leaking sink", popular.MIN_PEOPLE)]
    assert await _popular(desk, "?limit=1") == [("sink", popular.MIN_PEOPLE + 1)]
    for query in ("limit=0", "limit=51", "limit=x"):
        assert (await desk.call("GET", f"/jobs/popular?{query}")).status == 400


async def test_what_finds_nothing_is_not_counted(desk: Desk) -> None:
    for _ in range(popular.MIN_PEOPLE):
        await desk.ok("GET", "/jobs?q=zzqqxy", by=worker())
    assert await _popular(desk) == []


async def test_only_the_latest_searches_of_a_week_are_kept(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    context = desk.service.context
    people = range(popular.MIN_PEOPLE)
    at = clock.now()
    monkeypatch.setattr(clock, "now", lambda: at)  # all in one millisecond, as it may be
    for number in people:
        await popular.count(context, "early words", by=f"a{number}")
    assert [one.q for one in await popular.get(context, limit=9)] == ["early words"]
    monkeypatch.setattr(popular, "MAX_KEPT", popular.MIN_PEOPLE)
    for number in people:
        await popular.count(context, "later words", by=f"a{number}")
        await popular.count(context, "x" * (popular.MAX_CHARS + 1), by=f"a{number}")
        await popular.count(context, "!", by=f"a{number}")
    assert [one.q for one in await popular.get(context, limit=9)] == ["later words"]
    kept = popular._key(context)
    assert await context.redis.zcard(kept) == popular.MIN_PEOPLE
    assert 0 < await context.redis.ttl(kept) <= popular.KEPT.total_seconds()
    later = clock.timestamp() + popular.KEPT.total_seconds() + 1
    monkeypatch.setattr(clock, "timestamp", lambda: later)
    assert await popular.get(context, limit=9) == []
    await popular.count(context, "new words", by="a")
    assert await context.redis.zcard(kept) == 1


async def test_nothing_kept_names_a_person(desk: Desk) -> None:
    await desk.open_job(hirer())
    ama = worker()
    await desk.ok("GET", "/jobs?q=sink", by=ama)
    (row,) = await desk.service.context.redis.zrange(popular._key(desk.service.context), 0, -1)
    assert row.decode().endswith(" sink")
    assert ama.user_id not in row.decode()


async def test_jobs_are_found_while_redis_is_gone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.open_job(hirer())

    def gone(*_: object, **__: object) -> None:
        raise RedisGone

    monkeypatch.setattr(type(desk.service.context.redis), "zrangebyscore", gone)
    await popular.count(desk.service.context, "sink", by="a")
    assert await _popular(desk) == []
    monkeypatch.setattr(type(desk.service.context.redis), "pipeline", gone)
    assert (await desk.ok("GET", "/jobs?q=sink", by=worker()))["items"]
