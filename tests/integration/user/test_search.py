"""Finding workers, hirers and trades."""

import math
import random
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from kelmah.contracts.common import Role
from kelmah.kit.context import Principal
from tests.integration.user.conftest import Town

ACCRA, TEMA, KUMASI = (-0.187, 5.6037), (-0.0166, 5.6698), (-1.6244, 6.6885)


def at(place: tuple[float, float], region: str = "Greater Accra") -> dict[str, Any]:
    return {"city": "Town", "region": region, "coordinates": list(place)}


async def found(town: Town, path: str = "/workers", **query: Any) -> list[str]:
    """User ids in the order they were found."""
    reply = await town.call("GET", f"{path}?{urlencode(query)}")
    assert reply.status == 200, reply.data
    return [hit["userId"] for hit in reply.data["items"]]


def haversine_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Metres between two points on the sphere that MongoDB reckons with."""
    (lng1, lat1), (lng2, lat2) = ([math.radians(degrees) for degrees in point] for point in (one, other))
    chord = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lng2 - lng1) / 2) ** 2
    return 2 * 6_378_100 * math.asin(math.sqrt(chord))


async def rate(town: Town, worker: Principal, milli: int, reviews: int = 5) -> None:
    await town.context.mongo.collection("profiles").update_one(
        {"_id": worker.user_id}, {"$set": {"rating_milli": milli, "review_count": reviews}}
    )


async def test_words_find_trades_by_their_synonyms(town: Town, word: str) -> None:
    electrician = await town.worker("electrician", profile={"headline": word})
    plumber = await town.worker("plumbing", profile={"headline": word})
    for text in ("sparky", "electricians", "électricien", "light man", "Electrical Work", "I need an electrician"):
        assert await found(town, q=f"{word} {text}") == [electrician.user_id], text
    assert await found(town, q=f"{word} fundi bomba") == [plumber.user_id]
    assert await found(town, q=f"{word} carpenter") == []
    assert set(await found(town, q=word.upper())) == {electrician.user_id, plumber.user_id}


async def test_names_and_places_are_words_too(town: Town, word: str) -> None:
    place = at(ACCRA) | {"city": "Labadi"}
    esi = await town.worker("tiling", profile={"bio": f"Known as {word}.", "location": place}, first_name="Esinam")
    assert await found(town, q=f"{word} esinam labadi") == [esi.user_id]
    assert await found(town, q=f"{word} Kusi") == []


@pytest.mark.parametrize("text", ["!!!", "...", "$where", "(", "*", "🔧"])
async def test_punctuation_finds_nobody_rather_than_everybody(town: Town, text: str) -> None:
    await town.worker("tiling")
    reply = await town.call("GET", f"/workers?q={quote(text)}")
    assert (reply.status, reply.data) == (200, {"items": [], "nextCursor": None})


async def test_a_family_finds_its_trades_and_a_trade_only_itself(town: Town, word: str) -> None:
    wiring = await town.worker("electrician", profile={"headline": word})
    solar = await town.worker("solar-installer", profile={"headline": word})
    await town.worker("plumbing", profile={"headline": word})
    assert set(await found(town, q=word, skill="electrical")) == {wiring.user_id, solar.user_id}
    assert await found(town, q=word, skill="Sparky") == [wiring.user_id]


async def test_near_orders_by_distance_within_the_radius(town: Town, word: str) -> None:
    tema = await town.worker("welding", profile={"headline": word, "location": at(TEMA)})
    accra = await town.worker("welding", profile={"headline": word, "location": at(ACCRA)})
    kumasi = await town.worker("welding", profile={"headline": word, "location": at(KUMASI, "Ashanti")})
    await town.worker("welding", profile={"headline": word})
    near = f"{ACCRA[0]},{ACCRA[1]}"
    assert await found(town, q=word, near=near) == [accra.user_id, tema.user_id]
    assert await found(town, q=word, near=near, radiusKm=5) == [accra.user_id]
    assert await found(town, q=word, near=near, radiusKm=300) == [accra.user_id, tema.user_id, kumasi.user_id]
    assert await found(town, q=word, near=near, radiusKm=300, skill="welder") == [
        accra.user_id, tema.user_id, kumasi.user_id,
    ]  # fmt: skip
    reply = await town.call("GET", f"/workers?q={word}&near={near}&radiusKm=300")
    for hit, place in zip(reply.data["items"], (ACCRA, TEMA, KUMASI), strict=True):
        known = (round(place[0], 2), round(place[1], 2))  # searches know places to about a kilometre
        assert hit["distanceM"] == pytest.approx(haversine_m(ACCRA, known), abs=2)
    await rate(town, kumasi, 4900)
    assert (await found(town, q=word, near=near, radiusKm=300, sort="rating"))[0] == kumasi.user_id


async def test_region(town: Town, word: str) -> None:
    ashanti = await town.worker("tiling", profile={"headline": word, "location": at(KUMASI, "Ashanti Region")})
    await town.worker("tiling", profile={"headline": word, "location": at(ACCRA)})
    for region in ("ashanti", "ASHANTI region", " Ashanti "):
        assert await found(town, q=word, region=region) == [ashanti.user_id]
    refused = await town.call("GET", "/workers?region=Ashantii")
    assert refused.data["errors"] == [{"field": "region", "message": "unknown region: did you mean Ashanti?"}]
    assert (await town.call("GET", "/workers?region=Nowhere")).status == 400


async def test_rates_are_compared_in_one_currency(town: Town, word: str) -> None:
    async def costs(amount: int, currency: str = "GHS") -> str:
        body = {"headline": word, "hourlyRate": {"amount": amount, "currency": currency}}
        return (await town.worker("tiling", profile=body)).user_id

    dear, cheap, foreign = await costs(9000), await costs(3000), await costs(3000, "XOF")
    await town.worker("tiling", profile={"headline": word})
    assert await found(town, q=word, sort="rate") == [cheap, dear]
    assert await found(town, q=word, minRate=3001) == [dear]
    assert await found(town, q=word, maxRate=3000) == [cheap]
    assert await found(town, q=word, minRate=3000, maxRate=9000, sort="rate") == [cheap, dear]
    assert await found(town, q=word, currency="XOF") == [foreign]


async def test_best_rated_first_and_the_unrated_last(town: Town, word: str) -> None:
    low, high, new = [await town.worker("tiling", profile={"headline": word}) for _ in range(3)]
    await rate(town, low, 3100)
    await rate(town, high, 4800)
    assert await found(town, q=word) == [high.user_id, low.user_id, new.user_id]
    assert await found(town, q=word, minRating=4.5) == [high.user_id]
    reply = await town.call("GET", f"/workers?q={word}")
    assert [hit["ratingMilli"] for hit in reply.data["items"]] == [4800, 3100, None]


async def test_who_is_paused_or_hidden_is_not_found(town: Town, word: str) -> None:
    ama = await town.worker("tiling", profile={"headline": word})
    await town.call("PUT", "/users/me/availability", {"status": "paused"}, by=ama)
    assert await found(town, q=word) == []
    await town.call("PUT", "/users/me/availability", {"status": "busy"}, by=ama)
    assert await found(town, q=word) == [ama.user_id]
    await town.call("PUT", "/users/me/settings", {"isDiscoverable": False}, by=ama)
    assert await found(town, q=word) == []
    assert (await town.call("GET", f"/workers/{ama.user_id}")).status == 200


@pytest.mark.parametrize("sort", ["rating", "rate", "distance"])
async def test_pages_hold_everybody_once_whatever_is_written_meanwhile(town: Town, word: str, sort: str) -> None:
    draw = random.Random(7)
    everybody = set()
    for _ in range(23):
        place = (ACCRA[0] + draw.choice([0, 0.01, 0.02]), ACCRA[1])
        body = {"headline": word, "location": at(place), "hourlyRate": {"amount": draw.choice([1000, 2000])}}
        worker = await town.worker("painting", profile=body)
        await rate(town, worker, draw.choice([0, 3000, 4000]))
        everybody.add(worker.user_id)
    query: dict[str, Any] = {"q": word, "sort": sort, "limit": 5}
    if sort == "distance":
        query |= {"near": f"{ACCRA[0]},{ACCRA[1]}"}
    whole = await found(town, **query | {"limit": 100})
    assert set(whole) == everybody
    seen: list[str] = []
    cursor = None
    for page in range(5):
        reply = await town.call("GET", f"/workers?{urlencode(query | ({'cursor': cursor} if cursor else {}))}")
        seen += [hit["userId"] for hit in reply.data["items"]]
        cursor = reply.data["nextCursor"]
        assert (cursor is None) == (page == 4)
        # Somebody who was seen leaves; a page by number would now skip one.
        await town.context.mongo.collection("profiles").update_one({"_id": seen[page]}, {"$set": {"listed_as": None}})
    assert seen == whole


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("near=5.6", "near"),
        ("near=5.6,abc", "near"),
        ("near=1,2,3", "near"),
        ("near=nan,5", "near"),
        ("near=181,5", "near"),
        ("near=0,-91", "near"),
        ("near=0,5&radiusKm=-1", "radiusKm"),
        ("near=0,5&radiusKm=0", "radiusKm"),
        ("near=0,5&radiusKm=50000", "radiusKm"),
        ("near=0,5&radiusKm=nan", "radiusKm"),
        ("near=0,5&radiusKm=abc", "radiusKm"),
        ("radiusKm=5", "radiusKm"),
        ("sort=distance", "sort"),
        ("sort=name", "sort"),
        ("skill=zzzzqq", "skill"),
        ("minRate=0", "minRate"),
        ("maxRate=9007199254740992", "maxRate"),
        ("minRate=5&maxRate=4", "maxRate"),
        ("minRate=1.5", "minRate"),
        ("currency=cedi", "currency"),
        ("minRating=0.5", "minRating"),
        ("minRating=6", "minRating"),
        ("minRating=nan", "minRating"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("cursor=abc", "cursor"),
        ("cursor=WyJyYXRlIiwxLCJhIl0", "cursor"),
        ("q=" + "x" * 101, "q"),
        ("region=", "region"),
    ],
)
async def test_a_query_that_does_not_fit_names_the_parameter(town: Town, query: str, field: str) -> None:
    reply = await town.call("GET", f"/workers?{query}")
    assert reply.status == 400, reply.data
    assert reply.data["errors"][0]["field"] == field


async def test_hirers_are_for_members(town: Town, word: str) -> None:
    kofi = town.somebody(Role.HIRER, "Kofi", "Mensah")
    body = {"company": f"{word} Estates", "location": at(ACCRA)}
    await town.call("PATCH", "/users/me", body, by=kofi)
    worker = await town.worker("tiling", profile={"headline": word})
    assert (await town.call("GET", f"/hirers?q={word}")).status == 401
    reply = await town.call("GET", f"/hirers?q={word}&region=greater+accra", by=worker)
    assert reply.data == {
        "items": [
            {
                "userId": kofi.user_id,
                "displayName": "Kofi M.",
                "headline": None,
                "company": f"{word} Estates",
                "city": "Town",
                "region": "Greater Accra",
                "ratingMilli": None,
                "reviewCount": 0,
            }
        ],
        "nextCursor": None,
    }
    assert (await town.call("GET", "/hirers?q=!!!", by=worker)).data["items"] == []
    assert (await town.call("GET", f"/hirers?q={word}&region=Volta", by=worker)).data["items"] == []
    (hit,) = (await town.call("GET", f"/hirers?q={word}&region=Greater+Accra&explain=true", by=worker)).data["items"]
    assert [(one["factor"], one["detail"]) for one in hit["reasons"]] == [
        ("words", f"{word} is in the headline"),
        ("region", "works in Greater Accra"),
        ("sort", "ordered by rating"),
    ]


async def test_skills_are_listed_with_families_and_synonyms(town: Town) -> None:
    reply = await town.call("GET", "/skills")
    assert (reply.status, reply.headers["cache-control"]) == (200, "public, max-age=3600")
    assert sum(skill["parent"] is None for skill in reply.data["items"]) == 12
    sparky = (await town.call("GET", "/skills?q=spark")).data["items"]
    assert [skill["id"] for skill in sparky] == ["electrician"]
    children = (await town.call("GET", "/skills?parent=electrical")).data["items"]
    assert {skill["parent"] for skill in children} == {"electrical"}
    assert (await town.call("GET", "/skills?q=!!")).data["items"] == []
