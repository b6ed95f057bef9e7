"""The table by which rows are moved is whole: every column of the baseline is in it once, and is read if it says so."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from kelmah.cli import legacy_docs
from kelmah.cli.legacy.plan import SIDES
from kelmah.legacy.entities import ENTITIES, LEFT_TABLES
from kelmah.legacy.entities.contracts import CONTRACTS
from kelmah.legacy.entities.money import ESCROWS, WALLETS
from kelmah.legacy.entities.people import PEOPLE
from kelmah.legacy.entity import Entity, Group
from kelmah.legacy.layout import Layout
from kelmah.legacy.reading import LeftBehind, Old, Unmappable, major, new_id
from kelmah.legacy.tables import metadata

KEY = "0b9e8b6e-43a1-4f0e-9a9b-5c1f0e6f7a11"
USER: dict[str, Any] = {
    "id": KEY,
    "email": "Ama@example.com",
    "first_name": "Ama",
    "last_name": "Kusi",
    "role": "client",
    "status": "active",
    "email_verified_at": "2024-05-01 10:00:00.123456+00",
    "last_login_at": None,
    "created_at": "2024-05-01 09:00:00+02",
    "deleted_at": None,
    "same_email": None,
}


def group(entity: Entity[Any], row: dict[str, Any], **children: list[dict[str, Any]]) -> Group:
    made = Group(entity, row)
    made.children |= children
    return made


@pytest.mark.parametrize("entity", ENTITIES, ids=lambda one: one.name)
def test_every_column_has_its_line(entity: Entity[Any]) -> None:
    for part in entity.parts:
        assert part.columns.keys() == {column.name for column in metadata.tables[part.table].columns}, part.table
        for column, to in part.columns.items():
            assert to.where or to.rule, f"{part.table}.{column} says neither where it goes nor why not"


def test_every_table_is_moved_or_left_for_a_reason() -> None:
    tables = {part.table for entity in ENTITIES for part in entity.parts}
    assert tables | LEFT_TABLES.keys() == metadata.tables.keys()
    assert not tables & LEFT_TABLES.keys()
    assert SIDES.keys() == {entity.name for entity in ENTITIES}


def test_what_a_thing_refers_to_is_moved_before_it() -> None:
    seen: set[str] = set()
    for entity in ENTITIES:
        assert {one.table for one in entity.references if one.table != "users" or seen} <= seen, entity.name
        seen |= {part.table for part in entity.parts}


@pytest.mark.parametrize(("path", "text"), list(legacy_docs.pages()), ids=["page"])
def test_the_page_is_fresh(path: Any, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text
    lines = Counter(text.splitlines())
    for entity in ENTITIES:
        for part in entity.parts:
            for column, to in part.columns.items():
                assert lines[f"| {part.table}.{column} | {to.where} | {to.rule} |"] >= 1


def test_a_query_reads_what_is_moved_and_nothing_else() -> None:
    query = PEOPLE.root.query(Layout())
    assert 't."email"::text AS "email"' in query
    assert "updated_at" not in query.partition(" FROM ")[0]


def test_a_person() -> None:
    made = PEOPLE.make(group(PEOPLE, USER))
    assert made.id == KEY.replace("-", "")
    assert (made.email, made.role.value, made.is_suspended) == ("Ama@example.com", "hirer", False)
    assert made.email_verified_at == datetime(2024, 5, 1, 10, 0, 0, 123_000, UTC)
    assert made.created_at == datetime(2024, 5, 1, 7, tzinfo=UTC)
    assert made.password_hash is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"email": "not an address"}, "users.email: not a mail address"),
        ({"email": None}, "users.email: missing"),
        ({"email": b"\xff@example.com"}, "users.email: its bytes are not UTF-8"),
        ({"same_email": "x"}, "users.email: but for capitals the same as that of x, who came first"),
        ({"created_at": "infinity"}, "users.created_at: an impossible date"),
        ({"created_at": "0044-03-15 00:00:00+00 BC"}, "users.created_at: an impossible date"),
        ({"created_at": "20240-01-01 00:00:00+00"}, "users.created_at: an impossible date"),
        ({"created_at": "2091-01-01 00:00:00+00"}, "users.created_at: in the future"),
        ({"created_at": None}, "users.created_at: missing"),
        ({"role": "bot"}, "users.role: unknown value 'bot'"),
        ({"status": "vanished"}, "users.status: unknown value 'vanished'"),
        ({"first_name": "A\u202eb"}, "users.first_name: the text must not contain U+202E (RIGHT-TO-LEFT OVERRIDE)"),
        ({"last_name": "x" * 81}, "users.last_name: the text must have at most 80 characters"),
    ],
)
def test_a_person_who_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unmappable) as error:
        PEOPLE.make(group(PEOPLE, USER | change))
    assert str(error.value) == reason


@pytest.mark.parametrize("change", [{"status": "deleted"}, {"deleted_at": "2024-05-01 10:00:00+00"}])
def test_a_person_who_left(change: dict[str, Any]) -> None:
    refused = group(
        PEOPLE, USER | change, social_logins=[{"id": "1", "user_id": KEY, "provider": "google", "subject": "s"}]
    )
    with pytest.raises(LeftBehind):
        PEOPLE.make(refused)
    assert [(one.table, one.fate) for one in refused.outcomes("left", "deleted by its owner")] == [
        ("users", "left"),
        ("social_logins", "left"),
    ]


def test_what_is_left_out_of_a_person_is_said() -> None:
    login = {"user_id": KEY, "password_hash": "5f4d", "totp_secret": "!!", "totp_enabled": "true", "changed_at": None}
    facebook = {"id": "1", "user_id": KEY, "provider": "facebook", "subject": "s", "created_at": "2024-05-01 00:00+00"}
    made = group(PEOPLE, USER | {"last_login_at": "infinity"}, credentials=[login], social_logins=[facebook])
    record = PEOPLE.make(made)
    assert (record.password_hash, record.totp_secret, record.last_login_at, record.identities) == (None, None, None, ())
    root, credentials, social = made.outcomes()
    assert root.remarks == ["users.last_login_at: an impossible date"]
    assert len(credentials.remarks) == 2
    assert (social.fate, social.reason) == ("refused", "social_logins.provider: Kelmah has no login by 'facebook'")


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [("10", "GHS", 1_000), ("0.01", "GHS", 1), ("10.00", "JPY", 10), ("1E+2", "GHS", 10_000), ("1.005", "KWD", 1_005)],
)
def test_money(value: str, currency: str, minor: int) -> None:
    old = Old("t", {"m": value}, [])
    assert old.minor("m", currency) == minor
    assert old.minor_of("m", str(major(minor, currency)), currency) == minor


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-0.01", "0.005", "ten", "", "1e30", None])
def test_what_is_no_money(value: str | None) -> None:
    with pytest.raises(Unmappable):
        Old("t", {"m": value}, []).minor("m", "GHS")


@pytest.mark.parametrize(
    ("balance", "booked", "fits"),
    [("10.00", "10.00", True), ("10.00", "9.99", False), ("0", None, True), ("1", None, False)],
)
def test_a_wallet_is_the_sum_of_its_transactions(balance: str, booked: str | None, fits: bool) -> None:
    row = {"id": KEY, "user_id": KEY, "currency": "ghs", "balance": balance, "booked": booked}
    if fits:
        assert WALLETS.make(group(WALLETS, row)).currency == "GHS"
        return
    with pytest.raises(Unmappable, match="do not add up"):
        WALLETS.make(group(WALLETS, row))


MILESTONE = {"id": KEY, "contract_id": KEY, "position": "0", "title": "All", "amount": "50.00", "submitted_at": None}
CONTRACT: dict[str, Any] = {
    **dict.fromkeys(("id", "job_id", "application_id", "hirer_id", "worker_id"), KEY),
    **dict.fromkeys(("hirer_signed_at", "worker_signed_at", "completed_at", "cancelled_at", "updated_at")),
    "title": "Work",
    "description": None,
    "total": "50.00",
    "currency": "GHS",
    "status": "active",
    "created_at": "2024-05-01 09:00:00+00",
}


@pytest.mark.parametrize(
    ("contract", "status", "escrow", "reason"),
    [
        ({}, "funded", f"held {KEY} 50.00", None),
        ({}, "pending", None, None),
        ({"status": "completed"}, "paid", f"released {KEY} 50.00", None),
        ({}, "funded", None, "milestones.status: funded, and its escrow is not there"),
        ({}, "pending", f"held {KEY} 50.00", "milestones.status: pending, and its escrow is held"),
        ({}, "paid", f"held {KEY} 50.00", "milestones.status: paid, and its escrow is held"),
        ({}, "funded", f"held {KEY} 49.99", "milestones.amount: its escrow holds another"),
        ({"total": "51.00"}, "pending", None, "contracts.total: the milestones do not add up to it"),
        (
            {"status": "completed"},
            "funded",
            f"held {KEY} 50.00",
            "contracts.status: it is over, and a milestone still holds money",
        ),
    ],
)
def test_a_contract_and_its_money_agree(
    contract: dict[str, Any], status: str, escrow: str | None, reason: str | None
) -> None:
    milestone = MILESTONE | {"status": status, "escrow": escrow, "escrows": "1", "approved_at": None}
    made = group(CONTRACTS, CONTRACT | contract, milestones=[milestone])
    if reason is None:
        assert [one.amount for one in CONTRACTS.make(made).milestones] == [5_000]
        return
    with pytest.raises(Unmappable, match=reason):
        CONTRACTS.make(made)


@pytest.mark.parametrize(("fee", "points"), [("0", 0), ("5.00", 1_000), ("0.01", 2), ("50.00", 10_000)])
def test_a_fee_is_a_share(fee: str, points: int) -> None:
    assert ESCROWS.make(group(ESCROWS, escrow(fee=fee))).fee_basis_points == points


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fee": "50.01"}, "no share in basis points"),
        ({"amount": "123456.78", "fee": "0.01"}, "no share in basis points"),
        ({"status": "disputed"}, "0 disputes are open"),
        ({"status": "split"}, "no ruling adds up to it"),
        ({"amount": "0"}, "escrows.amount: nothing"),
    ],
)
def test_an_escrow_that_does_not_add_up(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unmappable, match=reason):
        ESCROWS.make(group(ESCROWS, escrow(**change)))


def escrow(**change: Any) -> dict[str, Any]:
    ids = dict.fromkeys(("id", "contract_id", "milestone_id", "hirer_id", "worker_id"), KEY)
    row = {"amount": "50.00", "fee": "0", "currency": "GHS", "status": "held", "created_at": "2024-05-01 00:00+00"}
    return {**ids, **row, "updated_at": None, **change}


def test_ids() -> None:
    assert new_id("users", KEY) == KEY.replace("-", "")
    assert new_id("users", "7") != new_id("jobs", "7")
    assert new_id("users", "7") == new_id("users", "7")
