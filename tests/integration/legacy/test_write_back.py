"""Going back: what happened on the platform is written to the old database, once, and again without effect."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from kelmah.cli.legacy import generating
from kelmah.cli.legacy.moving import Mover
from kelmah.cli.legacy.plan import LegacyError, Work, open_work
from kelmah.cli.legacy.verifying import verify
from kelmah.cli.legacy.writing_back import confirm, write_back
from kelmah.contracts import taxonomy
from kelmah.contracts.common import Location, Role
from kelmah.contracts.messaging import EditMessage, NewMessage
from kelmah.contracts.payment import EscrowStatus, ReleaseEscrow
from kelmah.contracts.review import Decision, NewDecision, NewReply
from kelmah.contracts.user import PortfolioInput, SetSkills, SkillChoice, UpdateProfile
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.legacy import revisions
from kelmah.legacy.entities import ENTITIES
from kelmah.legacy.reading import old_uuid
from kelmah.services.auth.service import staff
from kelmah.services.job.service import jobs
from kelmah.services.messaging.service import changes, sending
from kelmah.services.payment.service import escrows
from kelmah.services.review import service as reviews
from kelmah.services.user.service import entries, profiles
from tests.integration.legacy.conftest import Environ, MakeDatabase

HOUR = timedelta(hours=1)


def principal(user_id: str, role: Role) -> Principal:
    return Principal(user_id=user_id, role=role, session_id=new_id())


def row(url: str, query: str, *values: Any) -> Any:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode(), values).fetchone()


async def first(work: Work, service: str, collection: str, **query: Any) -> dict[str, Any]:
    found: dict[str, Any] | None = await work.contexts[service].mongo.collection(collection).find_one(query)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def place(make_database: MakeDatabase, environ_for: Callable[[str, str], Environ]) -> tuple[str, Environ]:
    url = make_database()
    revisions.upgrade(url)
    generating.generate(url, users=60, seed=3, dirty=0)
    return url, environ_for("back", url)


async def test_what_happened_is_written_back_once(place: tuple[str, Environ]) -> None:
    url, environ = place
    async with open_work(environ) as work:
        await Mover(work).run(ENTITIES)
        new = await staff.create_staff(
            work.contexts["auth"],
            email="new@example.com",
            password="blue kente on a Friday",
            first_name="Esi",
            last_name="New",
            role=Role.HIRER,
        )
        profile = await first(work, "user", "profiles", role="worker")
        by = principal(profile["_id"], Role.WORKER)
        await profiles.update_me(work.contexts["user"], UpdateProfile(headline="Tiler", phone="0244123456"), by=by)
        job = await first(work, "job", "jobs", status="open")
        await jobs.close_job(work.contexts["job"], job["_id"], reason=None, by=principal(job["hirer_id"], Role.HIRER))
        escrow = await first(work, "payment", "escrows", status=EscrowStatus.FUNDED)
        before = row(url, "SELECT balance FROM wallets WHERE user_id = %s", escrow["worker_id"])[0]
        hirer = principal(escrow["hirer_id"], Role.HIRER)
        await escrows.release_escrow(work.contexts["payment"], escrow["_id"], ReleaseEscrow(), by=hirer)
        review = await first(work, "review", "reviews", status="revealed")
        rows = work.contexts["review"].mongo.collection("reviews")
        await rows.update_one({"_id": review["_id"]}, {"$set": {"queued_at": clock.now()}})
        decision = NewDecision(decision=Decision.REMOVE, reason="It is about somebody else.")
        await reviews.decide(work.contexts["review"], review["_id"], decision, by=principal(new.id, Role.MODERATOR))

        dry = await write_back(work, dry_run=True)
        assert row(url, "SELECT count(*) FROM users WHERE email = 'new@example.com'")[0] == 0
        written = await write_back(work)
        assert dry == written
        assert written.faults == []
        assert {table: counted["inserted"] for table, counted in written.tables.items() if counted["inserted"]} == {
            "users": 1,
            "credentials": 1,
            "transactions": 1,
        }
        again = await write_back(work)
        assert again.faults == []
        assert all(set(counted) == {"kept"} for counted in again.tables.values()), again.tables
        report = await verify(work, ENTITIES)

    assert row(url, "SELECT role::text, status::text, first_name FROM users WHERE id = %s", new.id) == (
        "client",
        "active",
        "Esi",
    )
    assert row(url, "SELECT algorithm FROM credentials WHERE user_id = %s", new.id) == ("argon2id",)
    assert row(
        url, "SELECT p.headline, u.phone FROM profiles p JOIN users u ON u.id = p.user_id WHERE u.id = %s", by.user_id
    ) == ("Tiler", "+233244123456")
    assert row(url, "SELECT status FROM jobs WHERE id = %s", job["_id"]) == ("cancelled",)
    assert row(url, "SELECT status::text FROM escrows WHERE id = %s", escrow["_id"]) == ("released",)
    net = escrow["amount"] - escrow["amount"] * escrow["fee_basis_points"] // 10_000
    balance = row(url, "SELECT balance FROM wallets WHERE user_id = %s", escrow["worker_id"])[0]
    assert int((balance - before) * 100) == net
    booked = """SELECT sum(amount) FROM transactions t JOIN wallets w ON w.id = t.wallet_id
    WHERE w.user_id = %s AND status = 'completed'"""
    assert row(url, booked, escrow["worker_id"])[0] == balance
    assert row(url, "SELECT status::text FROM reviews WHERE id = %s", review["_id"]) == ("removed",)
    # Both sides were changed alike, so what verification finds is changes there, and none that is lost here.
    kinds = {kind for line in report.lines for kind in line.differences}
    assert kinds <= {"changed there", "not moved", "sum"}


async def test_what_belongs_to_a_profile_is_written_back(place: tuple[str, Environ]) -> None:
    url, environ = place
    async with open_work(environ) as work:
        context = work.contexts["user"]
        profile = await first(work, "user", "profiles", **{"portfolio.0": {"$exists": True}, "place": {"$ne": None}})
        kept, gone = profile["skills"]
        key, by = profile["_id"], principal(profile["_id"], Role.WORKER)
        await profiles.update_me(
            context,
            UpdateProfile(
                address="House 7, Ring Road",
                location=Location(city="Tamale", region="northern", coordinates=(-0.84, 9.4)),
            ),
            by=by,
        )
        known_ids = [key for key, one in taxonomy.skills().items() if one.parent]
        new = next(one for one in known_ids if one not in (kept["id"], gone["id"]))
        skills: list[str | SkillChoice] = [SkillChoice(skill=kept["id"], years=33), SkillChoice(skill=new, years=2)]
        await entries.set_skills(context, SetSkills(skills=skills), by=by)
        await entries.remove(context, "portfolio", profile["portfolio"][0]["id"], by=by)
        item = await entries.put_portfolio_item(context, PortfolioInput(title="A wall"), by=by)
        with psycopg.connect(url) as connection:  # what was never looked at stays there
            star = connection.execute("INSERT INTO skills (name) VALUES ('Star gazer') RETURNING id").fetchone()
            assert star is not None
            connection.execute("INSERT INTO user_skills (user_id, skill_id) VALUES (%s, %s)", (key, star[0]))
        written = await write_back(work)
        again = await write_back(work)
    assert written.faults == []
    assert all(set(counted) == {"kept"} for counted in again.tables.values()), again.tables

    place_query = """SELECT line1, line2, city, region, latitude::text, longitude::text FROM addresses
    WHERE user_id = %s AND is_primary AND deleted_at IS NULL"""
    assert row(url, place_query, key) == (*("House 7, Ring Road", None, "Tamale", "Northern", "9.400000", "-0.840000"),)
    with psycopg.connect(url) as connection:
        known = connection.execute(
            "SELECT name, years_experience FROM user_skills u JOIN skills s ON s.id = skill_id WHERE user_id = %s",
            (key,),
        ).fetchall()
        works = connection.execute(
            "SELECT id::text, title, deleted_at IS NULL FROM portfolio_items WHERE user_id = %s", (key,)
        ).fetchall()
    names = taxonomy.skills()
    assert sorted(known) == sorted([(names[kept["id"]].name, 33), (names[new].name, 2), ("Star gazer", None)])
    assert [one[1:] for one in works if one[0] == old_uuid(item.id)] == [("A wall", True)]
    assert [one[2] for one in works if one[0] == old_uuid(profile["portfolio"][0]["id"])] == [False]


async def test_talk_and_replies_are_written_back(place: tuple[str, Environ]) -> None:
    url, environ = place
    async with open_work(environ) as work:
        context = work.contexts["messaging"]
        conversation = await first(work, "messaging", "conversations")
        writer = principal(conversation["participants"][0]["user_id"], Role.HIRER)
        sent = []
        for text in ("I come at nine.", "Bring the ladder.", "Wrong window."):
            message, _ = await sending.send_message(
                context, conversation["_id"], NewMessage(client_id=new_id(), text=text), by=writer
            )
            sent.append(message.id)
        await changes.edit_message(context, conversation["_id"], sent[1], EditMessage(text="Bring it."), by=writer)
        await write_back(work)
        await changes.delete_message(context, conversation["_id"], sent[2], by=writer)
        moved = await first(work, "messaging", "notifications", read_at=None)
        notifications = context.mongo.collection("notifications")
        await notifications.update_one({"_id": moved["_id"]}, {"$set": {"read_at": clock.now()}})
        told = moved | {"_id": new_id(), "event_id": new_id(), "kind": "escrow_released", "at": clock.now()}
        told |= {"data": {"escrowId": sent[0]}, "params": {"amount": "12345 GHS"}}
        await notifications.insert_one(told)
        await notifications.insert_one(told | {"_id": new_id(), "event_id": new_id(), "kind": "job_alert"})
        review = await first(work, "review", "reviews", status="revealed", reply=None)
        subject = principal(review["subject_id"], Role.WORKER)
        await reviews.reply(work.contexts["review"], review["_id"], NewReply(text="With pleasure."), by=subject)
        written = await write_back(work)
        again = await write_back(work)
        report = await verify(work, [one for one in ENTITIES if one.name == "messages"])
    assert written.faults == []
    assert written.tables["notifications"]["inserted"] == 1
    assert all(set(counted) == {"kept"} for counted in again.tables.values()), again.tables
    query = """SELECT body, edited_at IS NOT NULL, deleted_at IS NOT NULL, replace(sender_id::text, '-', '')
    FROM messages WHERE id = %s"""
    assert [row(url, query, one) for one in sent] == [
        ("I come at nine.", False, False, writer.user_id),
        ("Bring it.", True, False, writer.user_id),
        ("Wrong window.", False, True, writer.user_id),
    ]
    assert row(url, "SELECT read_at IS NOT NULL FROM notifications WHERE id = %s", moved["_id"]) == (True,)
    assert row(url, "SELECT type, data FROM notifications WHERE id = %s", told["_id"]) == (
        "escrow.released",
        {"amount": "123.45", "currency": "GHS", "escrowId": old_uuid(sent[0])},
    )
    assert row(url, "SELECT reply FROM reviews WHERE id = %s", review["_id"]) == ("With pleasure.",)
    assert {kind for line in report.lines for kind in line.differences} <= {"not moved"}


async def test_who_left_is_forgotten_there_too(place: tuple[str, Environ]) -> None:
    url, environ = place
    async with open_work(environ) as work:
        accounts = work.contexts["auth"].mongo.collection("accounts")
        gone = await accounts.find_one_and_delete({"role": "hirer", "created_at": {"$gte": clock.now() - HOUR}})
        assert gone is not None
        await write_back(work)
    assert row(url, "SELECT status::text, first_name, email FROM users WHERE id = %s", gone["_id"]) == (
        "deleted",
        None,
        f"deleted-{old_uuid(gone['_id'])}@invalid.example",
    )


async def test_after_the_cut_over_is_confirmed_nothing_is_written(place: tuple[str, Environ]) -> None:
    _, environ = place
    async with open_work(environ) as work:
        since = await confirm(work)
        assert await confirm(work) == since
        with pytest.raises(LegacyError, match="the cut-over was confirmed"):
            await write_back(work)
