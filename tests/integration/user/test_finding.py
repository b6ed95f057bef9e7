"""Finding with typing errors, by availability and language; facets, suggestions, popular searches and reasons."""

import random
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from redis.exceptions import ConnectionError as RedisGone

from kelmah.contracts.common import Role
from kelmah.contracts.user import SearchSort
from kelmah.kit import clock
from kelmah.kit.nearest import Circle
from kelmah.services.user import service
from kelmah.services.user.documents import search as documents
from kelmah.services.user.documents.search import Search
from tests.integration.user.conftest import Town
from tests.integration.user.test_certificates import certificate, decide, request
from tests.integration.user.test_choices import day
from tests.integration.user.test_search import ACCRA, at, found, rate


def letters() -> str:
    """A word of twelve letters that nobody else uses."""
    return "".join(random.SystemRandom().choices("bcdfghjklmnpqrtvwxz", k=12))


def swapped(word: str) -> str:
    """The word with its third and fourth letter swapped, or one wrong where they are the same."""
    return word[:2] + (word[3] + word[2] if word[2] != word[3] else word[2] + "y") + word[4:]


async def test_typing_errors_in_trades_and_names_are_forgiven(town: Town, word: str) -> None:
    name = letters()
    ama = await town.worker("electrician", profile={"headline": word}, first_name=name.title())
    await town.worker("plumbing", profile={"headline": word})
    for text in ("electrcian", "elektrician", "electricain", "sparkky"):
        assert await found(town, q=f"{word} {text}") == [ama.user_id], text
    for wrong in (swapped(name), name[:5] + name[6:], name[:4] + "y" + name[4:], name[:-1] + "y"):
        reply = await town.call("GET", f"/workers?q={wrong}")
        assert [hit["userId"] for hit in reply.data["items"]] == [ama.user_id]
        assert reply.data["corrections"] == [{"word": wrong, "takenAs": [name]}]
    exact = await town.call("GET", f"/workers?q={name}")
    assert [hit["userId"] for hit in exact.data["items"]] == [ama.user_id]
    assert "corrections" not in exact.data
    assert await found(town, q=name[::-1]) == []


async def test_language_and_verified_certificates(town: Town, word: str) -> None:
    twi = await town.worker("tiling", profile={"headline": word, "languages": ["tw", "en"]})
    french = await town.worker("tiling", profile={"headline": word, "languages": ["fr-CI"]})
    assert await found(town, q=word, language="tw") == [twi.user_id]
    assert await found(town, q=word, language="fr") == [french.user_id]
    assert await found(town, q=word, language="fr-TG") == []
    assert await found(town, q=word, verified="true") == []
    licence = await certificate(town, twi, expiresOn=day(1))
    assert (await request(town, twi, licence)).status == 200
    assert await found(town, q=word, verified="true") == []
    assert (await decide(town, town.somebody(Role.MODERATOR), twi, licence, "verify")).status == 200
    assert await found(town, q=word, verified="true") == [twi.user_id]
    assert await found(town, q=word, verified="true", language="tw") == [twi.user_id]
    assert await found(town, q=word, verified="true", language="fr") == []
    stored = (await town.stored(twi))["certificates"][0]
    await service.remind_certificate(town.context, twi.user_id, licence, stored["expires_on"], "0")
    assert await found(town, q=word, verified="true") == []


def next_monday() -> date:
    today = clock.now().date()
    return today + timedelta(days=7 - today.weekday())


