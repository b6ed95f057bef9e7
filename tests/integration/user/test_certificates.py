"""Certificates: verification by moderators and reminders of their end."""

from typing import Any

import pytest

from kelmah.contracts.common import Role
from kelmah.contracts.user import Verification
from kelmah.kit.context import Principal
from kelmah.services.user import service
from kelmah.services.user.service.certificates import TRANSITIONS, Step
from kelmah.services.user.service.resealing import SEALED
from tests.fixtures.resealing import turned
from tests.fixtures.service import Reply
from tests.integration.user.conftest import Town
from tests.integration.user.test_choices import day


async def certificate(town: Town, by: Principal, **more: Any) -> str:
    body = {"title": "NVTI Grade 1", "issuer": "NVTI", "number": "GH-77", "issuedOn": "2024-01-01"} | more
    reply = await town.call("POST", "/users/me/certificates", body, by=by)
    assert reply.status == 201, reply.data
    return str(reply.data["id"])


async def request(town: Town, by: Principal, certificate_id: str) -> Reply:
    return await town.call("POST", f"/users/me/certificates/{certificate_id}/request-verification", by=by)


async def decide(
    town: Town,
    by: Principal,
    owner: Principal,
    certificate_id: str,
    decision: str,
    note: str | None = "In order",
) -> Reply:
    path = f"/moderation/certificates/{owner.user_id}/{certificate_id}/decision"
    return await town.call("POST", path, {"decision": decision} | ({"note": note} if note else {}), by=by)


async def state(town: Town, owner: Principal) -> str:
    return str((await town.stored(owner))["certificates"][0]["verification"])


async def timer(town: Town, owner: Principal) -> dict[str, Any] | None:
    found = await town.context.mongo.collection("timers").find_one(
        {"actor": "user.remind_certificate", "args": owner.user_id}
    )
    return dict(found) if found else None


async def told(town: Town, owner: Principal, kind: str) -> int:
    return [type_ for type_, _ in await town.events(owner)].count(f"user.{kind}.v1")


async def test_a_moderator_verifies_what_a_worker_asked_for(town: Town) -> None:
    ama, mod = town.somebody(), town.somebody(Role.MODERATOR)
    one = await certificate(town, ama)
    assert (await request(town, ama, one)).data["verification"] == "pending"
    queue = (await town.call("GET", "/moderation/certificates?limit=100", by=mod)).data["items"]
    [waiting] = [item for item in queue if item["userId"] == ama.user_id]
    assert (waiting["certificateId"], waiting["number"], waiting["displayName"]) == (one, "GH-77", "Ama K.")
    decided = await decide(town, mod, ama, one, "verify")
    assert (decided.status, decided.data["verification"], decided.data["note"]) == (200, "verified", "In order")
    public = (await town.call("GET", f"/workers/{ama.user_id}")).data["certificates"][0]
    assert (public["verification"], public["number"], public["note"]) == ("verified", None, None)
    own = (await town.call("GET", "/users/me/certificates", by=ama)).data["items"][0]
    assert own["note"] == "In order"
    queue = (await town.call("GET", "/moderation/certificates?limit=100", by=mod)).data["items"]
    assert ama.user_id not in [item["userId"] for item in queue]
    assert await told(town, ama, "certificate_check_requested") == 1
    assert await told(town, ama, "certificate_decided") == 1
    renamed = {"title": "Another", "issuer": "NVTI", "issuedOn": "2024-01-01"}
    changed = await town.call("PUT", f"/users/me/certificates/{one}", renamed, by=ama)
    assert changed.data["verification"] == "unverified"


@pytest.mark.parametrize("verification", list(Verification))
@pytest.mark.parametrize("step", [Step.REQUEST, Step.VERIFY, Step.REJECT])
async def test_every_step_is_as_the_table_says(town: Town, verification: Verification, step: Step) -> None:
    ama, mod = town.somebody(), town.somebody(Role.MODERATOR)
    one = await certificate(town, ama)
    await town.context.mongo.collection("profiles").update_one(
        {"_id": ama.user_id}, {"$set": {"certificates.0.verification": verification.value}}
    )
    if step is Step.REQUEST:
        reply = await request(town, ama, one)
    else:
        reply = await decide(town, mod, ama, one, step.value)
    wanted = TRANSITIONS.get((verification, step))
    assert reply.status == (200 if wanted else 409)
    assert await state(town, ama) == (wanted or verification)
    if not wanted:
        assert reply.data["code"] == "user.illegal_certificate_step"


