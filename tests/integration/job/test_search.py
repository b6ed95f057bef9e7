"""Search of open jobs: what is found, in which order, and what is refused."""

from typing import Any

import pytest

from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.job.documents import search as documents
from kelmah.services.job.service import lexicon
from tests.integration.job.steps import ACCRA, KUMASI, TEMA, Desk, hirer


def _at(coordinates: list[float], region: str = "Greater Accra") -> dict[str, Any]:
    return {"city": "Somewhere", "region": region, "coordinates": coordinates}


def _word() -> str:
    """A word that no other test's jobs have."""
    return f"w{new_id()[-12:]}"


async def _ids(desk: Desk, query: str) -> list[str]:
    return [one["id"] for one in (await desk.ok("GET", f"/jobs?{query}"))["items"]]


async def _pages(desk: Desk, query: str, anna: Principal | None = None, word: str = "") -> list[str]:
    """All ids over pages of two; with `anna`, a job that fits is written between the pages."""
    seen: list[str] = []
    cursor = ""
    while True:
        page = await desk.ok("GET", f"/jobs?{query}&limit=2{cursor}")
        assert len(page["items"]) <= 2
        seen += [one["id"] for one in page["items"]]
        if page["nextCursor"] is None:
            return seen
        cursor = f"&cursor={page['nextCursor']}"
        if anna is not None:
            await desk.open_job(anna, title=word)


async def test_words_are_found_without_case_or_accents_by_their_beginning_and_all_of_them(desk: Desk) -> None:
    word = _word()
    job = await desk.open_job(hirer(), title=f"Répair {word} gate", skills=["Welding"])
    for query in (word, word.upper(), word[:9], f"repair+{word}", f"{word}+weld", f"{word}+Accra", f"{word}+welders"):
        assert await _ids(desk, f"q={query}") == [job["id"]], query
    assert await _ids(desk, f"q={word}+piano") == []
    assert await _ids(desk, f"q={word[1:]}") == []


@pytest.mark.parametrize("query", [".*", "^", "$where", "(a|b", "[", "\\", "{'$gt':''}", '{"$ne":null}', "%00"])
async def test_signs_of_regular_expressions_and_operators_are_words_or_refused(desk: Desk, query: str) -> None:
    reply = await desk.call("GET", f"/jobs?q=zz{new_id()}{query}".replace(" ", "+"))
    assert (reply.status, reply.data.get("items")) == (200, [])


async def test_filters_narrow_by_category_skill_region_and_budget(desk: Desk) -> None:
    anna, word = hirer(), _word()
    one = await desk.open_job(anna, title=word)
    two = await desk.open_job(
        anna,
        title=word,
        category="wood-metal",
        skills=["Carpenter"],
        budget={"amount": 90_000, "currency": "GHS"},
        location=_at(KUMASI, "Ashanti"),
    )
    three = await desk.open_job(anna, title=word, budget={"amount": 70_000, "currency": "USD"})
    for query, expected in {
        "": [three, two, one],
        "category=water-sanitation": [three, one],
        "category=plumber": [three, one],
        "category=CARPENTRY": [two],
        "skill=pipe+fitting": [three, one],
        "skill=mai+famfo": [three, one],
        "skill=carpenter&skill=plumber": [three, two, one],
        "skill=barber": [],
        "region=ashanti": [two],
        "minBudget=50000": [two, one],
        "minBudget=50001": [two],
        "maxBudget=50000": [one],
        "minBudget=1&currency=USD": [three],
        "minBudget=60000&maxBudget=80000": [],
    }.items():
        assert await _ids(desk, f"q={word}&{query}") == [job["id"] for job in expected], query


