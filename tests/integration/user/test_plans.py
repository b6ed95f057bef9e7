"""Every query that the service sends to MongoDB is planned on an index, and reads no more than it needs."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from kelmah.contracts.common import Role
from kelmah.kit import clock
from kelmah.kit.ids import new_id
from kelmah.kit.mongo import Mongo
from kelmah.services.user.documents import profiles as documents
from kelmah.services.user.documents.profiles import Place, Point, ProfileDocument, Rate, SkillEntry
from kelmah.services.user.service import profiles
from tests.integration.user.conftest import Town

EXPLAINED = {"find", "aggregate", "update", "delete", "findAndModify", "count", "distinct"}
DRIVER_FIELDS = {"lsid", "txnNumber", "$clusterTime", "$db", "startTransaction", "autocommit", "readConcern",
                 "writeConcern", "$readPreference", "stmtId"}  # fmt: skip
INDEXED = {"COUNT_SCAN", "IXSCAN", "IDHACK", "GEO_NEAR_2DSPHERE"}
#: Profiles that nobody looks for, and the most of any that one query may read.
CROWD, MOST_READ = 300, 100
WORKER_QUERIES = [
    "",
    "q=plumber",
    "q=plumber+pipes+accra",
    "skill=plumbing",
    "skill=electrical",
    "region=ashanti",
    "minRating=4",
    "minRate=100&maxRate=9000",
    "sort=rate",
    "sort=rate&skill=electrical",
    "near=-0.18,5.6",
    "near=-0.18,5.6&skill=electrical",
    "near=-0.18,5.6&region=ashanti&radiusKm=500",
    "near=-0.18,5.6&radiusKm=500&q=pipes&sort=distance",
    "language=fr",
    "verified=true",
    "verified=true&language=fr&sort=rate&maxRate=600",
    "near=-0.18,5.6&radiusKm=500&language=fr&verified=true",
    "q=plumer&language=tw&verified=true",
    f"availableOn={clock.now().date().isoformat()}&q=plumber",
    "near=-0.18,5.6&q=plumber&sort=rating",
    f"near=-0.18,5.6&skill=plumbing&availableOn={clock.now().date().isoformat()}&explain=true&maxRate=600",
    "near=-0.18,5.6&sort=rate&minRating=3&region=ashanti&skill=plumbing",
]


def stages(plan: Any) -> Iterator[str]:
    """Every stage that is named anywhere in a plan."""
    if isinstance(plan, dict):
        if "stage" in plan:
            yield plan["stage"]
        for value in plan.values():
            yield from stages(value)
    elif isinstance(plan, list):
        for value in plan:
            yield from stages(value)


async def explained_plan(mongo: Mongo, command: dict[str, Any]) -> dict[str, Any]:
    return await mongo.database.command("explain", command, verbosity="executionStats")


def examined(explained: Any) -> int:
    """How many documents were read."""
    if isinstance(explained, dict):
        if "totalDocsExamined" in explained:
            return int(explained["totalDocsExamined"])
        return sum(map(examined, explained.values()))
    return sum(map(examined, explained)) if isinstance(explained, list) else 0


def winning(explained: dict[str, Any]) -> set[str]:
    plans = [explained.get("queryPlanner", {}).get("winningPlan")]
    plans += [
        stage["$cursor"]["queryPlanner"]["winningPlan"] for stage in explained.get("stages", []) if "$cursor" in stage
    ]
    plans += [stage for stage in explained.get("stages", []) if "$geoNearCursor" in stage]
    return set(stages(plans))


async def everything(town: Town) -> None:
    """Each operation once, and each shape of search on two pages."""
    place = {"city": "Accra", "region": "Ashanti", "coordinates": [-0.18, 5.6]}
    profile = {"headline": "plumber pipes accra", "location": place, "hourlyRate": {"amount": 500}}
    for _ in range(3):
        await town.worker("plumbing", "electrician", profile=profile)
    ama, kofi = await town.worker("plumbing", profile=profile), town.somebody(Role.HIRER)
    await town.call("PATCH", "/users/me", {"company": "plumber", "location": place}, by=kofi)
    for query in WORKER_QUERIES:
        first = await town.call("GET", f"/workers?limit=1&{query}")
        assert first.status == 200, query
        if cursor := first.data["nextCursor"]:
            assert (await town.call("GET", f"/workers?limit=1&{query}&cursor={cursor}")).status == 200
    for query in ("q=plumber", "near=-0.18,5.6", "region=Bono+East"):
        assert (await town.call("GET", f"/workers/facets?{query}")).status == 200
    assert (await town.call("GET", "/workers?region=Atlantis")).status == 400
    for query in ("limit=9", "q=plumber", "region=ashanti", "q=plumber&region=ashanti"):
        assert (await town.call("GET", f"/hirers?{query}", by=ama)).status == 200
    for skills in ("skills=plumbing", "skills=plumbing&skills=electrical&lng=-0.18&lat=5.6"):
        assert (await town.service.call("GET", f"/internal/workers?limit=50&{skills}", caller="job")).status == 200
    await town.service.call("GET", f"/internal/people?ids={ama.user_id}&ids={kofi.user_id}", caller="job")
    await town.service.call("GET", f"/internal/workers/{ama.user_id}", caller="job")
    ends = {"startsAt": clock.now() + timedelta(hours=1), "endsAt": clock.now() + timedelta(hours=2)}
    path = f"/internal/workers/{ama.user_id}/bookings/one"
    assert (await town.service.call("PUT", path, {"contractId": "c"} | ends, caller="job")).status == 200
    assert (await town.service.call("DELETE", path, caller="job")).status == 204
    private = {"parts": {"bio": "counterpart"}}
    assert (await town.call("PUT", "/users/me/visibility", private, by=ama)).status == 200
    assert (await town.call("GET", "/users/me/export", by=ama)).status == 200
    assert (await town.call("GET", "/users/me/changes?limit=1", by=ama)).status == 200
    assert (await town.call("GET", "/moderation/certificates", by=town.somebody(Role.MODERATOR))).status == 200
    await town.call("POST", "/users/me/bookmarks", {"userId": ama.user_id}, by=kofi)
    first = await town.call("GET", "/users/me/bookmarks?limit=1", by=kofi)
    assert len(first.data["items"]) == 1
    await town.call("DELETE", f"/users/me/bookmarks/{ama.user_id}", by=kofi)
    await town.call("GET", f"/users/{ama.user_id}", by=kofi)
    assert (await town.call("GET", "/users/me/analytics", by=ama)).status == 200
    assert (await town.call("GET", "/analytics/platform", by=town.somebody(Role.ADMIN))).status == 200


async def crowd(town: Town) -> None:
    """Listed workers and hirers whom no search of `everything` finds; those of a trade that is asked for are far."""
    rows = []
    for number in range(CROWD):
        skill = "plumber" if number % 10 == 0 else "barber"
        profile = ProfileDocument(
            id=new_id(),
            role=Role.HIRER if number % 5 == 1 else Role.WORKER,
            display_name="Nobody N.",
            private="",
            headline="nothing",
            place=Place(city="Sea", region="Sea", region_key="sea", point=Point(coordinates=(-20, number / 10 - 40))),
            hourly_rate=Rate(amount=90_000 + number, currency="GHS"),
            skills=[SkillEntry(id=skill)],
            created_at=clock.now(),
            updated_at=clock.now(),
        )
        profiles.derive(profile)
        rows.append({"_id": profile.id} | documents.encode(profile))
    await town.context.mongo.collection("profiles").insert_many(rows)


async def test_every_query_uses_an_index_and_reads_few(town: Town) -> None:
    await crowd(town)
    town.commands.kept = []
    await everything(town)
    kept, town.commands.kept = town.commands.kept, None
    seen = set()
    for database, command in kept:
        name = next(iter(command))
        if name not in EXPLAINED or database != town.context.mongo.database.name:
            continue
        plain = {field: value for field, value in command.items() if field not in DRIVER_FIELDS}
        if "updates" in plain:
            plain["updates"] = plain["updates"][:1]  # one of a batch is explained; they differ in values only
        explained = await explained_plan(town.context.mongo, plain)
        found = winning(explained)
        assert found & INDEXED, plain
        assert "COLLSCAN" not in found, plain
        if name in ("find", "aggregate") and command[name] != "facts":  # an admin's figures are made of all facts
            assert examined(explained) <= MOST_READ, plain
        seen.add((name, command[name]))
    assert {("find", "profiles"), ("aggregate", "profiles"), ("update", "profiles"), ("find", "bookmarks")} <= seen


FACETS = ("q=plumber", "skill=plumbing", "region=ashanti", "minRating=4")


@pytest.mark.parametrize("query", FACETS)
async def test_facets_are_counted_in_an_index_alone(town: Town, query: str) -> None:
    await crowd(town)
    town.commands.kept = []
    reply = await town.call("GET", f"/workers/facets?{query}")
    kept, town.commands.kept = town.commands.kept, None
    assert reply.status == 200
    (counting,) = [command for _, command in kept if "aggregate" in command]
    plain = {field: value for field, value in counting.items() if field not in DRIVER_FIELDS}
    assert examined(await explained_plan(town.context.mongo, plain)) == 0


async def test_the_check_sees_a_scan(town: Town) -> None:
    await crowd(town)
    explained = await explained_plan(town.context.mongo, {"find": "profiles", "filter": {"bio": "x"}})
    assert winning(explained) == {"COLLSCAN"}
    assert examined(explained) >= CROWD