async def test_who_is_free_in_a_window(town: Town, word: str) -> None:
    monday = next_monday()
    tuesday, wednesday = monday + timedelta(days=1), monday + timedelta(days=2)

    async def works(**availability: Any) -> str:
        worker = await town.worker("tiling", profile={"headline": word})
        assert (await town.call("PUT", "/users/me/availability", availability, by=worker)).status == 200
        return worker.user_id

    always = await works()
    mornings = await works(weekly=[{"day": 1, "start": "07:00", "end": "12:00"}])
    extra = await works(
        weekly=[{"day": 1, "start": "08:00", "end": "17:00"}],
        exceptions=[{"day": monday.isoformat()}, {"day": tuesday.isoformat(), "isAvailable": True}],
    )
    await works(status="busy")

    async def free(day: date, **hours: str) -> set[str]:
        query = {"availableOn": day.isoformat()} | {f"available{name.title()}": hour for name, hour in hours.items()}
        return set(await found(town, q=word, **query))

    assert await free(monday) == {always}
    assert await free(monday, **{"from": "08:00", "to": "12:00"}) == {always, mornings}
    assert await free(monday, **{"from": "08:00", "to": "12:01"}) == {always}
    assert await free(tuesday) == {always, extra}
    assert await free(wednesday) == {always}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("availableOn=2020-01-01", "availableOn"),
        ("availableOn=2120-01-01", "availableOn"),
        ("availableOn=tomorrow", "availableOn"),
        ("availableFrom=08:00", "availableOn"),
        ("availableOn=DAY&availableFrom=25:00", "availableFrom"),
        ("availableOn=DAY&availableFrom=12:00&availableTo=12:00", "availableTo"),
        ("language=english", "language"),
        ("language=.*", "language"),
        ("verified=maybe", "verified"),
        ("explain=maybe", "explain"),
    ],
)
async def test_a_query_that_does_not_fit_is_refused(town: Town, query: str, field: str) -> None:
    reply = await town.call("GET", f"/workers?{query.replace('DAY', next_monday().isoformat())}")
    assert (reply.status, reply.data["errors"][0]["field"]) == (400, field)


async def test_facets_count_those_of_the_search(town: Town, word: str) -> None:
    place = {"headline": word, "location": at(ACCRA), "languages": ["tw"]}
    good = await town.worker("plumbing", "tiling", profile=place)
    await town.worker("plumbing", profile={"headline": word, "languages": ["tw", "en"]})
    await town.worker("plumbing")
    await rate(town, good, 4500)
    reply = await town.call("GET", f"/workers/facets?q={word}")
    assert reply.status == 200
    assert reply.data == {
        "total": 2,
        "isCapped": False,
        "skills": [
            {"value": "plumber", "name": "Plumber", "count": 2},
            {"value": "tiler", "name": "Tiler", "count": 1},
        ],
        "regions": [{"value": "Greater Accra", "name": "Greater Accra", "count": 1}],
        "languages": [{"value": "tw", "name": "tw", "count": 2}, {"value": "en", "name": "en", "count": 1}],
        "ratings": [{"value": "4", "name": "4 stars and more", "count": 1}],
        "statuses": [{"value": "available", "name": "available", "count": 2}],
    }
    near = await town.call("GET", f"/workers/facets?q={word}&near={ACCRA[0]},{ACCRA[1]}")
    assert near.data["total"] == 1
    assert (await town.call("GET", "/workers/facets?q=!!!")).data["total"] == 0
    assert (await town.call("GET", "/workers/facets?sort=distance")).data["errors"][0]["field"] == "sort"