async def test_near_finds_within_the_radius_and_tells_the_distance(desk: Desk) -> None:
    anna, word = hirer(), _word()
    accra = await desk.open_job(anna, title=word, location=_at(ACCRA))
    kumasi = await desk.open_job(anna, title=word, location=_at(KUMASI))
    tema = await desk.open_job(anna, title=word, location=_at(TEMA))
    near = f"q={word}&near={ACCRA[0]},{ACCRA[1]}"
    found = await desk.ok("GET", f"/jobs?{near}&sort=nearest")
    assert [(one["id"], one["distanceKm"]) for one in found["items"]] == [(accra["id"], 0.0), (tema["id"], 20.3)]
    assert await _ids(desk, f"{near}&sort=nearest&radiusKm=300") == [accra["id"], tema["id"], kumasi["id"]]
    assert await _ids(desk, f"{near}&radiusKm=300") == [tema["id"], kumasi["id"], accra["id"]]
    assert await _ids(desk, f"{near}&radiusKm=20") == [accra["id"]]


async def test_pages_of_the_newest_are_stable_while_jobs_are_written(desk: Desk) -> None:
    anna, word = hirer(), _word()
    written = [(await desk.open_job(anna, title=word))["id"] for _ in range(5)]
    assert await _pages(desk, f"q={word}", anna, word) == written[::-1]


async def test_pages_of_the_nearest_hold_each_job_once_also_at_one_place(desk: Desk) -> None:
    anna, word = hirer(), _word()
    places = [ACCRA, ACCRA, ACCRA, TEMA, TEMA, KUMASI]
    written = [(await desk.open_job(anna, title=word, location=_at(place)))["id"] for place in places]
    assert await _pages(desk, f"q={word}&near={ACCRA[0]},{ACCRA[1]}&radiusKm=500&sort=nearest") == written


async def test_a_long_tie_of_the_nearest_is_in_the_order_of_ids(desk: Desk) -> None:
    anna, word = hirer(), _word()
    written = [(await desk.open_job(anna, title=word))["id"] for _ in range(16)]
    near = f"q={word}&near={ACCRA[0]},{ACCRA[1]}&sort=nearest"
    assert await _ids(desk, f"{near}&limit=1") == written[:1]
    assert await _pages(desk, near) == sorted(written)


async def test_only_open_jobs_are_found(desk: Desk) -> None:
    anna, word = hirer(), _word()
    await desk.draft(anna, title=word)
    paused, closed = await desk.open_job(anna, title=word), await desk.open_job(anna, title=word)
    assert len(await _ids(desk, f"q={word}")) == 2
    await desk.ok("POST", f"/jobs/{paused['id']}/pause", by=anna)
    await desk.ok("POST", f"/jobs/{closed['id']}/close", by=anna)
    assert await _ids(desk, f"q={word}") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("near=5.6", "near"),
        ("near=5.6,", "near"),
        ("near=a,b", "near"),
        ("near=181,0", "near"),
        ("near=0,91", "near"),
        ("near=NaN,NaN", "near"),
        ("near=0,0,0", "near"),
        ("near=0,0],[0", "near"),
        ("near=0,0&radiusKm=-1", "radiusKm"),
        ("near=0,0&radiusKm=0", "radiusKm"),
        ("near=0,0&radiusKm=50000", "radiusKm"),
        ("near=0,0&radiusKm=nan", "radiusKm"),
        ("radiusKm=5", "radiusKm"),
        ("sort=nearest", "near"),
        ("sort=cheapest", "sort"),
        ("minBudget=-1", "minBudget"),
        ("minBudget=5&maxBudget=4", "minBudget"),
        (f"maxBudget={2**53}", "maxBudget"),
        ("minBudget=1.5", "minBudget"),
        ("currency=XXX", "currency"),
        ("currency=ghs", "currency"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("cursor=!", "cursor"),
        ("cursor=WzFd", "cursor"),
        ("near=0,0&sort=nearest&cursor=WzEsMl0", "cursor"),
        ("q=%2B%2B", "q"),
        ("q=" + "x" * 201, "q"),
        ("q=" + "+".join("bcdefghjklm"), "q"),
        ("category=%21", "category"),
        ("category=astrology", "category"),
        ("skill=astrology", "skill"),
        ("urgent=perhaps", "urgent"),
        ("sort=budget&cursor=WyJhIiwiYiJd", "cursor"),
        ("region=%21", "region"),
        ("region=Atlantis", "region"),
        ("region=Ashnti", "region"),
        ("region=.*", "region"),
        ("q=.*", "q"),
        ("q=%24", "q"),
        (f"minBudget={2**53}", "minBudget"),
        ("near=0,0&radiusKm=500.1", "radiusKm"),
        ("status=draft", "status"),
        ("status=nothing", "status"),
    ],
)
async def test_a_query_that_does_not_fit_is_refused_by_name(desk: Desk, query: str, field: str) -> None:
    reply = await desk.call("GET", f"/jobs?{query}")
    assert (reply.status, reply.data["code"]) == (400, "bad_input")
    assert [one["field"] for one in reply.data["errors"]] == [field]


