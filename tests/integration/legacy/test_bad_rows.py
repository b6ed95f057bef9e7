"""Rows that cannot be right, one by one: each is moved as far as it can be, or refused with its reason, and the run
goes on. A dry run says of each what the real one does, also of twins that are batches apart."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from kelmah.cli.legacy.moving import SERVICES, Mover
from kelmah.cli.legacy.plan import open_work
from kelmah.cli.legacy.verifying import verify
from kelmah.legacy import revisions
from kelmah.legacy.entities import ENTITIES
from tests.integration.legacy.conftest import Environ, MakeDatabase

PLACE = '{"city": "Accra", "region": "Greater Accra", "lng": -0.2, "lat": 5.6}'
SEEN = {"email_verified_at": "2024-01-02", "created_at": "2024-01-01", "status": "active"}


def key(number: int) -> str:
    return f"{number:08d}-0000-4000-8000-000000000000"


HIRER, WORKER, OTHER, NOBODY = key(1), key(2), key(3), key(99_999_999)
JOB, APPLICATION, CONTRACT, MILESTONE, CONVERSATION = key(10), key(11), key(12), key(13), key(14)
GOOD: tuple[tuple[str, dict[str, Any]], ...] = (
    ("users", {"id": HIRER, "email": "ama@example.com", "first_name": "Ama", "role": "client"} | SEEN),
    ("users", {"id": WORKER, "email": "kofi@example.com", "first_name": "Kofi", "role": "worker"} | SEEN),
    ("users", {"id": OTHER, "email": "esi@example.com", "first_name": "Esi", "role": "worker"} | SEEN),
    ("jobs", {"id": JOB, "hirer_id": HIRER, "status": "assigned"}),
    ("applications", {"id": APPLICATION, "job_id": JOB, "worker_id": WORKER, "status": "hired"}),
    ("contracts", {"id": CONTRACT, "job_id": JOB, "application_id": APPLICATION, "status": "active"}),
    ("milestones", {"id": MILESTONE, "contract_id": CONTRACT, "status": "funded"}),
    ("escrows", {"id": key(15), "contract_id": CONTRACT, "milestone_id": MILESTONE}),
    ("conversations", {"id": CONVERSATION, "kind": "contract", "contract_id": CONTRACT}),
    ("conversation_participants", {"conversation_id": CONVERSATION, "user_id": HIRER}),
    ("conversation_participants", {"conversation_id": CONVERSATION, "user_id": WORKER}),
    ("reviews", {"id": key(16), "contract_id": CONTRACT, "reviewer_id": HIRER, "subject_id": WORKER}),
    ("social_logins", {"id": key(17), "user_id": WORKER, "provider": "google", "subject": "1"}),
    ("wallets", {"id": key(18), "user_id": WORKER, "balance": 5}),
    ("transactions", {"id": key(19), "wallet_id": key(18), "amount": 5, "status": "completed"}),
)
#: What a row has unless it says otherwise.
USUAL: dict[str, dict[str, Any]] = {
    "users": {"first_name": "Yaw", "role": "worker"} | SEEN,
    "jobs": {
        "hirer_id": HIRER,
        "title": "A roof",
        "description": "Mend it.",
        "category": "Carpenter",
        "budget": 100,
        "location": PLACE,
        "status": "open",
    },
    "applications": {"job_id": JOB, "worker_id": OTHER, "cover_letter": "I can.", "proposed_rate": 100},
    "contracts": {
        "job_id": JOB,
        "hirer_id": HIRER,
        "worker_id": WORKER,
        "title": "A roof",
        "total": 100,
        "status": "pending_signature",
        "created_at": "2024-03-01",
    },
    "milestones": {"title": "All of it", "amount": 100},
    "escrows": {
        "contract_id": CONTRACT,
        "milestone_id": MILESTONE,
        "hirer_id": HIRER,
        "worker_id": WORKER,
        "amount": 100,
        "fee": 10,
    },
    "messages": {"conversation_id": CONVERSATION, "sender_id": HIRER, "body": "Hello.", "sent_at": "2024-03-02"},
    "notifications": {"user_id": WORKER, "type": "password.changed"},
    "reviews": {"contract_id": CONTRACT, "reviewer_id": WORKER, "subject_id": HIRER, "rating": 5, "text": "Good."},
}


@dataclass(frozen=True)
class Bad:
    """A row with something wrong, what belongs to it, and what is said of it: a reason, or a remark of a moved row."""

    table: str
    row: dict[str, Any]
    said: str
    moved: bool = False
    #: Whose journal says it; the only one unless it is of users.
    service: str = ""
    more: tuple[tuple[str, dict[str, Any]], ...] = field(default=())
    key: str = ""


def user(number: int, **row: Any) -> tuple[str, dict[str, Any]]:
    return "users", {"id": key(number), "email": f"yaw{number}@example.com"} | row


def refused_user(number: int, said: str, **row: Any) -> Bad:
    return Bad("users", user(number, **row)[1], said, service="auth")


def remarked_user(number: int, said: str, **row: Any) -> Bad:
    return Bad("users", user(number, **row)[1], said, moved=True, service="user")


def profile(number: int, said: str, **row: Any) -> Bad:
    return Bad("profiles", {"user_id": key(number)} | row, said, moved=True, more=(user(number),), key=key(number))


def wallet(number: int, said: str, balance: Any, *booked: Any) -> Bad:
    more = [("transactions", {"wallet_id": key(number), "amount": one, "status": "completed"}) for one in booked]
    return Bad("wallets", {"id": key(number), "user_id": OTHER, "balance": balance}, said, more=tuple(more))


def contract(number: int, said: str, amount: Any = 100, job_id: str = JOB, **row: Any) -> Bad:
    more = (("milestones", {"contract_id": key(number), "amount": amount}),)
    return Bad("contracts", {"id": key(number), "job_id": job_id} | row, said, more=more)


CASES: dict[str, Bad] = {
    "twin address": refused_user(100, "but for capitals the same as that of", email=" AMA@Example.com"),
    "no address": refused_user(101, "users.email: not a mail address", email="call me"),
    "two ats": refused_user(102, "users.email: not a mail address", email="a@b@example.com"),
    "no phone": remarked_user(103, "users.phone: ", phone="call my brother"),
    "short phone": remarked_user(104, "users.phone: ", phone="12"),
    "infinity": refused_user(105, "users.created_at: an impossible date", created_at="infinity"),
    "before Christ": refused_user(106, "users.created_at: an impossible date", created_at="0044-03-15 BC"),
    "year 1": refused_user(107, "users.created_at: an impossible date", created_at="0001-01-01"),
    "tomorrow": refused_user(108, "users.created_at: in the future", created_at="2091-01-01"),
    "unknown role": refused_user(109, "users.role: unknown value 'bot'", role="bot"),
    "orphan profile": Bad("profiles", {"user_id": NOBODY}, "there is no such row in users", key=NOBODY),
    "orphan address": Bad("addresses", {"id": key(110), "user_id": NOBODY}, "there is no such row in users"),
    "NaN rate": profile(111, "profiles.hourly_rate: not an amount", hourly_rate="NaN"),
    "negative rate": profile(112, "profiles.hourly_rate: a negative amount", hourly_rate=-5),
    "languages": profile(113, "profiles.languages: JSON of another shape", languages='{"en": true}'),
    "availability": profile(114, "profiles.availability: unknown value 'sleeping'", availability="sleeping"),
    "another login": Bad(
        "social_logins",
        {"id": key(115), "user_id": WORKER, "provider": "Google", "subject": "2"},
        "social_logins.provider: the person has another login by it",
    ),
    "login of another": Bad(
        "users",
        user(116)[1],
        "social_logins.subject: another account is logged in to by it",
        service="auth",
        more=(("social_logins", {"user_id": key(116), "provider": "google", "subject": "1"}),),
    ),
    "orphan job": Bad("jobs", {"id": key(120), "hirer_id": NOBODY}, "jobs.hirer_id: its row in users is not there"),
    "NaN budget": Bad("jobs", {"id": key(121), "budget": "NaN"}, "jobs.budget: not an amount"),
    "negative budget": Bad("jobs", {"id": key(122), "budget": -100}, "jobs.budget: a negative amount"),
    "unknown status": Bad("jobs", {"id": key(123), "status": "haunted"}, "jobs.status: unknown value 'haunted'"),
    "place is a list": Bad("jobs", {"id": key(124), "location": "[1]"}, "jobs.location: JSON of another shape"),
    "deadline": Bad("jobs", {"id": key(125), "deadline": "infinity"}, "jobs.deadline: an impossible date", moved=True),
    "orphan application": Bad(
        "applications", {"id": key(130), "worker_id": NOBODY}, "applications.worker_id: its row in users is not there"
    ),
    "NaN offer": Bad("applications", {"id": key(131), "proposed_rate": "NaN"}, "proposed_rate: not an amount"),
    "offers": Bad(
        "applications",
        {"id": key(132), "milestones": '"none"'},
        "applications.milestones: JSON of another shape",
        moved=True,
    ),
    "twin application": Bad(
        "applications", {"id": key(133)}, "applications.status: the worker has a live application to this job"
    ),
    "NaN total": contract(140, "contracts.total: not an amount", total="NaN", status="cancelled"),
    "negative milestone": contract(141, "milestones.amount: a negative amount", amount=-100, status="cancelled"),
    "twin contract": contract(142, "contracts.job_id: the job has another live contract"),
    "twin of an application": contract(
        143,
        "contracts.application_id: the application has another contract",
        job_id=key(125),
        application_id=APPLICATION,
    ),
    "two escrows": Bad(
        "contracts",
        {"id": key(144), "job_id": key(125)},
        "several escrows hold its money or have paid it",
        more=(
            ("milestones", {"id": key(145), "contract_id": key(144), "status": "funded"}),
            ("escrows", {"milestone_id": key(145), "contract_id": key(144)}),
            ("escrows", {"milestone_id": key(145), "contract_id": key(144), "status": "released"}),
        ),
    ),
    "NaN balance": wallet(150, "wallets.balance: not an amount", "NaN"),
    "negative balance": wallet(151, "wallets.balance: a negative amount", -5, -5),
    "other balance": wallet(152, "its completed transactions do not add up to it", 5, 2, 2),
    "NaN in the books": wallet(153, "wallets.balance: not an amount", 5, "NaN"),
    "twin wallet": Bad(
        "wallets", {"id": key(155), "user_id": WORKER, "balance": 0}, "the person has another wallet in it"
    ),
    "NaN transaction": Bad(
        "transactions",
        {"id": key(156), "wallet_id": key(18), "amount": "NaN", "status": "failed"},
        "transactions.amount: not an amount",
    ),
    "orphan escrow": Bad(
        "escrows",
        {"id": key(160), "contract_id": NOBODY, "milestone_id": NOBODY},
        "escrows.contract_id: its row in contracts is not there",
    ),
    "twin conversation": Bad(
        "conversations",
        {"id": key(170), "kind": "contract", "contract_id": CONTRACT},
        "the same two, or the contract, have another conversation",
        more=tuple(
            ("conversation_participants", {"conversation_id": key(170), "user_id": one}) for one in (HIRER, OTHER)
        ),
    ),
    "lonely conversation": Bad("conversations", {"id": key(171)}, "0 people take part, and not two"),
    "stranger's message": Bad("messages", {"id": key(172), "sender_id": OTHER}, "takes no part in the conversation"),
    "message of long ago": Bad("messages", {"id": key(173), "sent_at": "-infinity"}, "sent_at: an impossible date"),
    "unknown notification": Bad("notifications", {"id": key(174), "type": "poke"}, "type: unknown value 'poke'"),
    "data is a list": Bad("notifications", {"id": key(175), "data": "[]"}, "data: JSON of another shape"),
    "eleven stars": Bad("reviews", {"id": key(180), "rating": 11}, "reviews.rating: not between 1 and 5"),
    "orphan review": Bad("reviews", {"id": key(181), "contract_id": NOBODY}, "its row in contracts is not there"),
    "unknown criteria": Bad(
        "reviews", {"id": key(182), "criteria": '{"charm": 5}'}, "reviews.criteria: JSON of another shape", moved=True
    ),
    "twin review": Bad("reviews", {"id": key(183)}, "reviews.reviewer_id: this side has another review"),
}


@dataclass(frozen=True)
class Run:
    """A dry run and a real one: what each wrote, and the journal of the real one by service and row."""

    dry: list[str]
    real: list[str]
    fates: dict[tuple[str, str], dict[str, Any]]
    is_clean: bool
    moved_again: int


def fill(url: str) -> None:
    with psycopg.connect(url) as connection:
        # What the baseline forbids and others let in.
        for table, name in (
            *(("wallets", "uq_wallets_user_id_currency"), ("reviews", "uq_reviews_contract_id_reviewer_id")),
            ("social_logins", "uq_social_logins_provider_subject"),
        ):
            connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}".encode())
        bad = ((table, row) for one in CASES.values() for table, row in (*one.more, (one.table, one.row)))
        rows = [*GOOD, *bad]
        order = [*dict.fromkeys(table for table, _ in GOOD), "profiles", "addresses", "messages", "notifications"]
        for table, row in sorted(rows, key=lambda one: order.index(one[0])):
            values = USUAL.get(table, {}) | row
            connection.execute(
                sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                    sql.Identifier(table),
                    sql.SQL(", ").join(map(sql.Identifier, values)),
                    sql.SQL(", ").join(sql.Placeholder() * len(values)),
                ),
                list(values.values()),
            )


@pytest.fixture(scope="module")
async def run(
    make_database: MakeDatabase,
    environ_for: Callable[[str, str], Environ],
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    url, folder = make_database(), tmp_path_factory.mktemp("reports")
    revisions.upgrade(url)
    fill(url)
    async with open_work(environ_for("bad", url)) as work:
        dry, real = folder / "dry.jsonl", folder / "real.jsonl"
        mover = Mover(work, dry_run=True)
        await mover.run([replace(entity, batch=2) for entity in ENTITIES])
        await mover.report(dry)
        mover = Mover(work)
        await mover.run([replace(entity, batch=3) for entity in ENTITIES])
        await mover.report(real)
        fates = {
            (service, row["_id"]): row
            for service in SERVICES
            async for row in work.contexts[service].mongo.collection("legacy_rows").find({})
        }
        report = await verify(work, ENTITIES)
        again = Mover(work)
        await again.run(ENTITIES)
    return Run(lines(dry), lines(real), fates, report.is_clean, sum(one["moved"] for one in again.tally.values()))


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("name", CASES)
def test_it_is_moved_or_refused_with_its_reason(run: Run, name: str) -> None:
    case = CASES[name]
    row = f"{case.table}/{case.key or case.row['id']}"
    (fate,) = [one for (service, key), one in run.fates.items() if key == row and case.service in ("", service)]
    assert (fate["fate"], case.said in (fate["reason"] or "; ".join(fate["remarks"]))) == (
        "moved" if case.moved else "refused",
        True,
    ), fate
    (said,) = [one for one in map(json.loads, run.real) if one["row"] == row and case.service in ("", one["service"])]
    assert (said["reason"], said["remarks"]) == (fate["reason"], fate["remarks"])


def test_the_good_ones_are_moved(run: Run) -> None:
    keys = {f"{table}/{row['id']}" for table, row in GOOD if "id" in row}
    assert {one["fate"] for (_, key), one in run.fates.items() if key in keys} == {"moved"}
    assert run.is_clean
    assert run.moved_again == 0


def test_a_dry_run_says_what_the_real_one_does(run: Run) -> None:
    assert run.dry == run.real