async def test_facets_say_where_they_end(town: Town, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_COUNTED", 2)
    for total, is_capped in ((1, False), (2, True), (2, True)):
        await town.worker("tiling", profile={"headline": word})
        facets = (await town.call("GET", f"/workers/facets?q={word}")).data
        skills = [(one["value"], one["count"]) for one in facets["skills"]]
        assert (facets["total"], facets["isCapped"], skills) == (total, is_capped, [("tiler", total)])


async def test_each_hit_says_why_it_is_there(town: Town, word: str) -> None:
    body = {"bio": word, "headline": "Taps", "location": at(ACCRA), "hourlyRate": {"amount": 900}}
    ama = await town.worker("plumbing", profile=body)
    await rate(town, ama, 4321)
    query = {"q": f"{word} plumer taps", "skill": "plumbing", "region": "greater accra", "maxRate": 1000}
    reply = await town.call("GET", f"/workers?{urlencode(query)}&near={ACCRA[0]},{ACCRA[1]}&explain=true")
    [hit] = reply.data["items"]
    assert [(one["factor"], one["detail"]) for one in hit["reasons"]] == [
        ("words", f"{word} is in the text"),
        ("words", "plumer (taken as plumber) is in the trades"),
        ("words", "tap is in the headline"),
        ("skill", "offers Plumber"),
        ("region", "works in Greater Accra"),
        ("rate", "900 GHS an hour"),
        ("distance", "0.5 km away"),
        ("sort", "ordered by distance"),
    ]
    assert hit["reasons"][-1]["value"] == hit["distanceM"]
    plain = await town.call("GET", f"/workers?q={word}")
    assert "reasons" not in plain.data["items"][0]


async def test_popular_searches_count_trades_and_nothing_else(town: Town) -> None:
    await town.context.redis.flushdb()
    for query in ("q=sparky", "skill=electrician", "q=plumber", "q=Ama+Kusi", "q=!!"):
        assert (await town.call("GET", f"/workers?{query}")).status == 200
    popular = (await town.call("GET", "/search/popular")).data["items"]
    assert popular == [
        {"skill": "electrician", "name": "Electrician", "count": 2},
        {"skill": "plumber", "name": "Plumber", "count": 1},
    ]
    assert len((await town.call("GET", "/search/popular?limit=1")).data["items"]) == 1


async def test_suggestions_go_on_from_what_was_typed(town: Town) -> None:
    await town.context.redis.flushdb()

    async def suggested(text: str) -> list[tuple[str, str]]:
        reply = await town.call("GET", f"/search/suggestions?{urlencode({'q': text})}")
        assert reply.status == 200
        return [(one["kind"], one["text"]) for one in reply.data["items"]]

    assert (await suggested("spar"))[0] == ("skill", "Electrician")
    assert ("region", "Greater Accra") in await suggested("accr")
    assert ("skill", "Plumber") in await suggested("plumberr")
    assert await suggested("!!") == []
    assert (await suggested("pa"))[:2] == [("skill", "Baker"), ("skill", "Car body worker")]
    await town.call("GET", "/workers?q=painter")
    assert (await suggested("pa"))[:2] == [("skill", "Painter"), ("skill", "Baker")]
    for query in ("limit=3", "q=", "q=" + "x" * 81, "q=a&limit=21"):
        assert (await town.call("GET", f"/search/suggestions?{query}")).status == 400


async def test_search_works_while_redis_is_gone(town: Town, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ama = await town.worker("plumbing", profile={"headline": word})

    def gone(*_: Any, **__: Any) -> Any:
        raise RedisGone

    monkeypatch.setattr(type(town.context.redis), "pipeline", gone)
    monkeypatch.setattr(type(town.context.redis), "zunion", gone)
    assert await found(town, q=word, skill="plumbing") == [ama.user_id]
    assert (await town.call("GET", "/search/popular")).data["items"] == []


async def test_the_nearest_are_read_only_as_far_as_they_are_needed(town: Town) -> None:
    place = (ACCRA[0], -40.0)
    rows = []
    for number in range(300):
        worker = town.somebody()
        await town.call("GET", "/users/me", by=worker)
        spot = {"type": "Point", "coordinates": [place[0] + (number // 10) * 0.01, place[1]]}
        whole = {"city": "Sea", "region": "Sea", "region_key": "sea", "point": spot}
        rows.append((number // 10, worker.user_id))
        await town.context.mongo.collection("profiles").update_one({"_id": worker.user_id}, {"$set": {"place": whole}})
    search = Search(near=Circle(*place, 100_000))
    town.commands.kept = []
    got = await documents.run(search, sort=SearchSort.DISTANCE, limit=15)
    kept, town.commands.kept = town.commands.kept, None
    assert [row.id for row in got] == [user_id for _, user_id in sorted(rows)[:15]]
    assert sum(name in command for _, command in kept for name in ("aggregate", "getMore")) <= 2
    seen, after = [], None
    while page := await documents.run(search, sort=SearchSort.DISTANCE, after=after, limit=7):
        seen += [row.id for row in page]
        after = (page[-1].key(SearchSort.DISTANCE), page[-1].id)
    assert seen == [user_id for _, user_id in sorted(rows)]