async def test_a_slip_of_the_finger_is_corrected_and_told(desk: Desk) -> None:
    anna, place = hirer(), "Nkawkaw"
    job = await desk.open_job(anna, title=f"Sagging {_word()} gate", location=_at(KUMASI) | {"city": place})
    for typed, how in {"nkawkaw": "word", "nkawk": "beginning", "nkakwaw": "spelling", "nkawkav": "spelling"}.items():
        (found,) = (await desk.ok("GET", f"/jobs?q=sagging+{typed}&explain=true"))["items"]
        assert found["id"] == job["id"]
        assert found["why"] == [
            {"part": "q", "asked": "sagging", "found": "sagg", "where": "title", "how": "word", "points": 500},
            {"part": "q", "asked": typed, "found": "nkawkaw", "where": "place", "how": how, "points": 100},
        ]
    (plain,) = (await desk.ok("GET", "/jobs?q=sagging+nkawkaw"))["items"]
    assert plain["why"] is None


async def test_trades_are_found_by_the_words_people_use_and_with_slips(desk: Desk) -> None:
    anna, word = hirer(), _word()
    job = await desk.open_job(anna, title=word, category="electrical", skills=["electrician"])
    for query in (
        "sparky",
        "electrician",
        "%C3%89lectricien",
        "fundi+umeme",
        "wiring",
        "elektrician",
        "a+sparky+in+Accra",
    ):
        assert await _ids(desk, f"q={word}+{query}") == [job["id"]], query
    assert await _ids(desk, f"q={word}+barber") == []


async def test_why_names_the_trade_and_the_distance(desk: Desk) -> None:
    word = _word()
    await desk.open_job(hirer(), title=word, location=_at(TEMA))
    query = f"q={word}&category=water-sanitation&skill=plumber&near={ACCRA[0]},{ACCRA[1]}&sort=nearest&explain=true"
    (found,) = (await desk.ok("GET", f"/jobs?{query}"))["items"]
    assert [(one["part"], one["found"], one["where"]) for one in found["why"][1:]] == [
        ("category", "Water and sanitation", "trade"),
        ("category", "Plumber", "trade"),
        ("category", "Pump technician", "trade"),
        ("skill", "Plumber", "trade"),
        ("near", "20.3 km away", "place"),
    ]


async def test_the_best_paid_first_in_pages_and_in_one_currency(desk: Desk) -> None:
    anna, word = hirer(), _word()
    jobs = [
        await desk.open_job(anna, title=word, budget={"amount": amount, "currency": currency})
        for amount, currency in ((10, "GHS"), (30, "GHS"), (30, "GHS"), (99, "USD"), (20, "GHS"))
    ]
    same = sorted((jobs[1]["id"], jobs[2]["id"]), reverse=True)
    assert await _pages(desk, f"q={word}&sort=budget") == [*same, jobs[4]["id"], jobs[0]["id"]]


async def test_urgent_jobs_can_be_asked_for(desk: Desk) -> None:
    anna, word = hirer(), _word()
    calm, urgent = await desk.open_job(anna, title=word), await desk.open_job(anna, title=word, urgent=True)
    assert urgent["urgent"] is True
    assert await _ids(desk, f"q={word}&urgent=true") == [urgent["id"]]
    assert await _ids(desk, f"q={word}&urgent=false") == [calm["id"]]