async def test_only_moderators_decide_and_never_of_their_own(town: Town) -> None:
    ama, kofi, mod = town.somebody(), town.somebody(), town.somebody(Role.MODERATOR)
    one = await certificate(town, ama)
    await request(town, ama, one)
    for by, status in ((ama, 403), (kofi, 403), (town.somebody(Role.SUPPORT), 403)):
        assert (await decide(town, by, ama, one, "verify")).status == status
        assert (await town.call("GET", "/moderation/certificates", by=by)).status == status
    assert (await request(town, kofi, one)).status == 404
    assert (await decide(town, mod, kofi, one, "verify")).status == 404
    assert (await decide(town, mod, ama, "nothing", "verify")).status == 404
    refused = await decide(town, mod, ama, one, "reject", note=None)
    assert (refused.status, refused.data["errors"][0]["field"]) == (400, "note")
    assert (await decide(town, mod, ama, one, "maybe")).status == 400
    assert await state(town, ama) == "pending"


async def test_the_queue_has_pages(town: Town) -> None:
    mod, owners = town.somebody(Role.MODERATOR), [town.somebody() for _ in range(5)]
    for owner in owners:
        await request(town, owner, await certificate(town, owner))
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        reply = await town.call("GET", f"/moderation/certificates?limit=2{cursor and '&cursor='}{cursor}", by=mod)
        seen += [item["userId"] for item in reply.data["items"]]
        cursor = reply.data["nextCursor"]
    assert len(seen) == len(set(seen))
    assert {owner.user_id for owner in owners} <= set(seen)


async def test_reminders_come_thirty_and_seven_days_before_and_at_the_end(town: Town) -> None:
    ama = town.somebody()
    one = await certificate(town, ama, expiresOn=day(40))
    await town.context.mongo.collection("profiles").update_one(
        {"_id": ama.user_id}, {"$set": {"certificates.0.verification": "verified"}}
    )
    for days_left, count in ((30, 1), (7, 2), (0, 3)):
        due = await timer(town, ama)
        assert due is not None
        assert due["due"].date().isoformat() == day(40 - days_left)
        assert due["args"] == [ama.user_id, one, day(40), str(days_left)]
        for _ in range(2):
            await service.remind_certificate(town.context, *due["args"])
        assert await told(town, ama, "certificate_expiring") == count
        assert await state(town, ama) == ("verified" if days_left else "expired")
    assert await timer(town, ama) is None


async def test_a_changed_or_removed_certificate_is_not_reminded_of(town: Town) -> None:
    ama = town.somebody()
    one = await certificate(town, ama, expiresOn=day(40))
    before = await timer(town, ama)
    assert before is not None
    later = {"title": "NVTI", "issuer": "NVTI", "issuedOn": "2024-01-01", "expiresOn": day(100)}
    await town.call("PUT", f"/users/me/certificates/{one}", later, by=ama)
    after = await timer(town, ama)
    assert after is not None
    assert after["due"].date().isoformat() == day(70)
    await service.remind_certificate(town.context, *before["args"])
    assert await told(town, ama, "certificate_expiring") == 0
    await town.call("DELETE", f"/users/me/certificates/{one}", by=ama)
    assert await timer(town, ama) is None
    await service.remind_certificate(town.context, *after["args"])
    assert await told(town, ama, "certificate_expiring") == 0


async def test_an_ended_certificate_is_not_checked(town: Town) -> None:
    ama = town.somebody()
    one = await certificate(town, ama, expiresOn="2024-06-01")
    assert await timer(town, ama) is None
    assert (await request(town, ama, one)).data["code"] == "user.illegal_certificate_step"


async def test_unsubscribing_stops_the_mail_of_a_kind_alone(town: Town) -> None:
    ama = town.somebody()
    path = f"/internal/notification-preferences/{ama.user_id}"

    async def mails() -> set[str]:
        reply = await town.service.call("GET", path, caller="messaging")
        return {kind for kind, channels in reply.data["channels"].items() if channels["email"]}

    before = await mails()
    for _ in range(2):
        assert (await town.service.call("POST", f"{path}/unsubscribe/reviews", caller="messaging")).status == 204
    assert before - await mails() == {"reviews"}
    for kind in ("security", "nothing"):
        assert (await town.service.call("POST", f"{path}/unsubscribe/{kind}", caller="messaging")).status == 400
    for caller in ("gateway", "job"):
        assert (await town.service.call("POST", f"{path}/unsubscribe/news", by=ama, caller=caller)).status == 403
    assert before - await mails() == {"reviews"}


@pytest.mark.slow
async def test_numbers_and_all_else_that_is_sealed_take_a_new_key(town: Town) -> None:
    await certificate(town, town.somebody())
    assert await turned(town.context.mongo, [bytes(32)], SEALED) >= {"profiles"}