async def test_facets_count_what_the_search_finds(desk: Desk) -> None:
    anna, word = hirer(), _word()
    await desk.open_job(anna, title=word)
    await desk.open_job(anna, title=word, urgent=True, location=_at(KUMASI, "Ashanti"))
    await desk.open_job(anna, title=word, skills=["plumber"], category="plumber")
    assert await desk.ok("GET", f"/jobs/facets?q={word}") == {
        "count": 3,
        "isComplete": True,
        "urgent": 1,
        "trades": [
            {"value": "plumber", "name": "Plumber", "count": 3},
            {"value": "pump-technician", "name": "Pump technician", "count": 2},
            {"value": "water-sanitation", "name": "Water and sanitation", "count": 2},
        ],
        "regions": [
            {"value": "Greater Accra", "name": "Greater Accra", "count": 2},
            {"value": "Ashanti", "name": "Ashanti", "count": 1},
        ],
    }
    nothing = await desk.ok("GET", f"/jobs/facets?q={word}&skill=barber")
    assert nothing == {"count": 0, "isComplete": True, "urgent": 0, "trades": [], "regions": []}
    assert (await desk.call("GET", "/jobs/facets?near=1")).data["errors"][0]["field"] == "near"


async def test_facets_say_where_they_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_COUNTED", 2)
    anna, word = hirer(), _word()
    for count, is_complete in ((1, True), (2, False), (2, False)):
        await desk.open_job(anna, title=word)
        facets = await desk.ok("GET", f"/jobs/facets?q={word}")
        assert (facets["count"], facets["isComplete"], facets["regions"][0]["count"]) == (count, is_complete, count)


async def test_suggestions_complete_and_correct(desk: Desk) -> None:
    await desk.open_job(hirer(), title="Zwieback oven")
    assert (await desk.ok("GET", "/jobs/suggestions?q=zwie"))["items"] == ["zwieback"]
    assert (await desk.ok("GET", "/jobs/suggestions?q=new+zwie"))["items"] == ["new zwieback"]
    assert (await desk.ok("GET", "/jobs/suggestions?q=spark"))["items"][0] == "Electrician"
    assert (await desk.ok("GET", "/jobs/suggestions?q=elektrician"))["items"] == ["Electrician", "Car electrician"]
    assert (await desk.ok("GET", "/jobs/suggestions?q=%21"))["items"] == []
    assert (await desk.call("GET", "/jobs/suggestions?q=")).status == 400


async def test_a_word_of_many_jobs_is_remembered_and_one_of_few_is_not(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, many, few = hirer(), _word(), _word()
    jobs = [await desk.open_job(anna, title=word) for word in (many, many, few)]
    monkeypatch.setattr(lexicon, "FREQUENT", 2)
    for job in jobs:
        await desk.ok("GET", f"/jobs?q={many}")
        await desk.ok("GET", f"/jobs?q={few}")
        await desk.ok("POST", f"/jobs/{job['id']}/close", by=anna)
    assert await lexicon._open_with(many) == 2
    assert await lexicon._open_with(few) == 0
    later = clock.monotonic() + lexicon.FREQUENT_S
    monkeypatch.setattr(clock, "monotonic", lambda: later)
    assert await lexicon._open_with(many) == 0


async def test_a_rare_word_with_a_budget_reads_only_what_is_shown(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    anna, word = hirer(), _word()
    jobs = [
        await desk.open_job(anna, title=word, budget={"amount": amount, "currency": "GHS"})
        for amount in (900, 1_000, 1_001, 900, 1_000)
    ]
    query = f"q={word}&minBudget=1000&maxBudget=1000"
    asked: list[str | None] = []
    ordered: Any = documents._ordered

    async def noted(*arguments: Any, hint: str | None) -> Any:
        asked.append(hint)
        return await ordered(*arguments, hint=hint)

    monkeypatch.setattr(documents, "_ordered", noted)
    assert await _ids(desk, query) == [jobs[4]["id"], jobs[1]["id"]]
    monkeypatch.setattr(documents, "MAX_RARE", 4)
    assert await _ids(desk, query) == [jobs[4]["id"], jobs[1]["id"]]
    assert asked == ["terms", None]
